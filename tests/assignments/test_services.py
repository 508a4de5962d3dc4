"""The inner room: what refuses by itself, whatever request stands before it."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import transaction

from accounts.models import User
from accounts.services import open_ticket
from assignments import services
from assignments.models import ActiveAssignment, EligibleAssignment
from assignments.rules import Terms
from audit.models import Event
from notifications.mail import render
from notifications.models import Message
from roles.models import Role, RoleSettings
from tests.factories import (
    ActivationFactory,
    ActiveFactory,
    EligibleFactory,
    ResourceFactory,
    RoleFactory,
    UserFactory,
    holder_of,
    proof_for,
)
from tests.refusals import code_of_refusal

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 21, 18, 40, 0, 123_456, tzinfo=UTC)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
WHOLE = AT.replace(microsecond=0)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(AT, tick=False) as clock:
        yield clock


def activate(eligible, **differs):
    facts = {
        "eligible": eligible,
        "user": eligible.user,
        "actor": eligible.user,
        "scope": eligible.scope,
        "starts_at": None,
    }
    facts |= {"duration": HOUR, "justification": "Stuck.", "ticket": "", "proved_with": "", "approvers": []}
    with transaction.atomic():
        return services.activate(**facts | differs)


def assign(verb, user, role, scope=None, **differs):
    terms = Terms(user, role, scope or role.resource, justification="Takes over.", **differs)
    with transaction.atomic():
        return verb(terms=terms, actor=None)


def mails():
    return sorted(Message.objects.values_list("kind", "to_address"))


# --- activate -------------------------------------------------------------------------------------------------


def test_activate_lasts_whole_seconds_from_now():
    active = activate(EligibleFactory())
    assert (active.starts_at, active.ends_at) == (WHOLE, WHOLE + HOUR)
    assert ActiveAssignment.objects.in_force(AT).get() == active


def test_activate_with_a_start_gone_by_starts_now():
    active = activate(EligibleFactory(), starts_at=WHOLE - HOUR)
    assert (active.starts_at, active.ends_at) == (WHOLE, WHOLE + HOUR)


@pytest.mark.parametrize("ends_at", [WHOLE + SECOND, WHOLE + HOUR - SECOND])
def test_activate_ends_with_the_eligibility(ends_at):
    assert activate(EligibleFactory(ends_at=ends_at)).ends_at == ends_at


def test_activate_is_capped_by_the_settings_in_use_now():
    role = RoleFactory(settings__activation_max_duration=HOUR / 2)
    assert activate(EligibleFactory(role=role)).ends_at == WHOLE + HOUR / 2


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"activation_authentication": "mfa"}, "mfa_required"),
        ({"approval_required": True}, "approval_required"),
        ({"ticket_required": True}, "ticket_required"),
    ],
    ids=str,
)
def test_activate_refuses_by_itself(settings, code):
    eligible = EligibleFactory(role=RoleFactory())
    RoleSettings.objects.filter(role=eligible.role).update(**settings)
    assert code_of_refusal(activate, eligible) == code
    assert not ActiveAssignment.objects.exists()


def test_activate_refuses_approval_by_the_holder():
    eligible = EligibleFactory(role=RoleFactory(settings__approval_required=True))
    assert code_of_refusal(activate, eligible, approvers=[eligible.user]) == "approval_required"


def test_activate_uses_the_settings_nearest_to_the_scope():
    eligible, unit = EligibleFactory(role=RoleFactory()), ResourceFactory()
    RoleSettings.objects.create(role=eligible.role, scope=unit, created_at=AT, approval_required=True)
    assert code_of_refusal(activate, eligible, scope=unit) == "approval_required"
    assert activate(eligible).role == eligible.role


@pytest.mark.parametrize("present", [ActiveFactory, lambda **same: ActiveFactory(starts_at=AT + DAY, **same)])
def test_activate_refuses_what_is_active_or_scheduled(present):
    eligible = EligibleFactory()
    present(user=eligible.user, role=eligible.role, scope=eligible.scope)
    assert code_of_refusal(activate, eligible) == "already_active"


def test_activate_while_the_row_before_is_past_its_end_and_not_swept(clock):
    eligible = EligibleFactory()
    first = activate(eligible)
    clock.move_to(first.ends_at)
    second = activate(eligible)
    first.refresh_from_db()
    assert (first.ended_at, first.end_reason) == (first.ends_at, "expired")
    assert ActiveAssignment.objects.in_force(first.ends_at).get() == second


# --- assign ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "action"),
    [(services.assign_eligible, "eligible.assigned"), (services.assign_active, "active.assigned")],
)
def test_assign_records_and_tells(verb, action):
    administrator = holder_of(Role.GLOBAL_ADMINISTRATOR, username="zz")
    user, role = UserFactory(), RoleFactory()
    assignment = assign(verb, user, role, ends_at=AT + 30 * DAY)
    assert (assignment.starts_at, assignment.ends_at) == (WHOLE, WHOLE + 30 * DAY)
    assert list(Event.objects.values_list("action", "outcome", "subject_id")) == [(action, "success", user.pk)]
    kind = action.replace(".", "_")
    assert mails() == [(kind, user.email), (kind, administrator.email)]


@pytest.mark.parametrize("verb", [services.assign_eligible, services.assign_active])
def test_assign_refuses_what_is_there_already(verb):
    user, role = UserFactory(), RoleFactory()
    assign(verb, user, role)
    assert code_of_refusal(assign, verb, user, role) == "already_assigned"
    assert code_of_refusal(assign, verb, user, role, starts_at=AT + DAY) == "already_assigned"
    assert assign(verb, user, role, scope=ResourceFactory()).user == user


@pytest.mark.parametrize(
    ("verb", "rows"),
    [(services.assign_eligible, EligibleAssignment), (services.assign_active, ActiveAssignment)],
)
def test_assign_while_the_row_before_is_past_its_end_and_not_swept(clock, verb, rows):
    user, role = UserFactory(), RoleFactory()
    first = assign(verb, user, role, ends_at=AT + HOUR)
    clock.move_to(AT + HOUR)
    second = assign(verb, user, role)
    assert set(rows.objects.values_list("pk", "end_reason")) == {(first.pk, "expired"), (second.pk, "")}


def test_assign_looks_at_the_holder_as_stored():
    user, role = UserFactory(), RoleFactory()
    User.objects.update(is_active=False)
    assert code_of_refusal(assign, services.assign_eligible, user, role) == "holder_disabled"


@pytest.mark.parametrize(("privileged", "valid"), [(True, False), (False, True)])
def test_assigning_a_privileged_role_withdraws_a_link_of_the_helpdesk(privileged, valid):
    user, helpdesk = UserFactory(), holder_of(Role.HELPDESK_ADMINISTRATOR)
    why = {"justification": "Lost the phone."}
    proof = proof_for(helpdesk, "enrolment.issued", person=user.pk, **why)
    secret = services.issue_enrolment(user=user, actor=helpdesk, proof=proof, session="this session", **why)
    assign(services.assign_eligible, user, RoleFactory(is_privileged=privileged))
    assert code_of_refusal(open_ticket, secret) == (None if valid else "ticket_invalid")


# --- end ------------------------------------------------------------------------------------------------------


def end(active, reason="removed", actor=None, **facts):
    with transaction.atomic():
        return services.end(active=active, actor=actor, reason=reason, **facts)


@pytest.mark.parametrize(
    ("reason", "action"),
    [
        ("deactivated", "assignment.deactivated"),
        ("canceled", "assignment.canceled"),
        ("removed", "assignment.removed"),
        ("eligibility_ended", "assignment.removed"),
        ("holder_disabled", "assignment.removed"),
    ],
)
def test_end_is_at_once_and_says_why(reason, action):
    active = end(ActivationFactory(), reason)
    assert (active.ended_at, active.end_reason) == (AT, reason)
    assert not ActiveAssignment.objects.in_force(AT).exists()
    assert list(Event.objects.values_list("action", flat=True)) == [action]
    assert mails() == [("role_ended", active.user.email)]


def test_end_tells_the_holder_why():
    end(ActivationFactory(), "deactivated", justification="Maintenance is over.")
    assert "Reason: Maintenance is over.\n" in render(Message.objects.get()).text


def test_activate_shows_administrators_the_activation():
    administrator = holder_of("global_administrator")
    active = activate(EligibleFactory())
    text = render(Message.objects.get(user_id=administrator.pk)).text
    assert f"/console/assignments/activeassignment/{active.pk}/change/" in text


def test_end_by_oneself_tells_nobody():
    active = ActivationFactory()
    end(active, "deactivated", actor=active.user)
    assert mails() == []


def test_end_twice_is_refused():
    active = ActivationFactory()
    end(active)
    assert code_of_refusal(end, active) == "already_ended"


def test_end_of_what_is_past_its_end_is_left_to_the_worker(clock):
    active = ActivationFactory(ends_at=WHOLE + HOUR)
    clock.move_to(WHOLE + HOUR)
    assert code_of_refusal(end, active) == "already_ended"


GUARDED = pytest.mark.parametrize("key", Role.GUARDED)


@GUARDED
@pytest.mark.parametrize("reason", ["removed", "deactivated", "holder_disabled"])
def test_end_keeps_the_last_holder(key, reason):
    active = ActiveAssignment.objects.get(user=holder_of(key))
    assert code_of_refusal(end, active, reason, active.user) == "last_administrator"
    holder_of(key)
    assert end(active, reason).ended_at == AT


@GUARDED
@pytest.mark.parametrize(
    "differs",
    [{"user__is_active": False}, {"user__kind": "service"}, {"starts_at": AT + HOUR}, {"ends_at": WHOLE - SECOND}],
    ids=str,
)
def test_end_counts_only_people_who_hold_it_now(key, differs):
    active = ActiveAssignment.objects.get(user=holder_of(key))
    ActiveFactory(**{"role": active.role, "starts_at": WHOLE - HOUR} | differs)
    ActiveFactory(role=active.role, scope=ResourceFactory())
    assert code_of_refusal(end, active) == "last_administrator"


@GUARDED
def test_giving_up_the_last_activation_is_allowed_because_it_can_be_had_again(key):
    active = ActivationFactory(eligible_assignment__role=Role.objects.built_in(key))
    assert code_of_refusal(end, active) == "last_administrator"
    assert end(active, "deactivated", actor=active.user).ended_at == AT


def test_two_holders_who_remove_each_other_leave_one():
    role = Role.GLOBAL_ADMINISTRATOR
    first, second = (ActiveAssignment.objects.get(user=holder_of(role)) for _ in range(2))
    end(first, actor=second.user)
    assert code_of_refusal(end, second, "removed", first.user) == "last_administrator"


def test_remove_eligible_ends_what_was_activated_from_it():
    eligible = EligibleFactory()
    now, later = activate(eligible), activate(eligible, scope=ResourceFactory(), starts_at=AT + DAY)
    services.remove_eligible(eligible=eligible, actor=None, justification="Moved on.")
    reasons = dict(ActiveAssignment.objects.values_list("pk", "end_reason"))
    assert reasons == {now.pk: "eligibility_ended", later.pk: "eligibility_ended"}
    assert code_of_refusal(activate, eligible) == "not_eligible"


@GUARDED
def test_remove_eligible_keeps_the_last_holder(key):
    active = ActivationFactory(eligible_assignment__role=Role.objects.built_in(key))
    eligible = active.eligible_assignment
    removal = {"eligible": eligible, "actor": None, "justification": "Moved on."}
    with transaction.atomic():
        assert code_of_refusal(services.remove_eligible, **removal) == "last_administrator"
    assert EligibleAssignment.objects.get().ended_at is None
    assert ActiveAssignment.objects.in_force(AT).exists()


@pytest.mark.parametrize("expire", ["expire_active", "expire_eligible"])
def test_expire_before_the_end_does_nothing(expire):
    active = ActivationFactory(ends_at=WHOLE + HOUR)
    row = {"active": active} if expire == "expire_active" else {"eligible": active.eligible_assignment}
    assert getattr(services, expire)(actor=None, **row) is False
    assert (Event.objects.count(), Message.objects.count()) == (0, 0)
