"""A log of 200 events in memory, everything that can be done to it, and what both verifiers say of each.

The site's verifier runs as it is; in place of the statements that read tables, it is handed these rows. Used by
`test_tampering.py`, which leaves most bits out, and by `python -m benchmarks.tamper`, which leaves out none.
"""

import random
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from unittest import mock
from uuid import UUID

from audit import exporting, verifying
from audit.canonical import dumps, moment
from audit.columns import COLUMNS, said_by
from audit.merkle import Frontier, leaf_hash
from audit.models import Archive
from audit.notes import SigningKey, Statement, VerifyingKey, stated

from .logs import ORIGIN, OTHER_SECRET, SECRET, checkpoint_over, export_of, is_sound

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BEGIN = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
SIZE = 200
CUTS = (50, 120, SIZE)  # how many events its checkpoints cover


def facts_of(n):
    """What an event says, as `record` writes it."""
    thing = {"type": "accounts.user", "id": str(UUID(int=n * 7919 + 2**120)), "label": f"Änne {n}"}
    references = dict.fromkeys(("actor", "subject", "role", "scope", "request", "target"), thing)
    texts = {"action": "role.created", "outcome": "success", "code": f"c{n}", "ticket": f"INC-{n}"}
    texts |= {"via": "session", "address": "192.0.2.7", "correlation_id": f"{n:032x}", "justification": "schön"}
    return references | texts | {"at": moment(BEGIN + timedelta(seconds=n)), "before": None, "after": {"n": n}}


def row_of(n, facts):
    canonical, columns = dumps(facts), said_by(facts)
    columns[COLUMNS.index("at")] = datetime.fromisoformat(facts["at"])
    return n, leaf_hash(canonical.encode()), canonical, *columns


def checkpoint(rows, size, **keys):
    return checkpoint_over([row[2] for row in rows[:size]], BEGIN, **keys)


@dataclass(frozen=True)
class Log:
    """Rows as `verifying._rows` gives them, the notes in the database, and the head; no head: the one that fits."""

    rows: list
    notes: list = field(default_factory=list)
    head: tuple | None = None

    def fitted(self):
        """Numbered and hashed anew, with a head that fits: what whoever owns the database can do without the key."""
        rows = [(n, leaf_hash(row[2].encode()), *row[2:]) for n, row in enumerate(self.rows, 1)]
        return replace(self, rows=rows, head=None)

    def read_head(self):
        size, edge = self.head or edge_of(self.rows)
        return size, edge, max((row[0] for row in self.rows), default=0)


# Looked at once: the same few notes stand in thousands of logs.
has_signed = cache(VerifyingKey.has_signed)


def edge_of(rows):
    frontier = Frontier.over(row[1] for row in rows)
    return frontier.size, frontier.packed


def make(count=SIZE, cuts=CUTS):
    rows = [row_of(n, facts_of(n)) for n in range(1, count + 1)]
    return Log(rows, [checkpoint(rows, cut) for cut in cuts], edge_of(rows))


def faults(log, *kept):
    """The codes of what the site's verifier finds; `kept` are checkpoints from elsewhere."""
    read = {
        "_checkpoints_here": lambda since: [(note, None) for note in log.notes],
        "_head": log.read_head,
        "_rows": lambda after, until: sorted(row for row in log.rows if after < row[0] <= until),
        "_outside": lambda: iter(()),
        "_archives": list,
        "_last_number": lambda until: max((row[0] for row in log.rows if row[0] <= until), default=None),
    }
    with ExitStack() as stack:
        for name, function in read.items():
            stack.enter_context(mock.patch.object(verifying, name, function))
        stack.enter_context(mock.patch.object(VerifyingKey, "has_signed", has_signed))
        stack.enter_context(mock.patch.object(verifying.Unsealed.objects, "count", return_value=0))
        return [fault.code for fault in verifying.verify(kept).faults]


def is_seen(log, *kept):
    return bool(faults(log, *kept))


def is_seen_offline(log, *kept):
    """Whether the offline verifier minds the export of these rows, closed by the last of the notes."""
    return not is_sound(export_of([row[2] for row in log.rows], log.notes[-1]), *kept)


# --- bits -------------------------------------------------------------------------------------------------------


def flips(value, begin, stride):
    """The values that are one bit away from a stored one, of each `stride` bits one."""
    match value:
        case str():
            content = value.encode()
            for bit in range(begin, 8 * len(content), stride):
                yield flipped(content, bit).decode(errors="replace")
        case bytes():
            yield from (flipped(value, bit) for bit in range(begin, 8 * len(value), stride))
        case datetime():  # both databases keep microseconds; bits above these are of no year of this calendar
            for bit in range(begin, 55, stride):
                yield EPOCH + timedelta(microseconds=(value - EPOCH) // timedelta(microseconds=1) ^ 1 << bit)


def flipped(content, bit):
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def flip_columns(log, stride=1):
    """Flip bits in each column of each row; (how many, how many passed). The row's own check is all that is run."""
    count = passed = 0
    for row in log.rows:
        n = row[0]
        for place, value in enumerate(row[1:], 1):
            for changed in flips(value, n % stride, stride):
                altered = [*row[:place], changed, *row[place + 1 :]]
                fault = fault_in(*altered[:3], altered[3:])
                count, passed = count + 1, passed + (fault is None)
    return count, passed


def fault_in(n, leaf, canonical, columns):
    return verifying._fault_in(n, leaf, leaf_hash(canonical.encode()), canonical, columns)


def flip_numbers(log, stride=1):
    """Flip bits of the numbers, but to those of other rows, which the primary key refuses."""
    numbers = {row[0] for row in log.rows}
    altered = [(place, n ^ 1 << bit) for place, (n, *_) in enumerate(log.rows) for bit in range(63)]
    altered = [(place, n) for place, n in altered if n not in numbers][::stride]
    logs = (replace(log, rows=with_row(log.rows, place, (n, *log.rows[place][1:]))) for place, n in altered)
    return len(altered), sum(not is_seen(each) for each in logs)


def with_row(rows, place, *instead):
    return [*rows[:place], *instead, *rows[place + 1 :]]


def flip_export(log, stride=1, piece=20):
    """Flip bits of exported files, statement and checkpoint included; each file has a few events, as archives may."""
    count = passed = 0
    for start in range(0, len(log.rows), piece):
        lines = file_of(log.rows, start, start + piece)
        for place, line in enumerate(lines):
            for bit in range((start + place) % stride, 8 * len(line), stride):
                count, passed = count + 1, passed + is_sound(with_row(lines, place, flipped(line, bit)))
    return count, passed


def file_of(rows, start, end):
    """Events `start + 1` to `end` as a file that follows on an archive of those before."""
    lines = export_of([row[2] for row in rows[:end]], checkpoint(rows, end))[start:]
    return [beginning(rows, start), *lines] if start else lines


def beginning(rows, size):
    edge, key = Frontier.over(row[1] for row in rows[:size]), SigningKey(ORIGIN, SECRET)
    said = stated(Statement(ORIGIN, 1, size, edge.root(), "0" * 64, moment(BEGIN)), [key])
    return exporting._beginning(Archive(note=said, frontier=edge.packed)).encode()


# --- rows -------------------------------------------------------------------------------------------------------


def without_repair(log, stride=1):
    """(kind, altered log) of what somebody does who does not see to the hashes; the numbers stay."""
    rows = log.rows
    for place, row in list(enumerate(rows))[::stride]:
        yield "row deleted", replace(log, rows=with_row(rows, place))
        if place + 1 < len(rows):
            after = rows[place + 1]
            pair = [(row[0], row[1], *after[2:]), (after[0], after[1], *row[2:])]
            yield "texts swapped", replace(log, rows=[*rows[:place], *pair, *rows[place + 2 :]])
        yield "row doubled at the end", replace(log, rows=[*rows, (len(rows) + 1, *row[1:])])
    for length in range(0, len(rows), stride):
        yield "end cut off", replace(log, rows=rows[:length])


def with_repair(log, stride=1):
    """(kind, altered log) of what whoever owns the database does, all numbers, hashes and the head made to fit."""
    rows, foreign = log.rows, row_of(0, facts_of(4711))
    for place, row in list(enumerate(rows))[::stride]:
        yield "event deleted", replace(log, rows=with_row(rows, place)).fitted()
        yield "event inserted", replace(log, rows=with_row(rows, place, foreign, row)).fitted()
        yield "event replaced", replace(log, rows=with_row(rows, place, foreign)).fitted()
        if place + 1 < len(rows):
            # Of the last one, it would be one more event after the last checkpoint, which nobody vouches for yet.
            yield "event doubled", replace(log, rows=with_row(rows, place, row, row)).fitted()
            pair = (rows[place + 1], row)
            yield "events swapped", replace(log, rows=[*rows[:place], *pair, *rows[place + 2 :]]).fitted()
    for length in range(0, len(rows), stride):
        yield "end cut off, made to fit", replace(log, rows=rows[:length]).fitted()
    yield "all rewritten", replace(log, rows=[row_of(n, facts_of(n + 1000)) for n in range(len(rows))]).fitted()
    yield "another key", replace(log, notes=[checkpoint(rows, cut, secrets=[OTHER_SECRET]) for cut in CUTS])
    yield "another site", replace(log, notes=[checkpoint(rows, cut, origin="other.example.org") for cut in CUTS])


def old_copies(log, stride=1):
    """(kind, a state of before): sound in itself, and seen by who has kept a later checkpoint."""
    for length in range(0, len(log.rows), stride):
        rows = log.rows[:length]
        yield "old copy", Log(rows, [checkpoint(rows, length)], edge_of(rows))


def passed_by_kind(altered, *verdicts):
    """For each kind: [how many, how many each verifier let pass]."""
    told = {}
    for kind, log in altered:
        counts = told.setdefault(kind, [0] * (1 + len(verdicts)))
        counts[0] += 1
        for place, seen in enumerate(verdicts, 1):
            counts[place] += not seen(log)
    return told


# --- untouched --------------------------------------------------------------------------------------------------


def false_alarms(count):
    """Of so many untouched random logs: those that a verifier minds, by verifier."""
    made, alarms = random.Random(6962), Counter(site=0, offline=0)
    for _log in range(count):
        rows = [row_of(n, facts_of(made.randrange(10**6)) | odd(made)) for n in range(1, made.randrange(13))]
        log = Log(rows, [checkpoint(rows, cut) for cut in sorted({made.randint(0, len(rows)), len(rows)})])
        alarms["site"] += is_seen(log)
        alarms["offline"] += is_seen_offline(log, *log.notes)
    return dict(alarms)


def odd(made):
    """Texts such as people write, and ends of columns."""
    letters = [chr(made.choice((made.randrange(0x20, 0x7F), made.randrange(0xA0, 0xD7FF), 0x1F512))) for _ in range(9)]
    return {"justification": "".join(letters), "ticket": "x" * made.choice((0, 1, 199, 200, 201))}
