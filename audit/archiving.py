"""Takes old events out of the database: first into a file that is read back, then, and only then, out of the tables.

A file has what is between two checkpoints, and ends with the second, so `verifier/verify_audit.py` reads it alone. What
is said of it is signed: without that, rows that are gone are rows that are missing. Each step may be the last before a
power cut; whoever comes next goes on from there.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Max, Min, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from audit.canonical import moment
from audit.exporting import lines, lines_around
from audit.files import digest_of, sync, write_new
from audit.keys import origin, signing_keys, verifying_keys
from audit.merkle import Frontier, leaf_hash
from audit.models import PAGE, Archive, Checkpoint, Entry, Event, Reader
from audit.notes import NoteRefused, Statement, opened, stated
from audit.sealing import locked_head
from audit.services import privileged, record
from audit.stated import restate
from audit.verifying import archived_edge

# Events in one file, unless there are more between two checkpoints: it is written and read back within a minute.
LARGEST = 50_000
# What pages, reviews of access and alerts look back at.
LEAST_KEPT = timedelta(days=90)
# Held by whoever archives into the folder that it lies in; it stays there.
LOCK = ".archiving"


class ArchiveRefused(ValidationError):
    """Nothing is deleted.

    Codes: ``no_key``, ``too_young``, ``file_exists``, ``file_differs``, ``log_broken``, ``not_signed``,
    ``changed_meanwhile``, ``in_use``.
    """


def archive_next(*, before: datetime, folder: Path) -> Archive | None:
    """Finish what was begun, or put the next events from before that moment into a file; None where none are left.

    Raises ArchiveRefused, and OSError where the file cannot be written: then it is not there, and nothing is deleted.
    """
    with _alone_in(folder):
        unfinished = Archive.objects.filter(removed_at=None).first()
        if unfinished:
            return _removed(unfinished)
        _check(before)
        end = _end(before)
        return _removed(_kept(end, folder)) if end else None


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    with (folder / LOCK).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as taken:
            text = _("Somebody else archives into %(folder)s at this moment.") % {"folder": folder}
            raise ArchiveRefused(text, code="in_use") from taken
        yield


def _check(before: datetime) -> None:
    if not signing_keys():
        raise ArchiveRefused(_("No key signs what is said of an archive: set PIM_AUDIT_KEYS."), code="no_key")
    if before > timezone.now() - LEAST_KEPT:
        text = _("The events of the last %(days)s days stay: choose an earlier day.") % {"days": LEAST_KEPT.days}
        raise ArchiveRefused(text, code="too_young")


def _end(before: datetime) -> Checkpoint | None:
    """The checkpoint with which the next file ends: of that time or older, and of events that every reader has."""
    found, start = _ends(before), _archived()
    read = Reader.objects.configured().aggregate(least=Min("n"))["least"]
    if read is not None:
        found = found.filter(size__lte=read)
    return found.filter(size__lte=start + LARGEST).last() or found.first()


def _ends(before: datetime) -> QuerySet[Checkpoint]:
    return Checkpoint.objects.filter(size__gt=_archived(), at__lte=before).order_by("size", "pk")


def held_back_by(before: datetime) -> list[str]:
    """Return the destinations that have not taken what would be archived next, where that alone keeps it here."""
    end = None if _end(before) else _ends(before).first()
    late = Reader.objects.configured().filter(n__lt=end.size) if end else Reader.objects.none()
    return list(late.values_list("name", flat=True))


def _archived() -> int:
    newest = Archive.objects.first()
    return newest.last if newest else 0


def _kept(end: Checkpoint, folder: Path) -> Archive:
    """Write the file, read it back from the disk, and note it."""
    before = _edge()
    path = folder.resolve() / f"audit-{before.size + 1:010}-{end.size:010}.jsonl"
    was_there = path.exists()  # written before an interruption, then: it must be the same to the last bit
    if was_there:
        sync(path)
    else:
        _clear(path)
        write_new(path, lines(end))
    edge = _read_back(path, before, end)
    if edge is None and was_there:
        raise ArchiveRefused(_("Another file is there already: %(path)s") % {"path": path}, code="file_exists")
    if edge is None:
        _discard(path)
        text = _("The events are not those of the checkpoint over %(n)s. See what manage.py audit_verify says.")
        raise ArchiveRefused(text % {"n": end.size}, code="log_broken")
    return note_archive(actor=None, first=before.size + 1, edge=edge, path=path, digest=digest_of(path))


def _clear(path: Path) -> None:
    """Take away what was left of that file by who was killed while writing it."""
    for left in path.parent.glob(f"{path.name}.*.part"):
        left.unlink(missing_ok=True)


@transaction.atomic
def _discard(path: Path) -> None:
    locked_head()  # as for the note of an archive: meanwhile nobody says that the file is one
    if not Archive.objects.filter(file=str(path)).exists():
        path.unlink()


def _read_back(path: Path, before: Frontier, end: Checkpoint) -> Frontier | None:
    """The edge of the tree after the events in a file; None unless they are those of the checkpoint."""
    tree, around = Frontier(before.size, before.packed), []
    with path.open("rb") as file:
        for line in file:
            begin = b'{"n":%d,"record":' % (tree.size + 1)
            if line.startswith(begin) and line.endswith(b"}\n"):
                tree.append(leaf_hash(line[len(begin) : -2]))
            else:
                around.append(line.decode(errors="replace"))
    try:
        said = opened(end.note, origin=origin(), keys=verifying_keys())
    except NoteRefused:
        return None
    frame = [line for line in lines_around(end) if line]
    return tree if (tree.size, tree.root(), around) == (said.size, said.root, frame) else None


@privileged("log.archived", target=None)
def note_archive(*, actor: Any, first: int, edge: Frontier, path: Path, digest: str) -> Archive:
    """Sign that the events from `first` to the end of `edge` are in the file, and let their rows be deleted.

    What they say of assignments, groups, roles and emergency accounts, and is still so, is said again (`audit.stated`).

    Raises ArchiveRefused: ``changed_meanwhile``. PermissionDenied: only the system may.
    """
    if actor is not None:
        raise PermissionDenied
    locked_head()
    if _archived() != first - 1:
        raise ArchiveRefused(_("Somebody else archives at this moment."), code="changed_meanwhile")
    at = timezone.now()
    statement = Statement(origin(), first, edge.size, edge.root(), digest, moment(at))
    row = Archive.objects.create(
        first=first,
        last=edge.size,
        digest=digest,
        file=str(path),
        at=at,
        **_span(first, edge.size),
        note=stated(statement, signing_keys()),
        frontier=edge.packed,
    )
    restate(first, row.last)
    facts = {"first": first, "last": row.last, "file": path.name, "sha256": digest}
    record("log.archived", actor=actor, target=row, after=facts)
    return row


def _span(first: int, last: int) -> dict[str, Any]:
    return Event.objects.filter(entry__n__gte=first, entry__n__lte=last).aggregate(
        oldest_at=Min("at"), newest_at=Max("at")
    )


def _edge() -> Frontier:
    """The edge of the tree over all that is in archives, each of which is signed and follows on the one before."""
    try:
        return archived_edge()
    except NoteRefused as refusal:
        raise ArchiveRefused(str(refusal), code="not_signed") from refusal


def _removed(archive: Archive) -> Archive:
    """Delete the rows, some at a time, where that is signed and the file is what was signed."""
    _edge()
    path = Path(archive.file)
    if not path.exists() or digest_of(path) != archive.digest:
        text = _("%(path)s is not there, or not what was written: bring it back. Nothing more is deleted.")
        raise ArchiveRefused(text % {"path": path}, code="file_differs")
    while _remove_some(archive):
        pass
    Archive.objects.filter(pk=archive.pk, removed_at=None).update(removed_at=timezone.now())
    archive.refresh_from_db()
    return archive


@transaction.atomic
def _remove_some(archive: Archive) -> int:
    entries = Entry.objects.filter(n__gte=archive.first, n__lte=archive.last).order_by("n")
    found = list(entries.values_list("n", "event_id")[:PAGE])
    Event.objects.filter(pk__in=[event for _n, event in found]).delete()
    Entry.objects.filter(pk__in=[n for n, _event in found]).delete()
    return len(found)
