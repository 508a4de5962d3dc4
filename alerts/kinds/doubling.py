"""Roles that are there twice."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, Min, QuerySet, TextField
from django.db.models.functions import Cast, Coalesce
from django.utils.translation import gettext_lazy as _

from alerts.models import MOST
from alerts.registry import Finding, Severity, Threshold, alert
from assignments.models import ActiveAssignment, AssignmentQuerySet, EligibleAssignment
from roles.models import Role

# Of each role something, by its key.
Facts = dict[UUID, Any]


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
    alike = _alike([role for role in _roles() if _number(looks, role) >= count], looks)
    marks = [_marks(each, [role for several in alike for role in several]) for each in rows]
    same = [found for several in alike for found in _alike(several, marks)]
    pairs = sorted((f"{first.pk}:{other.pk}", first, other) for first, *others in same for other in others)
    for key, first, other in pairs[: MOST + 1]:
        facts = {"role": str(first), "other": str(other), "scope": str(first.resource)}
        yield Finding(key, first, facts | {"count": _number(looks, first)})


def _roles() -> QuerySet[Role]:
    ordinary = Role.objects.filter(built_in_key=None, group_part="").select_related("resource")
    return ordinary.prefetch_related("permissions").order_by("pk")


def _alike(roles: Iterable[Role], facts: list[Facts]) -> list[list[Role]]:
    """Return those of the roles that give the same, and of which both facts are the same, two and more together."""
    kinds: dict[Any, list[Role]] = defaultdict(list)
    for role in roles:
        gives = (role.resource_id, role.owns_resource, frozenset(each.pk for each in role.permissions.all()))
        kinds[gives, *(each.get(role.pk) for each in facts)].append(role)
    return [several for several in kinds.values() if len(several) > 1]


def _looks(rows: AssignmentQuerySet) -> Facts:
    """Return of each role how many hold it, and the first and last of them: enough to know most roles apart."""
    holder = Cast(Coalesce("user", "group"), TextField())
    groups = rows.order_by().values_list("role").annotate(number=Count("pk"), first=Min(holder), last=Max(holder))
    return {role: tuple(facts) for role, *facts in groups}


def _number(looks: list[Facts], role: Role) -> int:
    return sum(each[role.pk][0] for each in looks if role.pk in each)


def _marks(rows: AssignmentQuerySet, roles: list[Role]) -> Facts:
    """Return of each role what its holders and their scopes come to: the same number for the same set."""
    marks: Facts = defaultdict(int)
    held = rows.filter(role__in=roles).order_by().values_list("role", "user", "group", "scope")
    for role, *holding in held.iterator(chunk_size=5000):
        marks[role] ^= hash(tuple(holding))
    return marks
