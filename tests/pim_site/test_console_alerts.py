"""Alerts and incidents in the console: what the pages add to the services."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.urls import reverse
from django.utils.timezone import now

from alerts.models import EVERY, Alert, Incident
from alerts.services import configure, scan
from assignments.models import EligibleAssignment
from roles.models import Role
from tests.client import signed_in
from tests.factories import EligibleFactory, EmergencyUseFactory, IncidentFactory, holder_of

pytestmark = pytest.mark.django_db

ALERTS, INCIDENTS = (reverse(f"admin:alerts_{model}_changelist") for model in ("alert", "incident"))


@pytest.fixture
def console(client):
    client.person = holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR, is_emergency_access=True)
    signed_in(client, client.person)
    return client


def page(row, name="change"):
    return reverse(f"admin:alerts_{row._meta.model_name}_{name}", args=[row.pk])


def text(console, url):
    return console.get(url).content.decode()


@pytest.fixture
def incident():
    """Found by a scan: somebody who has not used what they are eligible for."""
    EligibleFactory(starts_at=now() - timedelta(days=91), user__display_name="Ada", role__name="Root")
    scan(alert=Alert.objects.get(key="unused_eligible"), actor=None)
    return Incident.objects.get()


def test_index_counts_active_incidents_by_severity_and_leads_to_them(console, incident):
    EmergencyUseFactory()
    scan(alert=Alert.objects.get(key="emergency_used"), actor=None)
    IncidentFactory(state="dismissed", dismissed_until=now() + timedelta(days=1))

    tiles = console.get("/console/").context["alerts"]["tiles"]

    assert [tile.number for tile in tiles] == [1, 0, 1]
    assert [console.get(tile.url).context["cl"].result_count for tile in tiles] == [1, 0, 1]


def test_index_says_when_scans_are_late(console):
    Alert.objects.update(next_scan_at=now())
    assert "Scans are late" not in text(console, "/console/")

    Alert.objects.filter(key="no_mfa").update(next_scan_at=now() - EVERY - timedelta(minutes=1))

    assert "Scans are late" in text(console, "/console/")


def test_list_shows_the_worst_alerts_first_with_what_they_found(console, incident):
    rows = list(console.get(ALERTS).context["cl"].result_list)

    assert [row.severity for row in rows] == sorted((row.severity for row in rows), reverse=True)
    assert {row.pk: row.active for row in rows if row.active} == {"unused_eligible": 1}


def test_number_of_an_alert_leads_to_what_it_found(console, incident):
    way = re.search(r'field-to_look_at"><a href="([^"]+)">1</a>', console.get(ALERTS).content.decode())[1]

    assert list(console.get(unescape(way)).context["cl"].queryset) == [incident]


def test_alert_that_fails_or_is_off_or_has_more_than_it_lists_says_so(console):
    Alert.objects.filter(key="no_mfa").update(failure="OperationalError: too slow")
    Alert.objects.filter(key="stale_people").update(is_enabled=False)
    Alert.objects.filter(key="unused_eligible").update(overflows=True)

    shown = text(console, ALERTS)

    assert "Could not be scanned: OperationalError: too slow" in shown
    assert "Switched off" in shown
    assert "0+" in shown


def test_thresholds_are_chosen_within_their_ranges(console):
    alert = Alert.objects.get(key="frequent_activations")
    answer = {"is_enabled": "on", "count": "101", "hours": "48", "justification": "As agreed."}
    assert (
        "Ensure this value is less than or equal to 100"
        in console.post(page(alert, "configure"), answer).content.decode()
    )

    console.post(page(alert, "configure"), answer | {"count": "9"})

    alert.refresh_from_db()
    assert (alert.limits, alert.is_enabled) == ({"count": 9, "hours": 48}, True)


def test_thresholds_that_somebody_else_changed_meanwhile_stay_as_they_are(console):
    alert = Alert.objects.get(key="stale_people")
    seen = console.get(page(alert, "configure")).context["form"]["seen"].value()
    configure(alert=alert, actor=console.person, is_enabled=True, thresholds={"days": 40})

    answer = console.post(
        page(alert, "configure"), {"is_enabled": "on", "days": "50", "justification": "Less.", "seen": seen}
    )

    alert.refresh_from_db()
    assert (alert.limits, "Somebody has changed this meanwhile" in answer.content.decode()) == ({"days": 40}, True)


def test_incident_leads_to_what_it_is_about(console, incident):
    shown = text(console, page(incident))

    assert "Ada has not activated Root at" in shown
    assert reverse("admin:assignments_eligibleassignment_change", args=[incident.about_id]) in shown


def test_repair_says_what_it_does_and_does_it(console, incident):
    assert "Ada can no longer activate Root at" in text(console, page(incident, "repair"))
    assert EligibleAssignment.objects.get().ended_at is None

    console.post(page(incident, "repair"), {"justification": "Not needed."})

    assert EligibleAssignment.objects.get().end_reason == "removed"
    incident.refresh_from_db()
    assert incident.resolution == "repaired"


def test_refusal_of_the_service_behind_a_repair_is_said_on_its_page(console, incident):
    EligibleAssignment.objects.update(ended_at=now(), end_reason="removed")

    shown = console.post(page(incident, "repair"), {"justification": "Not needed."}).content.decode()

    assert "This has ended already. Nothing was changed." in shown
    incident.refresh_from_db()
    assert incident.state == "active"


def test_what_no_click_repairs_says_so(console):
    EmergencyUseFactory()
    scan(alert=Alert.objects.get(key="emergency_used"), actor=None)

    assert "No click repairs this" in text(console, page(Incident.objects.get(), "repair"))


def test_dismissal_lasts_until_the_beginning_of_its_day_where_the_person_is(console, incident):
    console.person.time_zone = "Asia/Tokyo"
    console.person.save(update_fields=["time_zone"])
    day = (now() + timedelta(days=9)).date()

    console.post(page(incident, "dismiss"), {"until": str(day), "justification": "Known."})

    incident.refresh_from_db()
    assert incident.state == "dismissed"
    assert f"{incident.dismissed_until:%F %H:%M}" == f"{day - timedelta(days=1)} 15:00"
    assert "Known." in text(console, page(incident))


def test_several_incidents_are_repaired_at_once_each_with_its_result(console, incident):
    other = IncidentFactory(alert=Alert.objects.get(key="alert_failing"), about_type="", about_id="")
    chosen = {"action": "repair", "_selected_action": [incident.pk, other.pk], "confirmed": "yes"}

    answer = console.post(INCIDENTS, chosen | {"justification": "Not needed."})

    assert sorted(result["state"] for result in answer.context["results"]) == ["refused", "success"]


def test_reader_looks_and_has_no_buttons(client, incident):
    signed_in(client, holder_of(Role.SECURITY_READER))

    assert [str(button.label) for button in client.get(page(incident)).context["buttons"]] == ["Audit"]
