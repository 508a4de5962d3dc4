"""What administrators do with assignments that there are: give them other dates or the other kind, take them away."""

from datetime import datetime
from typing import Any

from django.utils.timezone import now

from accounts.authority import require
from accounts.models import StepUpProof, User
from approvals.models import Request
from assignments import services as assignments
from assignments.models import ActiveAssignment, AnyAssignment, EligibleAssignment
from assignments.rules import Terms, check_emergency, check_longer, check_renewal
from audit.services import privileged

from .assigning import kept_unless, prove_assigner, require_assigner, saved, settled_request
from .extending import close_asked
from .recording import record_about


@privileged("assignment.updated", target="assignment")
def update(
    *,
    assignment: AnyAssignment,
    actor: User | None,
    ends_at: datetime | None,
    starts_at: datetime | None = None,
    justification: str,
    proof: StepUpProof | None = None,
    session: str = "",
    validate_only: bool = False,
) -> Request:
    """Give an assignment other dates, or make it permanent or time-bound. Not an activation.

    Args:
        assignment: eligible or active, in force or scheduled.
        ends_at: None for a permanent one, where the settings allow it.
        starts_at: None to leave it; another one only for what has not begun.
        proof: of the administrator's second factor, made for `change_facts`, where it is active and the settings ask.
        session: the sign-in session that the proof was made in.
        validate_only: do all of it but ask for the proof, and then undo it.

    Returns:
        The request, with the assignment.

    Raises:
        NotAllowed. RequestRefused: ``justification_required``. AssignmentRefused: ``self_assignment``,
        ``is_activated``, ``already_ended``, ``schedule_invalid``, ``last_administrator``, and what the settings
        forbid. StepUpRefused: ``mfa_required``.
    """
    terms = _terms(assignment, starts_at, ends_at, justification)
    with kept_unless(validate_only):
        request = _begun(Request.Action.ADMIN_UPDATE, assignment, terms, actor)
        _prove(request, assignment, "assignment.updated", proof, session, validate_only)
        return _changed(request, assignment, "assignment.updated")


@privileged("assignment.extended", target="assignment")
def extend(
    *,
    assignment: AnyAssignment,
    actor: User | None,
    ends_at: datetime | None,
    justification: str,
    proof: StepUpProof | None = None,
    session: str = "",
    validate_only: bool = False,
) -> Request:
    """Let an assignment end later, or never. Arguments and refusals as for `update`; it needs nobody's yes."""
    terms = _terms(assignment, None, ends_at, justification)
    with kept_unless(validate_only):
        request = _begun(Request.Action.ADMIN_EXTEND, assignment, terms, actor)
        check_longer(assignments.locked(assignment), ends_at)
        _prove(request, assignment, "assignment.extended", proof, session, validate_only)
        return _changed(request, assignment, "assignment.extended")


@privileged("assignment.renewed", target="assignment")
def renew(
    *,
    assignment: AnyAssignment,
    actor: User | None,
    ends_at: datetime | None,
    starts_at: datetime | None = None,
    justification: str,
    proof: StepUpProof | None = None,
    session: str = "",
    validate_only: bool = False,
) -> Request:
    """Make anew what has run out within the last 30 days; the old row stays as it was.

    Arguments as for `update`. Returns the request, with the new assignment.

    Raises:
        As `update`. AssignmentRefused: ``outside_window``, ``already_assigned``.
    """
    terms = _terms(assignment, starts_at, ends_at, justification)
    with kept_unless(validate_only):
        request = _begun(Request.Action.ADMIN_RENEW, assignment, terms, actor)
        _prove(request, assignment, "assignment.renewed", proof, session, validate_only)
        check_renewal(assignments.locked(assignment), at=now())
        eligible = isinstance(assignment, EligibleAssignment)
        assign = assignments.assign_eligible if eligible else assignments.assign_active
        made = assign(terms=terms, actor=actor, request=request)
        close_asked(assignment, actor=actor)
        record_about(
            "assignment.renewed",
            request,
            target=made,
            actor=request.requester,
            justification=request.justification,
            before=assignments.dates_of(assignment),
            after=assignments.recorded(made),
        )
        return saved(_with(request, made), made)


@privileged("assignment.converted", target="active")
def make_eligible(
    *,
    active: ActiveAssignment,
    actor: User | None,
    justification: str,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    emergency: bool = False,
    validate_only: bool = False,
) -> Request:
    """Make somebody eligible instead of active, in one act: first eligible, then the active assignment ends.

    Args:
        starts_at: of the eligibility; None for now.
        ends_at: of the eligibility; None for a permanent one.
        emergency: mean it even for an emergency-access account.

    Returns:
        The request, with both assignments.

    Raises:
        NotAllowed. RequestRefused: ``justification_required``. AssignmentRefused: ``self_assignment``,
        ``is_activated``, ``emergency_access``, ``already_assigned``, ``already_ended``, ``last_administrator``.
    """
    require_assigner(actor, active.role, active.scope, eligible=True)
    require(actor, "assignments.remove_assignment", at=active)
    check_emergency(active.holder, meant=emergency)
    terms = _terms(active, starts_at, ends_at, justification)
    with kept_unless(validate_only):
        request = settled_request(Request.Action.ADMIN_UPDATE, actor, terms, active_assignment=active)
        common: dict[str, Any] = {"justification": justification, "actor": actor, "request": request}
        made = assignments.replace_kind(assignment=active, starts_at=starts_at, ends_at=ends_at, **common)
        close_asked(active, actor=actor)
        record_about(
            "assignment.converted",
            request,
            target=active,
            actor=request.requester,
            justification=request.justification,
            after={"eligible": str(made.pk)},
        )
        request.eligible_assignment = made if isinstance(made, EligibleAssignment) else None
        request.save(force_insert=True)
        return request


def _terms(row: AnyAssignment, starts_at: datetime | None, ends_at: datetime | None, justification: str) -> Terms:
    return Terms(row.holder, row.role, row.scope, starts_at, ends_at, justification)


def _begun(action: str, row: AnyAssignment, terms: Terms, actor: User | None) -> Request:
    require_assigner(actor, row.role, row.scope, eligible=isinstance(row, EligibleAssignment))
    return settled_request(action, actor, terms)


def _prove(
    request: Request,
    row: AnyAssignment,
    action: str,
    proof: StepUpProof | None,
    session: str,
    validate_only: bool,
) -> None:
    if validate_only or isinstance(row, EligibleAssignment):
        return
    facts = change_facts(row, starts_at=request.starts_at, ends_at=request.ends_at, justification=request.justification)
    request.proved_with = prove_assigner(
        request.requester, request.settings, proof, session=session, action=action, facts=facts
    )


def change_facts(
    row: AnyAssignment, *, ends_at: datetime | None, starts_at: datetime | None = None, justification: str
) -> dict[str, Any]:
    """Return what a proof for other dates is bound to: all of what is being asked."""
    return {
        "assignment": row.pk,
        "starts_at": starts_at,
        "ends_at": ends_at,
        "justification": justification.strip(),
    }


def _changed(request: Request, row: AnyAssignment, action: str) -> Request:
    row = assignments.change(
        assignment=row,
        action=action,
        starts_at=request.starts_at,
        ends_at=request.ends_at,
        justification=request.justification,
        actor=request.requester,
        request=request,
    )
    close_asked(row, actor=request.requester)
    _with(request, row).save(force_insert=True)
    return request


def _with(request: Request, row: AnyAssignment) -> Request:
    setattr(request, f"{row.noun}_assignment", row)
    return request


@privileged("eligible.removed", target="eligible")
def remove_eligible(
    *,
    eligible: EligibleAssignment,
    actor: User | None,
    justification: str,
    emergency: bool = False,
    validate_only: bool = False,
) -> Request:
    """Take an eligibility away, and with it what was activated from it.

    Args:
        emergency: mean it even for an emergency-access account.
        validate_only: do all of it, and then undo it.

    Raises:
        NotAllowed. RequestRefused: ``justification_required``. AssignmentRefused: ``already_ended``,
        ``emergency_access``, ``last_administrator``.
    """
    require(actor, "assignments.remove_assignment", at=eligible)
    check_emergency(eligible.holder, meant=emergency)
    terms = _terms(eligible, None, None, justification)
    with kept_unless(validate_only):
        request = settled_request(Request.Action.ADMIN_REMOVE, actor, terms, eligible_assignment=eligible)
        assignments.remove_eligible(eligible=eligible, actor=actor, justification=justification, request=request)
        request.save(force_insert=True)
        _close_made(eligible, actor=actor)
        return request


@privileged("assignment.removed", target="active")
def remove_active(
    *,
    active: ActiveAssignment,
    actor: User | None,
    justification: str,
    emergency: bool = False,
    validate_only: bool = False,
) -> Request:
    """Take an active assignment away.

    Raises:
        As `remove_eligible`.
    """
    require(actor, "assignments.remove_assignment", at=active)
    check_emergency(active.holder, meant=emergency)
    terms = _terms(active, None, None, justification)
    with kept_unless(validate_only):
        request = settled_request(Request.Action.ADMIN_REMOVE, actor, terms, active_assignment=active)
        reason = active.removal_reason(now())
        assignments.end(active=active, actor=actor, reason=reason, justification=justification, request=request)
        request.save(force_insert=True)
        _close_made(active, actor=actor)
        return request


def _close_made(row: AnyAssignment, *, actor: User | None) -> None:
    """With an assignment goes what waits about it: its start, and what its holder asked."""
    close_asked(row, actor=actor)
    made = Request.objects.filter(**{f"{row.noun}_assignment": row}, status=Request.Status.SCHEDULED)
    for request in made.exclude(action=Request.Action.SELF_ACTIVATE).select_for_update(of=("self",)).described():
        request.status, request.settled_at = Request.Status.CANCELED, now()
        request.save(update_fields=["status", "settled_at"])
        record_about("request.canceled", request, actor=actor)
