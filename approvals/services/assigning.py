"""What administrators do: make assignments and take them away."""

from datetime import datetime
from typing import Any

from django.utils.timezone import now

from accounts.authority import require
from accounts.models import Group, StepUpProof, User
from accounts.services import consume
from approvals.models import Request
from approvals.rules import check_text
from assignments import services as assignments
from assignments.models import ActiveAssignment, EligibleAssignment
from assignments.rules import AssignmentRefused
from audit.services import privileged
from roles.models import Resource, Role, RoleSettings
from roles.rules import check_scope


@privileged("eligible.assigned", target="role")
def assign_eligible(
    *,
    holder: User | Group,
    role: Role,
    scope: Resource,
    actor: User | None,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    justification: str = "",
) -> Request:
    """Make somebody eligible for a role. Helpdesk staff may, for roles that are not privileged.

    Args:
        holder: a person, or a group whose members may activate it, each for themselves.
        scope: the role's resource or one beneath.
        starts_at: None for now.
        ends_at: None for a permanent assignment, where the settings allow one.
        actor: None for the system.

    Returns:
        The request, with `eligible_assignment`.

    Raises:
        NotAllowed. AssignmentRefused: see `assignments.rules`.
    """
    ordinary = () if role.is_privileged else ("assignments.assign_ordinary_eligible",)
    require(actor, "assignments.assign_eligible", *ordinary)
    request = settled_request(
        Request.Action.ADMIN_ASSIGN, actor, holder, role, scope, justification, starts_at, ends_at
    )
    request.eligible_assignment = assignments.assign_eligible(**_made(request, actor))
    return _saved(request, request.eligible_assignment)


@privileged("active.assigned", target="role")
def assign_active(
    *,
    holder: User | Group,
    role: Role,
    scope: Resource,
    actor: User | None,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    justification: str = "",
    proof: StepUpProof | None = None,
    session: str = "",
) -> Request:
    """Give somebody a role that needs no activation. Arguments as for `assign_eligible`.

    Args:
        proof: of the administrator's second factor, made for `assign_facts`, where the settings ask for it.

    Returns:
        The request, with `active_assignment`.

    Raises:
        NotAllowed. AssignmentRefused. StepUpRefused: ``mfa_required``.
    """
    require(actor, "assignments.assign_active")
    request = settled_request(
        Request.Action.ADMIN_ASSIGN, actor, holder, role, scope, justification, starts_at, ends_at
    )
    if actor is not None and request.settings.assign_active_mfa_required:
        facts = assign_facts(
            holder=holder, role=role, scope=scope, starts_at=starts_at, ends_at=ends_at, justification=justification
        )
        proved = consume(proof, user=actor, session=session, action="active.assigned", **facts)
        request.proved_with = proved.method
    request.active_assignment = assignments.assign_active(**_made(request, actor))
    return _saved(request, request.active_assignment)


def assign_facts(
    *,
    holder: User | Group,
    role: Role,
    scope: Resource,
    starts_at: datetime | None,
    ends_at: datetime | None,
    justification: str,
) -> dict[str, Any]:
    """Return what a proof for an active assignment is bound to: all of what is being asked."""
    return {
        "holder": holder.pk,
        "role": role.pk,
        "scope": scope.pk,
        "starts_at": starts_at,
        "ends_at": ends_at,
        "justification": justification,
    }


def settled_request(
    action: str,
    actor: User | None,
    holder: User | Group,
    role: Role,
    scope: Resource,
    justification: str,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    **links: Any,
) -> Request:
    """Return the record of what needs nobody's yes. Save it when it is done: it may yet be refused, and a row that
    points at the holder before the holder is locked makes two of these wait for each other.
    """
    check_text(justification, required=action == Request.Action.ADMIN_REMOVE and actor is not None)
    check_scope(role, scope, refusal=AssignmentRefused)
    at = now()
    assigned = action == Request.Action.ADMIN_ASSIGN
    return Request(
        action=action,
        status=Request.Status.PROVISIONED if assigned else Request.Status.REVOKED,
        requester=actor,
        **{"group" if isinstance(holder, Group) else "user": holder},
        role=role,
        scope=scope,
        settings=RoleSettings.objects.applying_to(role, scope)[0],
        starts_at=starts_at,
        ends_at=ends_at,
        justification=justification.strip(),
        requested_at=at,
        settled_at=at,
        **links,
    )


def _saved(request: Request, made: ActiveAssignment | EligibleAssignment) -> Request:
    if made.starts_at > request.requested_at:
        request.status = Request.Status.SCHEDULED
    request.save(force_insert=True)
    return request


def _made(request: Request, actor: User | None) -> dict[str, Any]:
    return {
        "holder": request.holder,
        "role": request.role,
        "scope": request.scope,
        "starts_at": request.starts_at,
        "ends_at": request.ends_at,
        "justification": request.justification,
        "actor": actor,
        "request": request,
    }


@privileged("eligible.removed", target="eligible")
def remove_eligible(*, eligible: EligibleAssignment, actor: User | None, justification: str) -> Request:
    """Take an eligibility away, and with it what was activated from it.

    Raises:
        NotAllowed. RequestRefused: ``justification_required``. AssignmentRefused: ``already_ended``,
        ``last_administrator``.
    """
    require(actor, "assignments.remove_assignment")
    action, where = Request.Action.ADMIN_REMOVE, (eligible.holder, eligible.role, eligible.scope)
    request = settled_request(action, actor, *where, justification, eligible_assignment=eligible)
    assignments.remove_eligible(eligible=eligible, actor=actor, justification=justification, request=request)
    request.save(force_insert=True)
    return request


@privileged("assignment.removed", target="active")
def remove_active(*, active: ActiveAssignment, actor: User | None, justification: str) -> Request:
    """Take an active assignment away.

    Raises:
        As `remove_eligible`.
    """
    require(actor, "assignments.remove_assignment")
    action, where = Request.Action.ADMIN_REMOVE, (active.holder, active.role, active.scope)
    request = settled_request(action, actor, *where, justification, active_assignment=active)
    reason = ActiveAssignment.EndReason.REMOVED
    assignments.end(active=active, actor=actor, reason=reason, justification=justification, request=request)
    request.save(force_insert=True)
    return request
