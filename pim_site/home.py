"""What somebody holds, waits for and may ask for: the rows of the first page."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from accounts.forms import passkeys_of
from accounts.models import User
from approvals.models import Favourite, Request, RoleSet
from assignments.models import ActiveAssignment, AnyAssignment, EligibleAssignment
from assignments.rules import NOTICE, can_extend, can_prolong
from roles.models import RoleSettings

Settings = dict[tuple[UUID, UUID], RoleSettings]
# Each word of a search is a condition of its own, and a database takes only so many.
MOST_WORDS = 10


@dataclass(frozen=True)
class Eligible:
    """An eligibility, what using it takes, and what stands in the way of using it now."""

    assignment: EligibleAssignment
    settings: RoleSettings
    state: str
    active: ActiveAssignment | None
    pending: Request | None
    extends: bool
    pinned: bool

    @property
    def is_free(self) -> bool:
        """Can it be asked for now?"""
        return self.state == "active" and not self.pending and not self.active


@dataclass(frozen=True)
class Waiting:
    """A request, and the settings that say who decides it."""

    request: Request
    settings: RoleSettings


def overview(user: User, *, words: str, at: datetime) -> dict[str, Any]:
    """Return the rows of `user`'s first page; the number of queries does not depend on how many there are.

    Args:
        words: what role or scope must contain to be among the eligible ones; empty for all.
    """
    held = ActiveAssignment.objects.reaching(user, at).described().order_by("starts_at")
    active, later = list(held.in_force(at)), list(held.scheduled(at))
    requests = list(_open_requests(user, at))
    eligible = list(_matching(EligibleAssignment.objects.reaching(user, at).lasting(at).described(), words))
    pending = [request for request in requests if request.is_undecided]
    asked = [request for request in requests if request.waits_for_administrator]
    about = {request.assignment.pk for request in asked if request.assignment}
    about |= {request.prolongs_id for request in pending if request.prolongs_id}
    places = [(row.role, row.scope) for row in eligible]
    settings = RoleSettings.objects.applying_to_each(
        [*places, *((request.role, request.settings.scope) for request in pending)]
    )
    rows = _eligible(eligible, settings, [*active, *later], pending, user, about, at)
    strict = any(each.phishing_resistant_required for each in settings.values())
    return {
        "active": active,
        "waiting": [Waiting(row, settings[row.role_id, row.settings.scope_id]) for row in pending],
        "scheduled": _scheduled(later, requests),
        "eligible": rows,
        "free": sum(row.is_free for row in rows),
        "sets": RoleSet.objects.filter(user=user).prefetch_related("entries__role", "entries__scope"),
        "asked": asked,
        "ending": [row for row in active if row.is_activated and row.ends_at and row.ends_at - at <= NOTICE],
        "extends": {row.pk for row in active if _may_extend(row, user, about, at)},
        "ended": [row for row in _ended_lately(user, at) if row.pk not in about],
        "needs_passkey": strict and not passkeys_of(user).exists(),
    }


def _open_requests(user: User, at: datetime) -> Iterable[Request]:
    open_ = Q(status__in=Request.UNDECIDED, expires_at__gt=at) | Q(
        status__in=(Request.Status.SCHEDULED, Request.Status.PENDING_ADMIN_DECISION)
    )
    own: Iterable[Request] = Request.objects.filter(open_, user=user).described().select_related("settings__scope")
    return own


def _matching(rows: Any, words: str) -> Any:
    for word in words.split()[:MOST_WORDS]:
        rows = rows.filter(Q(role__name__icontains=word) | Q(scope__label__icontains=word))
    return rows.order_by("role__name", "scope__label")


def _scheduled(later: list[ActiveAssignment], requests: list[Request]) -> list[tuple[ActiveAssignment, Request | None]]:
    """What starts later, each with the request that it can be canceled by."""
    asked = {request.active_assignment_id: request for request in requests if request.is_cancelable}
    return [(row, asked.get(row.pk)) for row in later]


def _eligible(
    rows: list[EligibleAssignment],
    settings: Settings,
    held: list[ActiveAssignment],
    pending: list[Request],
    user: User,
    about: set[UUID],
    at: datetime,
) -> list[Eligible]:
    active = {(row.role_id, row.scope_id): row for row in held}
    asked = {request.eligible_assignment_id: request for request in pending}
    pinned = set(Favourite.objects.filter(user=user).values_list("role_id", "scope_id"))
    found = [
        Eligible(
            assignment=row,
            settings=settings[row.role_id, row.scope_id],
            state=row.state(at),
            active=active.get((row.role_id, row.scope_id)),
            pending=asked.get(row.pk),
            extends=_may_extend(row, user, about, at),
            pinned=(row.role_id, row.scope_id) in pinned,
        )
        for row in rows
    ]
    return sorted(found, key=lambda row: not row.pinned)


def _may_extend(row: AnyAssignment, user: User, about: set[UUID], at: datetime) -> bool:
    """Is it time to ask for more of what is one's own, and not asked yet?"""
    return row.user_id == user.pk and row.pk not in about and (can_extend(row, at=at) or can_prolong(row, at=at))


def _ended_lately(user: User, at: datetime) -> list[AnyAssignment]:
    """What ran out within 30 days and was not given again: it can be asked for once more. Two queries."""
    return [row for model in (EligibleAssignment, ActiveAssignment) for row in model.objects.renewable(user, at)]
