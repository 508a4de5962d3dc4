"""What becomes of a request that waits: canceled, timed out, put to others, or begun at last."""

from datetime import datetime

from django.utils.timezone import now

from accounts.authority import require
from accounts.models import User
from approvals.approvers import of_extension
from approvals.models import Request
from approvals.rules import check_cancel, check_text
from assignments import services as assignments
from assignments.models import ActiveAssignment
from audit.services import privileged
from notifications.models import Message
from notifications.services import suppress

from .activating import asking_facts, tell
from .recording import locked, record_about


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
    request = locked(request)
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
    suppress("approval_reminder", about=request)
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
        others = of_extension(request, at).exclude(pk__in=[by])
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
    suppress("approval_asked", "approval_reminder", about=request)
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
    if assignment and begun:  # what ended it before has its own event
        record_about(
            "assignment.started", request, actor=actor, target=assignment, after=assignments.recorded(assignment)
        )
    return True


@privileged("request.escalated", target="request")
def escalate(*, request: Request, actor: User | None) -> bool:
    """Ask those who are asked later. They may decide from that time on, told or not. Return False if done already.

    Raises:
        NotAllowed: only the system may.
    """
    require(actor)
    at = now()
    if not Request.objects.to_escalate(at).filter(pk=request.pk).update(escalated_at=at):
        return False
    request = Request.objects.described().get(pk=request.pk)
    told = Message.objects.filter(kind="approval_asked", about_id=request.pk, user_id__isnull=False)
    others = request.awaited(at).exclude(pk__in=told.values("user_id"))
    tell("approval_asked", request, "approver", to=others, context=asking_facts(request))
    record_about("request.escalated", request, actor=actor, after={"stage": request.stage})
    return True


@privileged("request.reminded", target="request")
def remind(*, request: Request, actor: User | None) -> bool:
    """Remind those who have not answered, once in each stage. Return False if that was done already.

    Raises:
        NotAllowed: only the system may.
    """
    require(actor)
    at = now()
    if not Request.objects.to_remind(at).filter(pk=request.pk).update(remind_at=None):
        return False
    request = Request.objects.described().get(pk=request.pk)
    tell("approval_reminder", request, "approver", to=request.awaited(at), context=asking_facts(request))
    record_about("request.reminded", request, actor=actor, after={"stage": request.stage})
    return True
