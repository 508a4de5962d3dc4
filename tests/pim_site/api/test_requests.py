"""The nine actions, and decisions, through the API: each is the service's, with what the door adds."""

from datetime import timedelta
from functools import partial

import pytest
from django.utils.timezone import now

from accounts.models import TotpDevice
from approvals.models import Request
from assignments.models import ActiveAssignment, EligibleAssignment
from audit.models import Event
from pim_site.models import RequestCounter
from roles.models import Role
from tests.api import Program
from tests.factories import (
    ActivationFactory,
    ActiveFactory,
    EligibleFactory,
    ExtensionFactory,
    GroupFactory,
    RequestFactory,
    RoleFactory,
    TotpDeviceFactory,
    UserFactory,
    code_of,
    holder_of,
    root,
)
from tests.refusals import snapshot

pytestmark = [pytest.mark.django_db, pytest.mark.once]
COUNTED = RequestCounter._meta.db_table
REASON = {"justification": "The nightly job is stuck."}


def activation(eligible, **differs):
    return {"action": "self_activate", "eligible_assignment": str(eligible.pk), "duration": "PT1H", **REASON, **differs}


def shown(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


# --- asking ---------------------------------------------------------------------------------------------------


def test_activation_granted_at_once():
    eligible = EligibleFactory()

    status, made = Program(eligible.user).post("requests", activation(eligible))

    active = ActiveAssignment.objects.get()
    assert (status, made["status"], made["state"], made["duration"]) == (201, "provisioned", "active", "PT1H")
    assert (made["active_assignment"], made["principal"]) == (str(active.pk), str(eligible.user.pk))
    assert active.ends_at - active.starts_at == timedelta(hours=1)


def test_activation_that_needs_a_code_carries_it():
    eligible = EligibleFactory(role=RoleFactory(settings__activation_authentication="mfa"))
    app, program = TotpDeviceFactory(user=eligible.user), Program(eligible.user)

    assert program.post("requests", activation(eligible))[1]["code"] == "mfa_required"
    assert program.post("requests", activation(eligible, code="000000"))[0] == 403
    TotpDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    status, made = program.post("requests", activation(eligible, code=code_of(app)))

    assert (status, made["proved_with"]) == (201, "totp")


def test_code_of_the_second_app_counts_where_the_app_is_named_and_only_there():
    eligible = EligibleFactory(role=RoleFactory(settings__activation_authentication="mfa"))
    first, second = (TotpDeviceFactory(user=eligible.user, name=name) for name in ("Phone", "Tablet"))
    program, code = Program(eligible.user), code_of(second)

    unknown = program.post("requests", activation(eligible, code=code, app="Watch"))
    wrong = program.post("requests", activation(eligible, code=code))
    right = program.post("requests", activation(eligible, code=code, app="Tablet"))

    assert [unknown[1]["code"], wrong[1]["code"], right[0]] == ["app_unknown", "mfa_invalid", 201]
    first.refresh_from_db()
    assert first.throttling_failure_count == 1


def test_activation_that_needs_a_passkey_is_refused_without_using_the_code_up():
    eligible = EligibleFactory(role=RoleFactory(settings__activation_authentication="phishing_resistant"))
    app = TotpDeviceFactory(user=eligible.user)

    status, refused = Program(eligible.user).post("requests", activation(eligible, code=code_of(app)))

    app.refresh_from_db()
    assert (status, refused["code"], app.last_step) == (403, "phishing_resistant_required", -1)


def test_validate_only_answers_and_stores_nothing():
    eligible = EligibleFactory()

    status, made = Program(eligible.user).post("requests", activation(eligible, validate_only=True))

    assert (status, made["status"], made["state"]) == (200, "provisioned", "provisioned")
    assert not Request.objects.exists()


def test_event_names_the_token_that_asked():
    eligible = EligibleFactory()
    program = Program(eligible.user)

    program.post("requests", activation(eligible))

    event = Event.objects.filter(action="activation.requested").get()
    assert event.via == f"token {program.token[:20]}"


@pytest.mark.parametrize(
    ("differs", "status", "code"),
    [
        ({"duration": "PT9H"}, 422, "too_long"),
        ({"duration": "two hours"}, 400, "invalid"),
        ({"justification": ""}, 422, "justification_required"),
        ({"state": "active"}, 400, "invalid"),
        ({"starts_at": "2026-11-21T18:40:00"}, 400, "invalid"),
        ({"starts_at": "0001-01-01T00:00:00+23:59"}, 422, "schedule_invalid"),
        ({"eligible_assignment": "6d1e0c5b-8f0a-4b0e-9d0b-5f9d2f3a7c11"}, 404, "not_found"),
        ({"action": "self_destruct"}, 400, "invalid"),
    ],
)
def test_activation_refused_with_a_problem(differs, status, code):
    eligible = EligibleFactory()
    program = Program(eligible.user)

    answer = program.post("requests", activation(eligible, **differs))

    assert (answer[0], answer[1]["code"]) == (status, code)
    assert program.headers["Content-Type"] == "application/problem+json"
    assert not Request.objects.exists()


def test_activation_of_somebody_elses_eligibility_is_not_found():
    assert Program(UserFactory()).post("requests", activation(EligibleFactory()))[0] == 404


def test_activation_twice_conflicts():
    eligible = EligibleFactory()
    program = Program(eligible.user)
    program.post("requests", activation(eligible))

    status, refused = program.post("requests", activation(eligible))

    assert (status, refused["code"]) == (409, "already_active")


def test_own_activation_ended():
    active = ActivationFactory()
    body = {"action": "self_deactivate", "active_assignment": str(active.pk)}

    status, made = Program(active.user).post("requests", body)

    assert (status, made["status"]) == (201, "revoked")
    assert ActiveAssignment.objects.get().end_reason == "deactivated"


def test_extension_asked_and_granted(admin):
    eligible = EligibleFactory(starts_at=now() - timedelta(days=60), ends_at=now() + timedelta(days=7))
    later = (now() + timedelta(days=60)).replace(microsecond=0)

    _, asked = Program(eligible.user).post(
        "requests", {"action": "self_extend", "eligible_assignment": str(eligible.pk), **REASON}
    )
    status, granted = admin.post(f"requests/{asked['id']}/grant", {"ends_at": shown(later), **REASON})

    assert (asked["status"], status, granted["status"]) == ("pending_admin_decision", 200, "provisioned")
    assert EligibleAssignment.objects.get().ends_at == later


@pytest.fixture
def ending_soon():
    at = now().replace(microsecond=0)
    return partial(ActivationFactory, starts_at=at - timedelta(hours=1), ends_at=at + timedelta(minutes=10))


def longer(active, **differs):
    return {"action": "self_extend", "active_assignment": str(active.pk), "duration": "PT1H", **REASON, **differs}


def test_running_activation_extended_at_once(ending_soon):
    active = ending_soon()
    program = Program(active.user)

    checked = program.post("requests", longer(active, validate_only=True))
    status, made = program.post("requests", longer(active))

    assert (checked[0], checked[1]["status"], status, made["status"]) == (200, "provisioned", 201, "provisioned")
    assert (made["prolongs"], made["active_assignment"], made["duration"]) == (str(active.pk), str(active.pk), "PT1H")
    assert ActiveAssignment.objects.get().ends_at == active.ends_at + timedelta(hours=1)
    events = Event.objects.filter(action__in=["activation_extension.requested", "assignment.extended"])
    assert {event.via for event in events} == {f"token {program.token[:20]}"}


def test_extension_of_an_activation_carries_the_code_and_uses_none_up_for_nothing(ending_soon):
    active = ending_soon(
        eligible_assignment=EligibleFactory(role=RoleFactory(settings__activation_authentication="mfa"))
    )
    app, program = TotpDeviceFactory(user=active.user), Program(active.user)
    code = code_of(app)

    codes = [
        program.post("requests", longer(active))[1]["code"],
        program.post("requests", longer(active, code=code, duration="PT1M"))[1]["code"],
    ]
    status, made = program.post("requests", longer(active, code=code))

    assert (codes, status, made["proved_with"]) == (["mfa_required", "too_short"], 201, "totp")


def test_extension_of_an_activation_waits_for_its_approvers(ending_soon, approver):
    role = RoleFactory(settings__approval_required=True, settings__approvers=[approver])
    active = ending_soon(eligible_assignment=EligibleFactory(role=role))

    _, asked = Program(active.user).post("requests", longer(active))
    status, approved = Program(approver).post(f"requests/{asked['id']}/approve", REASON)

    assert (asked["status"], asked["prolongs"]) == ("pending_approval", str(active.pk))
    assert (status, approved["status"]) == (200, "provisioned")
    assert ActiveAssignment.objects.get().ends_at == active.ends_at + timedelta(hours=1)


def test_extension_says_how_much_longer_for_an_activation_and_for_nothing_else(ending_soon):
    active = ending_soon()
    assigned = ActiveFactory(user=active.user, ends_at=now() + timedelta(days=7))
    program = Program(active.user)
    without = {name: value for name, value in longer(active).items() if name != "duration"}

    answers = [program.post("requests", body) for body in (without, longer(assigned))]

    assert [(status, body["code"]) for status, body in answers] == [(422, "duration_required"), (422, "is_assigned")]


def test_activation_of_another_is_not_found_and_seen_is_not_own(ending_soon, admin):
    active = ending_soon()

    answers = [program.post("requests", longer(active)) for program in (Program(UserFactory()), admin)]

    assert [(status, body["code"]) for status, body in answers] == [(404, "not_found"), (422, "not_own")]


def test_renewal_asked_and_denied(admin):
    eligible = EligibleFactory(starts_at=now() - timedelta(days=60), ends_at=now() - timedelta(days=2))

    _, asked = Program(eligible.user).post(
        "requests", {"action": "self_renew", "eligible_assignment": str(eligible.pk), **REASON}
    )
    status, denied = admin.post(f"requests/{asked['id']}/deny", REASON)

    assert (status, denied["status"]) == (200, "denied")


@pytest.mark.parametrize("kind", ["eligible", "active"])
def test_assignment_made_changed_and_removed(admin, kind):
    user, role = UserFactory(), RoleFactory()
    end = (now() + timedelta(days=20)).replace(microsecond=0)
    model = {"eligible": EligibleAssignment, "active": ActiveAssignment}[kind]
    asked = {"action": "admin_assign", "type": kind, "principal": str(user.pk), "role": str(role.pk)}

    status, made = admin.post("requests", asked | {"ends_at": shown(end), **REASON})
    row = {f"{kind}_assignment": made[f"{kind}_assignment"], **REASON}
    later = {"ends_at": shown(end + timedelta(days=5))}
    answers = [
        admin.post("requests", {"action": "admin_update", **row, **later}),
        admin.post("requests", {"action": "admin_extend", **row, "ends_at": shown(end + timedelta(days=9))}),
        admin.post("requests", {"action": "admin_remove", **row, "validate_only": True}),
        admin.post("requests", {"action": "admin_remove", **row}),
    ]

    assert [status, *(each[0] for each in answers)] == [201, 201, 201, 200, 201]
    kept = model.objects.get(user=user)
    assert (kept.ends_at, kept.end_reason) == (end + timedelta(days=9), "removed")


def test_assignment_of_a_group_and_renewal(admin):
    group = GroupFactory(members=[UserFactory()])
    role = RoleFactory()
    asked = {"action": "admin_assign", "type": "eligible", "group": str(group.pk), "role": str(role.pk), **REASON}
    over = EligibleFactory(starts_at=now() - timedelta(days=60), ends_at=now() - timedelta(days=2))
    again = {"action": "admin_renew", "eligible_assignment": str(over.pk), "ends_at": None, **REASON}

    assert (admin.post("requests", asked)[0], admin.post("requests", again)[0]) == (201, 201)
    assert EligibleAssignment.objects.get(group=group).role == role
    assert EligibleAssignment.objects.filter(user=over.user, ended_at=None, ends_at=None).count() == 1


def test_active_made_eligible(admin):
    active = ActiveFactory()
    body = {"action": "admin_update", "type": "eligible", "active_assignment": str(active.pk), "ends_at": None}

    status, made = admin.post("requests", body | REASON)

    assert (status, made["eligible_assignment"] is not None) == (201, True)


def test_assigning_active_takes_the_code_that_the_settings_ask(admin):
    role, user = RoleFactory(settings__assign_active_mfa_required=True), UserFactory()
    administrator = holder_of(Role.GLOBAL_ADMINISTRATOR)
    program, app = Program(administrator), TotpDeviceFactory(user=administrator)
    asked = {"action": "admin_assign", "type": "active", "principal": str(user.pk), "role": str(role.pk), **REASON}

    first = program.post("requests", asked)
    second = program.post("requests", asked | {"code": code_of(app)})

    assert (first[0], first[1]["code"], second[0]) == (403, "mfa_required", 201)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"action": "admin_remove"}, "assignment_required"),
        ({"action": "admin_assign", "type": "eligible"}, "holder_required"),
    ],
)
def test_what_must_be_named_is_said(admin, body, code):
    role = {"role": str(RoleFactory().pk)} if body["action"] == "admin_assign" else {}

    status, refused = admin.post("requests", body | role | REASON)

    assert (status, refused["code"]) == (422, code)


# --- deciding -------------------------------------------------------------------------------------------------


@pytest.fixture
def approver():
    return UserFactory()


@pytest.fixture
def waiting(approver):
    role = RoleFactory(settings__approval_required=True, settings__approvers=[approver])
    return RequestFactory(eligible_assignment=EligibleFactory(role=role))


def test_approver_sees_what_waits_claims_and_approves_shorter(approver, waiting):
    program = Program(approver)

    listed = program.get("approvals")[1]["results"]
    claimed = program.post(f"requests/{waiting.pk}/claim")[0]
    status, approved = program.post(f"requests/{waiting.pk}/approve", {"duration": "PT30M", **REASON})

    assert [each["id"] for each in listed] == [str(waiting.pk)]
    assert (claimed, status, approved["status"]) == (200, 200, "provisioned")
    assert [each["verdict"] for each in approved["decisions"]] == ["approved"]
    active = ActiveAssignment.objects.get()
    assert active.ends_at - active.starts_at == timedelta(minutes=30)


def test_approver_claims_and_releases_and_the_others_see_it(approver, waiting):
    program = Program(approver)

    claimed = program.post(f"requests/{waiting.pk}/claim")[1]["looked_at_by"]
    status, released = program.post(f"requests/{waiting.pk}/release")
    again = program.post(f"requests/{waiting.pk}/release")
    stranger = Program(UserFactory()).post(f"requests/{waiting.pk}/release")

    assert (claimed, status, released["looked_at_by"]) == (str(approver.pk), 200, None)
    assert (again[0], again[1]["code"], stranger[0]) == (422, "not_claimed", 404)
    (event,) = Event.objects.filter(action="request.released", outcome="success")
    assert (event.actor_id, event.via) == (approver.pk, f"token {program.token[:20]}")


def test_own_request_neither_approved_nor_seen_by_strangers(waiting):
    own = Program(waiting.user).post(f"requests/{waiting.pk}/approve", REASON)
    stranger = Program(UserFactory()).post(f"requests/{waiting.pk}/approve", REASON)

    assert (own[0], own[1]["code"], stranger[0]) == (422, "own_request", 404)


def test_request_canceled_by_whoever_asked(waiting):
    status, canceled = Program(waiting.user).post(f"requests/{waiting.pk}/cancel")

    assert (status, canceled["status"]) == (200, "canceled")


def test_bulk_decisions_each_with_a_result(approver, waiting):
    gone = RequestFactory(eligible_assignment=EligibleFactory(role=waiting.role), status="canceled")
    body = {"requests": [str(waiting.pk), str(gone.pk)], "verdict": "denied", **REASON}

    status, answer = Program(approver).post("approvals", body)

    first, second = answer["results"]
    assert (status, first["status"], first["state"]) == (200, 200, "denied")
    assert (second["status"], second["code"]) == (409, "already_decided")


def test_decision_that_needs_a_code_carries_it(approver):
    role = RoleFactory(
        settings__approval_required=True, settings__approvers=[approver], settings__decision_mfa_required=True
    )
    waiting = RequestFactory(eligible_assignment=EligibleFactory(role=role))
    app, program = TotpDeviceFactory(user=approver), Program(approver)

    first = program.post(f"requests/{waiting.pk}/approve", REASON)
    second = program.post(f"requests/{waiting.pk}/approve", REASON | {"code": code_of(app)})

    assert (first[0], first[1]["code"], second[0]) == (403, "mfa_required", 200)


@pytest.mark.parametrize(("verb", "status"), [("approve", "provisioned"), ("deny", "denied")])
def test_decision_looked_at_beforehand_takes_no_code_and_stores_nothing(approver, verb, status):
    role = RoleFactory(
        settings__approval_required=True, settings__approvers=[approver], settings__decision_mfa_required=True
    )
    waiting = RequestFactory(eligible_assignment=EligibleFactory(role=role))
    program, own = Program(approver), Program(waiting.user)
    body = REASON | {"validate_only": True}
    program.get("access/mine")  # the first use of a token is noted
    before = snapshot()

    answer = program.post(f"requests/{waiting.pk}/{verb}", body)
    after = snapshot()

    assert (answer[0], answer[1]["status"]) == (200, status)
    assert after | {COUNTED: ()} == before | {COUNTED: ()}
    assert own.post(f"requests/{waiting.pk}/{verb}", body)[1]["code"] == "own_request"


def test_extension_looked_at_beforehand_stays_as_it_is(admin, extension):
    status, denied = admin.post(f"requests/{extension.pk}/deny", REASON | {"validate_only": True})

    assert (status, denied["status"]) == (200, "denied")
    assert Request.objects.get().status == "pending_admin_decision"


@pytest.fixture
def extension():
    dates = {"starts_at": now() - timedelta(days=60), "ends_at": now() + timedelta(days=7)}
    return ExtensionFactory(
        eligible_assignment=EligibleFactory(role=RoleFactory(settings__decision_mfa_required=True), **dates)
    )


def test_extensions_wait_for_administrators_in_the_same_list(admin, extension):
    assert [each["id"] for each in admin.get("approvals")[1]["results"]] == [str(extension.pk)]


def test_extensions_are_denied_in_bulk_as_they_are_alone(admin, extension):
    body = {"requests": [str(extension.pk)], "verdict": "denied", **REASON}

    (result,) = admin.post("approvals", body)[1]["results"]

    assert (result["status"], result["state"]) == (200, "denied")


def test_extension_is_not_approved_but_granted(admin, extension):
    bulk = {"requests": [str(extension.pk)], "verdict": "approved", **REASON}

    status, refused = admin.post(f"requests/{extension.pk}/approve", REASON)
    (result,) = admin.post("approvals", bulk)[1]["results"]

    assert (status, refused["code"], result["status"], result["code"]) == (422, "use_grant", 422, "use_grant")


def test_requests_filtered_and_expanded(admin):
    waiting = RequestFactory()
    RequestFactory(status="denied")

    _, answer = admin.get("requests", status="pending_approval", expand="role,principal")

    (row,) = answer["results"]
    assert (row["role"]["name"], row["principal"]["username"]) == (waiting.role.name, waiting.user.username)
    assert row["scope"] == str(root().pk)
