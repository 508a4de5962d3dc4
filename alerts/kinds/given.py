"""Assignments beside what the audit says was given, as SQL: one statement for each 100,000 rows.

Whatever else the log holds, a statement reads only what the index on the targets of events finds for its rows.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from assignments.models import ActiveAssignment, AnyAssignment
from audit.stated import STATED

# Rows of one statement, which takes two seconds of a processor: on a machine that others use as well, a few times that.
PAGE = 100_000

# What the two databases write differently: a key, and a moment, as an event has them.
_POSTGRESQL = {
    "key": "{}::text",
    "moment": """to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
    "position": "strpos",
}
_PARTS = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
_SQLITE = {
    "key": " || '-' || ".join(f"substr({{0}}, {begin}, {size})" for begin, size in _PARTS),
    # Django stores no fraction where there is none.
    "moment": "replace({0}, ' ', 'T') || CASE WHEN length({0}) = 19 THEN '.000000Z' ELSE 'Z' END",
    "position": "instr",
}

# The text of an event is looked at where the row is joined to it, and not carried along to be grouped.
_SQL = """
WITH about AS MATERIALIZED (
  SELECT given.id, told.id AS event, told.action IN ({making}) AS makes,
    told.role_id = given.role_id AND told.scope_id = given.scope_id
      AND told.subject_id = coalesce(given.user_id, given.group_id) AS agrees,
    {position}(told.canonical, {said}) > 0 AS says
  FROM {table} given LEFT JOIN audit_event told
    ON told.target_id = {key} AND told.target_type = %(kind)s AND told.outcome = 'success'
    AND told.action IN ({actions}) AND told.target_id >= %(first_text)s {until_text}
  WHERE given.id >= %(first)s {until}
    AND (given.ends_at IS NULL OR given.ends_at > %(at)s) AND (given.ended_at IS NULL OR given.ended_at > %(at)s)
)
SELECT id FROM about GROUP BY id
HAVING count(CASE WHEN makes THEN 1 END) = 0 OR count(CASE WHEN agrees THEN 1 END) < count(*)
  OR max(event) > coalesce(max(CASE WHEN says THEN event END), 0)
"""


def unaccounted(model: type[AnyAssignment], at: datetime) -> Iterator[UUID]:
    """Yield, in their order, the keys of what is or will be in force without the audit saying that it was given so.

    It does where an event tells that it was made; all that tell of it name this holder, role and scope; and the last of
    them these dates, and whether it is an activation, of which eligibility, in an emergency. What was ended is found
    until its end, for a row that ends in a hundred years gives access until then: of it the last event names this end.
    """
    for first, following in _pages(model):
        with connection.cursor() as cursor:
            cursor.execute(*_question(model, first, following, at))
            found = [key for (key,) in cursor.fetchall()]
        yield from sorted(key if isinstance(key, UUID) else UUID(key) for key in found)


def _pages(model: type[AnyAssignment]) -> Iterator[tuple[UUID, UUID | None]]:
    """Yield the first key of each page, and that of the one after it."""
    keys = model.objects.order_by("pk").values_list("pk", flat=True)
    first = keys.first()
    while first is not None:
        following = next(iter(keys.filter(pk__gte=first)[PAGE : PAGE + 1]), None)
        yield first, following
        first = following


def _question(
    model: type[AnyAssignment], first: UUID, following: UUID | None, at: datetime
) -> tuple[str, dict[str, Any]]:
    as_stored = model._meta.pk.get_db_prep_value
    values = {"kind": model._meta.label_lower, "at": connection.ops.adapt_datetimefield_value(at)}
    values |= {"first": as_stored(first, connection), "first_text": str(first)}
    if following:
        values |= {"until": as_stored(following, connection), "until_text": str(following)}
    stated = STATED[model._meta.label_lower]
    sql = _SQL.format(
        table=model._meta.db_table,
        key=_key("id"),
        actions=_listed(stated.actions),
        making=_listed(stated.making),
        said=_said(model),
        position=_dialect()["position"],
        until="AND given.id < %(until)s" if following else "",
        until_text="AND told.target_id < %(until_text)s" if following else "",
    )
    return sql, values


def _said(model: type[AnyAssignment]) -> str:
    """What the text of an event has in it that says this of the row, as SQL.

    The keys of a record are sorted, and what people type has no quotation mark that is not escaped, so it is found
    nowhere but where it is said (`assignments.services.recorded`); and without reading the whole record.
    """
    ends, starts = (f"""'"{column}":' || {_moment(column)}""" for column in ("ends_at", "starts_at"))
    said = f"""'"after":{{' || {ends} || ',' || {starts} || '}}'"""
    if model is ActiveAssignment:
        eligible = f"""'"eligible":"' || {_key("eligible_assignment_id")} || '",'"""
        emergency = """CASE WHEN given.is_emergency THEN '"emergency":true,' ELSE '' END"""
        activated = f"""{eligible} || {emergency} || {ends} || ',"kind":"activated",' || {starts}"""
        said = f"coalesce({activated}, CASE WHEN NOT given.is_emergency THEN {said} END)"
    ended = f"""'"ended_at":' || {_moment("ended_at")} || '}}'"""
    return f"CASE WHEN given.ended_at IS NULL THEN {said} ELSE {ended} END"


def _key(column: str) -> str:
    return _dialect()["key"].format(f"given.{column}")


def _moment(column: str) -> str:
    text = _dialect()["moment"].format(f"given.{column}")
    return f"""coalesce('"' || {text} || '"', 'null')"""


def _dialect() -> dict[str, str]:
    return _POSTGRESQL if connection.vendor == "postgresql" else _SQLITE


def _listed(actions: Iterable[str]) -> str:
    return ", ".join(f"'{action}'" for action in actions)
