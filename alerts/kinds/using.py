"""How roles are used: not at all, all the time, or at night."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Case, Count, Exists, IntegerField, OuterRef, Q, QuerySet, When
from django.db.models.functions import ExtractHour
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from alerts.models import MOST
from alerts.registry import Finding, Severity, Threshold, alert
from approvals.models import Request
from assignments.models import ActiveAssignment, EligibleAssignment
from roles.models import Role

from .repairs import END, REMOVE, of_assignment

GRANTED = (Request.Status.PROVISIONED, Request.Status.SCHEDULED, Request.Status.REVOKED)


@alert(
    "unused_eligible",
    severity=Severity.LOW,
    title=_("Eligible, but not used"),
    why=_("Access that nobody needs is of use to nobody but a thief."),
    advice=_("Ask the holder, then remove the assignment; it can be given again."),
    sentence=_("%(holder)s has not activated %(role)s at %(scope)s since %(since_at)s."),
    thresholds=(Threshold("days", _("Days without an activation"), default=90, low=0, high=100),),
    repair=REMOVE,
)
def unused_eligible(at: datetime, *, days: int) -> Iterator[Finding]:
    """What a group is eligible for is used when any of its members activates it."""
    since = at - timedelta(days=days)
    used = ActiveAssignment.objects.filter(eligible_assignment=OuterRef("pk"), starts_at__gt=since)
    rows = EligibleAssignment.objects.in_force(at).filter(starts_at__lte=since).exclude(Exists(used))
    rows = rows.exclude(user__is_emergency_access=True)
    for row in rows.described().order_by("pk")[: MOST + 1]:
        yield of_assignment(row, since_at=since)


@alert(
    "frequent_activations",
    severity=Severity.LOW,
    title=_("Activated too often"),
    why=_("Whoever activates a role again and again has it all the time, only with more clicks, and stops reading."),
    advice=_("Let the role be activated for longer, or ask what they do: a role that gives less may be enough."),
    sentence=_("%(holder)s activated %(role)s %(count)s times within %(hours)s hours."),
    thresholds=(
        Threshold("count", _("From so many activations on"), default=5, low=2, high=100),
        Threshold("hours", _("within so many hours"), default=24, low=1, high=720),
    ),
)
def frequent_activations(at: datetime, *, count: int, hours: int) -> Iterator[Finding]:
    """Of the same role, by the same person, wherever it counts. Nothing can be repaired here: what is over is over."""
    asked = Request.objects.filter(action=Request.Action.SELF_ACTIVATE, prolongs=None, status__in=GRANTED)
    asked = asked.filter(requested_at__gt=at - timedelta(hours=hours), requested_at__lte=at)
    often = (
        asked.order_by("user_id", "role_id").values("user", "role").annotate(times=Count("pk")).filter(times__gte=count)
    )
    found = list(often[: MOST + 1])
    people = User.objects.in_bulk({row["user"] for row in found})
    roles = Role.objects.in_bulk({row["role"] for row in found})
    for row in found:
        facts = {"holder": str(people[row["user"]]), "role": str(roles[row["role"]]), "count": row["times"]}
        yield Finding(f"{row['user']}:{row['role']}", people[row["user"]], facts | {"hours": hours})


@alert(
    "unusual_hours",
    severity=Severity.LOW,
    title=_("Activated at unusual hours"),
    why=_("Whoever has stolen an account likes to use it while its person sleeps."),
    advice=_("Ask the person whether it was them. If nobody can say, end the activation and disable the account."),
    sentence=_("%(holder)s activated %(role)s at %(scope)s on %(used_at)s at %(hour)s o'clock in their zone."),
    thresholds=(
        Threshold("begin", _("Usual from this hour on, in the person's own zone"), default=6, low=0, high=12),
        Threshold("end", _("until this hour"), default=21, low=12, high=24),
        Threshold("days", _("Shown for so many days"), default=7, low=1, high=30),
    ),
    repair=END,
)
def unusual_hours(at: datetime, *, begin: int, end: int, days: int) -> Iterator[Finding]:
    """Of privileged roles, by when it was asked for: the person was there then. From 0 to 24 all hours are usual."""
    asked = Request.objects.filter(action=Request.Action.SELF_ACTIVATE, prolongs=None, status__in=GRANTED)
    asked = asked.filter(requested_at__gt=at - timedelta(days=days), requested_at__lte=at, role__is_privileged=True)
    rows = asked.filter(active_assignment__isnull=False).annotate(hour=_hour_of_person(asked))
    rows = rows.filter(Q(hour__lt=begin) | Q(hour__gte=end)).select_related(
        "active_assignment", "user", "role", "scope"
    )
    for row in rows.order_by("active_assignment_id")[: MOST + 1]:
        facts = {"holder": str(row.user), "role": str(row.role), "scope": str(row.scope), "used_at": row.requested_at}
        yield Finding(str(row.active_assignment_id), row.active_assignment, facts | {"hour": row.hour})  # type: ignore[attr-defined]  # annotated


def _hour_of_person(asked: QuerySet[Request]) -> Case:
    """Return the hour at which each was asked for, as one question: with a branch for each zone of these people."""
    zones = asked.order_by().values_list("user__time_zone", flat=True).distinct()
    hours = [When(user__time_zone=zone, then=ExtractHour("requested_at", tzinfo=ZoneInfo(zone))) for zone in zones]
    return Case(*hours, default=None, output_field=IntegerField())
