"""The main job, through the door that all doors call."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
import time_machine
from django.db.models import QuerySet
from django.utils.timezone import now

from accounts.models import StepUpProof, User
from approvals import services
from approvals.models import Request
from approvals.rules import activation_facts
from assignments.models import ActiveAssignment, EligibleAssignment
from audit.models import Event
from notifications.models import Message
from roles.models import Role
from roles.services import save_settings
from tests.factories import (
    ActivationFactory,
    ActiveFactory,
    EligibleFactory,
    GroupFactory,
    ResourceFactory,
    RoleFactory,
    UserFactory,
    holder_of,
    proof_for,
    root,
    stage,
)
from tests.refusals import refused, snapshot

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
WEST = timezone(timedelta(hours=-12))


def mails():
    return sorted(Message.objects.values_list("kind", "to_address"))


def test_activate_puts_role_in_force():
    eligible = EligibleFactory()

    request = services.activate(
        eligible=eligible, actor=eligible.user, duration=timedelta(hours=1), justification="The nightly job is stuck."
    )

    active = ActiveAssignment.objects.in_force(now()).get()
    assert (active.user, active.role, active.eligible_assignment) == (eligible.user, eligible.role, eligible)
    assert active.ends_at - active.starts_at == timedelta(hours=1)
    assert (request.status, request.active_assignment) == (Request.Status.PROVISIONED, active)


def test_activate_records_and_tells():
    eligible = EligibleFactory()

    services.activate(
        eligible=eligible, actor=eligible.user, duration=timedelta(hours=1), justification="The nightly job is stuck."
    )

    actions = list(Event.objects.order_by("id").values_list("action", "outcome", "subject_id"))
    assert actions == [
        ("activation.requested", "success", eligible.user_id),
        ("assignment.activated", "success", eligible.user_id),
    ]
    assert list(Message.objects.values_list("kind", "to_address")) == [("role_activated", eligible.user.email)]


def test_approve_grants_what_was_asked():
    approver = UserFactory()
    role = RoleFactory(settings__approval_required=True, settings__approvers=[approver])
    eligible = EligibleFactory(role=role)
    request = services.activate(
        eligible=eligible, actor=eligible.user, duration=timedelta(hours=1), justification="The nightly job is stuck."
    )
    assert request.status == Request.Status.PENDING_APPROVAL
    assert list(Message.objects.values_list("kind", "to_address")) == [("approval_asked", approver.email)]

    request = services.approve(request=request, actor=approver, justification="Go on.")

    assert request.status == Request.Status.PROVISIONED
    assert ActiveAssignment.objects.in_force(now()).get() == request.active_assignment


# --- what is refused ------------------------------------------------------------------------------------------


def ask(eligible, **differs):
    facts = {"eligible": eligible, "actor": eligible.user, "duration": HOUR, "justification": "Stuck."}
    return services.activate(**facts | differs)


REFUSED = {
    "too long": ({}, {"duration": timedelta(hours=8, seconds=1)}, "too_long"),
    "without end": ({}, {"duration": timedelta.max}, "too_long"),
    "too short": ({}, {"duration": timedelta(minutes=4, seconds=59)}, "too_short"),
    "negative": ({}, {"duration": -HOUR}, "too_short"),
    "no reason": ({}, {"justification": ""}, "justification_required"),
    "blank reason": ({}, {"justification": " \u200b\n"}, "justification_required"),
    "endless reason": ({}, {"justification": "x" * 2001}, "too_long_text"),
    "no ticket": ({"ticket_required": True}, {}, "ticket_required"),
    "endless ticket": ({"ticket_required": True}, {"ticket": "7" * 101}, "too_long_text"),
    "ticket of another kind": ({"ticket_pattern": "CHG-[0-9]+"}, {"ticket": "INC-1"}, "ticket_invalid"),
    "no proof": ({"activation_authentication": "mfa"}, {}, "mfa_required"),
    "past start": ({}, {"starts_at": now() - timedelta(days=1)}, "schedule_invalid"),
    "naive start": ({}, {"starts_at": datetime(2027, 1, 1)}, "schedule_invalid"),
    "start at the end of time": ({}, {"starts_at": datetime.max.replace(tzinfo=UTC)}, "schedule_invalid"),
    "start at the end of time, elsewhere": ({}, {"starts_at": datetime.max.replace(tzinfo=WEST)}, "schedule_invalid"),
    "start at the beginning of time": ({}, {"starts_at": datetime.min.replace(tzinfo=UTC)}, "schedule_invalid"),
}


@pytest.mark.parametrize(("settings", "differs", "code"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("approval", [True, False], ids=["asking", "at once"])
def test_activate_refused(settings, differs, code, approval):
    role = RoleFactory(settings__approval_required=approval, **{f"settings__{key}": settings[key] for key in settings})
    eligible = EligibleFactory(role=role)
    with refused(code):
        ask(eligible, **differs)


NOT_ELIGIBLE = {
    "ended": {"ends_at": now() - timedelta(seconds=30)},
    "scheduled": {"starts_at": now() + timedelta(days=1)},
    "removed": {"ended_at": now(), "end_reason": "removed"},
}


@pytest.mark.parametrize("differs", NOT_ELIGIBLE.values(), ids=NOT_ELIGIBLE)
def test_activate_refused_for_an_eligibility_that_is(differs):
    eligible = EligibleFactory(**{"starts_at": now() - timedelta(days=1)} | differs)
    with refused("not_eligible"):
        ask(eligible)


def test_activate_refused_for_the_eligibility_of_somebody_else():
    eligible, administrator = EligibleFactory(), holder_of(Role.GLOBAL_ADMINISTRATOR)
    with refused("not_eligible"):
        ask(eligible, actor=administrator)


def test_activate_refused_for_an_eligibility_removed_meanwhile():
    eligible = EligibleFactory()
    EligibleAssignment.objects.update(ended_at=now(), end_reason="removed")
    with refused("not_eligible"):
        ask(eligible)


def test_activate_refused_for_an_eligibility_removed_while_waiting_for_the_lock(monkeypatch):
    eligible = EligibleFactory(role=RoleFactory(settings__approval_required=True))
    lock = QuerySet.select_for_update

    def removed_first(rows, **kwargs):
        EligibleAssignment.objects.filter(ended_at=None).update(ended_at=now(), end_reason="removed")
        return lock(rows, **kwargs)

    monkeypatch.setattr(QuerySet, "select_for_update", removed_first)
    with refused("not_eligible"):
        ask(eligible)


def test_activate_refused_for_who_was_disabled_meanwhile():
    eligible = EligibleFactory()
    User.objects.update(is_active=False)
    with refused("holder_disabled"):
        ask(eligible)


def test_activate_refused_at_a_scope_of_another_tree():
    unit, sibling = ResourceFactory(), ResourceFactory()
    eligible = EligibleFactory(scope=unit)
    for scope in (sibling, root()):
        with refused("scope_invalid"):
            ask(eligible, scope=scope)
    assert ask(eligible, scope=ResourceFactory(parent=unit)).status == Request.Status.PROVISIONED


def test_activate_refused_when_the_start_is_after_the_eligibility():
    eligible = EligibleFactory(ends_at=now() + timedelta(days=1))
    with refused("schedule_invalid"):
        ask(eligible, starts_at=now() + timedelta(days=2))


def test_activate_refused_while_active():
    eligible = EligibleFactory()
    ask(eligible)
    with refused("already_active"):
        ask(eligible)


def test_activate_refused_while_assigned_active():
    eligible = EligibleFactory()
    ActiveFactory(user=eligible.user, role=eligible.role)
    with refused("already_active"):
        ask(eligible)


def test_activate_refused_while_pending():
    eligible = EligibleFactory(role=RoleFactory(settings__approval_required=True))
    ask(eligible)
    with refused("already_pending"):
        ask(eligible)


def test_activate_refused_while_pending_by_another_eligibility():
    role, unit = RoleFactory(settings__approval_required=True), ResourceFactory()
    wide = EligibleFactory(role=role)
    narrow = EligibleFactory(role=role, user=wide.user, scope=unit)
    ask(wide, scope=unit)
    with refused("already_pending"):
        ask(narrow)


def test_activate_again_after_the_request_before_ran_out_unnoticed():
    eligible = EligibleFactory(role=RoleFactory(settings__approval_required=True))
    first = ask(eligible)
    with time_machine.travel(first.expires_at, tick=False):
        second = ask(eligible)
    statuses = dict(Request.objects.values_list("pk", "status"))
    assert statuses == {first.pk: "timed_out", second.pk: "pending_approval"}


# --- what is granted ------------------------------------------------------------------------------------------


def test_activate_to_validate_only_stores_nothing():
    eligible = EligibleFactory(role=RoleFactory(settings__approval_required=True))
    before = snapshot()
    request = ask(eligible, validate_only=True)
    assert (request.status, request._state.adding) == ("pending_approval", True)
    assert snapshot() == before


def test_activate_to_validate_only_checks_all_but_the_proof():
    eligible = EligibleFactory(role=RoleFactory(settings__activation_authentication="mfa"))
    ask(eligible, validate_only=True)
    with refused("too_long"):
        ask(eligible, validate_only=True, duration=timedelta(days=1))


def test_activate_later_is_scheduled_and_gives_nothing_before():
    eligible, start = EligibleFactory(), (now() + timedelta(days=1)).replace(microsecond=0)
    request = ask(eligible, starts_at=start)
    assert (request.status, request.active_assignment.starts_at) == ("scheduled", start)
    rows = ActiveAssignment.objects
    moments = [start - timedelta(microseconds=1), start, start + HOUR]
    assert [rows.in_force(at).exists() for at in moments] == [False, True, False]


def test_activate_asks_every_approver_but_not_oneself():
    eligible = EligibleFactory()
    kim, lee = UserFactory(username="kim"), UserFactory(username="lee")
    group = GroupFactory(members=[lee, kim, eligible.user])
    save_settings(role=eligible.role, scope=root(), actor=None, approval_required=True, stages=[stage([], [group])])
    ask(eligible, ticket="T-1", ticket_system="Desk")
    assert mails() == [("approval_asked", "kim@example.org"), ("approval_asked", "lee@example.org")]
    (event,) = Event.objects.filter(action="activation.requested")
    assert (event.ticket, event.justification) == ("T-1 (Desk)", "Stuck.")


def proved(eligible, method="totp"):
    """Arguments of a request with the proof that was made for it."""
    asked = {"scope": eligible.scope, "starts_at": None, "duration": HOUR, "justification": "Stuck."}
    asked |= {"ticket": "", "ticket_system": ""}
    proof = proof_for(
        eligible.user, "activation.requested", method=method, **activation_facts(eligible=eligible, **asked)
    )
    return asked | {"proof": proof, "session": "this session"}


@pytest.fixture
def stepped_up():
    eligible = EligibleFactory(role=RoleFactory(settings__activation_authentication="mfa"))
    return eligible, proved(eligible)


def test_activate_with_its_proof(stepped_up):
    eligible, asked = stepped_up
    request = ask(eligible, **asked)
    assert (request.status, request.proved_with) == ("provisioned", "totp")
    assert StepUpProof.objects.get().consumed_at is not None


@pytest.fixture
def strict():
    return EligibleFactory(role=RoleFactory(settings__activation_authentication="phishing_resistant"))


@pytest.mark.parametrize("method", ["totp", "recovery"])
def test_activate_refuses_all_but_a_passkey_where_nothing_else_will_do(strict, method):
    asked = proved(strict, method)
    with refused("phishing_resistant_required"):
        ask(strict, **asked)


def test_activate_with_a_passkey_where_nothing_else_will_do(strict):
    assert ask(strict, **proved(strict, "passkey")).proved_with == "passkey"


@pytest.mark.parametrize(
    "differs",
    [
        {"duration": 2 * HOUR},
        {"justification": "Something else."},
        {"ticket": "T-2"},
        {"ticket_system": "Desk"},
        {"starts_at": now() + timedelta(hours=1)},
        {"session": "another session"},
    ],
    ids=lambda differs: next(iter(differs)),
)
def test_activate_refuses_a_proof_made_for_something_else(stepped_up, differs):
    eligible, asked = stepped_up
    with refused("mfa_required"):
        ask(eligible, **asked | differs)


def test_activate_refuses_a_proof_made_for_another_scope(stepped_up):
    eligible, asked = stepped_up
    asked["scope"] = ResourceFactory()
    with refused("mfa_required"):
        ask(eligible, **asked)


def test_activate_refuses_a_proof_that_is_too_old(stepped_up):
    eligible, asked = stepped_up
    with time_machine.travel(now() + timedelta(seconds=122), tick=False), refused("mfa_required"):
        ask(eligible, **asked)


def test_activate_uses_a_proof_once(stepped_up):
    eligible, asked = stepped_up
    services.deactivate(active=ask(eligible, **asked).active_assignment, actor=eligible.user)
    with refused("mfa_required"):
        ask(eligible, **asked)


# --- giving up ------------------------------------------------------------------------------------------------


def test_deactivate_ends_it_at_once_without_a_reason():
    active = ActivationFactory()
    request = services.deactivate(active=active, actor=active.user)
    assert (request.action, request.status) == ("self_deactivate", "revoked")
    assert not ActiveAssignment.objects.in_force(now()).exists()
    assert list(Event.objects.values_list("action", "outcome")) == [("assignment.deactivated", "success")]
    assert mails() == []


def test_deactivate_for_somebody_else_needs_a_reason_and_tells_them():
    active, helpdesk = ActivationFactory(), holder_of(Role.HELPDESK_ADMINISTRATOR)
    with refused("justification_required"):
        services.deactivate(active=active, actor=helpdesk)
    request = services.deactivate(active=active, actor=helpdesk, justification="Laptop stolen.")
    assert (request.action, request.requester, request.user) == ("admin_remove", helpdesk, active.user)
    assert mails() == [("role_ended", active.user.email)]


def test_deactivate_by_helpdesk_is_for_activations_only():
    """What was assigned cannot be had again, so ending it is removing it; one such is the last administrator's."""
    helpdesk = holder_of(Role.HELPDESK_ADMINISTRATOR)
    last = ActiveAssignment.objects.get(user=holder_of(Role.GLOBAL_ADMINISTRATOR))
    for active in (last, ActiveFactory()):
        with refused("not_allowed"):
            services.deactivate(active=active, actor=helpdesk, justification="Because.")


@pytest.mark.parametrize("key", Role.GUARDED)
def test_deactivate_by_the_last_administrator_is_refused(key):
    active = ActiveAssignment.objects.get(user=holder_of(key))
    with refused("last_administrator"):
        services.deactivate(active=active, actor=active.user)


def test_deactivate_twice_is_refused():
    active = ActivationFactory()
    services.deactivate(active=active, actor=active.user)
    with refused("already_ended"):
        services.deactivate(active=active, actor=active.user)
