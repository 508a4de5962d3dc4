"""How far each destination has come, and the next batch for it."""

import logging
from datetime import datetime, timedelta
from itertools import accumulate

from django.utils.timezone import now

from audit.models import Archive, Entry, Head, Reader, stream_names
from audit.notes import NoteRefused
from audit.verifying import archived_edge

from .destinations import SECONDS, StreamFailed, send
from .records import Record

log = logging.getLogger("pim.siem")

# At once: events, and bytes of them unless a single one is larger.
BATCH, LARGEST = 500, 1_000_000
# Longer than one attempt can take: if the worker dies in it, the batch is sent anew after this.
LEASE = timedelta(seconds=6 * SECONDS)
LONGEST_PAUSE = timedelta(minutes=5)


def begin() -> None:
    """Give each destination its row. A new one is sent what happens from now on; an export has what was before."""
    known = dict(Reader.objects.values_list("name", "n"))
    archived = _archived(min(known.values(), default=0))
    for name in stream_names():
        if name not in known:
            start = {"n": Head.events(), "next_attempt_at": now()}
            Reader.objects.get_or_create(name=name, defaults=start)
        elif known[name] < archived:
            # It was out of the settings for so long that what it missed is in files by now.
            log.error("%s goes on after event %s: what it missed is in archives", name, archived)
            Reader.objects.filter(name=name, n=known[name]).update(n=archived)


def _archived(least: int) -> int:
    """The last number that is in files, 0 where nobody is so far behind, or where that is not signed."""
    if not Archive.objects.filter(last__gt=least).exists():
        return 0
    try:
        return archived_edge().size
    except NoteRefused as refusal:
        log.error("no destination goes on after the archives: %s", refusal)
        return 0


def send_next(name: str) -> int:
    """Claim a destination that is due and send it the next batch; return how many events it took.

    Nothing is locked while the other side is waited for.
    """
    at = now()
    reader = Reader.objects.due(at).filter(name=name).first()
    if reader is None or not _claimed(reader, at):
        return 0
    try:
        batch = _next(reader)
        send(reader.address, batch, at=at)
    except StreamFailed as failure:
        _note_failure(reader, str(failure))
        return 0
    except Exception as failure:
        # Whatever it is, it stops this destination alone; its text may quote the address.
        log.error("%s cannot be sent to: %s", reader, type(failure).__name__)
        _note_failure(reader, "malformed")
        return 0
    _note_taken(reader, batch[-1].n)
    return len(batch)


def _claimed(reader: Reader, at: datetime) -> bool:
    row = Reader.objects.filter(pk=reader.pk, n=reader.n, next_attempt_at=reader.next_attempt_at)
    return bool(row.update(next_attempt_at=at + LEASE))


def _next(reader: Reader) -> list[Record]:
    """What follows on without a gap, as much as goes at once. Raises StreamFailed where the next one is not there."""
    rows = Entry.objects.filter(n__gt=reader.n).order_by("n").values_list("n", "leaf", "event__canonical")
    found = enumerate(rows[: min(reader.batch, BATCH)], reader.n + 1)
    batch = [Record(n, bytes(leaf), text) for expected, (n, leaf, text) in found if n == expected]
    if not batch:
        raise StreamFailed("missing_event")
    sizes = accumulate(len(record.json) for record in batch)
    return batch[: max(1, sum(size <= LARGEST for size in sizes))]


def _note_taken(reader: Reader, n: int) -> None:
    at = now()
    Reader.objects.filter(pk=reader.pk, n=reader.n).update(
        n=n,
        taken_at=at,
        failing_since=None,
        failures=0,
        batch=min(2 * reader.batch, BATCH),
        last_outcome="",
        next_attempt_at=at,
    )


def _note_failure(reader: Reader, outcome: str) -> None:
    """It is sent half as much next time: what is refused for its size, or takes too long, would be so for ever."""
    at, failures = now(), reader.failures + 1
    pause = min(timedelta(seconds=2 ** min(failures, 10)), LONGEST_PAUSE)
    Reader.objects.filter(pk=reader.pk, n=reader.n).update(
        failures=failures,
        failing_since=reader.failing_since or at,
        batch=max(1, min(reader.batch, BATCH) // 2),
        last_outcome=outcome,
        next_attempt_at=at + pause,
    )
