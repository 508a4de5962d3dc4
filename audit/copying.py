"""Files of events as PostgreSQL writes them by itself (COPY): several times as quick as a row at a time in Python.

What is found is copied a page at a time, by key, so that no statement runs long, however slowly the other side reads;
each page is in memory once. `exporting` writes the same on SQLite, and a test compares the two.
"""

from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import F, FilteredRelation, Q, QuerySet
from django.db.models.expressions import RawSQL
from psycopg import pq
from psycopg.errors import error_from_result

from audit.models import GRANTING, Event

# Events that one statement copies: some ten megabytes.
PAGE = 10_000
# Bytes that are handed on as one.
CHUNK = 64 * 1024
# They stand for the keys between which a page lies, in statements that are made once for all pages.
_AFTER, _UNTIL = 2**62, 2**62 + 1
# A statement that is made once, and its parameters, of the keys after which and until which a page lies.
_Statement = Callable[[int, int], tuple[str, list[Any]]]
# What a spreadsheet would take for a formula (OWASP, CSV injection); some read the wide forms of the signs alike.
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")
# What a text is cut to in its column; the whole of it stands in the record.
_CUT = 200


# What is guarded is named three times, and worked out as often in each row: so a cell is guarded within the condition
# that chooses what stands in it, never around it.
def _guarded(text: str) -> str:
    signs = ", ".join(str(ord(sign)) for sign in FORMULA)
    return f"CASE WHEN ascii({text}) IN ({signs}) THEN '''' || {text} ELSE nullif({text}, '') END"


def _whole(column: str, fact: str) -> str:
    """Of the index where it says what the record says: reading that takes several times as long."""
    short, said = f"octet_length(audit_event.{column}) < {_CUT}", f"(audit_event.canonical::json {fact})"
    return f"CASE WHEN {short} THEN {_guarded(f'audit_event.{column}')} ELSE {_guarded(said)} END"


# A record is decoded only where it must be: it takes ten times as long as finding in its text what stands first in
# `after`, as nearly always. Before that, a record has only texts and the actor, so the first key of that name is its
# own. Between the quote that begins a list and the next `"]` are texts and nothing else if no quote is left but those
# between two of them, and each is as it was written if nothing is escaped.
_DECODED = """(SELECT CASE json_typeof(said) WHEN 'array'
            THEN (SELECT {names} FROM json_array_elements_text(said) AS name) END
        FROM (SELECT {record}::json -> 'after' -> 'approvers' AS said OFFSET 0) AS once)
    """.replace("{names}", _guarded("string_agg(name, ', ')"))
_APPROVERS = """CASE WHEN audit_event.action IN ({granting}) THEN (SELECT CASE
            WHEN starts_with(after, '{"approvers":[]') THEN NULL
            WHEN strpos(names, '"') + strpos(names, '\\') = 0 THEN {names}
            ELSE {decoded} END
        FROM (SELECT after, CASE WHEN starts_with(after, '{"approvers":["')
                THEN replace(split_part(split_part(after, '{"approvers":["', 2), '"]', 1), '","', ', ') END AS names
            FROM (SELECT split_part({record}, ',"after":', 2) AS after OFFSET 0) AS once OFFSET 0) AS once) END
    """.replace("{granting}", ", ".join(f"'{action}'" for action in GRANTING))
_APPROVERS = _APPROVERS.replace("{names}", _guarded("names")).replace("{decoded}", _DECODED)

_CELLS = {
    "number": "numbered.n",
    "at": """to_char(audit_event.at AT TIME ZONE INTERVAL '0', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
    "request": "audit_event.request_id",
    "outcome": "audit_event.outcome",  # a constraint leaves no other than two words
    "record": "audit_event.canonical",
    **{name: _guarded(f"audit_event.{name}") for name in ("action", "code", "justification", "via", "address")},
    **{
        name: _whole(f"{name}_label", f"-> '{name}' ->> 'label'")
        for name in ("actor", "subject", "role", "scope", "target")
    },
    "ticket": _whole("ticket", "->> 'ticket'"),
    "approvers": _APPROVERS.replace("{record}", "audit_event.canonical"),
}


class _Cells(RawSQL):
    """Columns of a statement as they are written: Django takes long to copy a statement for each of many."""

    def as_sql(self, *_args: Any) -> tuple[str, tuple[Any, ...]]:
        return self.sql, ()


def csv_rows(events: QuerySet[Event], columns: Iterable[str]) -> Iterator[bytes]:
    """The events as CSV without a heading, oldest first; what begins as a formula does gets an apostrophe."""
    return _copied(events, ", ".join(_CELLS[name] for name in columns), "(FORMAT csv)")


def json_rows(events: QuerySet[Event]) -> Iterator[bytes]:
    """The events as lines of JSON, oldest first, each text byte for byte as it was hashed."""
    line = """'{"n":' || coalesce(numbered.n::text, 'null') || ',"record":' || audit_event.canonical || '}'"""
    # As CSV with signs that JSON only has escaped, a value is written as it is.
    return _copied(events, line, r"(FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02')")


def _copied(events: QuerySet[Event], cells: str, form: str) -> Iterator[bytes]:
    keys = events.order_by("pk").values_list("pk", flat=True).filter(pk__gt=_AFTER)
    try:
        ends, newest, rows = map(_made, (keys[PAGE - 1 : PAGE], keys.reverse()[:1], _rows(events, cells)))
    except EmptyResultSet:  # nothing can be found so
        return
    page, after = BytesIO(), 0
    while until := _key(ends, after) or _key(newest, after):
        yield from _page(rows, form, after, until, page)
        after = until


def _rows(events: QuerySet[Event], cells: str) -> "QuerySet[Event, Any]":
    """The cells of the events of a page, with their numbers, which PostgreSQL would otherwise read all of."""
    numbered = FilteredRelation("entry", condition=Q(entry__event__gt=_AFTER, entry__event__lte=_UNTIL))
    rows = events.filter(pk__gt=_AFTER, pk__lte=_UNTIL).annotate(numbered=numbered, number=F("numbered__n"))
    return rows.annotate(cells=_Cells(cells, ())).order_by("pk").values_list("cells")


def _made(query: "QuerySet[Event, Any]") -> _Statement:
    """The statement of all pages: Django takes as long to make one as PostgreSQL for hundreds of rows."""
    sql, parameters = query.query.sql_with_params()

    def statement(after: int, until: int) -> tuple[str, list[Any]]:
        keys = {_AFTER: after, _UNTIL: until}
        return sql, [keys.get(each, each) for each in parameters]

    return statement


def _key(statement: _Statement, after: int) -> int | None:
    """The one key that it finds; it names none until which it looks."""
    with connection.cursor() as cursor:
        cursor.execute(*statement(after, 0))
        found = cursor.fetchone()
    return found[0] if found else None


def _page(statement: _Statement, form: str, after: int, until: int, page: BytesIO) -> Iterator[bytes]:
    """The events after one key and up to another; `page` is where they are kept, for each page the same memory."""
    query, parameters = statement(after, until)
    page.seek(0)
    with connection.cursor() as cursor:
        driver: Any = cursor.cursor  # Django's own has no COPY
        with driver.copy(f"COPY ({query}) TO STDOUT {form}", parameters) as copy:
            page.writelines(_received(copy.connection.pgconn))
    end = page.tell()
    page.seek(0)
    while left := end - page.tell():
        yield page.read(min(CHUNK, left))


def _received(pgconn: Any) -> Iterator[memoryview]:
    """The lines of a COPY, by libpq itself: psycopg takes longer to wait for each of them than libpq to read it."""
    while (received := pgconn.get_copy_data(0))[0] > 0:
        yield received[1]
    result = pgconn.get_result()
    while pgconn.get_result():
        pass
    if result.status != pq.ExecStatus.COMMAND_OK:
        raise error_from_result(result)
