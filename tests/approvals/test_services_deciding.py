import json
from datetime import timedelta

import pytest
import time_machine
from django.utils.timezone import now

from accounts.models import Group, User
from approvals import services
from approvals.models import Decision, Request
from assignments import services as assignments
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
    RequestFactory,
    ResourceFactory,
    RoleFactory,
    UserFactory,
    holder_of,
    root,
    stage,
)
from tests.refusals import refused

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
VERDICTS = pytest.mark.parametrize("verb", [services.approve, services.deny], ids=["approve", "deny"])


@pytest.fixture
def approver():
    return UserFactory(username="approver")


@pytest.fixture
def request_(approver):
    """A request for an hour that `approver` and one more may decide, asked by "requester"."""
    role = RoleFactory(settings__approval_required=True, settings__approvers=[approver, UserFactory(username="zz")])
    return ask(EligibleFactory(role=role, user=UserFactory(username="requester")))


def ask(eligible, **differs):
    facts = {"eligible": eligible, "actor": eligible.user, "duration": HOUR, "justification": "Stuck."}
    return services.activate(**facts | differs)


def approve(request, actor, **differs):
    return services.approve(request=request, actor=actor, **{"justification": "Go on."} | differs)


def change_settings(request, **changes):
    save_settings(role=request.role, scope=request.role.resource, actor=None, **changes)


def actions():
    return list(Event.objects.order_by("id").values_list("action", "outcome", "actor_label"))


def mails():
    return sorted(Message.objects.exclude(state="suppressed").values_list("kind", "to_address"))


# --- who may --------------------------------------------------------------------------------------------------


@VERDICTS
def test_decision_by_who_was_never_asked(verb, request_):
    people = [UserFactory(), holder_of(Role.GLOBAL_ADMINISTRATOR), holder_of(Role.HELPDESK_ADMINISTRATOR)]
    for actor in people:
        with refused("not_an_approver"):
            verb(request=request_, actor=actor, justification="Seen.")


@VERDICTS
def test_decision_on_ones_own_request_as_a_named_approver(verb, approver):
    role = RoleFactory(settings__approval_required=True, settings__approvers=[approver, UserFactory()])
    own = ask(EligibleFactory(role=role, user=approver))
    with refused("own_request"):
        verb(request=own, actor=approver, justification="Seen.")


@VERDICTS
def test_decision_on_ones_own_request_as_a_member_of_an_approver_group(verb, approver):
    group = GroupFactory(members=[approver, UserFactory()])
    role = RoleFactory(settings__approval_required=True, settings__approver_groups=[group])
    own = ask(EligibleFactory(role=role, user=approver))
    with refused("own_request"):
        verb(request=own, actor=approver, justification="Seen.")


@VERDICTS
@pytest.mark.parametrize("key", Role.GUARDED)
def test_decision_on_ones_own_request_as_an_administrator_by_default(verb, key):
    actor = holder_of(key)
    own = ask(EligibleFactory(role=RoleFactory(settings__approval_required=True), user=actor))
    with refused("own_request"):
        verb(request=own, actor=actor, justification="Seen.")


@VERDICTS
def test_decision_by_who_was_taken_out_of_the_settings_meanwhile(verb, request_, approver):
    change_settings(request_, stages=[stage([UserFactory()])])
    with refused("not_an_approver"):
        verb(request=request_, actor=approver, justification="Seen.")


@VERDICTS
@pytest.mark.parametrize("change", [{"members": []}, {"is_protected": False}], ids=str)
def test_decision_by_who_was_in_a_group_that_counts_no_more(verb, approver, change):
    group = GroupFactory(members=[approver])
    role = RoleFactory(settings__approval_required=True, settings__approver_groups=[group])
    pending = ask(EligibleFactory(role=role))
    if "members" in change:
        group.members.clear()
    else:
        Group.objects.update(**change)
    with refused("not_an_approver"):
        verb(request=pending, actor=approver, justification="Seen.")


@VERDICTS
def test_decision_by_who_was_disabled_meanwhile(verb, request_, approver):
    User.objects.filter(pk=approver.pk).update(is_active=False)
    with refused("not_an_approver"):
        verb(request=request_, actor=approver, justification="Seen.")


@VERDICTS
def test_decision_by_who_administered_until_now(verb):
    administrator = holder_of(Role.GLOBAL_ADMINISTRATOR)
    pending = ask(EligibleFactory(role=RoleFactory(settings__approval_required=True)))
    ActiveAssignment.objects.filter(user=administrator).update(ends_at=now())
    with refused("not_an_approver"):
        verb(request=pending, actor=administrator, justification="Seen.")


@VERDICTS
def test_decision_under_nearer_settings_is_for_their_approvers(verb, approver):
    unit = ResourceFactory()
    role = RoleFactory(settings__approval_required=True, settings__approvers=[approver])
    pending = ask(EligibleFactory(role=role), scope=unit)
    save_settings(role=role, scope=unit, actor=None, approval_required=True, stages=[stage([near := UserFactory()])])
    with refused("not_an_approver"):
        verb(request=pending, actor=approver, justification="Seen.")
    assert verb(request=pending, actor=near, justification="Seen.").settled_at is not None


@VERDICTS
@pytest.mark.parametrize(
    ("text", "code"),
    [("", "justification_required"), (" \u200b", "justification_required"), ("x" * 2001, "too_long_text")],
    ids=["none", "blank", "endless"],
)
def test_decision_needs_a_reason(verb, request_, approver, text, code):
    with refused(code):
        verb(request=request_, actor=approver, justification=text)


@VERDICTS
def test_decision_after_another_says_who_was_first(verb, request_, approver):
    services.deny(request=request_, actor=approver, justification="Not today.")
    with refused("already_decided") as refusal:
        verb(request=request_, actor=User.objects.get(username="zz"), justification="Seen.")
    assert refusal.match("Approver has decided this request already: denied")


@VERDICTS
def test_decision_twice_by_one_person(verb, request_, approver):
    verb(request=request_, actor=approver, justification="Seen.")
    with refused("already_decided"):
        verb(request=request_, actor=approver, justification="Seen.")


@VERDICTS
def test_decision_after_the_time_to_decide_with_the_worker_late(verb, request_, approver):
    with time_machine.travel(request_.expires_at, tick=False), refused("already_decided"):
        verb(request=request_, actor=approver, justification="Seen.")


@VERDICTS
def test_decision_on_what_was_canceled(verb, request_, approver):
    services.cancel(request=request_, actor=request_.user)
    with refused("already_decided"):
        verb(request=request_, actor=approver, justification="Seen.")


# --- yes ------------------------------------------------------------------------------------------------------


def test_approve_grants_records_and_tells(request_, approver):
    request = approve(request_, approver)
    assert (request.status, request.active_assignment.user) == ("provisioned", request.user)
    assert actions() == [
        ("activation.requested", "success", "Requester"),
        ("assignment.activated", "success", "Approver"),
        ("request.approved", "success", "Approver"),
    ]
    assert mails() == [
        ("request_decided", "requester@example.org"),
        ("request_decided", "zz@example.org"),
        ("role_activated", "requester@example.org"),
    ]
    decision = Decision.objects.get()
    assert (decision.person, decision.verdict, decision.justification) == (approver, "approved", "Go on.")


def test_approve_for_a_shorter_time(request_, approver):
    active = approve(request_, approver, duration=timedelta(minutes=5)).active_assignment
    assert active.ends_at - active.starts_at == timedelta(minutes=5)
    told = [json.loads(message.context)["duration"] for message in Message.objects.filter(kind="request_decided")]
    assert set(told) == {300}


@pytest.mark.parametrize(
    ("duration", "code"),
    [
        (HOUR + timedelta(seconds=1), "too_long"),
        (timedelta.max, "too_long"),
        (timedelta(minutes=4), "too_short"),
        (timedelta(0), "too_short"),
        (-HOUR, "too_short"),
    ],
    ids=str,
)
def test_approve_for_a_time_that_was_not_asked(request_, approver, duration, code):
    with refused(code):
        approve(request_, approver, duration=duration)


def test_approve_after_the_wanted_start_starts_now(approver):
    role = RoleFactory(settings__approval_required=True, settings__approvers=[approver])
    start = now() + HOUR
    pending = ask(EligibleFactory(role=role), starts_at=start)
    with time_machine.travel(start + HOUR, tick=False):
        active = approve(pending, approver).active_assignment
        assert active.ends_at - active.starts_at == HOUR
        assert ActiveAssignment.objects.in_force(now()).get() == active


def test_approve_is_capped_by_a_maximum_that_became_shorter(request_, approver):
    change_settings(request_, activation_max_duration=HOUR / 2)
    active = approve(request_, approver).active_assignment
    assert active.ends_at - active.starts_at == HOUR / 2


def test_approve_is_capped_by_the_end_of_the_eligibility(request_, approver):
    end = (now() + HOUR / 2).replace(microsecond=0)
    EligibleAssignment.objects.update(ends_at=end)
    assert approve(request_, approver).active_assignment.ends_at == end


def remove_eligibility(request):
    assignments.remove_eligible(eligible=request.eligible_assignment, actor=None, justification="Moved on.")


def disable(request):
    User.objects.filter(pk=request.user_id).update(is_active=False)


def give(request):
    ActiveFactory(user=request.user, role=request.role, scope=request.scope)


def other_tickets(request):
    Request.objects.update(ticket="INC-1")
    change_settings(request, ticket_pattern="CHG-[0-9]+")


MEANWHILE = {
    "eligibility removed": (remove_eligibility, "not_eligible"),
    "eligibility ended": (lambda _: EligibleAssignment.objects.update(ends_at=now()), "not_eligible"),
    "holder disabled": (disable, "holder_disabled"),
    "role assigned": (give, "already_active"),
    "proof asked": (lambda request: change_settings(request, activation_authentication="mfa"), "mfa_required"),
    "passkey asked": (
        lambda request: (
            Request.objects.filter(pk=request.pk).update(proved_with="totp"),
            change_settings(request, activation_authentication="phishing_resistant"),
        ),
        "phishing_resistant_required",
    ),
    "ticket asked": (lambda request: change_settings(request, ticket_required=True), "ticket_required"),
    "other tickets asked": (other_tickets, "ticket_invalid"),
}


@pytest.mark.parametrize(("happens", "code"), MEANWHILE.values(), ids=MEANWHILE)
def test_approve_closes_as_failed_what_must_hold_and_does_not(request_, approver, happens, code):
    happens(request_)
    before = ActiveAssignment.objects.count()
    request = approve(request_, approver)
    request.refresh_from_db()
    assert (request.status, request.failure_code, request.active_assignment) == ("failed", code, None)
    assert ActiveAssignment.objects.count() == before
    assert [action for action, *_ in actions()][-2:] == ["request.failed", "request.approved"]
    assert Decision.objects.get().verdict == "approved"


# --- no, never mind, too late ---------------------------------------------------------------------------------


def test_deny_closes_and_tells(request_, approver):
    request = services.deny(request=request_, actor=approver, justification="Not today.")
    assert (request.status, request.settled_at is None) == ("denied", False)
    assert not ActiveAssignment.objects.exists()
    assert actions()[1:] == [("request.denied", "success", "Approver")]
    assert mails() == [("request_decided", "requester@example.org"), ("request_decided", "zz@example.org")]


def test_cancel_ones_own_request_before_anybody_was_told(request_):
    request = services.cancel(request=request_, actor=request_.user)
    assert (request.status, mails()) == ("canceled", [])
    assert actions()[1:] == [("request.canceled", "success", "Requester")]


def test_cancel_tells_those_who_were_asked(request_):
    Message.objects.update(state="sent")
    services.cancel(request=request_, actor=request_.user)
    told = Message.objects.filter(kind="request_canceled").values_list("to_address", flat=True)
    assert sorted(told) == ["approver@example.org", "zz@example.org"]


def test_cancel_of_anothers_request_needs_the_right_and_a_reason(request_, approver):
    helpdesk = holder_of(Role.HELPDESK_ADMINISTRATOR)
    with refused("not_allowed"):
        services.cancel(request=request_, actor=approver, justification="Because.")
    with refused("justification_required"):
        services.cancel(request=request_, actor=helpdesk)
    services.cancel(request=request_, actor=helpdesk, justification="A mistake.")
    assert mails() == [("request_canceled", "requester@example.org")]


def test_cancel_of_what_is_scheduled_ends_it_before_its_start():
    eligible = EligibleFactory()
    request = ask(eligible, starts_at=now() + HOUR)
    services.cancel(request=request, actor=eligible.user)
    assert not ActiveAssignment.objects.lasting(now()).exists()
    assert [action for action, *_ in actions()][2:] == ["assignment.canceled", "request.canceled"]


def test_cancel_of_a_scheduled_role_that_has_begun_is_refused_with_the_worker_late():
    eligible = EligibleFactory()
    request = ask(eligible, starts_at=now() + HOUR)
    with time_machine.travel(now() + HOUR + timedelta(minutes=1), tick=False):
        with refused("already_active"):
            services.cancel(request=request, actor=eligible.user)
        assert ActiveAssignment.objects.in_force(now()).count() == 1


@pytest.mark.parametrize("status", ["provisioned", "denied", "timed_out", "failed", "canceled"])
def test_cancel_of_what_is_settled(request_, status):
    Request.objects.update(status=status)
    with refused("already_decided"):
        services.cancel(request=request_, actor=request_.user)


def test_cancel_of_an_assignment_is_no_way_to_remove_it():
    administrator, helpdesk = holder_of(Role.GLOBAL_ADMINISTRATOR), holder_of(Role.HELPDESK_ADMINISTRATOR)
    request = services.assign_eligible(
        holder=UserFactory(), role=RoleFactory(), scope=root(), actor=administrator, starts_at=now() + HOUR
    )
    with refused("not_canceled"):
        services.cancel(request=request, actor=helpdesk, justification="Because.")


def test_time_out_closes_and_tells_the_requester(request_):
    with time_machine.travel(request_.expires_at, tick=False):
        assert [services.time_out(request=request_, actor=None) for _ in range(2)] == [True, False]
    request_.refresh_from_db()
    assert (request_.status, request_.settled_at) == ("timed_out", request_.expires_at)
    assert actions()[1:] == [("request.timed_out", "success", "System")]
    assert mails() == [("request_timed_out", "requester@example.org")]


def test_time_out_before_its_time_does_nothing(request_):
    with time_machine.travel(request_.expires_at - timedelta(microseconds=1), tick=False):
        assert services.time_out(request=request_, actor=None) is False
    assert Request.objects.pending().count() == 1


def test_time_out_and_start_are_for_the_system_alone(request_):
    administrator = holder_of(Role.GLOBAL_ADMINISTRATOR)
    for operation in (services.time_out, services.note_start):
        with refused("not_allowed"):
            operation(request=request_, actor=administrator)


@pytest.mark.parametrize("ended", [timedelta(0), -HOUR], ids=["at its start", "before its start"])
def test_note_start_of_what_never_began_records_no_start(ended):
    active = ActivationFactory()
    ActiveAssignment.objects.update(ended_at=active.starts_at + ended, end_reason="eligibility_ended")
    request = RequestFactory(
        eligible_assignment=active.eligible_assignment, active_assignment=active, status="scheduled"
    )
    assert services.note_start(request=request, actor=None) is True
    request.refresh_from_db()
    assert (request.status, actions()) == ("revoked", [])
