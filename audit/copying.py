"""Files of events as PostgreSQL writes them by itself (COPY): several times as quick as a row at a time in Python.

What is found is named a page at a time by the keys of the events, so that no statement runs long, however slowly the
other side reads; each page is in memory once. `exporting` writes the same on SQLite, and a test compares the two.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from audit.models import Event

# Events that one statement copies: some ten megabytes.
PAGE = 10_000
# What a text is cut to in its column; the whole of it stands in the record.
_CUT = 200


def _whole(column: str, fact: str) -> str:
    return f"CASE WHEN octet_length(e.{column}) < {_CUT} THEN e.{column} ELSE e.canonical::json {fact} END"


# Columns of the index where they say what the record says: reading that takes several times as long.
_CELLS = {
    "number": "n.n",
    "at": """to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
    "request": "e.request_id",
    "record": "e.canonical",
    **{name: f"e.{name}" for name in ("action", "outcome", "code", "justification", "via", "address")},
    **{
        name: _whole(f"{name}_label", f"-> '{name}' ->> 'label'")
        for name in ("actor", "subject", "role", "scope", "target")
    },
    "ticket": _whole("ticket", "->> 'ticket'"),
    "approvers": """CASE WHEN strpos(e.canonical, '"approvers":[') > 0
        AND json_typeof(e.canonical::json -> 'after' -> 'approvers') = 'array' THEN (SELECT string_agg(name, ', ')
        FROM json_array_elements_text(e.canonical::json -> 'after' -> 'approvers') AS name) END""",
}
# Nothing in these begins as somebody wishes.
_PLAIN = ("number", "at", "request", "record")
_ROWS = "FROM audit_event e LEFT JOIN audit_entry n ON n.event_id = e.id WHERE e.id = ANY(%s) ORDER BY e.id"


def csv_rows(events: QuerySet[Event], columns: Iterable[str], formulas: Iterable[str]) -> Iterator[bytes]:
    """The events as CSV without a heading, oldest first; what begins with one of `formulas` gets an apostrophe."""
    signs = ", ".join("'" + sign.replace("'", "''") + "'" for sign in formulas)
    cells = ", ".join(_CELLS[name] if name in _PLAIN else _guarded(_CELLS[name], signs) for name in columns)
    return _copied(events, f"COPY (SELECT {cells} {_ROWS}) TO STDOUT (FORMAT csv)")


def _guarded(cell: str, signs: str) -> str:
    return f"CASE WHEN left({cell}, 1) IN ({signs}) THEN '''' || {cell} ELSE nullif({cell}, '') END"


def json_rows(events: QuerySet[Event]) -> Iterator[bytes]:
    """The events as lines of JSON, oldest first, each text byte for byte as it was hashed."""
    line = """'{"n":' || coalesce(n.n::text, 'null') || ',"record":' || e.canonical || '}'"""
    # As CSV with signs that JSON only has escaped, a value is written as it is.
    written = r"(FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02')"
    return _copied(events, f"COPY (SELECT {line} {_ROWS}) TO STDOUT {written}")


def _copied(events: QuerySet[Event], statement: str) -> Iterator[bytes]:
    last, keys = 0, events.order_by("pk").values_list("pk", flat=True)
    while page := list(keys.filter(pk__gt=last)[:PAGE]):
        yield _page(statement, page)
        last = page[-1]


def _page(statement: str, keys: list[int]) -> bytes:
    with connection.cursor() as cursor:
        driver: Any = cursor.cursor  # Django's own has no COPY
        with driver.copy(statement, [keys]) as copy:
            return b"".join(map(bytes, copy))
