"""What a scan makes of what it finds."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from alerts import models
from alerts.models import EVERY, Alert, Incident
from alerts.registry import KINDS
from alerts.rules import AlertRefused
from alerts.services import claim, configure, dismiss, scan, sync, tell
from alerts.tasks import scan_due
from audit.models import Event
from audit.services import refusal_code
from notifications.models import Message
from roles.models import Role
from tests.factories import ActiveFactory, holder_of
from tests.refusals import refused

pytestmark = pytest.mark.django_db


def events():
    return list(Event.objects.filter(action__startswith="alert.").order_by("id").values_list("action", flat=True))


@pytest.fixture
def quiet(watched):
    """No other alert is due."""
    Alert.objects.exclude(pk="watched").update(next_scan_at=now() + EVERY)
    return watched


def test_every_kind_has_its_row_with_its_severity_from_the_first_migration_on():
    assert dict(Alert.objects.values_list("key", "severity")) == {k: kind.severity for k, kind in KINDS.items()}


def test_sync_adds_what_is_missing_and_keeps_what_was_chosen():
    Alert.objects.filter(key="no_mfa").delete()
    Alert.objects.filter(key="stale_people").update(severity=1, is_enabled=False)

    assert (sync(), sync()) == (1, 0)

    row = Alert.objects.get(key="stale_people")
    assert (row.severity, row.is_enabled) == (KINDS["stale_people"].severity, False)


def test_finding_becomes_an_incident_and_an_event_about_its_person_role_and_scope(watched):
    held = ActiveFactory()
    watched.finds("a", about=held).scan()

    incident = Incident.objects.get()
    assert (incident.state, incident.words, incident.about) == ("active", "Found: the thing a", held)
    event = Event.objects.get(action="alert.raised")
    assert (event.subject_id, event.role_id, event.scope_id) == (held.user_id, held.role_id, held.scope_id)
    assert event.facts["after"] == {"alert": "watched", "severity": "medium", "finding": "Found: the thing a"}


def test_scan_is_given_the_thresholds_that_were_chosen(watched):
    watched.scan()
    configure(alert=watched.row, actor=None, is_enabled=True, thresholds={"days": 7})
    watched.scan()

    assert watched.asked_with == [{"days": 30}, {"days": 7}]


def test_same_finding_stays_one_incident(watched):
    watched.finds("a").scan()
    watched.finds("a").scan()

    assert events() == ["alert.raised"]
    incident = Incident.objects.get()
    assert incident.last_seen_at > incident.first_seen_at


def test_finding_that_is_gone_resolves_its_incident_and_a_new_one_begins_when_it_returns(watched):
    watched.finds("a", "b").scan()
    watched.finds("b").scan()
    assert watched.states == {"a": "resolved", "b": "active"}

    watched.finds("a", "b").scan()

    assert list(Incident.objects.filter(key="a").order_by("raised_at").values_list("state", "resolution")) == [
        ("resolved", "gone"),
        ("active", ""),
    ]
    assert events() == ["alert.raised", "alert.raised", "alert.resolved", "alert.raised"]


def test_dismissed_one_stays_dismissed_until_its_date_and_then_comes_back(watched, time_machine):
    watched.finds("a").scan()
    until = now() + timedelta(days=3)
    dismiss(incident=Incident.objects.get(), actor=None, until=until, justification="Known.")
    tell()

    time_machine.move_to(until - timedelta(seconds=1))
    watched.scan()
    assert watched.states == {"a": "dismissed"}

    time_machine.move_to(until)
    watched.scan()
    incident = Incident.objects.get()
    assert (incident.state, incident.dismissed_until, incident.justification, incident.told_at) == (
        "active",
        None,
        "",
        None,
    )
    assert events() == ["alert.raised", "alert.dismissed", "alert.reopened"]


def test_dismissed_one_that_is_gone_is_resolved(watched):
    watched.finds("a").scan()
    dismiss(incident=Incident.objects.get(), actor=None, until=now() + timedelta(days=3), justification="Known.")

    watched.finds().scan()

    assert watched.states == {"a": "resolved"}


def test_beyond_the_last_one_that_is_listed_nothing_is_resolved(watched, monkeypatch):
    monkeypatch.setattr("alerts.services.scanning.MOST", 2)
    watched.finds("d", "e").scan()

    overflowing = watched.finds("b", "c", "d").scan()
    assert (overflowing.overflows, watched.states) == (
        True,
        {"b": "active", "c": "active", "d": "active", "e": "active"},
    )

    assert watched.finds("c", "e").scan().overflows is False
    assert watched.states == {"b": "resolved", "c": "active", "d": "resolved", "e": "active"}


def test_overflowing_scan_resolves_what_is_missing_before_its_last_one(watched, monkeypatch):
    monkeypatch.setattr("alerts.services.scanning.MOST", 2)
    watched.finds("a", "b").scan()

    watched.finds("b", "c", "d").scan()

    assert watched.states == {"a": "resolved", "b": "active", "c": "active"}


def test_failing_scan_leaves_the_incidents_and_says_its_cause(watched):
    watched.finds("a").scan()
    watched.findings = ZeroDivisionError("of days by nothing")

    row = watched.scan()

    assert (watched.states, row.failure) == ({"a": "active"}, "ZeroDivisionError: of days by nothing")
    assert watched.finds("a").scan().failure == ""


def test_scan_comes_at_once_after_the_clock_was_set_back(quiet):
    quiet.scan()
    at = now()

    assert [*Alert.objects.due(at), *Alert.objects.to_scan(at)] == []
    earlier = at - timedelta(days=1)
    assert set(Alert.objects.due(earlier)) == set(Alert.objects.to_scan(earlier)) == set(Alert.objects.known())


def test_question_that_the_database_refuses_fails_alone(watched):
    watched.findings = (Alert.objects.raw("SELECT * FROM no_such_table")[0] for _ in (1,))

    assert "no_such_table" in watched.scan().failure
    assert Alert.objects.count() == len(KINDS)


def test_failing_kind_stops_no_other_and_raises_an_alert_of_its_own(quiet, time_machine):
    quiet.findings = ZeroDivisionError("of days by nothing")
    quiet.scan()
    Alert.objects.update(next_scan_at=now() - timedelta(minutes=1))

    assert scan_due() == len(KINDS)
    scan(alert=Alert.objects.get(key="alert_failing"), actor=None)

    words = Incident.objects.get(alert="alert_failing").words
    assert words == "“Watched” could not be scanned: ZeroDivisionError: of days by nothing"


def test_scan_that_never_ended_counts_as_failed(watched, time_machine):
    assert claim(alert=watched.row)
    assert not Alert.objects.failing(now()).exists()

    time_machine.move_to(now() + timedelta(minutes=3))

    assert list(Alert.objects.failing(now()).values_list("key", flat=True)) == ["watched"]


def test_scan_that_failed_counts_at_once_also_while_the_next_goes_on(watched):
    watched.findings = ZeroDivisionError("of days by nothing")
    watched.scan()
    claim(alert=watched.row)

    assert [row.cause(now()) for row in Alert.objects.failing(now())] == ["ZeroDivisionError: of days by nothing"]


def test_scan_that_never_ends_counts_as_failed_also_while_it_is_tried_again(watched, time_machine):
    claim(alert=watched.row)
    time_machine.move_to(now() + EVERY)
    claim(alert=watched.row)
    assert [row.cause(now()) for row in Alert.objects.failing(now())] == ["The scan did not come to its end."]

    watched.scan()

    assert not Alert.objects.failing(now() + EVERY).filter(pk="watched").exists()


def test_alert_is_claimed_once(watched):
    row = watched.row
    assert (claim(alert=row), claim(alert=row)) == (True, False)


def test_alert_is_due_every_quarter_of_an_hour(quiet, time_machine):
    assert (scan_due(), scan_due()) == (1, 0)
    time_machine.move_to(now() + EVERY)
    assert "watched" in {row.pk for row in Alert.objects.due(now())}


def test_new_alert_is_scanned_at_the_next_turn_and_not_overdue_before(watched):
    later = now() + timedelta(days=1)

    assert watched.row in Alert.objects.to_scan(now())
    assert watched.row not in Alert.objects.due(later)


def test_alert_that_is_switched_off_is_not_scanned_and_has_nothing_open(watched):
    watched.finds("a").scan()

    configure(alert=watched.row, actor=None, is_enabled=False, thresholds={})

    assert not Alert.objects.due(now() + EVERY).filter(pk="watched").exists()
    assert Incident.objects.get().resolution == "switched_off"
    with pytest.raises(AlertRefused) as refusal:
        watched.scan()
    assert refusal_code(refusal.value) == "alert_disabled"


def test_alert_of_a_module_that_is_gone_is_left_alone(watched, monkeypatch):
    watched.finds("a").scan()
    monkeypatch.delitem(KINDS, "watched")

    assert not Alert.objects.due(now() + EVERY).filter(pk="watched").exists()
    assert (str(watched.row), str(Incident.objects.get())) == ("watched", "a")


def test_scan_of_a_person_is_recorded_and_needs_the_right(watched):
    watched.scan(actor=holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR))

    assert events() == ["alert.scanned"]
    reader = holder_of(Role.SECURITY_READER)
    with refused("not_allowed"):
        watched.scan(actor=reader)


def test_new_incidents_of_a_run_are_told_in_one_mail_to_each_administrator(quiet, settings):
    settings.ALERT_MAIL = ["soc@example.org"]
    administrators = {holder_of(Role.GLOBAL_ADMINISTRATOR), holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR)}
    holder_of(Role.HELPDESK_ADMINISTRATOR)
    quiet.finds("a", "b")

    scan_due()
    scan_due()

    mails = Message.objects.filter(kind="alerts_raised")
    assert {mail.to_address for mail in mails} == {*(each.email for each in administrators), "soc@example.org"}
    assert len(mails) == 3
    assert mails[0].context.count("the thing") == 2


def test_mail_lists_the_worst_first_and_says_how_many_more_there_are(quiet, monkeypatch):
    holder_of(Role.GLOBAL_ADMINISTRATOR)
    monkeypatch.setattr("alerts.services.telling.SHOWN", 1)
    quiet.finds("a", "b").scan()

    assert (tell(), tell()) == (2, 0)

    assert '"more": 1' in Message.objects.get(kind="alerts_raised").context


def test_most_is_what_people_can_look_at():
    assert models.MOST == 200
