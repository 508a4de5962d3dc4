"""Events taken out: all of them as a file that verifies without this site, or some for a spreadsheet or a program.

In a file of events each line is JSON, and its bytes are fixed: what stands between `"record":` and the last brace is
hashed as it is. What is found is read a page at a time, by key: in constant memory, and by no statement that runs long.
"""

import csv
import json
from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import Any

from django.db import connection
from django.db.models import F, QuerySet

from audit import copying
from audit.canonical import dumps
from audit.checkpoints import line_of
from audit.merkle import SIZE
from audit.models import PAGE, Archive, Checkpoint, Entry, Event

# What somebody asks years later: who, what, about whom and which role, why, who said yes, and how they had signed in.
COLUMNS = (
    *("number", "at", "action", "outcome", "code", "actor", "subject", "role", "scope", "target", "request", "ticket"),
    *("justification", "approvers", "via", "address", "record"),
)


def lines(checkpoint: Checkpoint) -> Iterator[str]:
    """The events that this checkpoint covers, then the checkpoint itself; first, what is said of those in archives."""
    newest, (begin, end) = Archive.objects.first(), lines_around(checkpoint)
    yield begin
    after = newest.last if newest else 0
    for n, canonical in Entry.objects.pages("event__canonical", after=after, until=checkpoint.size):
        yield _line(n, canonical)
    yield end


def lines_around(checkpoint: Checkpoint) -> tuple[str, str]:
    """What stands before the events and after them: nothing where none are in archives, and the checkpoint."""
    newest = Archive.objects.first()
    return _beginning(newest) if newest else "", line_of(checkpoint.note)


def csv_of(events: QuerySet[Event]) -> Iterator[bytes]:
    """A CSV file of the events, oldest first, with a heading; times in UTC, as they were recorded."""
    if connection.vendor != "postgresql":
        yield from map(str.encode, csv_lines(found(events)))
        return
    yield _heading(COLUMNS)
    yield from copying.csv_rows(events, COLUMNS)


def json_of(events: QuerySet[Event]) -> Iterator[bytes]:
    """Lines as in the file of all events, of those that are found, oldest first."""
    if connection.vendor == "postgresql":
        return copying.json_rows(events)
    return (_line(event.number, event.canonical).encode() for event in found(events))  # type: ignore[attr-defined]  # annotated


def found(events: QuerySet[Event]) -> Iterator[Event]:
    """The events, oldest first; each has its `number`, None while it waits for one."""
    events = events.order_by("pk").annotate(number=F("entry__n"))
    last = 0
    while page := list(events.filter(pk__gt=last)[:PAGE]):
        yield from page
        last = page[-1].pk


def csv_lines(events: Iterable[Event], columns: Iterable[str] = COLUMNS) -> Iterator[str]:
    """The lines of a CSV file, a heading first, of what the records say; times in UTC, as they were recorded."""
    writer = csv.writer(Line())
    columns = tuple(columns)
    yield _heading(columns).decode()
    for event in events:
        yield writer.writerow([cell(_told(event, column)) for column in columns])


class Line:
    """A file for `csv.writer` that hands each line back instead of keeping it, ended as PostgreSQL ends it."""

    def write(self, line: str) -> str:
        return line.removesuffix("\r\n") + "\n"


def _heading(columns: Iterable[str]) -> bytes:
    return (",".join(columns) + "\n").encode()


def _beginning(archive: Archive) -> str:
    """The first line of a file whose events follow on an archive: its signed statement, and the edge of the tree."""
    packed = bytes(archive.frontier)
    edge = [b64encode(packed[at : at + SIZE]).decode() for at in range(0, len(packed), SIZE)]
    return json.dumps({"archive": archive.note, "edge": edge}, ensure_ascii=False) + "\n"


def _line(n: int | None, canonical: str) -> str:
    return f'{{"n":{n or "null"},"record":{canonical}}}\n'


def _told(event: Event, column: str) -> Any:
    if column == "number":
        return getattr(event, "number", None)
    if column == "approvers":
        return ", ".join(event.approvers)
    if column == "request":
        return (event.facts["request"] or {}).get("id")
    return event.canonical if column == "record" else event.facts[column]


def cell(value: Any) -> str:
    """What stands in a cell of a file: the name of a thing, and nothing that a spreadsheet would carry out."""
    if isinstance(value, dict):
        value = value["label"] if set(value) == {"type", "id", "label"} else dumps(value)
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(copying.FORMULA) else text
