"""Other dates, or the other kind, for an assignment that there is."""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Model
from django.utils.timezone import now

from accounts.models import User
from assignments.models import ActiveAssignment, AnyAssignment, EligibleAssignment, holders_in_force
from assignments.rules import Terms, check_assignment, check_change, check_not_last, whole_second
from audit.services import record
from roles.models import Role

from .activation import end, lock, mail_facts, tell
from .assigning import (
    assign_active,
    assign_eligible,
    check_not_own,
    in_seconds,
    remove_eligible,
    settings_for,
)
from .stating import dates_of, recorded


@transaction.atomic(savepoint=False)
def change(
    *,
    assignment: AnyAssignment,
    action: str,
    starts_at: datetime | None,
    ends_at: datetime | None,
    justification: str,
    actor: User | None,
    request: Model | None = None,
) -> AnyAssignment:
    """Give an assignment other dates. How long it may last is counted from now, or from a start yet to come.

    Args:
        action: of the event, "assignment.updated" or "assignment.extended".
        starts_at: None to leave it as it is; another one only for what has not begun.
        ends_at: None for a permanent one.

    Raises:
        AssignmentRefused: ``self_assignment``, ``is_activated``, ``already_ended``, ``last_administrator``, and what
        the role's settings forbid.
    """
    row = locked(assignment)
    at, before = now(), dates_of(row)
    check_not_own(row.holder, actor, at=at)
    check_change(row, starts_at=starts_at, at=at)
    start = None if row.starts_at <= at else starts_at or row.starts_at
    terms = in_seconds(Terms(row.holder, row.role, row.scope, start, ends_at, justification))
    settings = settings_for(row.role, row.scope)
    check_assignment(settings, terms, eligible=isinstance(row, EligibleAssignment), at=at)
    _redate(row, starts_at=terms.starts_at, ends_at=terms.ends_at, at=at)
    _record(action, row, before=before, actor=actor, justification=justification, request=request)
    event = f"{row.noun}_assigned"
    context = mail_facts(row) | {"kind_of": row.noun, "actor": str(actor or ""), "reason": justification}
    tell(row, settings, event, "assignment_updated", context | dates_of(row), at=at)
    return row


def locked(assignment: AnyAssignment) -> AnyAssignment:
    """Lock the holder, then the assignment; return it as it is now."""
    lock(assignment.holder)
    row: AnyAssignment = (
        type(assignment).objects.select_for_update(of=("self",), no_key=True).described().get(pk=assignment.pk)
    )
    return row


def _redate(row: AnyAssignment, *, starts_at: datetime | None, ends_at: datetime | None, at: datetime) -> None:
    sooner = ends_at is not None and (row.ends_at is None or ends_at < row.ends_at)
    if starts_at is not None:
        row.starts_at = whole_second(max(starts_at, at))
    row.ends_at, row.reminded_days = ends_at, None
    row.save(update_fields=["starts_at", "ends_at", "reminded_days"])
    if sooner and isinstance(row, EligibleAssignment):
        _shorten_activations(row, at=at)
    elif sooner:
        _check_leaves_one(row)


def _check_leaves_one(row: AnyAssignment) -> None:
    """Refuse an end at which, as things stand, nobody would hold a role that somebody must hold.

    The row of the role is the lock of the count.
    """
    if row.role.built_in_key in Role.GUARDED and row.scope.path == "/" and row.ends_at:
        role = Role.objects.select_for_update(of=("self",), no_key=True).get(pk=row.role_id)
        check_not_last(role, others=holders_in_force(str(role.built_in_key), at=row.ends_at).count())


def _shorten_activations(eligible: EligibleAssignment, *, at: datetime) -> None:
    """What was activated from it ends with it: no page may say that it lasts longer."""
    for active in eligible.activations.lasting(at).described().filter(ends_at__gt=eligible.ends_at):
        if eligible.ends_at is None or active.starts_at >= eligible.ends_at:
            end(active=active, actor=None, reason=ActiveAssignment.EndReason.ELIGIBILITY_ENDED)
            continue
        before = dates_of(active)
        active.ends_at = eligible.ends_at
        active.save(update_fields=["ends_at"])
        _record("assignment.updated", active, before=before, actor=None)


def _record(
    action: str,
    row: AnyAssignment,
    *,
    before: dict[str, Any],
    actor: User | None,
    **facts: Any,
) -> None:
    common: dict[str, Any] = {"subject": row.holder, "role": row.role, "scope": row.scope}
    record(action, actor=actor, target=row, before=before, after=recorded(row), **common, **facts)


@transaction.atomic(savepoint=False)
def replace_kind(
    *,
    assignment: AnyAssignment,
    starts_at: datetime | None,
    ends_at: datetime | None,
    justification: str,
    actor: User | None,
    request: Model | None = None,
) -> AnyAssignment:
    """Make it eligible instead of active, or active instead of eligible: first the new one, then the old one ends.

    Raises:
        AssignmentRefused: as `change`; ``already_assigned``.
    """
    row = locked(assignment)
    check_not_own(row.holder, actor, at=now())
    check_change(row, starts_at=None, at=now())
    terms = Terms(row.holder, row.role, row.scope, starts_at, ends_at, justification)
    common: dict[str, Any] = {"actor": actor, "justification": justification, "request": request}
    if isinstance(row, ActiveAssignment):
        made: AnyAssignment = assign_eligible(terms=terms, actor=actor, request=request)
        end(active=row, reason=ActiveAssignment.EndReason.REMOVED, **common)
    else:
        made = assign_active(terms=terms, actor=actor, request=request)
        remove_eligible(eligible=row, **common)
    return made
