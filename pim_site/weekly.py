"""The weekly digest: one mail on Mondays to those who may read the audit, of what happened and what is open.

Weeks are those of the site's own zone (PIM_TIME_ZONE). Every moment is told of in one mail and no more: the row says
up to when the last one told, so after an outage one mail tells of all the weeks that were missed.
"""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone
from django.utils.formats import date_format

from accounts.days import days_text
from accounts.links import link
from alerts.kinds.outside import OUTSIDE
from alerts.models import Incident
from approvals.models import Request
from assignments.models import ActiveAssignment, holders_in_force
from assignments.rules import EXTEND_WINDOW, RENEW_WINDOW
from notifications.models import Kind
from notifications.rules import MORNING, zone_of
from notifications.services import queue
from roles.models import Role

from .dashboard.figures import most_held
from .models import WeeklyDigest

WEEK = timedelta(days=7)
TOP = 5
# The built-in roles whose holders may read the audit.
READERS = (*Role.GUARDED, Role.SECURITY_READER)
_Action = Request.Action
# What gives an assignment its end, or none; what people ask may be granted so long after they asked.
_GIVEN = (_Action.ADMIN_ASSIGN, _Action.ADMIN_UPDATE, _Action.ADMIN_EXTEND, _Action.ADMIN_RENEW)
_GRANTED = (_Action.SELF_EXTEND, _Action.SELF_RENEW)
_ASKED_BEFORE = EXTEND_WINDOW + RENEW_WINDOW


def send_due() -> int:
    """Send the digest if its Monday has come; return how many this run sent. A new site begins with its next week."""
    at = timezone.now()
    begin(at)
    return sum(_send(row, at) for row in WeeklyDigest.objects.due(at))


def begin(at: datetime) -> None:
    """Let the week that `at` is in be the first that is told of, if none was yet."""
    begun = this_week(at)
    first = {"told_until": begun, "next_at": morning_after(begun)}
    WeeklyDigest.objects.get_or_create(pk=WeeklyDigest.ONLY, defaults=first)


def this_week(at: datetime) -> datetime:
    """Return the last midnight before a Monday, in the zone of the site."""
    local = at.astimezone(site_zone())
    monday = local - timedelta(days=local.weekday())
    return monday.replace(hour=0, minute=0, second=0, microsecond=0)


def morning_after(begun: datetime) -> datetime:
    """Return when the week that began then is told of: on its next Monday at seven, by the clock on the wall."""
    return begun + WEEK + timedelta(hours=MORNING)


def site_zone() -> ZoneInfo:
    return zone_of(settings.DEFAULT_TIME_ZONE)


@transaction.atomic
def _send(row: WeeklyDigest, at: datetime) -> bool:
    since, until = row.told_until, this_week(at)
    if not _claim(row, until):
        return False
    people = holders_in_force(*READERS, at=at).filter(weekly_digest=True)
    with timezone.override(site_zone()):
        queue(Kind.WEEKLY_DIGEST, to=people, context=content(since, until, at))
    return True


def _claim(row: WeeklyDigest, until: datetime) -> bool:
    """Take the weeks since the last digest. Another run that saw the same row finds them taken."""
    unclaimed = WeeklyDigest.objects.filter(pk=row.pk, told_until=row.told_until, next_at=row.next_at)
    return bool(unclaimed.update(told_until=until, next_at=morning_after(until)))


def content(since: datetime, until: datetime, at: datetime) -> dict[str, Any]:
    """Return what happened in [since, until), the roles most held and the alerts open at `at`, each with its list."""
    zone = timezone.get_current_timezone()
    first, last = since.astimezone(zone).date(), (until.astimezone(zone) - timedelta(days=1)).date()
    days = days_text(first, last)
    return {
        "first": date_format(first),
        "last": date_format(last),
        "since_at": since,
        "until_at": until,
        "figures": [
            {"key": key, "number": number, "url": _list(page, **query)}
            for key, number, page, query in (*_happened(since, until, days), *_open())
        ],
        "roles": [
            {
                "role": str(role),
                "eligible": eligible,
                "standing": standing,
                "url": link("admin:roles_role_change", role.pk),
            }
            for role, eligible, standing in most_held(at, TOP)
        ],
        "url": link("admin:dashboard"),
    }


def _happened(since: datetime, until: datetime, days: str) -> list[tuple[str, int, str, dict[str, str]]]:
    activated = ActiveAssignment.objects.activated_between(since, until).order_by()
    counted = activated.aggregate(number=Count("pk"), people=Count("user", distinct=True))
    made = Request.objects.filter(action=_Action.ADMIN_ASSIGN, requested_at__gte=since, requested_at__lt=until)
    assigned = made.order_by().aggregate(
        eligible=Count("pk", filter=Q(active_assignment=None)),
        active=Count("pk", filter=Q(active_assignment__isnull=False)),
    )
    permanent = made_permanent(since, until).aggregate(number=Count("active_assignment", distinct=True))["number"]
    outside = Incident.objects.filter(alert__in=OUTSIDE, first_seen_at__gte=since, first_seen_at__lt=until)
    active, requests, incidents = "assignments_activeassignment", "approvals_request", "alerts_incident"
    given = {"asked": days, "action__exact": _Action.ADMIN_ASSIGN.value}
    return [
        ("activated", counted["number"], active, {"began": days}),
        ("activators", counted["people"], active, {"began": days}),
        ("eligible", assigned["eligible"], requests, given | {"gives": "eligible"}),
        ("active", assigned["active"], requests, given | {"gives": "active"}),
        ("permanent", permanent, active, {"made_permanent": days}),
        ("outside", outside.count(), incidents, {"alert": "outside", "found": days}),
    ]


def made_permanent(since: datetime, until: datetime) -> QuerySet[Request]:
    """Return the requests by which active assignments were made without an end, or lost the one that they had."""
    granted = Q(action__in=_GRANTED, requested_at__gte=since - _ASKED_BEFORE)
    return Request.objects.order_by().filter(
        Q(action__in=_GIVEN, requested_at__gte=since) | granted,
        status__in=(Request.Status.PROVISIONED, Request.Status.SCHEDULED),
        settled_at__gte=since,
        settled_at__lt=until,
        requested_at__lt=until,
        active_assignment__ends_at=None,
        active_assignment__isnull=False,
        active_assignment__eligible_assignment=None,
    )


def _open() -> list[tuple[str, int, str, dict[str, str]]]:
    return [("alerts", Incident.objects.active().count(), "alerts_incident", {"state__exact": "active"})]


def _list(page: str, **query: Any) -> str:
    return f"{link(f'admin:{page}_changelist')}?{urlencode(query)}"
