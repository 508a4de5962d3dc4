"""What people ask for themselves: to activate a role, and to be done with it."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError
from django.db.models import Q
from django.utils.timezone import now
from django.utils.translation import gettext as _

from accounts.authority import require
from accounts.links import link
from accounts.models import StepUpProof, User
from accounts.rules import check_phishing_resistant
from accounts.services import consume
from approvals.approvers import approval_to_repeat, stages_in_use
from approvals.hook_calls import HookCall
from approvals.hooks import LONGEST_WAIT
from approvals.models import Decision, Request
from approvals.rules import activation_facts, already_pending, check_text
from assignments import services as assignments
from assignments.models import ActiveAssignment, EligibleAssignment
from assignments.rules import ActivationRefused, Terms, Waiver, check_ask, check_eligible, whole_second
from audit.services import privileged, record, refusal_code
from roles import services as roles
from roles.models import ApprovalStage, Resource, RoleSettings

from .assigning import kept_unless, settled_request
from .recording import record_about


@privileged("activation.requested", target="eligible")
def activate(
    *,
    eligible: EligibleAssignment,
    actor: User,
    duration: timedelta,
    scope: Resource | None = None,
    starts_at: datetime | None = None,
    justification: str = "",
    ticket: str = "",
    ticket_system: str = "",
    proof: StepUpProof | None = None,
    session: str = "",
    validate_only: bool = False,
) -> Request:
    """Ask to activate a role: granted at once, or sent to the approvers where the settings say so.

    Args:
        eligible: the actor's eligibility.
        duration: how long the role is wanted, 5 minutes up to the settings' longest.
        scope: the eligibility's (None), or one beneath.
        starts_at: None for now, or a later time.
        proof: of a second factor, made for `rules.activation_facts` of these arguments.
        session: the sign-in session or API token that the proof was made in.
        validate_only: check all but the proof, and store nothing.

    Returns:
        The request: provisioned, scheduled, pending_approval or pending_hook; not saved when `validate_only`.

    Raises:
        ActivationRefused, RequestRefused: with what to do in the text. StepUpRefused: ``mfa_required``,
        ``phishing_resistant_required``.
    """
    scope = scope or eligible.scope
    asked = activation_facts(
        eligible=eligible,
        scope=scope,
        starts_at=starts_at,
        duration=duration,
        justification=justification,
        ticket=ticket,
        ticket_system=ticket_system,
    )
    user = User.objects.select_for_update(no_key=True).get(pk=actor.pk)
    at = now()  # under the lock: what was taken away while we waited for it is gone
    check_eligible(eligible, user=user, reaches=assignments.reaches(eligible, user, at=at), at=at)
    eligible = EligibleAssignment.objects.select_for_update(of=("self",), no_key=True).described().get(pk=eligible.pk)
    roles.hold_place(scope, eligible.scope)
    settings = _check(eligible, user, asked, scope, at=at)
    if validate_only:
        return _new_request(eligible, user, settings, asked, scope, proved_with="", at=at)
    method = prove_asker(user, settings, proof, session=session, action="activation.requested", facts=asked)
    request = _new_request(eligible, user, settings, asked, scope, proved_with=method, at=at)
    _record_asked(request)
    set_out(request, settings, actor=user, at=at)
    return request


def prove_asker(
    user: User,
    settings: RoleSettings,
    proof: StepUpProof | None,
    *,
    session: str,
    action: str,
    facts: dict[str, Any],
) -> str:
    """Take the proof of who asks for a role, where the settings ask for one.

    Returns:
        What it was proved with; nothing where nothing was asked.

    Raises:
        StepUpRefused: ``mfa_required``, ``phishing_resistant_required``.
    """
    method = ""
    if settings.mfa_required:
        method = consume(proof, user=user, session=session, action=action, **facts).method
    if settings.phishing_resistant_required:
        check_phishing_resistant(method)
    return method


def set_out(request: Request, settings: RoleSettings, *, actor: User, at: datetime) -> None:
    """Send a request, which has no row yet, on its way: to the hook, to people, or to be granted at once."""
    if settings.hook_id:
        _wait_for_hook(request, at=at)
    else:
        proceed(request, settings, actor=actor, at=at)


def _wait_for_hook(request: Request, *, at: datetime) -> None:
    """Leave it to the worker to ask the other system: no page waits for that."""
    request.expires_at = at + LONGEST_WAIT
    _insert_waiting(request, at=at)
    HookCall.objects.create(request=request, next_attempt_at=at)


def proceed(
    request: Request, settings: RoleSettings, *, actor: User | None, at: datetime, ask_people: bool = False
) -> None:
    """Ask people, or grant where the settings in use ask for nobody; store the request.

    Args:
        ask_people: whatever the settings say, because the hook that would have been asked did not answer.
    """
    asks = ask_people or settings.approval_required
    repeats = asks and not ask_people and request.settings_id == settings.pk and request.prolongs_id is None
    repeated = approval_to_repeat(request, at) if repeats else None
    if asks and repeated is None:
        _ask_approvers(request, at=at)
        return
    request.status, request.stage, request.expires_at, request.settled_at = Request.Status.PROVISIONED, None, None, at
    if repeated is not None:
        request.save()
        _repeat(request, *repeated, at=at)
    else:
        grant(request, actor=actor, approvers=[], duration=request.duration or timedelta(0))


def _repeat(request: Request, earlier: Request, voices: set[UUID], *, at: datetime) -> None:
    """Grant what was approved a short while ago, as the system's decision that names the earlier request."""
    decision = Decision.objects.create(
        request=request,
        repeats=earlier,
        verdict=Decision.Verdict.APPROVED,
        justification=_("Approved a short while ago: %(reference)s") % {"reference": earlier.reference},
        decided_at=at,
    )
    said = earlier.decisions.select_related("person")
    approvers = [each.person for each in said if each.person and each.voice_id in voices]
    grant(request, actor=None, approvers=approvers, duration=request.duration or timedelta(0))
    record_about("request.approved", request, actor=None, justification=decision.justification)
    context = {"outcome": decision.verdict, "decider": decision.who, "justification": decision.justification}
    tell("request_decided", request, "approver", to=approvers, context=context | {"duration": request.duration})


def _check(
    eligible: EligibleAssignment, user: User, asked: dict[str, Any], scope: Resource, *, at: datetime
) -> RoleSettings:
    """Check what is asked against the settings that count at the scope; return them."""
    settings = RoleSettings.objects.applying_to(eligible.role, scope).first() or RoleSettings()
    justification, ticket = asked["justification"], asked["ticket"]
    check_text(justification, ticket=ticket, ticket_system=asked["ticket_system"])
    check_ask(
        eligible,
        settings,
        user=user,
        reaches=True,
        scope=scope,
        starts_at=asked["starts_at"] or at,
        duration=asked["duration"],
        justification=justification,
        ticket=ticket,
        at=at,
    )
    assignments.check_free(eligible, user, scope, at=at)
    same = Q(eligible_assignment=eligible) | Q(role=eligible.role, scope=scope)
    if Request.objects.undecided().filter(same, user=user, expires_at__gt=at).exists():
        raise already_pending()
    return settings


def _new_request(
    eligible: EligibleAssignment,
    user: User,
    settings: RoleSettings,
    asked: dict[str, Any],
    scope: Resource,
    *,
    proved_with: str,
    at: datetime,
) -> Request:
    return Request(
        action=Request.Action.SELF_ACTIVATE,
        **first_state(settings, at),
        requester=user,
        user=user,
        role=eligible.role,
        scope=scope,
        settings=settings,
        eligible_assignment=eligible,
        starts_at=asked["starts_at"] and whole_second(asked["starts_at"]),
        duration=asked["duration"],
        justification=asked["justification"].strip(),
        ticket=asked["ticket"].strip(),
        ticket_system=asked["ticket_system"].strip(),
        proved_with=proved_with,
        requested_at=at,
    )


def first_state(settings: RoleSettings, at: datetime) -> dict[str, Any]:
    """Return what a new request begins with under these settings: whom it waits for, or that it waits for nobody."""
    asks = settings.approval_required
    status = Request.Status.PENDING_APPROVAL if asks else Request.Status.PROVISIONED
    return {
        "status": Request.Status.PENDING_HOOK if settings.hook_id else status,
        "settled_at": None if asks or settings.hook_id else at,
    }


def _ask_approvers(request: Request, *, at: datetime) -> None:
    stages = stages_in_use(request)
    begin_stage(request, stages[0], at=at)
    request.status = Request.Status.PENDING_APPROVAL
    if request._state.adding:
        _insert_waiting(request, at=at)
    else:
        request.save()
    ask_stage(request, stages, at=at)


def _insert_waiting(request: Request, *, at: datetime) -> None:
    from .waiting import time_out

    for late in Request.objects.overdue(at).filter(
        user=request.user_id, eligible_assignment=request.eligible_assignment_id
    ):
        time_out(request=late, actor=None)  # the worker is late: its row must not stand in the way
    try:
        request.save(force_insert=True)
    except IntegrityError as error:
        raise already_pending() from error


def begin_stage(request: Request, stage: ApprovalStage, *, at: datetime) -> None:
    """Put the request, which the caller saves, to the first moment of a stage: what is due in it counts from now."""
    request.stage = stage.number
    request.expires_at = at + stage.timeout
    request.escalates_at = at + stage.escalates_after if stage.escalates_after else None
    request.escalated_at = None
    request.remind_at = at + stage.timeout / 2


def ask_stage(request: Request, stages: list[ApprovalStage], *, at: datetime) -> None:
    """Tell those who may decide now, and have not, that they are asked; `stages` are those in use."""
    common: dict[str, Any] = {"context": asking_facts(request), "settings": stages[0].settings}
    tell("approval_asked", request, "approver", to=request.awaited(at, stages), **common)


def asking_facts(request: Request) -> dict[str, Any]:
    return {
        "duration": request.duration,
        "longer": request.prolongs_id is not None,
        "starts_at": request.starts_at,
        "reason": request.justification,
        "ticket": request.ticket_text,
        "ticket_url": request.ticket_url,
        "expires_at": request.expires_at,
    }


def tell(
    kind: str,
    request: Request,
    audience: str,
    *,
    to: Iterable[User],
    context: dict[str, Any],
    settings: RoleSettings | None = None,
) -> None:
    """Queue a mail about a request, as far as the settings in use now say so: `settings`, if the caller has them."""
    settings = settings or RoleSettings.objects.applying_to(request.role, request.scope)[0]
    where = {"event": request.mail_event, "audience": audience}
    roles.tell(kind, **where, settings=settings, to=to, about=request, context=request_mail_facts(request) | context)


def request_mail_facts(request: Request) -> dict[str, Any]:
    return {
        "user": str(request.holder),
        "role": str(request.role),
        "scope": str(request.scope),
        "url": link("approvals:request-detail", request.pk),
    }


def _record_asked(request: Request) -> None:
    record(
        "activation.requested",
        actor=request.requester,
        target=request.eligible_assignment,
        subject=request.holder,
        role=request.role,
        scope=request.scope,
        request=request,
        ticket=request.ticket_text,
        justification=request.justification,
        after={
            "duration": request.duration,
            "starts_at": request.starts_at,
            "settings_version": request.settings.version,
            "proved_with": request.proved_with,
            "approval_required": request.settings.approval_required,
        },
    )


def grant(
    request: Request,
    *,
    actor: User | None,
    approvers: list[User],
    duration: timedelta,
    waiver: Waiver | None = None,
) -> None:
    """Turn a request, which is new or whose row is locked, into an activation, or into a longer one; store it.

    Args:
        waiver: why no approver is needed; None where the settings say who is.
    """
    assert request.eligible_assignment is not None  # noqa: S101 (an activation always has one)
    call = HookCall.objects.filter(request=request).first() if request.settings.hook_id else None
    brought: dict[str, Any] = {
        "actor": actor,
        "duration": duration,
        "justification": request.justification,
        "ticket": request.ticket,
        "ticket_system": request.ticket_system,
        "proved_with": request.proved_with,
        "approvers": approvers,
        "waiver": waiver,
        "checked_by": call.clears if call else None,
        "request": request,
    }
    if request.prolongs is not None:
        active = assignments.prolong(active=request.prolongs, **brought)
    else:
        where: dict[str, Any] = {"user": request.person, "scope": request.scope, "starts_at": request.starts_at}
        active = assignments.activate(eligible=request.eligible_assignment, **where, **brought)
    scheduled = request.prolongs is None and active.starts_at > active.created_at
    request.status = Request.Status.SCHEDULED if scheduled else Request.Status.PROVISIONED
    request.active_assignment = active
    request.save()


def fail(request: Request, actor: User | None, refusal: ActivationRefused, *, at: datetime) -> None:
    """Close a request that was to be granted, and could not be."""
    request.status, request.failure_code, request.settled_at = Request.Status.FAILED, refusal_code(refusal), at
    request.save(update_fields=["status", "failure_code", "settled_at"])
    cause = " ".join(refusal.messages)
    record_about("request.failed", request, actor=actor, after={"cause": cause, "code": request.failure_code})
    tell("request_failed", request, "requestor", to=[request.person], context={"cause": cause})


@privileged("assignment.deactivated", target="active")
def deactivate(
    *, active: ActiveAssignment, actor: User, justification: str = "", validate_only: bool = False
) -> Request:
    """End an active assignment early: one's own at any moment, somebody else's with the right to, and a reason.

    With `validate_only` all of it is done, and then undone.

    Raises:
        NotAllowed. RequestRefused: ``justification_required``. AssignmentRefused: ``already_ended``,
        ``last_administrator``.
    """
    own = active.user_id == actor.pk
    if not own:  # an activation can be had again; what was assigned cannot, so ending that is removing it
        require(
            actor, "assignments.end_activation" if active.is_activated else "assignments.remove_assignment", at=active
        )
    action = Request.Action.SELF_DEACTIVATE if own else Request.Action.ADMIN_REMOVE
    terms = Terms(active.holder, active.role, active.scope, justification=justification)
    links = {"active_assignment": active, "eligible_assignment": active.eligible_assignment}
    with kept_unless(validate_only):
        request = settled_request(action, actor, terms, **links)
        reason = ActiveAssignment.EndReason.DEACTIVATED
        assignments.end(active=active, actor=actor, reason=reason, justification=justification, request=request)
        request.save(force_insert=True)
        return request
