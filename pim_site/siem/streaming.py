"""How far each destination has come, and the next batch for it."""

import logging
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils.timezone import now

from audit.models import Archive, Entry, Head, Reader

from .destinations import SECONDS, StreamFailed, send
from .records import Record

log = logging.getLogger("pim.siem")

BATCH = 500
# Longer than one attempt can take: if the worker dies in it, the batch is sent anew after this.
LEASE = timedelta(seconds=6 * SECONDS)
LONGEST_PAUSE = timedelta(minutes=5)


def begin() -> None:
    """Give each destination its row. A new one is sent what happens from now on; an export has what was before."""
    known = dict(Reader.objects.values_list("name", "n"))
    head, archive = Head.objects.filter(pk=Head.ONLY).first(), Archive.objects.first()
    for name in settings.AUDIT_STREAMS:
        if name not in known:
            start = {"n": head.size if head else 0, "next_attempt_at": now()}
            Reader.objects.get_or_create(name=name, defaults=start)
        elif archive and known[name] < archive.last:
            # It was out of the settings for so long that what it missed is in files by now.
            log.error("%s goes on after event %s: what it missed is in archives", name, archive.last)
            Reader.objects.filter(name=name, n=known[name]).update(n=archive.last)


def send_next(name: str) -> int:
    """Claim a destination that is due and send it the next batch; return how many events it took.

    Nothing is locked while the other side is waited for.
    """
    at = now()
    reader = Reader.objects.due(at).filter(name=name).first()
    if reader is None or not _claimed(reader, at):
        return 0
    batch = [Record(n, bytes(leaf), text) for n, leaf, text in _next(reader)]
    try:
        send(reader.name, batch, at=at)
    except StreamFailed as failure:
        _note_failure(reader, str(failure))
        return 0
    _note_taken(reader, batch[-1].n)
    return len(batch)


def _claimed(reader: Reader, at: datetime) -> bool:
    row = Reader.objects.filter(pk=reader.pk, n=reader.n, next_attempt_at=reader.next_attempt_at)
    return bool(row.update(next_attempt_at=at + LEASE))


def _next(reader: Reader) -> list[tuple[int, Any, str]]:
    rows = Entry.objects.filter(n__gt=reader.n).order_by("n").values_list("n", "leaf", "event__canonical")
    return list(rows[:BATCH])


def _note_taken(reader: Reader, n: int) -> None:
    at = now()
    changes = {"n": n, "taken_at": at, "next_attempt_at": at, "failing_since": None, "failures": 0, "last_outcome": ""}
    Reader.objects.filter(pk=reader.pk, n=reader.n).update(**changes)


def _note_failure(reader: Reader, outcome: str) -> None:
    at, failures = now(), reader.failures + 1
    pause = min(timedelta(seconds=2 ** min(failures, 10)), LONGEST_PAUSE)
    Reader.objects.filter(pk=reader.pk, n=reader.n).update(
        failures=failures,
        failing_since=reader.failing_since or at,
        last_outcome=outcome,
        next_attempt_at=at + pause,
    )
