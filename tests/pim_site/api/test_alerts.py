"""Alerts and incidents by the API: what this door adds to the services."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from alerts.models import Alert, Incident
from assignments.models import EligibleAssignment
from roles.models import Role
from tests.api import Program
from tests.factories import IncidentFactory, UserFactory, holder_of

pytestmark = [pytest.mark.django_db, pytest.mark.once]
REASON = {"justification": "Agreed with the owner."}


@pytest.fixture
def admin():
    return Program(holder_of(Role.GLOBAL_ADMINISTRATOR, is_emergency_access=True, last_sign_in_at=now()))


def test_alert_says_what_it_is_its_thresholds_and_how_the_last_scan_went(admin):
    IncidentFactory()

    _, alert = admin.get("alerts/unused_eligible")

    shown = {name: alert[name] for name in ("id", "title", "severity", "is_enabled", "active", "scanned_at", "failure")}
    assert shown == {
        "id": "unused_eligible",
        "title": "Eligible, but not used",
        "severity": "low",
        "is_enabled": True,
        "active": 1,
        "scanned_at": None,
        "failure": "",
    }
    expected = {
        "name": "days",
        "label": "Days without an activation",
        "value": 90,
        "default": 90,
        "low": 0,
        "high": 100,
    }
    assert alert["thresholds"] == [expected]


def test_thresholds_are_chosen_by_name_and_the_others_stay(admin):
    _, alert = admin.patch("alerts/frequent_activations", {"thresholds": {"hours": 48}}, seen="*")

    assert {each["name"]: each["value"] for each in alert["thresholds"]} == {"count": 5, "hours": 48}
    assert alert["is_enabled"] is True


@pytest.mark.parametrize(
    ("change", "code"),
    [({"thresholds": {"days": 101}}, "threshold_out_of_range"), ({"thresholds": {"weeks": 1}}, "threshold_unknown")],
)
def test_threshold_that_is_none_refused(admin, change, code):
    status, refused = admin.patch("alerts/unused_eligible", change, seen="*")

    assert (status, refused["code"]) == (422, code)


def test_scan_answers_with_what_it_found(admin):
    IncidentFactory.create_batch(2)  # both were made today: not found any more

    status, alert = admin.post("alerts/unused_eligible/scan", {})

    assert (status, alert["active"], alert["scanned_at"] is not None) == (200, 0, True)


def test_alert_that_is_switched_off_is_not_scanned(admin):
    Alert.objects.filter(pk="no_mfa").update(is_enabled=False)

    status, refused = admin.post("alerts/no_mfa/scan", {})

    assert (status, refused["code"]) == (422, "alert_disabled")


def test_incidents_are_filtered_and_answered_with_their_alert(admin):
    found = IncidentFactory()
    IncidentFactory(state="resolved", resolved_at=now(), resolution="gone")

    _, page = admin.get("incidents", state="active", severity="low", alert="unused_eligible", expand="alert")

    [row] = page["results"]
    assert (row["id"], row["alert"]["id"], row["about_id"]) == (str(found.pk), "unused_eligible", found.about_id)
    assert (row["repair"], row["words"]) == ("Remove the assignment", found.words)
    assert admin.get("incidents", severity="high")[1]["results"] == []


def test_incident_is_dismissed_reopened_and_repaired(admin):
    incident = IncidentFactory()
    path, until = f"incidents/{incident.pk}", (now() + timedelta(days=9)).replace(microsecond=0)

    asked = {"dismiss": {"until": until.isoformat(), **REASON}, "reopen": {}, "repair": REASON}
    states = [admin.post(f"{path}/{act}", body)[1]["state"] for act, body in asked.items()]

    assert states == ["dismissed", "active", "resolved"]
    assert EligibleAssignment.objects.get(pk=incident.about_id).end_reason == "removed"
    status, refused = admin.post(f"{path}/repair", REASON)
    assert (status, refused["code"]) == (409, "already_resolved")


@pytest.mark.parametrize(("scopes", "status"), [("configure", 403), ("assign", 403), ("assign configure", 200)])
def test_repair_takes_both_scopes(admin, scopes, status):
    incident = IncidentFactory()
    program = Program(holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR), scopes=scopes)

    assert program.post(f"incidents/{incident.pk}/repair", REASON)[0] == status
    assert Incident.objects.filter(state="active").exists() == (status != 200)


def test_who_may_not_see_alerts_sees_none():
    incident, program = IncidentFactory(), Program(UserFactory())

    assert program.get("alerts")[1]["results"] == program.get("incidents")[1]["results"] == []
    assert program.get(f"incidents/{incident.pk}")[0] == 404
