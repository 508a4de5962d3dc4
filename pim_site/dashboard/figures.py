"""The questions behind the dashboard. Each is one statement, or two, whatever there is; none asks the audit.

What is counted by days comes back as one row for each day and group, however many assignments there were.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import (
    Case,
    Count,
    DateField,
    DurationField,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    UUIDField,
    Value,
    When,
    Window,
)
from django.db.models import DateTimeField as Moment
from django.db.models.functions import Coalesce, Least, RowNumber

from approvals.models import Decision
from assignments.models import ActiveAssignment, EligibleAssignment
from assignments.rules import EXTEND_WINDOW
from roles.models import Role

from .period import Period

# Per bucket and role; None stands for all the other roles.
ByRole = dict[tuple[date, UUID | None], int]


def most_activated(period: Period, number: int) -> dict[Role, int]:
    """Return the roles that were activated most, with how often."""
    rows = _began(period).values("role").annotate(number=Count("*"))
    return _named({row["role"]: row["number"] for row in rows.order_by("-number", "role")[:number]})


def activated_by_role(period: Period, roles: Iterable[Role]) -> ByRole:
    """Return how often each of these roles was activated in each bucket, and all others together."""
    named = [When(role=role.pk, then=Value(role.pk, output_field=UUIDField())) for role in roles]
    which = Case(*named, default=None, output_field=UUIDField())
    rows = _began(period).annotate(bucket=period.bucket_of("starts_at"), which=which)
    counted = rows.values("bucket", "which").annotate(number=Count("*")).order_by()
    return {(row["bucket"], row["which"]): row["number"] for row in counted}


def _began(period: Period) -> Any:
    return ActiveAssignment.objects.activated_between(period.starts_at, period.at).order_by()


@dataclass(frozen=True)
class Split:
    """How many assignments of a kind are in force, by what holds them."""

    people: int
    groups: int


def eligible_split(at: datetime) -> Split:
    return Split(**EligibleAssignment.objects.in_force(at).order_by().aggregate(**_by_holder()))


def active_split(at: datetime) -> dict[str, Split]:
    """Return what is in force as active: ``activated``, ``ending`` (assigned until a day) and ``permanent``."""
    kinds = {
        "activated": Q(eligible_assignment__isnull=False),
        "ending": Q(eligible_assignment=None, ends_at__isnull=False),
        "permanent": Q(eligible_assignment=None, ends_at=None),
    }
    wanted = {
        f"{kind}_{holder}": Count("pk", filter=which & has)
        for kind, which in kinds.items()
        for holder, has in _HOLDERS.items()
    }
    found = ActiveAssignment.objects.in_force(at).order_by().aggregate(**wanted)
    return {kind: Split(found[f"{kind}_people"], found[f"{kind}_groups"]) for kind in kinds}


_HOLDERS = {"people": Q(user__isnull=False), "groups": Q(group__isnull=False)}


def _by_holder() -> dict[str, Count]:
    return {name: Count("pk", filter=has) for name, has in _HOLDERS.items()}


def most_held(at: datetime, number: int) -> list[tuple[Role, int, int]]:
    """Return the roles with the most eligible and standing assignments, and how many there are of each kind."""
    eligible = _held_by_role(EligibleAssignment.objects.in_force(at))
    standing = _held_by_role(ActiveAssignment.objects.in_force(at).assigned())
    most = sorted((eligible + standing).items(), key=lambda each: (-each[1], each[0]))[:number]
    return [(role, eligible[role.pk], standing[role.pk]) for role in _named(dict(most))]


def _held_by_role(rows: Any) -> Counter[UUID]:
    return Counter({row["role"]: row["number"] for row in rows.order_by().values("role").annotate(number=Count("pk"))})


def _named(numbers: dict[UUID, int]) -> dict[Role, int]:
    roles = Role.objects.in_bulk(list(numbers))
    return {roles[key]: number for key, number in numbers.items()}


def answered_in(period: Period) -> dict[date | None, timedelta]:
    """Return the median time from asking to the last answer, of what was asked in each bucket; by None, of all of it.

    Only what people answered counts, and only what needs no further answer.
    """
    rows = _answered(period)
    by_bucket = _medians(rows.annotate(bucket=period.bucket_of("request__requested_at")), ["bucket"])
    return {row.get("bucket"): median for row, median in (*by_bucket, *_medians(rows, []))}


def _answered(period: Period) -> Any:
    """Return the decisions that closed a request."""
    later = Decision.objects.filter(request=OuterRef("request"), decided_at__gt=OuterRef("decided_at"))
    rows = Decision.objects.filter(
        ~Exists(later),
        person__isnull=False,
        request__requested_at__gte=period.starts_at,
        request__requested_at__lt=period.at,
    )
    wait = ExpressionWrapper(F("decided_at") - F("request__requested_at"), output_field=DurationField())
    return rows.exclude(request__status="pending_approval").annotate(wait=wait).order_by()


def _medians(rows: Any, by: list[str]) -> list[tuple[dict[str, Any], timedelta]]:
    """Return the median of `wait` in each group, with the group. Of an even number, the mean of the middle two."""
    ranked = rows.annotate(
        rank=Window(RowNumber(), partition_by=by or None, order_by=["wait", "pk"]),
        size=Window(Count("pk"), partition_by=by or None),
    )
    # The middle one, or two: twice its rank is within one of the number and its successor.
    middle = ranked.annotate(off=F("rank") * 2 - F("size")).filter(off__gte=0, off__lte=2)
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in middle.values(*by, "wait"):
        found.setdefault(tuple(row[name] for name in by), []).append(row)
    return [(group[0], sum((row["wait"] for row in group), timedelta()) / len(group)) for group in found.values()]


def standing_privileged(period: Period) -> dict[date, int]:
    """Return how many assignments of privileged roles stood, unactivated, at the end of each bucket (of the last: now).

    Privileged are the roles that are so today.
    """
    over = Coalesce(Least("ended_at", "ends_at"), "ended_at", "ends_at", output_field=Moment())
    rows = ActiveAssignment.objects.assigned().filter(role__is_privileged=True, starts_at__lt=period.at)
    rows = rows.annotate(over=over).filter(Q(over=None) | Q(over__gte=period.starts_at))
    began = Case(
        When(starts_at__lt=period.starts_at, then=Value(period.first)),
        default=period.bucket_of("starts_at"),
        output_field=DateField(),
    )
    ended = Case(When(over__lte=period.at, then=period.bucket_of("over")), default=None, output_field=DateField())
    spans = rows.annotate(began=began, ended=ended).order_by().values("began", "ended").annotate(number=Count("pk"))
    found = [(row["began"], row["ended"], row["number"]) for row in spans]
    return {
        bucket: sum(number for began, ended, number in found if began <= bucket and not (ended and ended <= bucket))
        for bucket in period.buckets
    }


def ending_soon(period: Period) -> dict[str, dict[date, int]]:
    """Return how many ``eligible`` and (assigned) ``active`` ones end on each of the next days."""
    return {
        "eligible": _ending(EligibleAssignment.objects.in_force(period.at), period),
        "active": _ending(ActiveAssignment.objects.in_force(period.at).assigned(), period),
    }


def _ending(rows: Any, period: Period) -> dict[date, int]:
    soon = rows.filter(ends_at__lte=period.at + EXTEND_WINDOW)
    days = soon.annotate(day=Period(1, period.at).bucket_of("ends_at")).order_by().values("day")
    return {row["day"]: row["number"] for row in days.annotate(number=Count("pk"))}
