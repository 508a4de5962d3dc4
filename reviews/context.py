"""What a reviewer wants to know of a person besides what they are asked about."""

from collections import defaultdict
from datetime import datetime
from typing import Any

from assignments.models import ActiveAssignment, EligibleAssignment

from .models import Instance, Item
from .walk import in_reach

# Who holds more than this is looked at in the console.
NAMED = 5


def others_of(review: Instance, items: list[Item], at: datetime) -> list[tuple[Item, list[str], int]]:
    """Return each item of a review with what its person holds besides: some in words, and how many more.

    In a series of owners only what is in their reach. Two statements.
    """
    users = {item.user_id for item in items}
    held: dict[Any, dict[tuple[Any, Any], str]] = defaultdict(dict)
    for model in (EligibleAssignment, ActiveAssignment):
        rows: Any = model.objects.lasting(at).assigned().filter(in_reach(review.definition), user__in=users)
        for row in rows.select_related("role", "scope").order_by("role__name", "pk"):
            held[row.user_id][row.role_id, row.scope_id] = f"{row.role} · {row.scope}"
    return [(item, *_besides(item, held[item.user_id])) for item in items]


def _besides(item: Item, held: dict[tuple[Any, Any], str]) -> tuple[list[str], int]:
    names = [name for place, name in held.items() if place != (item.role_id, item.scope_id)]
    return names[:NAMED], max(0, len(names) - NAMED)
