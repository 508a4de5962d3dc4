"""Loops for the worker. Each may run twice, in parallel or late."""

import logging
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic

from django.conf import settings
from django.utils import timezone

from audit.archiving import ArchiveRefused, archive_next
from audit.checkpoints import CheckpointRefused, checkpoint, file_unfiled, is_due
from audit.looking import look_on
from audit.models import Archive, Entry
from audit.sealing import BATCH, seal

log = logging.getLogger("pim.audit")

# Well below the time after which the queue kills a task.
RUN_SECONDS = 30.0
# So much more than has to stay is let to gather, so that there is one file a month and not one an hour.
GATHERED = timedelta(days=30)


def seal_due() -> int:
    """Number the events that wait; return how many. What is left after a while waits for the next run."""
    until, sealed, last = monotonic() + RUN_SECONDS, 0, BATCH
    while last == BATCH and monotonic() < until:
        last = seal()
        sealed += last
    return sealed


def checkpoint_due() -> int:
    """Sign once an hour, and write to the file what is not in it yet; return how many were signed and written."""
    done = 0
    try:
        if is_due(timezone.now()):
            checkpoint()
            done += 1
        done += file_unfiled()
    except CheckpointRefused as refusal:
        log.error("no checkpoint is signed: %s", "; ".join(refusal.messages))
    except OSError as failure:
        log.error("checkpoints cannot be written: %s", failure)
    return done


def look_due() -> int:
    """Read the next part of what was written long ago; return how many events."""
    return look_on(timezone.now())


def archive_due() -> int:
    """Take the next old events out, where the operator wants that; return how many files were finished."""
    at = timezone.now()
    if not is_unarchived(at):
        return 0
    try:
        return int(archive_next(before=kept_from(at), folder=Path(settings.AUDIT_ARCHIVE_DIR)) is not None)
    except (ArchiveRefused, OSError) as failure:
        log.error("events are not archived, and stay: %s", failure)
        return 0


def is_unarchived(at: datetime) -> bool:
    """Whether what was to go out of the database by then is still here, where the operator wants that it goes."""
    if not settings.AUDIT_KEEP_DAYS or not settings.AUDIT_ARCHIVE_DIR:
        return False
    oldest = Entry.objects.order_by("n").values_list("event__at", flat=True).first()
    unfinished = Archive.objects.filter(removed_at=None, at__lte=at).exists()
    return unfinished or (oldest is not None and oldest < kept_from(at) - GATHERED)


def kept_from(at: datetime) -> datetime:
    """Return the moment before which events may go, by what the operator wants."""
    return at - timedelta(days=settings.AUDIT_KEEP_DAYS)
