"""The mail of the week: each week is told of once, to those who may read the audit, whatever the worker did."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import override_settings
from django.utils.timezone import now

from accounts.models import User
from alerts.models import Alert
from approvals.models import Request
from notifications.mail import render
from notifications.models import Message
from notifications.snapshot import decode
from pim_site import weekly
from pim_site.duties import tasks_due
from pim_site.models import WeeklyDigest
from roles.models import Role
from tests.client import signed_in
from tests.factories import (
    ActivationFactory,
    ActiveFactory,
    EligibleFactory,
    IncidentFactory,
    RequestFactory,
    RoleFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

# A Wednesday. The clocks of Berlin go back in the night to Sunday, 25 October.
WEDNESDAY = datetime(2026, 10, 21, 12, tzinfo=UTC)
MONDAY = datetime(2026, 10, 26, 6, tzinfo=UTC)  # seven o'clock in winter time
WEEK = datetime(2026, 10, 18, 22, tzinfo=UTC), datetime(2026, 10, 25, 23, tzinfo=UTC)
TASK = "pim_site.weekly.send_due"


@pytest.fixture(autouse=True)
def clock(time_machine):
    """A site in Berlin whose worker began to run on a Wednesday."""
    time_machine.move_to(WEDNESDAY, tick=False)
    with override_settings(DEFAULT_TIME_ZONE="Europe/Berlin"):
        assert weekly.send_due() == 0
        yield time_machine


def holder(key=Role.GLOBAL_ADMINISTRATOR, **facts):
    role = Role.objects.built_in(key)
    return ActiveFactory(role=role, user=UserFactory(**facts), starts_at=WEDNESDAY - timedelta(days=99)).user


def spans():
    sent = Message.objects.filter(kind="weekly_digest").order_by("created_at")
    return [tuple(decode(each.context)[name] for name in ("since_at", "until_at")) for each in sent]


def test_digest_comes_on_monday_morning_and_once(clock):
    holder()
    clock.move_to(MONDAY - timedelta(seconds=1), tick=False)
    assert (weekly.send_due(), tasks_due(now()) & {TASK}) == (0, set())
    clock.move_to(MONDAY, tick=False)
    assert tasks_due(now()) & {TASK} == {TASK}

    assert [weekly.send_due(), weekly.send_due()] == [1, 0]

    assert spans() == [WEEK]
    assert tasks_due(now()) & {TASK} == set()


def test_weeks_follow_without_gap_or_overlap(clock):
    holder()
    clock.move_to(MONDAY + timedelta(days=2), tick=False)  # late
    weekly.send_due()
    clock.move_to(MONDAY + timedelta(days=7), tick=False)
    weekly.send_due()

    assert spans() == [WEEK, (WEEK[1], WEEK[1] + timedelta(days=7))]


def test_worker_that_was_down_for_weeks_tells_of_all_in_one_mail(clock):
    holder()
    clock.move_to(MONDAY + timedelta(days=23), tick=False)
    assert [weekly.send_due(), weekly.send_due()] == [1, 0]
    assert spans() == [(WEEK[0], WEEK[1] + timedelta(days=21))]

    clock.move_to(MONDAY + timedelta(days=28), tick=False)
    assert weekly.send_due() == 1
    assert spans()[1] == (WEEK[1] + timedelta(days=21), WEEK[1] + timedelta(days=28))


def test_of_two_runs_that_saw_the_same_row_one_sends(clock):
    holder()
    clock.move_to(MONDAY, tick=False)
    first, second = WeeklyDigest.objects.get(), WeeklyDigest.objects.get()

    assert [weekly._send(row, now()) for row in (first, second)] == [True, False]
    assert len(spans()) == 1


def test_run_that_dies_leaves_the_week_to_the_next(clock, monkeypatch):
    holder()
    clock.move_to(MONDAY, tick=False)
    with monkeypatch.context() as patch:
        patch.setattr(weekly, "content", lambda *times: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            weekly.send_due()

    assert weekly.send_due() == 1
    assert spans() == [WEEK]


def test_digest_is_for_those_who_may_read_the_audit_and_want_it(clock):
    for key, name in [
        (Role.GLOBAL_ADMINISTRATOR, "global"),
        (Role.PRIVILEGED_ROLE_ADMINISTRATOR, "roles"),
        (Role.SECURITY_READER, "reader"),
        (Role.HELPDESK_ADMINISTRATOR, "helpdesk"),
    ]:
        holder(key, username=name)
    holder(username="tired", weekly_digest=False)
    holder(username="gone", is_active=False)
    EligibleFactory(role=Role.objects.built_in(Role.GLOBAL_ADMINISTRATOR), user__username="eligible")
    clock.move_to(MONDAY, tick=False)
    weekly.send_due()

    told = Message.objects.values_list("to_address", flat=True)
    assert sorted(told) == ["global@example.org", "reader@example.org", "roles@example.org"]
    able = Role.objects.exclude(built_in_key=None).filter(permissions__codename="view_event")
    assert set(able.values_list("built_in_key", flat=True)) == set(weekly.READERS)


def happened(role, at):
    """What each figure counts, once; the same a week before, and what none of them counts."""
    eligible = EligibleFactory(role=role, starts_at=at - timedelta(days=1))
    over = {"ended_at": at + timedelta(hours=1), "end_reason": "expired"}
    for hours in (0, 2):
        begun = at + timedelta(hours=hours)
        ActivationFactory(
            eligible_assignment=eligible, starts_at=begun, **over | {"ended_at": begun + timedelta(hours=1)}
        )
    asked = {"requested_at": at, "settled_at": at, "expires_at": None, "stage": None, "status": "provisioned"}
    asked |= {"requester": UserFactory()}
    until, permanent = ActiveFactory(role=role, ends_at=at + timedelta(days=90)), ActiveFactory(role=role)
    RequestFactory(action=Request.Action.ADMIN_ASSIGN, eligible_assignment=eligible, **asked)
    for row in (until, permanent):
        given = {
            "eligible_assignment": None,
            "active_assignment": row,
            "user": row.user,
            "role": role,
            "scope": row.scope,
        }
        RequestFactory(action=Request.Action.ADMIN_ASSIGN, **given, **asked)
    lengthened = ActiveFactory(role=role)
    given |= {"active_assignment": lengthened, "user": lengthened.user, "requester": lengthened.user}
    RequestFactory(action=Request.Action.SELF_EXTEND, **asked | given | {"requested_at": at - timedelta(days=9)})
    RequestFactory(
        action=Request.Action.ADMIN_UPDATE, **asked | given | {"requester": asked["requester"], "status": "denied"}
    )
    IncidentFactory(alert=Alert.objects.get(key="assigned_outside"), raised_at=at)


def test_figures_are_those_of_the_week(clock, client):
    reader, role = holder(), RoleFactory(name="Keeper")
    for weeks in (0, 1):
        happened(role, WEDNESDAY - timedelta(days=7 * weeks))
    clock.move_to(MONDAY, tick=False)
    weekly.send_due()

    message = Message.objects.get(kind="weekly_digest")
    content = decode(message.context)
    assert {each["key"]: each["number"] for each in content["figures"]} == {
        "activated": 2,
        "activators": 1,
        "eligible": 1,
        "active": 2,
        "permanent": 2,
        "outside": 1,
        "alerts": 2,
    }
    assert [(row["role"], row["eligible"], row["standing"]) for row in content["roles"]][:1] == [("Keeper", 2, 6)]
    words = render(message)
    assert words.subject == "PIM: Weekly digest, 19 Oct 2026 to 25 Oct 2026"
    assert "What happened from 19 Oct 2026, 00:00 CEST to 26 Oct 2026, 00:00 CET." in words.text
    assert "2 activations\nhttp" in words.text
    assert "Keeper: 2 eligible, 6 standing\nhttp" in words.text
    signed_in(client, reader)
    counted = {each["key"]: each for each in content["figures"] if each["key"] != "activators"}
    lists = {key: client.get(each["url"].partition("8000")[2]).context["cl"] for key, each in counted.items()}
    found = {key: shown.result_count for key, shown in lists.items()}
    assert found == {key: each["number"] for key, each in counted.items()}
    links = [each["url"] for each in (*content["figures"], *content["roles"], content)]
    assert {link: client.get(link.partition("8000")[2]).status_code for link in links} == dict.fromkeys(links, 200)


def test_choice_is_offered_to_those_who_may_read_the_audit(client):
    reader, other = holder(), UserFactory()
    signed_in(client, reader)
    assert client.get("/mail/").context["form"]["weekly"].value() is True
    client.post("/mail/", {"rhythm": "at_once"})
    assert User.objects.get(pk=reader.pk).weekly_digest is False

    signed_in(client, other)
    assert "weekly" not in client.get("/mail/").context["form"].fields
    client.post("/mail/", {"rhythm": "daily", "weekly": "on"})
    assert User.objects.get(pk=other.pk).weekly_digest is True
