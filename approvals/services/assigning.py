"""What administrators do: make assignments and take them away."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _

from accounts.authority import require
from accounts.models import Group, StepUpProof, User
from accounts.services import consume
from approvals.models import Request
from approvals.rules import check_text
from assignments import services as assignments
from assignments.models import ActiveAssignment, EligibleAssignment
from assignments.rules import AssignmentRefused, Terms
from assignments.services.assigning import settings_for
from audit.services import privileged
from roles.models import Resource, Role, RoleSettings
from roles.rules import check_scope

# What takes away, or gives up, what somebody holds.
TAKING = (Request.Action.ADMIN_REMOVE, Request.Action.SELF_DEACTIVATE)


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
    validate_only: bool = False,
) -> Request:
    """Make somebody eligible for a role. Helpdesk staff may, for roles that are not privileged.

    Args:
        holder: a person, or a group whose members may activate it, each for themselves.
        scope: the role's resource or one beneath.
        starts_at: None for now.
        ends_at: None for a permanent assignment, where the settings allow one.
        actor: None for the system.
        validate_only: do all of it, and then undo it.

    Returns:
        The request, with `eligible_assignment`.

    Raises:
        NotAllowed. AssignmentRefused: see `assignments.rules`.
    """
    require_assigner(actor, role, scope, eligible=True)
    terms = Terms(holder, role, scope, starts_at, ends_at, justification)
    with kept_unless(validate_only):
        request = settled_request(Request.Action.ADMIN_ASSIGN, actor, terms)
        request.eligible_assignment = assignments.assign_eligible(terms=terms, actor=actor, request=request)
        return saved(request, request.eligible_assignment)


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
    validate_only: bool = False,
) -> Request:
    """Give somebody a role that needs no activation. Arguments as for `assign_eligible`.

    Args:
        proof: of the administrator's second factor, made for `assign_facts`, where the settings ask for it.
        session: the sign-in session that the proof was made in.
        validate_only: do all of it but ask for the proof, and then undo it.

    Returns:
        The request, with `active_assignment`.

    Raises:
        NotAllowed. AssignmentRefused. StepUpRefused: ``mfa_required``.
    """
    require_assigner(actor, role, scope, eligible=False)
    terms = Terms(holder, role, scope, starts_at, ends_at, justification)
    with kept_unless(validate_only):
        request = settled_request(Request.Action.ADMIN_ASSIGN, actor, terms)
        if not validate_only:
            made_for: dict[str, Any] = {"action": "active.assigned", "facts": assign_facts(terms)}
            request.proved_with = prove_assigner(actor, request.settings, proof, session=session, **made_for)
        request.active_assignment = assignments.assign_active(terms=terms, actor=actor, request=request)
        return saved(request, request.active_assignment)


def require_assigner(actor: User | None, role: Role, scope: Resource, *, eligible: bool) -> None:
    """Refuse unless the actor may give this role. Helpdesk staff make eligible, for roles that are not privileged.

    Args:
        scope: where its owners may give it as well.
    """
    place = EligibleAssignment(role=role, scope=scope)
    if not eligible:
        require(actor, "assignments.assign_active", at=place)
        return
    ordinary = () if role.is_privileged else ("assignments.assign_ordinary_eligible",)
    require(actor, "assignments.assign_eligible", *ordinary, at=place)


def prove_assigner(
    actor: User | None,
    settings: RoleSettings,
    proof: StepUpProof | None,
    *,
    session: str,
    action: str,
    facts: dict[str, Any],
) -> str:
    """Take the administrator's proof, where the settings ask for one when a role is given as active.

    Returns:
        What it was proved with; nothing where nothing was asked.

    Raises:
        StepUpRefused: ``mfa_required``.
    """
    if actor is None or not settings.assign_active_mfa_required:
        return ""
    return consume(proof, user=actor, session=session, action=action, **facts).method


def assign_facts(terms: Terms) -> dict[str, Any]:
    """Return what a proof for an active assignment is bound to: all of what is being asked."""
    things = {"holder": terms.holder.pk, "role": terms.role.pk, "scope": terms.scope.pk}
    return things | {"starts_at": terms.starts_at, "ends_at": terms.ends_at, "justification": terms.justification}


@contextmanager
def kept_unless(validate_only: bool) -> Iterator[None]:
    """Undo in the end what was done in this block, if all that was wanted was to know whether it can be done."""
    with transaction.atomic(savepoint=validate_only):
        yield
        if validate_only:
            transaction.set_rollback(True)


def settled_request(action: str, actor: User | None, terms: Terms, **links: Any) -> Request:
    """Return the record of what needs nobody's yes. Save it when it is done: it may yet be refused, and a row that
    points at the holder before the holder is locked makes two of these wait for each other.
    """
    assigned = action == Request.Action.ADMIN_ASSIGN
    given_up = action == Request.Action.SELF_DEACTIVATE
    check_text(terms.justification, required=actor is not None and not (assigned or given_up))
    check_scope(terms.role, terms.scope, refusal=AssignmentRefused)
    at, settings = now(), settings_for(terms.role, terms.scope)
    if settings._state.adding:
        raise AssignmentRefused(_("This role was deleted meanwhile. Choose another."), code="role_deleted")
    return Request(
        action=action,
        status=Request.Status.REVOKED if action in TAKING else Request.Status.PROVISIONED,
        requester=actor,
        **{"group" if isinstance(terms.holder, Group) else "user": terms.holder},
        role=terms.role,
        scope=terms.scope,
        settings=settings,
        starts_at=terms.starts_at,
        ends_at=terms.ends_at,
        justification=terms.justification.strip(),
        requested_at=at,
        settled_at=at,
        **links,
    )


def saved(request: Request, made: ActiveAssignment | EligibleAssignment) -> Request:
    if made.starts_at > made.created_at:
        request.status = Request.Status.SCHEDULED
    request.save(force_insert=True)
    return request
