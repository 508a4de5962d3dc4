"""Which mail may wait for a daily digest, and until when. Pure."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings

from notifications.models import Kind

# Mail that may wait, and for which of its readers. All other mail is critical and goes at once, whatever somebody
# prefers: its reader must act on it or waits for it, or it tells what others made of their access or their sign-in.
MAY_WAIT: dict[str, frozenset[str]] = {
    Kind.ELIGIBLE_ASSIGNED: frozenset({"admin"}),
    Kind.ACTIVE_ASSIGNED: frozenset({"admin"}),
    Kind.ASSIGNED_IN_BULK: frozenset({"admin"}),
    Kind.ASSIGNMENT_REMOVED: frozenset({"admin"}),
    Kind.ASSIGNMENT_EXPIRING: frozenset({"admin"}),
    Kind.ASSIGNMENT_EXPIRED: frozenset({"admin"}),
    Kind.ASSIGNMENT_UPDATED: frozenset({"admin"}),
    Kind.EXTENSION_DECIDED: frozenset({"admin"}),
    Kind.STAGE_PASSED: frozenset({"requestor"}),
    Kind.REQUEST_DECIDED: frozenset({"approver"}),
    Kind.REQUEST_CANCELED: frozenset({"admin", "approver"}),
    Kind.ROLE_ACTIVATED: frozenset({"admin", "requestor"}),
    Kind.ACTIVATION_EXTENDED: frozenset({"admin", "requestor"}),
}
MORNING = 7  # o'clock


def may_wait(kind: str, audience: str) -> bool:
    """Whether a mail of this kind to this kind of reader (admin, requestor, approver) can be part of a digest."""
    return audience in MAY_WAIT.get(kind, ())


def next_morning(at: datetime, zone: ZoneInfo) -> datetime:
    """Return the first moment after `at` (both aware) at which it is seven o'clock in `zone`, in UTC."""
    today = at.astimezone(zone).replace(hour=MORNING, minute=0, second=0, microsecond=0)
    mornings = (today + timedelta(days=days) for days in (0, 1))  # added in the time of the clock on the wall
    return next(morning.astimezone(UTC) for morning in mornings if morning.astimezone(UTC) > at)


def zone_of(name: str) -> ZoneInfo:
    """Return the zone of that name; the site's own for a name of none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, not a name at all, or a directory of the zone database
        return ZoneInfo(settings.DEFAULT_TIME_ZONE)
