"""Looks whether the log is what was written: every row against its text, the tree against the signed checkpoints."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from django.db.models import Exists, Max, OuterRef, QuerySet, Subquery
from django.utils.translation import gettext as _

from audit.canonical import moment
from audit.columns import COLUMNS, columns_as_text, plainly_said, said_by
from audit.keys import origin, verifying_keys
from audit.merkle import Frontier, leaf_hash
from audit.models import Archive, Checkpoint, Entry, Event, Head, Unsealed
from audit.notes import Note, NoteRefused, opened, opened_statement

_decoded = json.JSONDecoder().raw_decode
MOST_FAULTS = 50


@dataclass(frozen=True)
class Fault:
    """Something that is not as it was written, by a stable code and in words."""

    code: str
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass
class Report:
    """What was found: a log of `size` events with this root, `checkpoints` that hold, and events without a number.

    Of those, the first `archived` are in files; `removable` rows of them are still here, and with `uncompared` of the
    checkpoints from elsewhere only the files can be compared.
    """

    size: int = 0
    archived: int = 0
    removable: int = 0
    root: bytes = b""
    checkpoints: int = 0
    uncompared: int = 0
    waiting: int = 0
    faults: list[Fault] = field(default_factory=list)


def verify(notes: Iterable[str] = (), *, since: Checkpoint | None = None) -> Report:
    """Read the log, in constant memory, and compare it with all checkpoints here and with these `notes` from elsewhere.

    With `since`, what that checkpoint covers is not read again, and the tree is built on from it. At most
    `MOST_FAULTS` faults are told. Raises ValueError where a key in the settings is none.
    """
    notes = list(notes)
    verification = Verification(since)
    faults = list(islice(verification.faults(notes), MOST_FAULTS))
    if faults and len(_archives()) > verification.archives:  # rows went into a file while this looked for them
        return verify(notes, since=since)
    frontier = verification.frontier
    return Report(
        size=frontier.size,
        archived=verification.archived,
        removable=_removable(verification.archived),
        root=frontier.root(),
        checkpoints=verification.checkpoints,
        uncompared=verification.uncompared(notes),
        waiting=Unsealed.objects.count(),
        faults=faults,
    )


class Verification:
    """One look: what it has read so far, as the edge of the tree, and the checkpoints that it has not come to."""

    def __init__(self, since: Checkpoint | None) -> None:
        edge = signed_edge(since) if since else None
        # Where the row is not what was signed, it cannot be begun there, and all is read.
        self.since, self.frontier = (since, edge) if edge else (None, Frontier())
        self.promised: dict[int, list[Note]] = {}
        self.checkpoints = self.archived = self.gone = self.archives = 0

    def faults(self, notes: Iterable[str]) -> Iterator[Fault]:
        yield from self.read_checkpoints(notes)
        size, edge, last = _head()  # after the checkpoints: none of them can be of more than this
        yield from self.pass_archives()
        yield from self.compare_root()
        yield from self.read_left()
        yield from self.read_log(size)
        if last > size:
            yield Fault("beyond_head", _("There are events after number %(n)s, the last one.") % {"n": size})
        if (self.frontier.size, self.frontier.packed) != (size, edge):
            yield Fault("head_differs", _("The head of the log does not belong to these events."))
        yield from self.too_short()
        yield from [] if self.since else _outside()

    def read_checkpoints(self, notes: Iterable[str]) -> Iterator[Fault]:
        known = verifying_keys()
        for note, columns in [*_checkpoints_here(self.since), *((note, None) for note in notes)]:
            try:
                found = opened(note, origin=origin(), keys=known)
            except NoteRefused as refusal:
                yield Fault("checkpoint_refused", f"{refusal} {_first_lines(note)}")
                continue
            if columns and not _says(found, *columns):
                yield row_differs(found.size, found.at)
            self.promised.setdefault(found.size, []).append(found)

    def pass_archives(self) -> Iterator[Fault]:
        """Begin after what is in files, as far as signed statements say so without a gap."""
        edge, rows = Frontier(), _archives()
        self.archives = len(rows)
        for row in rows:
            try:
                edge = _after(row, edge)
            except NoteRefused as refusal:
                yield Fault("archive_refused", _("Archive %(row)s: %(text)s") % {"row": row, "text": refusal})
                break
            self.archived, self.gone = edge.size, edge.size if row.removed_at else self.gone
            if edge.size > self.frontier.size:
                self.frontier = edge
                yield from self.compare_root()

    def read_left(self) -> Iterator[Fault]:
        """What is here under numbers in archives: nothing where the rows went, and what was written while they go."""
        if (n := _last_number(self.gone)) is not None:
            text = _("There is an event of number %(n)s, but those that are here begin after %(gone)s.")
            yield Fault("before_begin", text % {"n": n, "gone": self.gone})
        for n, leaf, canonical, *columns in _rows(after=self.gone, until=self.archived):
            if fault := _fault_in(n, leaf, leaf_hash(canonical.encode()), canonical, columns):
                yield fault

    def read_log(self, size: int) -> Iterator[Fault]:
        expected = self.frontier.size + 1
        for n, leaf, canonical, *columns in _rows(after=self.frontier.size, until=size):
            if n != expected:
                yield Fault("missing", _missing(expected, n - 1))
            expected = n + 1
            hashed = leaf_hash(canonical.encode())
            if fault := _fault_in(n, leaf, hashed, canonical, columns):
                yield fault
            self.frontier.append(hashed)
            if self.frontier.size in self.promised:
                yield from self.compare_root()
        if expected <= size:
            yield Fault("missing", _missing(expected, size))

    def compare_root(self) -> Iterator[Fault]:
        """Compare with the checkpoints of just this many events."""
        for note in self.promised.pop(self.frontier.size, []):
            if note.root == self.frontier.root():
                self.checkpoints += 1
            else:
                yield root_differs(note.size, note.at)

    def too_short(self) -> Iterator[Fault]:
        for size, notes in sorted(self.promised.items()):
            if size < self.frontier.size:
                continue  # of less than what was read with `since`, or is in archives
            text = _(
                "By a checkpoint of %(at)s there are %(size)s events, here %(end)s: cut at the end, or an old copy."
            )
            yield Fault("too_short", text % {"at": notes[0].at, "size": size, "end": self.frontier.size})

    def uncompared(self, notes: Iterable[str]) -> int:
        """How many of these checkpoints are of events in archives, and not of just all in one and those before it."""
        inside = {note.text for size, left in self.promised.items() if size < self.archived for note in left}
        return sum(note.partition("\n\n")[0] + "\n" in inside for note in notes)


def row_differs(size: int, at: str) -> Fault:
    text = _("The row of the checkpoint over %(size)s events, of %(at)s, is not what was signed.")
    return Fault("checkpoint_differs", text % {"size": size, "at": at})


def root_differs(size: int, at: str) -> Fault:
    text = _("The log is not the one of the checkpoint over %(size)s events, of %(at)s.")
    return Fault("root_differs", text % {"size": size, "at": at})


def _checkpoints_here(since: Checkpoint | None) -> list[tuple[str, tuple[int, bytes] | None]]:
    """The notes of the checkpoints here, each with the size and the edge that stand beside it."""
    rows = Checkpoint.objects.filter(pk__gte=since.pk) if since else Checkpoint.objects.all()
    columns = rows.order_by("pk").values_list("note", "size", "frontier")
    return [(note, (size, bytes(edge))) for note, size, edge in columns]


def signed_edge(row: Checkpoint) -> Frontier | None:
    """The edge of the tree at a checkpoint, if its row says what is signed in it."""
    edge = bytes(row.frontier)
    try:
        note = opened(row.note, origin=origin(), keys=verifying_keys())
    except NoteRefused:
        return None
    return Frontier(row.size, edge) if _says(note, row.size, edge) else None


def _says(note: Note, size: int, edge: bytes) -> bool:
    try:
        return (note.size, note.root) == (size, Frontier(size, edge).root())
    except ValueError:
        return False


def _archives() -> list[Archive]:
    return list(Archive.objects.order_by("first"))


def _after(row: Archive, before: Frontier) -> Frontier:
    """The edge of the tree after an archive that follows on one. Raises NoteRefused."""
    said = opened_statement(row.note, origin=origin(), keys=verifying_keys())
    try:
        edge = Frontier(said.last, bytes(row.frontier))
    except ValueError:
        edge = Frontier()
    facts = (said.first, said.last, said.digest, said.root)
    if facts != (before.size + 1, row.last, row.digest, edge.root()) or row.first != said.first:
        raise NoteRefused(_("What is signed of it is something else."))
    return edge


def archived_edge() -> Frontier:
    """The edge of the tree over all events that are in files. Raises NoteRefused where that is not signed."""
    edge = Frontier()
    try:
        for row in _archives():
            edge = _after(row, edge)
    except NoteRefused as refusal:
        text = _("What is said of an archive is not what was signed: %(text)s See what manage.py audit_verify says.")
        raise NoteRefused(text % {"text": refusal}) from refusal
    return edge


def _removable(archived: int) -> int:
    return Entry.objects.filter(n__lte=archived).count() if archived else 0


def _head() -> tuple[int, bytes, int]:
    """Size and edge of the head, and the last number, from one statement and so of one moment."""
    newest = Subquery(Entry.objects.order_by("-n").values("n")[:1])
    head = Head.objects.filter(pk=Head.ONLY).values_list("size", "frontier", newest).first()
    return (head[0], bytes(head[1]), head[2] or 0) if head else (0, b"", Entry.objects.aggregate(n=Max("n"))["n"] or 0)


def _last_number(until: int) -> int | None:
    return Entry.objects.filter(n__lte=until).order_by("-n").values_list("n", flat=True).first()


def _rows(*, after: int, until: int) -> Iterator[tuple[Any, ...]]:
    return Entry.objects.pages("leaf", "event__canonical", *columns_as_text(), after=after, until=until)


def _fault_in(n: int, leaf: bytes, hashed: bytes, canonical: str, columns: list[Any]) -> Fault | None:
    if leaf != hashed:
        return Fault("record_differs", _("Event %(n)s: the text is not the one that was numbered.") % {"n": n})
    if columns == plainly_said(canonical):
        return None
    try:
        derived = _derived(canonical)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Fault("record_unreadable", _("Event %(n)s: the text is no record.") % {"n": n})
    told = zip(COLUMNS, columns, derived, strict=True)
    names = ", ".join(name for name, is_, must in told if (moment(is_) if name == "at" else is_) != must)
    if not names:
        return None
    return Fault("column_differs", _("Event %(n)s: the text does not say so: %(names)s.") % {"n": n, "names": names})


def _derived(canonical: str) -> list[Any]:
    """What the columns must hold, from the text; those that it says nothing of are empty."""
    facts, end = _decoded(canonical)  # `json.loads` would mind no blanks around it
    if end != len(canonical):
        raise ValueError
    return said_by(facts)


def _outside() -> Iterator[Fault]:
    yield from outside(Event.objects.all())
    yield from vanished()


def outside(events: QuerySet[Event]) -> Iterator[Fault]:
    """Those of these events that have no number and do not wait for one."""
    lost = events.filter(entry__isnull=True, unsealed__isnull=True).order_by("pk").values_list("pk", flat=True)
    if found := list(lost[:10]):
        yield Fault(
            "not_numbered", _("Rows stand outside the log, ids: %(ids)s.") % {"ids": ", ".join(map(str, found))}
        )


def vanished() -> Iterator[Fault]:
    """Events that wait for a number and are gone."""
    gone = Unsealed.objects.exclude(Exists(Event.objects.filter(pk=OuterRef("pk")))).values_list("pk", flat=True)
    if found := list(gone[:10]):
        text = _("Rows vanished before they had a number, ids: %(ids)s.")
        yield Fault("vanished", text % {"ids": ", ".join(map(str, found))})


def _missing(first: int, last: int) -> str:
    if first == last:
        return _("Event %(n)s is missing.") % {"n": first}
    return _("Events %(first)s to %(last)s are missing.") % {"first": first, "last": last}


def _first_lines(note: str) -> str:
    return "[" + " · ".join(note.split("\n")[:3])[:200] + "]"
