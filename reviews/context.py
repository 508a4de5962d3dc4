"""What a reviewer wants to know of an access besides what the item says: how it was come by, and what else there is."""

from collections import defaultdict
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Q
from django.utils.translation import gettext as _

from accounts.models import Group
from approvals.models import Request
from assignments.models import ActiveAssignment, EligibleAssignment

from .models import Instance, Item
from .walk import in_reach

# Who holds more than this is looked at in the console.
NAMED = 5
MODELS: tuple[Any, ...] = (EligibleAssignment, ActiveAssignment)
# What makes an assignment anew; extending one is no way to come by it.
GIVING = (
    Request.Action.ADMIN_ASSIGN,
    Request.Action.ADMIN_RENEW,
    Request.Action.ADMIN_UPDATE,
    Request.Action.SELF_RENEW,
)
# What somebody holds, in words, by what it is: a role at a scope, and the group that gives it, if one does.
Held = dict[tuple[UUID, UUID, UUID | None], str]


class Shown(NamedTuple):
    """An item as a reviewer sees it: what its person holds besides, some in words, and how many more; who gave it."""

    item: Item
    others: list[str]
    more: int
    origin: Request | None


def shown(review: Instance, items: list[Item], at: datetime) -> list[Shown]:
    """Return each item of a review with what is known besides. Five statements, however many items."""
    held, origins = _held(review, {item.user_id for item in items}, at), _origins(items)
    return [Shown(item, *_besides(item, held[item.user_id]), origins.get(_assignment(item))) for item in items]


def _assignment(item: Item) -> UUID | None:
    return item.eligible_assignment_id or item.active_assignment_id


def _origins(items: list[Item]) -> dict[UUID | None, Request]:
    """Return, by assignment, the request that it came of: the first one."""
    keys = [key for item in items if (key := _assignment(item))]
    granted = Request.objects.filter(status__in=(Request.Status.PROVISIONED, Request.Status.SCHEDULED))
    rows = granted.filter(Q(eligible_assignment__in=keys) | Q(active_assignment__in=keys), action__in=GIVING)
    found: dict[UUID | None, Request] = {}
    for row in rows.select_related("requester").order_by("requested_at"):
        for key in (row.eligible_assignment_id, row.active_assignment_id):
            found.setdefault(key, row)
    return found


def _held(review: Instance, users: set[UUID], at: datetime) -> dict[UUID, Held]:
    """Return what each of these people holds, themselves and through their groups.

    In a series of owners only what is in their reach, and nothing of groups: who is in one is not theirs to see.
    """
    groups = {} if review.definition.of_owners else _groups_of(users, at)
    held: dict[UUID, Held] = defaultdict(dict)
    for model in MODELS:
        rows = model.objects.lasting(at).assigned().filter(in_reach(review.definition))
        rows = rows.filter(Q(user__in=users) | Q(group__in=groups)).described()
        for row in rows.order_by("role__name", "pk"):
            for user in [row.user_id] if row.user_id else groups[row.group_id]:
                held[user][row.role_id, row.scope_id, row.group_id] = _words(row)
    return held


def _words(row: Any) -> str:
    access = f"{row.role} · {row.scope}"
    return _("%(access)s (through %(group)s)") % {"access": access, "group": row.group} if row.group_id else access


def _groups_of(users: set[UUID], at: datetime) -> dict[UUID, set[UUID]]:
    """Return which of these people are in which group, standing or for a time. Two statements."""
    standing: Any = Group.members.through
    carried = ActiveAssignment.objects.memberships(at).filter(user__in=users)
    found: dict[UUID, set[UUID]] = defaultdict(set)
    for group, user in standing.objects.filter(user__in=users).values_list("group", "user"):
        found[group].add(user)
    for group, user in carried.values_list("role__resource__group", "user"):
        found[group].add(user)
    return found


def _besides(item: Item, held: Held) -> tuple[list[str], int]:
    own = (item.role_id, item.scope_id, None)
    names = [name for key, name in held.items() if key != own and (key[2] is None or key[2] != item.group_id)]
    return names[:NAMED], max(0, len(names) - NAMED)
