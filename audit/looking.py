"""Goes round the log, some thousands of events at a time, so that the worker finds also what is changed in the past.

What it finds stays until a whole round has passed without it. How far it is stands in the database, so whoever owns
that can lead it astray: it takes the place of no look with checkpoints from elsewhere.
"""

from collections.abc import Iterator
from datetime import datetime

from audit.canonical import moment
from audit.merkle import SIZE, Frontier
from audit.models import Archive, Checkpoint, Entry, Event, Head, Look
from audit.notes import NoteRefused
from audit.verifying import (
    Fault,
    Verification,
    archived_edge,
    outside,
    root_differs,
    row_differs,
    signed_edge,
    vanished,
)

# At once, which takes less than a second.
STRETCH = 5_000


def look_on(at: datetime) -> int:
    """Read the next events of the present round, or of a new one if that is due; return how many."""
    row, _made = Look.objects.get_or_create(pk=Look.ONLY, defaults={"read_at": at})
    if not row.is_due(at):
        return 0
    archives, size = Archive.objects.count(), Head.events()
    edge = _after_archives(row.edge)
    stretch = _Stretch(edge, min(edge.size + STRETCH, size), is_last=edge.size + STRETCH >= size)
    found: dict[str, str] = {}
    for fault in stretch.faults():
        found.setdefault(fault.code, fault.text)
    if found and Archive.objects.count() > archives:  # rows went into a file while they were read
        return 0
    return stretch.until - stretch.begin if _noted(row, stretch, found, at) else 0


def _after_archives(edge: Frontier) -> Frontier:
    try:
        archived = archived_edge()
    except NoteRefused:  # each scan tells of it (`verify`), and what is missing here is found
        return edge
    return archived if archived.size > edge.size else edge


def _noted(row: Look, stretch: "_Stretch", found: dict[str, str], at: datetime) -> bool:
    """Say how far it came; False if another worker did."""
    found = found | row.found
    edge = stretch.edge
    if stretch.is_last:
        changes = {"size": 0, "frontier": b"", "found": {}, "found_before": found, "ended_at": at}
    else:
        changes = {"size": edge.size, "frontier": edge.packed, "found": found}
    return bool(Look.objects.filter(pk=row.pk, read_at=row.read_at).update(**changes, read_at=at))


class _Stretch:
    """The events after an edge of the tree and up to number `until`; `is_last` where the log ends there."""

    def __init__(self, edge: Frontier, until: int, *, is_last: bool) -> None:
        self.begin, self.until, self.is_last = edge.size, until, is_last
        self.reading = Verification(None)
        self.reading.frontier = edge

    @property
    def edge(self) -> Frontier:
        return self.reading.frontier

    def faults(self) -> Iterator[Fault]:
        for row in Checkpoint.objects.filter(size__gte=self.begin, size__lte=self.until).order_by("size", "pk"):
            yield from self.compare(row)
        yield from self.reading.read_log(self.until)
        while self.edge.size < self.until:  # where some are missing: the next checkpoint has the right edge
            self.edge.append(bytes(SIZE))
        yield from self.outside()

    def compare(self, row: Checkpoint) -> Iterator[Fault]:
        """Read up to a checkpoint, and go on by what was signed there, so that no later one is told of for the same."""
        signed, at = signed_edge(row), moment(row.at)
        if signed is None:
            yield row_differs(row.size, at)
            return
        if row.size > self.edge.size:
            yield from self.reading.read_log(row.size)
        if self.edge.packed != signed.packed:
            yield root_differs(row.size, at)
        self.reading.frontier = signed

    def outside(self) -> Iterator[Fault]:
        """Events among these that have no number and wait for none; at the end also those that wait and are gone."""
        begin, end = _event_of(self.begin), None if self.is_last else _event_of(self.until)
        events = Event.objects.all()
        if begin is not None:
            events = events.filter(pk__gte=begin if end is None else min(begin, end))
        if end is not None:
            events = events.filter(pk__lte=end if begin is None else max(begin, end))
        yield from outside(events)
        if self.is_last:
            yield from vanished()


def _event_of(n: int) -> int | None:
    """The key of the event with a number. From one to the next of these, all keys are looked at."""
    return Entry.objects.filter(n=n).values_list("event_id", flat=True).first()
