"""The loop for the worker. It may run twice, in parallel or late."""

from time import monotonic

from django.utils.timezone import now

from accounts.tasks import each_by_itself

from .models import Alert
from .services import claim, scan, sync, tell

# Well below the time after which the queue kills a task; what is left waits for the next run.
RUN_SECONDS = 30.0


def scan_due() -> int:
    """Scan every alert that is due, then tell of what is new in one mail; return how many were scanned."""
    sync()
    until = monotonic() + RUN_SECONDS
    done = each_by_itself(Alert.objects.to_scan(now()), lambda alert: monotonic() < until and _scan(alert))
    tell()
    return done


def _scan(alert: Alert) -> bool:
    return claim(alert=alert) and scan(alert=alert, actor=None) is not None
