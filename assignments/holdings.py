"""What somebody holds, and how they came to it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from accounts.models import Group, User
from roles.models import Resource

from .models import ActiveAssignment, EligibleAssignment


@dataclass(frozen=True)
class Holding:
    """An assignment that reaches a person.

    Attributes:
        group: through which it reaches them; None: it is their own.
        for_a_time: they are a member of that group by a role, and not standing.
    """

    assignment: ActiveAssignment | EligibleAssignment
    group: Group | None
    for_a_time: bool

    @property
    def is_activated(self) -> bool:
        return isinstance(self.assignment, ActiveAssignment) and self.assignment.is_activated


def active_holdings(user: User, at: datetime, scope: Resource | None = None) -> list[Holding]:
    """Return what a person holds in force, in two statements whatever there is.

    Args:
        scope: where it must count: what is held there or at anything above; None: anywhere.
    """
    return _holdings(ActiveAssignment.objects.held_by(user, at), user, scope)


def eligible_holdings(user: User, at: datetime, scope: Resource | None = None) -> list[Holding]:
    """Return what a person may activate. Arguments and cost as for `active_holdings`."""
    return _holdings(EligibleAssignment.objects.held_by(user, at), user, scope)


def _holdings(rows: Any, user: User, scope: Resource | None) -> list[Holding]:
    if scope is not None:
        rows = rows.counting_at(scope)
    standing = set(user.member_groups.values_list("pk", flat=True))
    return [_holding(row, standing) for row in rows.described().order_by("role__name", "scope__label", "pk")]


def _holding(row: ActiveAssignment | EligibleAssignment, standing: set[UUID]) -> Holding:
    eligible = row.eligible_assignment if isinstance(row, ActiveAssignment) else None
    group = row.group or (eligible.group if eligible else None)
    return Holding(row, group, for_a_time=group is not None and group.pk not in standing)
