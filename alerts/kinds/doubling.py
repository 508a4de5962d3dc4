"""Roles that are there twice."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, Min, TextField
from django.db.models.functions import Cast, Coalesce
from django.utils.translation import gettext_lazy as _

from alerts.models import MOST
from alerts.registry import Finding, Severity, Threshold, alert
from assignments.models import ActiveAssignment, AssignmentQuerySet, EligibleAssignment
from roles.models import Role

Looks = dict[UUID, tuple[Any, ...]]


@alert(
    "duplicate_roles",
    severity=Severity.LOW,
    title=_("Duplicate roles"),
    why=_(
        "What is removed under one name stays under the other, and the role with the weaker settings is the way around "
        "the stronger ones."
    ),
    advice=_("Keep one: remove the assignments of the other, then delete it."),
    sentence=_("%(role)s and %(other)s at %(scope)s give the same rights here to the same %(count)s holders."),
    thresholds=(Threshold("count", _("From so many holders on"), default=5, low=1, high=1000),),
)
def duplicate_roles(at: datetime, *, count: int) -> Iterator[Finding]:
    """Two roles of one place, with the same rights in this site (most have none: theirs are in other systems), whose
    holders are the same people and groups at the same scopes, eligible and active alike.
    """
    rows = [EligibleAssignment.objects.in_force(at), ActiveAssignment.objects.in_force(at).assigned()]
    looks = [_looks(each) for each in rows]
    pairs = sorted(_alike(looks, count), key=lambda pair: f"{pair[0].pk}:{pair[1].pk}")
    for first, other in islice((pair for pair in pairs if _is_same(rows, *pair)), MOST + 1):
        facts = {"role": str(first), "other": str(other), "scope": str(first.resource)}
        yield Finding(f"{first.pk}:{other.pk}", first, facts | {"count": _number(looks, first)})


def _looks(rows: AssignmentQuerySet) -> Looks:
    """Return of each role how many hold it, and the first and last of them: what is compared before all is."""
    holder = Cast(Coalesce("user", "group"), TextField())
    groups = rows.order_by().values_list("role").annotate(number=Count("pk"), first=Min(holder), last=Max(holder))
    return {role: facts for role, *facts in groups}


def _number(looks: list[Looks], role: Role) -> int:
    return sum(each[role.pk][0] for each in looks if role.pk in each)


def _alike(looks: list[Looks], count: int) -> Iterator[tuple[Role, Role]]:
    """Yield roles that look the same: the first of each kind with each other one."""
    ordinary = Role.objects.filter(built_in_key=None, group_part="").select_related("resource")
    kinds: dict[Any, list[Role]] = defaultdict(list)
    for role in ordinary.prefetch_related("permissions").order_by("pk"):
        if _number(looks, role) >= count:
            gives = (role.resource_id, role.owns_resource, frozenset(each.pk for each in role.permissions.all()))
            kinds[gives, *(tuple(each.get(role.pk, ())) for each in looks)].append(role)
    return ((first, other) for first, *others in kinds.values() for other in others)


def _is_same(rows: list[AssignmentQuerySet], first: Role, other: Role) -> bool:
    """Are the holders of two roles the same? They are as many, so one direction is enough."""
    held = ("user", "group", "scope")
    return not any(
        each.filter(role=first)
        .order_by()
        .values_list(*held)
        .difference(each.filter(role=other).order_by().values_list(*held))
        .exists()
        for each in rows
    )
