"""Emergency access by the API: what this door adds to the services."""

import pytest

from approvals.models import EmergencyUse, Request
from assignments.models import ActiveAssignment
from audit.models import Event
from roles.models import Role
from tests.api import Program
from tests.factories import (
    EligibleFactory,
    EmergencyUseFactory,
    RoleFactory,
    TotpDeviceFactory,
    UserFactory,
    code_of,
    holder_of,
)

pytestmark = [pytest.mark.django_db, pytest.mark.once]
FOUND = {"finding": "unjustified", "justification": "Nothing was down."}


def guarded(authentication="none", **settings):
    asks = {"approval_required": True, "ticket_required": True, "emergency_allowed": True} | settings
    asks["activation_authentication"] = authentication
    return EligibleFactory(role=RoleFactory(**{f"settings__{name}": each for name, each in asks.items()}))


def asked(eligible, **more):
    return {"eligible_assignment": str(eligible.pk), "justification": "Payments are down."} | more


def test_role_is_there_at_once_and_its_use_waits_for_a_review():
    eligible = guarded("mfa")
    app = TotpDeviceFactory(user=eligible.user)
    program = Program(eligible.user)

    without = program.post("emergency_uses", asked(eligible, drill=True))
    status, made = program.post("emergency_uses", asked(eligible, drill=True, code=code_of(app)))

    active, use = ActiveAssignment.objects.get(), EmergencyUse.objects.get()
    assert (without[0], without[1]["code"], status) == (403, "mfa_required", 201)
    told = {name: made[name] for name in ("id", "request", "active_assignment", "is_drill", "duration", "finding")}
    assert told == {
        "id": str(use.pk),
        "request": str(use.request_id),
        "active_assignment": str(active.pk),
        "is_drill": True,
        "duration": "PT1H",
        "finding": "",
    }
    assert (active.is_emergency, use.request.proved_with, made["proved_with"]) == (True, "totp", "totp")
    event = Event.objects.get(action="emergency.used", outcome="success")
    assert (event.actor_id, event.justification) == (eligible.user_id, "Payments are down.")


def test_code_is_not_used_up_for_what_cannot_be():
    eligible = guarded("mfa")
    app, program = TotpDeviceFactory(user=eligible.user), Program(eligible.user)
    code = code_of(app)

    refused = program.post("emergency_uses", asked(eligible, code=code, justification=" "))

    assert (refused[0], refused[1]["code"]) == (422, "justification_required")
    assert program.post("emergency_uses", asked(eligible, code=code))[0] == 201


@pytest.mark.parametrize(
    ("settings", "status", "code"),
    [
        ({"emergency_allowed": False}, 422, "emergency_not_allowed"),
        ({"authentication": "phishing_resistant"}, 403, "phishing_resistant_required"),
    ],
)
def test_what_the_role_does_not_allow_refused(settings, status, code):
    eligible = guarded(**settings)
    app = TotpDeviceFactory(user=eligible.user)

    answer = Program(eligible.user).post("emergency_uses", asked(eligible, code=code_of(app)))

    assert (answer[0], answer[1]["code"], Request.objects.count()) == (status, code, 0)


def test_emergency_looked_at_beforehand_is_none():
    eligible = guarded("mfa")

    status, seen = Program(eligible.user).post("emergency_uses", asked(eligible, validate_only=True))

    assert (status, seen["duration"], seen["active_assignment"]) == (200, "PT1H", None)
    assert (Request.objects.count(), EmergencyUse.objects.count()) == (0, 0)


def test_emergency_is_asked_once_with_the_same_key():
    eligible = guarded()
    program = Program(eligible.user)

    answers = [program.post("emergency_uses", asked(eligible), key="k-1") for _number in range(2)]

    assert (answers[0], answers[0][0], EmergencyUse.objects.count()) == (answers[1], 201, 1)


def test_use_is_reviewed_by_somebody_else_once():
    use, admin = EmergencyUseFactory(), Program(holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR))
    waiting = admin.get("emergency_uses", reviewed="false")[1]["results"]

    status, reviewed = admin.post(f"emergency_uses/{use.pk}/review", FOUND)
    again = admin.post(f"emergency_uses/{use.pk}/review", FOUND)

    assert ([row["id"] for row in waiting], status) == ([str(use.pk)], 200)
    assert (reviewed["finding"], reviewed["comment"]) == ("unjustified", "Nothing was down.")
    assert (again[0], again[1]["code"]) == (409, "already_reviewed")
    assert admin.get("emergency_uses", reviewed="false")[1]["results"] == []
    assert Event.objects.get(action="emergency.reviewed", outcome="success").justification == "Nothing was down."


def test_one_sees_ones_own_uses_and_reviews_none():
    use = EmergencyUseFactory()
    own, stranger = Program(use.user), Program(UserFactory())

    _, page = own.get("emergency_uses", expand="role,scope,request")

    (row,) = page["results"]
    assert (row["role"]["name"], row["request"]["reference"]) == (use.request.role.name, use.request.reference)
    assert own.post(f"emergency_uses/{use.pk}/review", FOUND)[0] == 403
    assert stranger.get("emergency_uses")[1]["results"] == []
    assert stranger.post(f"emergency_uses/{use.pk}/review", FOUND)[0] == 404
