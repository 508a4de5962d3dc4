"""Somebody's year, and what was done within an activation, against a small history that is counted by hand."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from approvals.looking_back import Year, activated_at, within, within_context
from audit.models import Archive, Event, Head
from audit.services import record
from roles.models import Role
from tests.client import signed_in
from tests.factories import ActivationFactory, ActiveFactory, EligibleFactory, RequestFactory, UserFactory, holder_of

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture
def at(time_machine):
    """`at(moment)` sets the clock."""

    def move(moment):
        time_machine.move_to(moment, tick=False)
        return moment

    move(datetime(2026, 7, 1, 12, tzinfo=UTC))
    return move


def told(action, actor, subject=None, **facts):
    with transaction.atomic():
        return record(action, actor=actor, target=subject or actor, subject=subject, **facts)


def counts(year):
    return {
        month.first.month: {deed.key: number for deed, number in month.counts if number}
        for month in year.months
        if any(number for _deed, number in month.counts)
    }


def test_year_by_month(at):
    ana, kim = UserFactory(), UserFactory()
    with timezone.override(ZoneInfo("Pacific/Auckland")):
        at(datetime(2026, 1, 31, 10, 59, tzinfo=UTC))  # a minute before February
        told("session.started", ana, ana)
        at(datetime(2026, 1, 31, 11, 0, tzinfo=UTC))
        for action in ("session.started", "request.approved", "review_item.answered"):
            told(action, ana, kim)
        told("eligible.assigned", kim, ana)
        told("active.assigned", kim, ana)
        told("assignment.activated", ana, ana)
        told("assignment.activated", None, ana)  # by the worker, at its start
        told("request.denied", kim, ana)
        told("activation.requested", ana, ana, outcome="refused", code="too_long")
        told("request.approved", ana, kim, outcome="refused", code="already_decided")
        told("request.approved", kim, ana)  # what others did about her request is no approval of hers
        at(datetime(2025, 12, 31, 10, 59, tzinfo=UTC))
        told("session.started", ana, ana)  # the year before

        assert counts(Year(ana, 2026)) == {
            1: {"signed_in": 1},
            2: {"assigned": 2, "activated": 2, "approved": 1, "denied": 1, "refused": 2, "reviewed": 1, "signed_in": 1},
        }
        assert counts(Year(ana, 2025)) == {12: {"signed_in": 1}}


def test_each_number_opens_so_many_events(at, client):
    ana, kim = UserFactory(), UserFactory()
    told("request.approved", ana, kim)
    told("request.denied", kim, ana)
    for _each in range(27):
        told("session.started", ana, ana)
    signed_in(client, ana)
    before = Event.objects.filter(actor_id=ana.pk, action="session.started").count()

    def shown(**query):
        page = client.get(reverse("approvals:year"), query).context
        return page["page_obj"].paginator.count, len(page["rows"])

    assert shown(year=2026) == (0, 0)
    assert shown(year=2026, deed="approved") == (1, 1)
    assert shown(year=2026, month=7, deed="denied") == (1, 1)
    assert shown(year=2026, month=6, deed="denied") == (0, 0)
    assert shown(year=2026, month=7, deed="signed_in", page=2) == (before, before - 25)
    assert before >= 27


@pytest.mark.parametrize("year", ["", "x", "0", "99999", "2026&month=13", "2026&deed=nothing"])
def test_year_that_is_none_is_the_present_one(at, client, year):
    signed_in(client, UserFactory())
    assert client.get(f"{reverse('approvals:year')}?year={year}").context["shown"].year == 2026


def test_year_says_what_is_in_archives_only(at):
    newest = datetime(2025, 3, 1, tzinfo=UTC)
    facts = {"file": "1-9.jsonl", "digest": "", "note": "", "frontier": b"", "at": newest}
    Head.objects.update_or_create(pk=Head.ONLY, defaults={"size": 9})
    archive = Archive.objects.create(first=1, last=9, oldest_at=newest, newest_at=newest, **facts)
    ana = UserFactory()

    assert [Year(ana, year).context(1)["archive"] for year in (2024, 2025, 2026)] == [archive, archive, None]


def test_events_within_an_activation(at):
    began = at(datetime(2026, 3, 2, 9, tzinfo=UTC))
    ana = UserFactory()
    eligible = [EligibleFactory(user=ana, starts_at=began - HOUR) for _each in range(3)]
    over = {"ended_at": began + 2 * HOUR, "end_reason": "deactivated"}
    first = ActivationFactory(eligible_assignment=eligible[0], starts_at=began, ends_at=began + 8 * HOUR, **over)
    second = ActivationFactory(eligible_assignment=eligible[1], starts_at=began + HOUR, ends_at=began + 5 * HOUR)
    ActivationFactory(eligible_assignment=eligible[2], starts_at=began + 2 * HOUR)  # not at the same time as the first
    at(began - timedelta(seconds=1))
    told("session.started", ana, ana)
    alone = [told("group.created", ana) for _each in [at(began)]]
    both = [told("group.updated", ana) for _each in [at(began + HOUR)]]
    told("group.updated", UserFactory())
    at(began + 2 * HOUR)
    told("group.deleted", ana)

    later = began + 3 * HOUR
    assert list(within(first, later)) == [*both, *alone]
    shown = within_context(first, later, None)
    assert [(each.line.event, each.roles) for each in shown["rows"]] == [
        (both[0], [first, second]),
        (alone[0], [first]),
    ]
    assert shown["others"] == [second]
    assert list(within(second, began + HOUR)) == []  # it has only begun
    assert activated_at(ana, began + 4 * HOUR, began + 4 * HOUR) == [second]


def test_activation_is_over_with_its_eligibility():
    began = timezone.now().replace(microsecond=0)
    eligible = EligibleFactory(ends_at=began + HOUR)
    active = ActivationFactory(eligible_assignment=eligible, starts_at=began, ends_at=began + 8 * HOUR)
    assert active.over_at == began + HOUR
    assert ActiveFactory().over_at is None


def test_pages_ask_as_much_whatever_there_is(at, client):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    reader = holder_of(Role.SECURITY_READER)
    active = ActivationFactory(user__created_at=datetime(2024, 1, 1, tzinfo=UTC))
    signed_in(client, reader)
    pages = [
        reverse("admin:accounts_user_year", args=[active.user_id]) + "?year=2026&deed=activated",
        reverse("admin:assignments_activeassignment_events", args=[active.pk]),
    ]

    def asked():
        told("assignment.activated", active.user, active.user, request=RequestFactory())
        ActivationFactory(eligible_assignment=EligibleFactory(user=active.user))
        found = []
        for page in pages:
            with CaptureQueriesContext(connection) as captured:
                assert client.get(page).status_code == 200
            found.append(len(captured))
        return found

    client.get(pages[0])
    few = asked()
    assert [asked() for _each in range(4)][-1] == few


def test_ways_lead_there(client):
    active = ActivationFactory()
    request = RequestFactory(
        active_assignment=active,
        eligible_assignment=active.eligible_assignment,
        status="provisioned",
        stage=None,
        expires_at=None,
    )
    event = told("group.created", active.user)
    signed_in(client, active.user)
    assert (
        reverse("approvals:active-events", args=[active.pk])
        in client.get(reverse("approvals:request-detail", args=[request.pk])).content.decode()
    )
    signed_in(client, holder_of(Role.SECURITY_READER))
    events = reverse("admin:assignments_activeassignment_events", args=[active.pk])
    pages = [("approvals_request", request), ("assignments_activeassignment", active), ("audit_event", event)]
    shown = [client.get(reverse(f"admin:{name}_change", args=[row.pk])).content.decode() for name, row in pages]
    assert [events in page for page in shown] == [True, True, True]
    assert client.get(events).status_code == 200
    assigned = ActiveFactory()
    assert client.get(reverse("admin:assignments_activeassignment_events", args=[assigned.pk])).status_code == 404
