"""Several changes in one act through the API: one code for all that ask for one, and a result for each."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from accounts.models import TotpDevice
from approvals.models import Request
from assignments.models import ActiveAssignment, EligibleAssignment
from audit.models import Event
from roles.models import Role
from tests.api import Program
from tests.factories import (
    ActiveFactory,
    EligibleFactory,
    GroupFactory,
    RoleFactory,
    TotpDeviceFactory,
    UserFactory,
    code_of,
    holder_of,
)

pytestmark = [pytest.mark.django_db, pytest.mark.once]
REASON = {"justification": "The nightly job is stuck."}


def activations(*eligible, **differs):
    requests = [{"eligible_assignment": str(row.pk), "duration": "PT1H"} for row in eligible]
    return {"action": "self_activate", "requests": requests, **REASON, **differs}


def eligible_for(user, **settings):
    return EligibleFactory(user=user, role=RoleFactory(**{f"settings__{name}": it for name, it in settings.items()}))


def codes(answer):
    return [(each["status"], each["code"], each["state"]) for each in answer["results"]]


def test_one_code_activates_several_each_with_a_proof_and_a_result_of_its_own():
    user, mfa = UserFactory(), {"activation_authentication": "mfa"}
    rows = [
        eligible_for(user, **mfa),
        eligible_for(user, **mfa),
        eligible_for(user),
        eligible_for(user, ticket_required=True, **mfa),
    ]
    program, code = Program(user), code_of(TotpDeviceFactory(user=user))

    without = program.post("requests/several", activations(*rows))
    status, answer = program.post("requests/several", activations(*rows, code=code))
    again = program.post("requests", activations(rows[3])["requests"][0] | REASON | {"action": "self_activate"})

    assert (without[0], without[1]["code"]) == (403, "mfa_required")
    assert (status, codes(answer)) == (200, [(201, "", "active")] * 3 + [(422, "ticket_required", "")])
    assert {each["request"] for each in answer["results"]} == {
        *map(str, Request.objects.values_list("pk", flat=True)),
        None,
    }
    assert [Request.objects.get(eligible_assignment=row).proved_with for row in rows[:3]] == ["totp", "totp", ""]
    assert ActiveAssignment.objects.filter(user=user).count() == 3
    assert again[1]["code"] == "ticket_required"
    asked = Event.objects.filter(action="activation.requested", outcome="success")
    assert {event.via for event in asked} == {f"token {program.token[:20]}"}


def test_code_counts_once_and_wrong_one_does_nothing():
    user = UserFactory()
    rows = [eligible_for(user, activation_authentication="mfa") for _number in range(2)]
    program, code = Program(user), code_of(TotpDeviceFactory(user=user))

    wrong = program.post("requests/several", activations(*rows, code="000000"))
    TotpDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    first = program.post("requests/several", activations(rows[0], code=code))
    second = program.post("requests/several", activations(rows[1], code=code))

    assert (wrong[1]["code"], codes(first[1]), second[1]["code"]) == (
        "mfa_invalid",
        [(201, "", "active")],
        "mfa_reused",
    )
    assert not ActiveAssignment.objects.filter(eligible_assignment=rows[1]).exists()


def test_code_does_for_what_it_may_and_is_not_used_up_where_it_may_for_none():
    user = UserFactory()
    strict = eligible_for(user, activation_authentication="phishing_resistant")
    plain = eligible_for(user, activation_authentication="mfa")
    program, code = Program(user), code_of(TotpDeviceFactory(user=user))

    alone = program.post("requests/several", activations(strict, code=code))
    _, both = program.post("requests/several", activations(strict, plain, code=code))

    assert (alone[0], alone[1]["code"]) == (403, "phishing_resistant_required")
    assert codes(both) == [(403, "phishing_resistant_required", ""), (201, "", "active")]


def test_nothing_is_stored_where_it_is_only_looked_at():
    user = UserFactory()
    rows = [eligible_for(user, activation_authentication="mfa"), eligible_for(user, ticket_required=True)]

    status, answer = Program(user).post("requests/several", activations(*rows, validate_only=True))

    assert (status, codes(answer)) == (200, [(200, "", "provisioned"), (422, "ticket_required", "")])
    assert [each["request"] for each in answer["results"]] == [None, None]
    assert not Request.objects.exists()


def test_somebody_elses_eligibility_is_not_found_and_nothing_is_done():
    mine, other = EligibleFactory(), EligibleFactory()

    status, answer = Program(mine.user).post("requests/several", activations(mine, other))

    assert (status, answer["code"], Request.objects.exists()) == (404, "not_found", False)


def test_role_assigned_to_several_holders_with_one_code():
    administrator = holder_of(Role.GLOBAL_ADMINISTRATOR)
    program, code = Program(administrator), code_of(TotpDeviceFactory(user=administrator))
    role = RoleFactory(settings__assign_active_mfa_required=True)
    holders = [{"principal": str(UserFactory().pk)}, {"group": str(GroupFactory(members=[UserFactory()]).pk)}]
    asked = {"action": "admin_assign", "type": "active", "role": str(role.pk), "requests": holders, **REASON}

    without = program.post("requests/several", asked)
    own = program.post("requests/several", asked | {"requests": [{"principal": str(administrator.pk)}], "code": code})
    status, answer = program.post("requests/several", asked | {"code": code})

    assert (without[1]["code"], codes(own[1])) == ("mfa_required", [(422, "self_assignment", "")])
    assert (status, codes(answer)) == (200, [(201, "", "active")] * 2)
    assert ActiveAssignment.objects.filter(role=role).count() == 2


def test_several_extended_with_an_end_each_and_removed(admin):
    soon, later = (now().replace(microsecond=0) + timedelta(days=days) for days in (7, 40))
    rows = EligibleFactory(ends_at=soon), ActiveFactory(ends_at=soon)
    named = [{"eligible_assignment": str(rows[0].pk)}, {"active_assignment": str(rows[1].pk)}]
    ends = [each | {"ends_at": later.isoformat()} for each in named]

    _, extended = admin.post("requests/several", {"action": "admin_extend", "requests": ends, **REASON})
    kept = [EligibleAssignment.objects.get(pk=rows[0].pk).ends_at, ActiveAssignment.objects.get(pk=rows[1].pk).ends_at]
    _, removed = admin.post("requests/several", {"action": "admin_remove", "requests": named, **REASON})

    assert (codes(extended), kept) == ([(201, "", "eligible"), (201, "", "active")], [later, later])
    assert codes(removed) == [(201, "", "revoked")] * 2


@pytest.mark.parametrize(
    ("differs", "code"),
    [
        ({"action": "admin_renew"}, "invalid_choice"),
        ({"requests": []}, "min_length"),
        ({"requests": [{"eligible_assignment": "x", "duration": "PT1H", "code": "123456"}]}, "unknown_field"),
        ({"duration": "PT1H"}, "unknown_field"),
    ],
)
def test_body_of_another_form_is_refused(differs, code):
    eligible = EligibleFactory()

    status, answer = Program(eligible.user).post("requests/several", activations(eligible, **differs))

    assert (status, answer["errors"][0]["code"]) == (400, code)


def test_token_is_for_what_is_asked():
    eligible = EligibleFactory()

    status, answer = Program(eligible.user, scopes="assign").post("requests/several", activations(eligible))

    assert (status, answer["code"]) == (403, "scope_missing")
