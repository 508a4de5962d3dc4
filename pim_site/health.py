"""Two pages for machines: `/healthz`, this process answers; `/readyz`, the site can do its work.

A stranger learns one word. Who may see the heartbeat sees which part it is.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from audit.checkpoints import EVERY
from audit.models import Checkpoint, near

from .duties import tasks_due
from .models import Heartbeat
from .schedules import drifted
from .tasks import WORKER

log = logging.getLogger("pim.health")

HEARTBEAT_AGE = timedelta(seconds=90)
OVERDUE = timedelta(minutes=5)
UNSIGNED = timedelta(minutes=15)


@login_not_required
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


@login_not_required
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    parts = readiness(timezone.now())
    ready = all(parts.values())
    answer: dict[str, object] = {"status": "ok" if ready else "unavailable"}
    if parts["database"] and request.user.has_perm("pim_site.view_heartbeat"):
        answer["parts"] = parts
    return JsonResponse(answer, status=200 if ready else 503)


def readiness(at: datetime) -> dict[str, bool]:
    """Each part and whether it is well. Only the first is asked when the database does not answer."""
    parts = {"database": holds(database_answers, at)}
    if parts["database"]:
        parts |= {name: holds(check, at) for name, check in PARTS.items()}
    for name in [name for name, well in parts.items() if not well]:
        log.warning("not ready: %s", name)
    return parts


def holds(check: Callable[[datetime], bool], at: datetime) -> bool:
    try:
        return check(at)
    except DatabaseError:
        return False


def database_answers(at: datetime) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return True


def migrated(at: datetime) -> bool:
    return shipped_migrations() <= MigrationRecorder(connection).applied_migrations().keys()


@cache
def shipped_migrations() -> frozenset[tuple[str, str]]:
    """(app, name) of every migration on disk; they change only with the program, and so with the process."""
    return frozenset(MigrationLoader(None, ignore_no_migrations=True).disk_migrations)


def heart_beats(at: datetime, *, within: timedelta = HEARTBEAT_AGE) -> bool:
    """Did the worker's heart beat so lately?"""
    return Heartbeat.objects.filter(near(at, within=within), name=WORKER).exists()


def nothing_overdue(at: datetime) -> bool:
    return not tasks_due(at - OVERDUE)


def audit_is_signed(at: datetime) -> bool:
    """Also false where signing is refused, because the log is not what it was."""
    return not settings.AUDIT_KEYS or Checkpoint.objects.filter(near(at, within=EVERY + UNSIGNED)).exists()


def scheduled_as_in_code(at: datetime) -> bool:
    return not drifted()


PARTS = {
    "migrations": migrated,
    "worker": heart_beats,
    "duties": nothing_overdue,
    "schedules": scheduled_as_in_code,
    "audit": audit_is_signed,
}
