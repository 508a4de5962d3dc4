"""What people ask for when what they hold ends: to extend it, or to renew it. Administrators decide."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _

from accounts.authority import require
from accounts.models import StepUpProof, User
from approvals.approvers import of_extension
from approvals.models import Decision, Request
from approvals.rules import RequestRefused, check_administrator, check_text
from assignments import services as assignments
from assignments.models import ActiveAssignment, AnyAssignment, EligibleAssignment
from assignments.rules import (
    AssignmentRefused,
    Terms,
    can_extend,
    can_renew,
    check_longer,
    check_own,
    check_renewal,
)
from audit.services import privileged
from notifications.services import suppress
from roles.models import RoleSettings
from roles.rules import check_scope

from .activating import tell
from .assigning import kept_unless, prove_assigner, require_assigner
from .recording import record_about
from .waiting import tell_canceled


@privileged("extension.requested", target="assignment")
def self_extend(*, assignment: AnyAssignment, actor: User, justification: str, validate_only: bool = False) -> Request:
    """Ask for more time, from 14 days before the end. An administrator decides, and says until when.

    Returns:
        The request: pending_admin_decision.

    Raises:
        AssignmentRefused: ``not_own``, ``outside_window``, ``is_activated``.
        RequestRefused: ``justification_required``, ``already_pending``.
    """
    with kept_unless(validate_only):
        return _ask(Request.Action.SELF_EXTEND, assignment, actor, justification, can_extend)


@privileged("renewal.requested", target="assignment")
def self_renew(*, assignment: AnyAssignment, actor: User, justification: str, validate_only: bool = False) -> Request:
    """Ask for what has run out, up to 30 days after its end. Arguments and refusals as for `self_extend`."""
    with kept_unless(validate_only):
        return _ask(Request.Action.SELF_RENEW, assignment, actor, justification, can_renew)


def _ask(
    action: str, assignment: AnyAssignment, actor: User, justification: str, in_window: Callable[..., bool]
) -> Request:
    check_own(assignment, user=actor)
    check_text(justification, required=True)
    row = assignments.locked(assignment)
    at = now()
    if not row.holder_is_enabled or not in_window(row, at=at):
        text = _("An extension can be asked for from 14 days before the end, a renewal up to 30 days after it.")
        raise AssignmentRefused(text, code="outside_window")
    if action == Request.Action.SELF_RENEW and row.is_replaced(at):
        raise AssignmentRefused(_("You have this role again already."), code="already_assigned")
    check_scope(row.role, row.scope, refusal=AssignmentRefused)  # what is over stays behind when its scope is moved
    request = Request(
        action=action,
        status=Request.Status.PENDING_ADMIN_DECISION,
        requester=actor,
        user=actor,
        role=row.role,
        scope=row.scope,
        settings=RoleSettings.objects.applying_to(row.role, row.scope)[0],
        **{f"{row.noun}_assignment": row},
        justification=justification.strip(),
        requested_at=at,
    )
    try:
        with transaction.atomic():
            request.save(force_insert=True)
    except IntegrityError as error:
        text = _("You have asked for this already. Cancel that request first, or wait for its decision.")
        raise RequestRefused(text, code="already_pending") from error
    verb = "extension" if action == Request.Action.SELF_EXTEND else "renewal"
    record_about(f"{verb}.requested", request, actor=actor, justification=justification)
    context = {"kind_of": row.noun, "action": verb, "reason": request.justification, "ends_at": row.ends_at}
    tell("extension_asked", request, "admin", to=of_extension(request, at), context=context)
    return request


@privileged("extension.granted", target="request")
def grant_extension(
    *,
    request: Request,
    actor: User,
    justification: str,
    ends_at: datetime | None,
    starts_at: datetime | None = None,
    eligible: bool | None = None,
    proof: StepUpProof | None = None,
    session: str = "",
    validate_only: bool = False,
) -> Request:
    """Extend or renew what somebody asked for. If it has run out since they asked, it is made anew.

    Args:
        ends_at: None for a permanent one, where the settings allow it.
        starts_at: None to leave it, or for now where it is made anew.
        eligible: make it eligible (True) or active (False), whatever it was; None leaves the kind.
        proof: of the administrator's second factor, made for `grant_facts`, where it becomes active and the settings
            ask for one.
        validate_only: do all of it but ask for the proof, and then undo it.

    Returns:
        The request: provisioned or scheduled, with the assignment that came of it.

    Raises:
        NotAllowed. DecisionRefused: ``own_request``, ``already_decided``. RequestRefused: ``justification_required``.
        AssignmentRefused: ``already_ended``, ``outside_window``, and what the settings forbid. StepUpRefused.
    """
    with kept_unless(validate_only):
        request, row = _to_decide(request, actor, justification)
        eligible = row.noun == "eligible" if eligible is None else eligible
        require_assigner(actor, row.role, row.scope, eligible=eligible)
        if not eligible and not validate_only:
            dates: dict[str, Any] = {"starts_at": starts_at, "ends_at": ends_at}
            facts = grant_facts(request, eligible=eligible, justification=justification, **dates)
            settings = assignments.settings_for(row.role, row.scope)
            prove_assigner(actor, settings, proof, session=session, action="extension.granted", facts=facts)
        terms = Terms(row.holder, row.role, row.scope, starts_at, ends_at, justification)
        made = _carried_out(row, terms, eligible, actor, request)
        request.eligible_assignment = made if isinstance(made, EligibleAssignment) else None
        request.active_assignment = made if isinstance(made, ActiveAssignment) else None
        later = made.starts_at > now()
        status = Request.Status.SCHEDULED if later else Request.Status.PROVISIONED
        _settle(request, actor, Decision.Verdict.APPROVED, status, justification, after=assignments.dates_of(made))
        return request


def grant_facts(
    request: Request, *, eligible: bool, starts_at: datetime | None, ends_at: datetime | None, justification: str
) -> dict[str, Any]:
    """Return what a proof for a grant is bound to: all of what is being decided."""
    decided = {"request": request.pk, "eligible": eligible, "justification": justification}
    return decided | {"starts_at": starts_at, "ends_at": ends_at}


@privileged("extension.denied", target="request")
def deny_extension(*, request: Request, actor: User, justification: str, validate_only: bool = False) -> Request:
    """Say no to an extension or renewal. What they hold ends, or stays ended, as it was.

    Args:
        validate_only: do all of it, and then undo it.

    Raises:
        As `grant_extension`.
    """
    with kept_unless(validate_only):
        request, _row = _to_decide(request, actor, justification)
        _settle(request, actor, Decision.Verdict.DENIED, Request.Status.DENIED, justification)
        return request


def _to_decide(request: Request, actor: User, justification: str) -> tuple[Request, AnyAssignment]:
    """Lock the holder, the assignment if it is an eligibility, and the request; check that the actor may decide it."""
    require_assigner(actor, request.role, request.scope, eligible=request.active_assignment_id is None)
    assignments.lock(request.holder)
    if request.eligible_assignment_id:
        EligibleAssignment.objects.select_for_update(of=("self",), no_key=True).get(pk=request.eligible_assignment_id)
    request = Request.objects.select_for_update(of=("self",)).described().get(pk=request.pk)
    check_administrator(request, actor=actor, justification=justification)
    assert request.assignment is not None  # noqa: S101 (what waits for an administrator is about one)
    return request, assignments.locked(request.assignment)


def _carried_out(row: AnyAssignment, terms: Terms, eligible: bool, actor: User, request: Request) -> AnyAssignment:
    dates: dict[str, Any] = {"starts_at": terms.starts_at, "ends_at": terms.ends_at}
    common: dict[str, Any] = {"justification": terms.justification, "actor": actor, "request": request}
    if can_renew(row, at=now()):
        assign = assignments.assign_eligible if eligible else assignments.assign_active
        return assign(terms=terms, actor=actor, request=request)
    if row.ended_at is not None:
        check_renewal(row, at=now())
    if eligible == (row.noun == "eligible"):
        check_longer(row, terms.ends_at)
        return assignments.change(assignment=row, action="assignment.extended", **dates, **common)
    return assignments.replace_kind(assignment=row, **dates, **common)


def _settle(request: Request, actor: User, verdict: str, status: str, justification: str, **facts: Any) -> None:
    at = now()
    said = {"verdict": verdict, "justification": justification.strip(), "decided_at": at}
    Decision.objects.create(request=request, person=actor, **said)
    request.status, request.settled_at = status, at
    request.save(update_fields=["status", "settled_at", "eligible_assignment", "active_assignment"])
    suppress("extension_asked", about=request)
    made, granted = request.assignment, verdict == Decision.Verdict.APPROVED
    if granted:
        record_about("extension.granted", request, actor=actor, justification=justification, **facts)
    else:
        record_about("extension.denied", request, actor=actor, justification=justification)
    context = {
        "action": "extension" if request.action == Request.Action.SELF_EXTEND else "renewal",
        "outcome": verdict,
        "decider": str(actor),
        "justification": justification,
        "starts_at": made.starts_at if made and granted else None,
        "ends_at": made.ends_at if made and granted else None,
    }
    tell("extension_decided", request, "requestor", to=[request.person], context=context)
    others = of_extension(request, at).exclude(pk=actor.pk)
    tell("extension_decided", request, "admin", to=others, context=context)


@privileged("extension.timed_out", target="request")
def lapse(*, request: Request, actor: User | None) -> bool:
    """Close an extension or renewal that nobody decided until the end was 30 days ago. Return False if it was closed.

    Raises:
        NotAllowed: only the system may.
    """
    require(actor)
    at = now()
    request = Request.objects.select_for_update(of=("self",)).described().get(pk=request.pk)
    if not Request.objects.lapsed(at).filter(pk=request.pk).exists():
        return False
    request.status, request.settled_at = Request.Status.TIMED_OUT, at
    request.save(update_fields=["status", "settled_at"])
    suppress("extension_asked", about=request)
    record_about("extension.timed_out", request, actor=actor)
    tell("request_timed_out", request, "requestor", to=[request.person], context={"asked_at": request.requested_at})
    return True


def close_asked(row: AnyAssignment, *, actor: User | None) -> None:
    """Close what its holder asked about an assignment, because an administrator has just decided about it otherwise."""
    for request in Request.objects.extending(row).select_for_update(of=("self",)).described():
        waited_for, at = request.status, now()
        request.status, request.settled_at = Request.Status.CANCELED, at
        request.save(update_fields=["status", "settled_at"])
        record_about("request.canceled", request, actor=actor)
        tell_canceled(request, actor, waited_for=waited_for, at=at)
