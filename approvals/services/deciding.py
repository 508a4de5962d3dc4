"""What others say to a request, and what becomes of one that waits."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.timezone import now

from accounts.authority import require
from accounts.models import User
from approvals.approvers import stage_of, stage_to_pass, stages_in_use, standing, voices
from approvals.models import Decision, Request
from approvals.rules import check_cancel, check_decision, check_shortened, check_text
from assignments import services as assignments
from assignments.models import ActiveAssignment, EligibleAssignment, administrators
from assignments.rules import ActivationRefused
from audit.services import privileged, record, refusal_code
from notifications.services import suppress
from roles.models import ApprovalStage

from .activating import ask_stage, begin_stage, grant, tell


@privileged("request.approved", target="request")
def approve(*, request: Request, actor: User, justification: str, duration: timedelta | None = None) -> Request:
    """Say yes. With the last yes that the stages in use ask for, the role is granted at once, if what must hold still
    does; otherwise the request closes as failed.

    Args:
        duration: shorter than what was asked, or None. Of several the shortest counts.

    Returns:
        The request: pending_approval, where more must approve; provisioned, scheduled, or failed with `failure_code`.

    Raises:
        DecisionRefused: ``own_request``, ``already_decided``, ``too_long``, ``too_short``.
        NotAnApprover: ``not_an_approver``.
        RequestRefused: ``justification_required``.
    """
    request = _locked(request)
    at = now()
    asked = request.duration or timedelta(0)
    stages = stages_in_use(request)
    decision = _decide(request, actor, Decision.Verdict.APPROVED, justification, stages=stages, at=at)
    check_shortened(asked if duration is None else duration, asked=asked)
    decision.duration = duration
    decision.save(force_insert=True)
    states = standing(request, stages, at)
    next_stage = stage_to_pass(states)
    if next_stage is not None:
        _go_on(request, actor, next_stage, justification, at=at)
        return request
    try:
        with transaction.atomic():
            _grant(request, actor, counted=set().union(*(state.approved for state in states)))
    except ActivationRefused as refusal:
        _fail(request, actor, refusal)
    _settle(request, actor, Decision.Verdict.APPROVED, justification, at=at)
    return request


def _go_on(request: Request, actor: User, stage: ApprovalStage, justification: str, *, at: datetime) -> None:
    """Keep waiting: for more people of the same stage, or for those of another, with the whole of its time."""
    record_about(
        "request.approved", request, actor=actor, justification=justification, after={"waits_for_stage": stage.number}
    )
    if stage.number == request.stage:
        return
    suppress("approval_asked", about=request)
    begin_stage(request, stage, at=at)
    request.save(update_fields=["stage", "expires_at", "escalates_at", "escalated_at", "remind_at"])
    ask_stage(request, at=at)


def _grant(request: Request, actor: User, *, counted: set[UUID]) -> None:
    said = request.decisions.filter(verdict=Decision.Verdict.APPROVED).select_related("person")
    shortest = min([each.duration for each in said if each.duration], default=request.duration or timedelta(0))
    grant(
        request, actor=actor, approvers=[each.person for each in said if each.person_id in counted], duration=shortest
    )


@privileged("request.denied", target="request")
def deny(*, request: Request, actor: User, justification: str) -> Request:
    """Say no. The request is closed, whatever others said.

    Raises:
        As `approve`.
    """
    request = _locked(request)
    at = now()
    stages = stages_in_use(request)
    _decide(request, actor, Decision.Verdict.DENIED, justification, stages=stages, at=at).save(force_insert=True)
    request.status = Request.Status.DENIED
    _settle(request, actor, Decision.Verdict.DENIED, justification, at=at)
    return request


def _locked(request: Request) -> Request:
    """Lock in the documented order: holder, eligibility, request."""
    assignments.lock(request.holder)
    if request.eligible_assignment_id:
        EligibleAssignment.objects.select_for_update().get(pk=request.eligible_assignment_id)
    return Request.objects.select_for_update(of=("self",)).described().get(pk=request.pk)


def _decide(
    request: Request, actor: User, verdict: str, justification: str, *, stages: list[ApprovalStage], at: datetime
) -> Decision:
    """Check that `actor` may say it now; return what they say, which the caller saves."""
    stage = stage_of(request, stages)
    is_approver = stage is not None and voices(request, stage, at).filter(pk=actor.pk).exists()
    check_decision(
        request,
        actor=actor,
        is_approver=is_approver,
        has_decided=request.decisions.filter(person=actor).exists(),
        justification=justification,
        at=at,
    )
    return Decision(
        request=request,
        person=actor,
        verdict=verdict,
        justification=justification.strip(),
        stage=stage.number if stage else 1,
        decided_at=at,
    )


def _settle(request: Request, actor: User, verdict: str, justification: str, *, at: datetime) -> None:
    request.settled_at = at
    request.save(update_fields=["status", "settled_at", "failure_code"])
    suppress("approval_asked", about=request)
    record_about(f"request.{verdict}", request, actor=actor, justification=justification)
    if request.status != Request.Status.FAILED:
        _tell_decided(request, actor, verdict, justification, at=at)


def _tell_decided(request: Request, actor: User, verdict: str, justification: str, *, at: datetime) -> None:
    active = request.active_assignment
    context = {
        "outcome": verdict,
        "decider": str(actor),
        "justification": justification,
        "duration": active.ends_at - active.starts_at if active and active.ends_at else request.duration,
        "ends_at": active.ends_at if active else None,
    }
    tell("request_decided", request, "requestor", to=[request.person], context=context)
    tell("request_decided", request, "approver", to=request.approvers(at).exclude(pk=actor.pk), context=context)


def _fail(request: Request, actor: User, refusal: ActivationRefused) -> None:
    request.status, request.failure_code = Request.Status.FAILED, refusal_code(refusal)
    cause = " ".join(refusal.messages)
    record_about("request.failed", request, actor=actor, after={"cause": cause, "code": request.failure_code})
    tell("request_failed", request, "requestor", to=[request.person], context={"cause": cause})


@privileged("request.canceled", target="request")
def cancel(*, request: Request, actor: User, justification: str = "") -> Request:
    """Take back a request that waits or is scheduled: one's own, or anybody's with the right to, and a reason.

    Raises:
        NotAllowed. CancelRefused: ``already_decided``, ``already_active``, ``not_canceled``.
        RequestRefused: ``justification_required``.
    """
    own = actor.pk == request.requester_id
    if not own:
        require(actor, "approvals.cancel_request")
    check_text(justification, required=not own)
    request = _locked(request)
    at, waited_for = now(), request.status
    check_cancel(request, at=at)
    if request.active_assignment is not None and not request.waits_for_administrator:
        reason = ActiveAssignment.EndReason.CANCELED
        assignments.end(active=request.active_assignment, actor=actor, reason=reason, request=request)
    request.status, request.settled_at = Request.Status.CANCELED, at
    request.save(update_fields=["status", "settled_at"])
    record_about("request.canceled", request, actor=actor, justification=justification)
    tell_canceled(request, actor, waited_for=waited_for, at=at)
    return request


def tell_canceled(request: Request, actor: User | None, *, waited_for: str, at: datetime) -> None:
    """Those who were asked hear that it is over, unless the question had not gone out yet; so does the requester."""
    kinds = ("approval_asked", "extension_asked")
    suppressed, context = sum(suppress(kind, about=request) for kind in kinds), {"actor": str(actor or "")}
    by = actor.pk if actor else None
    if by != request.user_id:
        tell("request_canceled", request, "requestor", to=[request.person], context=context)
    if suppressed:
        return
    if waited_for == Request.Status.PENDING_APPROVAL:
        others = request.approvers(at).exclude(pk__in=[by])
        tell("request_canceled", request, "approver", to=others, context=context)
    elif waited_for == Request.Status.PENDING_ADMIN_DECISION:
        others = administrators(at).exclude(pk__in=[by, request.user_id])
        tell("request_canceled", request, "admin", to=others, context=context)


@privileged("request.timed_out", target="request")
def time_out(*, request: Request, actor: User | None) -> bool:
    """Close a request that nobody decided in time. Return False if it was closed already: then nothing is written.

    Raises:
        NotAllowed: only the system may.
    """
    require(actor)
    at = now()
    overdue = Request.objects.overdue(at).filter(pk=request.pk)
    if not overdue.update(status=Request.Status.TIMED_OUT, settled_at=at):
        return False
    request = Request.objects.described().get(pk=request.pk)
    suppress("approval_asked", about=request)
    record_about("request.timed_out", request, actor=actor)
    tell("request_timed_out", request, "requestor", to=[request.person], context={"asked_at": request.requested_at})
    return True


@privileged("assignment.started", target="request")
def note_start(*, request: Request, actor: User | None) -> bool:
    """Note that a scheduled assignment has begun, or that it ended before. Return False if that was noted already.

    Raises:
        NotAllowed: only the system may.
    """
    require(actor)
    starting = Request.objects.starting(now()).filter(pk=request.pk)
    request = Request.objects.described().get(pk=request.pk)
    assignment = request.active_assignment or request.eligible_assignment
    begun = assignment is not None and (assignment.ended_at is None or assignment.ended_at > assignment.starts_at)
    if not starting.update(status=Request.Status.PROVISIONED if begun else Request.Status.REVOKED):
        return False
    if begun:  # what ended it before has its own event
        record_about("assignment.started", request, actor=actor)
    return True


def record_about(action: str, request: Request, *, actor: User | None, justification: str = "", **facts: Any) -> None:
    record(
        action,
        actor=actor,
        target=request,
        subject=request.holder,
        role=request.role,
        scope=request.scope,
        request=request,
        ticket=request.ticket_text,
        justification=justification,
        **facts,
    )
