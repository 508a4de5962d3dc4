"""Those who own places and groups: how many they are, and whether for good."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import Count, Q
from django.utils.translation import gettext_lazy as _

from alerts.models import MOST
from alerts.registry import Finding, Severity, Threshold, alert
from assignments.models import ActiveAssignment, AssignmentQuerySet, EligibleAssignment
from assignments.ownership import OWNING

from .repairs import MAKE_ELIGIBLE, REMOVE, of_assignment

Counts = dict[Any, int]
ORDINARY = Q(user=None) | Q(user__is_emergency_access=False)


def _given(at: datetime) -> list[AssignmentQuerySet]:
    rows = (EligibleAssignment.objects.in_force(at), ActiveAssignment.objects.in_force(at).assigned())
    return [each.filter(ORDINARY) for each in rows]


def _by_scope(rows: list[AssignmentQuerySet], at_least: int = 1) -> Counts:
    """Return how many assignments there are at each scope with so many; one statement for each kind."""
    counts: Counts = {}
    for each in rows:
        for scope, number in each.order_by().values_list("scope").annotate(number=Count("pk")):
            counts[scope] = counts.get(scope, 0) + number
    return {scope: number for scope, number in counts.items() if number >= at_least}


def _crowded(part: Counts, whole: Counts, share: int) -> dict[Any, dict[str, int]]:
    """Return the facts of each scope at which the share of the part is reached."""
    shares = {scope: number * 100 // max(1, whole[scope]) for scope, number in part.items()}
    return {
        scope: {"count": number, "share": shares[scope]} for scope, number in part.items() if shares[scope] >= share
    }


def _listed(rows: list[AssignmentQuerySet], crowded: dict[Any, dict[str, int]]) -> Iterator[Finding]:
    found = [row for each in rows for row in each.filter(scope__in=crowded).described().order_by("pk")[: MOST + 1]]
    for row in sorted(found, key=lambda row: str(row.pk)):
        yield of_assignment(row, **crowded[row.scope_id])


@alert(
    "too_many_owners",
    severity=Severity.MEDIUM,
    title=_("Too many owners"),
    why=_("Owners give roles to others. Where many do, nobody knows who has what, and why."),
    advice=_("Keep two or three who answer for it, and remove the others."),
    sentence=_("%(holder)s is one of %(count)s owners at %(scope)s (%(share)s %% of its assignments)."),
    thresholds=(
        Threshold("count", _("From so many owners of a place or group on"), default=5, low=2, high=100),
        Threshold("share", _("and from this share of its assignments on, in percent"), default=0, low=0, high=100),
    ),
    repair=REMOVE,
)
def too_many_owners(at: datetime, *, count: int, share: int) -> Iterator[Finding]:
    """Eligible and active ones count. Both thresholds must be reached."""
    given = _given(at)
    owners = [rows.filter(OWNING) for rows in given]
    part = _by_scope(owners, at_least=count)
    whole = _by_scope([rows.filter(scope__in=part) for rows in given])
    yield from _listed(owners, _crowded(part, whole, share))


@alert(
    "too_many_permanent_owners",
    severity=Severity.MEDIUM,
    title=_("Too many permanent owners"),
    why=_("Who owns a place for good, without activating it, is never asked whether that is still needed."),
    advice=_("Make them eligible instead; one who is always there is enough."),
    sentence=_("%(holder)s is one of %(count)s permanent owners at %(scope)s (%(share)s %% of its owners)."),
    thresholds=(
        Threshold("count", _("From so many permanent owners of a place or group on"), default=3, low=1, high=100),
        Threshold("share", _("and from this share of its owners on, in percent"), default=0, low=0, high=100),
    ),
    repair=MAKE_ELIGIBLE,
)
def too_many_permanent_owners(at: datetime, *, count: int, share: int) -> Iterator[Finding]:
    """Permanent is what is active, was not activated and has no end. Both thresholds must be reached."""
    owners = [rows.filter(OWNING) for rows in _given(at)]
    permanent = [owners[1].filter(ends_at=None)]
    part = _by_scope(permanent, at_least=count)
    yield from _listed(permanent, _crowded(part, _by_scope(owners), share))
