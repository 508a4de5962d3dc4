"""Does this person hold that role there, now? Answered for a token and up to 500 questions in one statement.

The rules are those of `ActiveAssignment.objects.in_force(at).reaching(user, at)`, written as SQL: a query of Django's
costs ten times what the database needs to answer it. `tests/assignments/test_check.py` compares both.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import DatabaseError, connection
from psycopg import pq
from psycopg.errors import error_from_result

from accounts.plans import Plan

SEES_ALL = ("assignments", "view_activeassignment")


class Question(NamedTuple):
    """Three ids, as the lower-case text that `str` makes of a UUID: to make 300 objects costs what 100 answers do."""

    principal: str
    role: str
    scope: str


class Held(NamedTuple):
    """Why the answer is yes.

    Attributes:
        until: when it ends as things are; None: when somebody ends it.
        via: "direct"; "activation"; "group", through which it reaches them; "group_activation", activated by a member.
    """

    assignment: str
    until: datetime | None
    via: str


@dataclass(frozen=True)
class Verdict:
    """The row of the token, if there is one, and the answers in the order of the questions; None: not held.

    Attributes:
        may_ask: every question is about the owner of the token, or they may see what everybody holds.
    """

    token: dict[str, Any]
    may_ask: bool
    answers: list[Held | None]


_MOMENTS = ("created_at", "expires_at", "revoked_at", "last_used_at")
_FACTS = ("id", "user_id", "digest", "scopes", "networks", *_MOMENTS)


def _within(row: str) -> str:
    """Half-open [starts_at, ends_at), and not ended before its time: `models._within` in SQL."""
    open_ended = " AND ".join(f"({row}.{end} IS NULL OR {row}.{end} > {{at}})" for end in ("ends_at", "ended_at"))
    return f"({row}.starts_at <= {{at}} AND {open_ended})"


_VALID = f"{_within('a')} AND (e.id IS NULL OR {_within('e')})"
# The facts of the token come once, as JSON, and beside them one row for each answer. Question 0 is no question of the
# caller's: does the owner of the token hold, at the root, a role that lets them ask about others?
_SQL = f"""
WITH t AS (
    SELECT t.user_id, u.is_active, {{array}}({", ".join(f"t.{name}" for name in _FACTS)}, u.is_active) AS facts
    FROM accounts_apitoken t JOIN accounts_user u ON u.id = t.user_id WHERE t.key = {{key}}
),
q(n, person, role, path) AS (
    SELECT 0, t.user_id, rp.role_id, '/'
    FROM t CROSS JOIN roles_role_permissions rp
    JOIN auth_permission p ON p.id = rp.permission_id AND p.codename = '{SEES_ALL[1]}'
    JOIN django_content_type c ON c.id = p.content_type_id AND c.app_label = '{SEES_ALL[0]}'
    WHERE t.is_active
    UNION ALL
    SELECT asked.n, u.id, asked.role, place.path
    FROM t CROSS JOIN ({{questions}}) asked
    JOIN accounts_user u ON u.id = asked.person AND u.is_active
    JOIN roles_resource place ON place.id = asked.scope
),
member(person, group_id, ends_at, other_end) AS (
    SELECT m.user_id, m.group_id, NULL, NULL FROM accounts_group_members m WHERE m.user_id IN (SELECT person FROM q)
    UNION ALL
    SELECT a.user_id, place.group_id, a.ends_at, e.ends_at
    FROM assignments_activeassignment a
    JOIN roles_role r ON r.id = a.role_id AND r.group_part = 'member'
    JOIN roles_resource place ON place.id = r.resource_id AND place.group_id IS NOT NULL
    LEFT JOIN assignments_eligibleassignment e ON e.id = a.eligible_assignment_id
    WHERE a.user_id IN (SELECT person FROM q) AND {_VALID}
),
held(n, path, id, scope_id, via, ends_at, other_end, m_end, m_other) AS (
    SELECT q.n, q.path, a.id, a.scope_id,
        CASE WHEN e.id IS NULL THEN 0 WHEN e.group_id IS NULL THEN 1 ELSE 3 END,
        a.ends_at, e.ends_at, member.ends_at, member.other_end
    FROM q
    JOIN assignments_activeassignment a ON a.user_id = q.person AND a.role_id = q.role
    LEFT JOIN assignments_eligibleassignment e ON e.id = a.eligible_assignment_id
    LEFT JOIN member ON member.person = a.user_id AND member.group_id = e.group_id
    WHERE {_VALID} AND (e.group_id IS NULL OR member.person IS NOT NULL)
    UNION ALL
    SELECT q.n, q.path, a.id, a.scope_id, 2, a.ends_at, NULL, member.ends_at, member.other_end
    FROM q
    JOIN member ON member.person = q.person
    JOIN assignments_activeassignment a ON a.group_id = member.group_id AND a.role_id = q.role
    WHERE {_within("a")}
)
SELECT NULL, CAST(t.facts AS text), NULL, NULL, NULL, NULL, NULL FROM t
UNION ALL
SELECT held.n, CAST(held.id AS text), held.via, held.ends_at, held.other_end, held.m_end, held.m_other
FROM held JOIN roles_resource given ON given.id = held.scope_id
WHERE substr(held.path, 1, length(given.path)) = given.path
"""  # noqa: S608 (of nothing but what stands here)

_FOREVER = datetime.max.replace(tzinfo=UTC)
_VIA = ("direct", "activation", "group", "group_activation")
# The database lays the questions out as rows, so that the statement is the same however many there are.
_ROWS_OF_JSON = (
    "SELECT key + 1 AS n, json_extract(value, '$[0]') AS person, json_extract(value, '$[1]') AS role,"
    " json_extract(value, '$[2]') AS scope FROM json_each(%(asked)s)"
)
# PostgreSQL takes an array for ten rows, for which it would rather read all people of a small site than look one up.
_ROWS_OF_ARRAYS = "SELECT n, person, role, scope FROM unnest($3, $4, $5) WITH ORDINALITY AS row(person, role, scope, n)"
_ONE_ROW = "SELECT 1 AS n, $3 AS person, $4 AS role, $5 AS scope"
_ON_SQLITE = _SQL.format(array="json_array", at="%(at)s", key="%(key)s", questions=_ROWS_OF_JSON)


def _planned(questions: str, ids: str) -> Plan:
    text = _SQL.format(array="json_build_array", at="$1", key="$2", questions=questions)
    return Plan(text, ["timestamptz", "text", *[ids] * 3])


_ONE, _MANY = _planned(_ONE_ROW, "uuid"), _planned(_ROWS_OF_ARRAYS, "uuid[]")


def check(*, key: str, questions: Sequence[Question], at: datetime) -> Verdict | None:
    """Look a token up by its key, and answer the questions for it; None: there is no such token.

    Whether the token counts is for the caller to judge, from its row.

    Args:
        key: see `accounts.tokens.key_of`.
        questions: at least one. What they name need not be there: then the answer is no.
    """
    token: dict[str, Any] = {}
    best: dict[int, Held] = {}
    for number, subject, via, *ends in _rows(key, questions, at):
        if number is None:
            token = _token(subject)
            continue
        asked, held = int(number), Held(_dashed(subject), _earliest(ends), _VIA[int(via)])
        if asked not in best or _reach(held) > _reach(best[asked]):
            best[asked] = held
    if not token:
        return None
    about_others = any(question.principal != token["user_id"] for question in questions)
    answers = [best.get(number) for number in range(1, len(questions) + 1)]
    return Verdict(token, not about_others or 0 in best, answers)


def _dashed(key: str) -> str:
    """SQLite keeps ids without dashes."""
    return key if "-" in key else str(UUID(key))


def _reach(held: Held) -> datetime:
    return held.until or _FOREVER


def _earliest(ends: list[Any]) -> datetime | None:
    return min([_moment(end) for end in ends if end is not None], default=None)


def _rows(key: str, questions: Sequence[Question], at: datetime) -> Sequence[Sequence[Any]]:
    if connection.vendor == "postgresql":
        plan, asked = _on_postgresql(questions)
        values = [at.isoformat(), key, *asked]
        return _on_a_whole_connection(lambda: plan.asked(lambda _call: _fetched(plan.name, values)))
    ids = [[value.replace("-", "") for value in question] for question in questions]
    parameters = {"at": connection.ops.adapt_datetimefield_value(at), "key": key, "asked": json.dumps(ids)}
    with connection.cursor() as cursor:
        cursor.execute(_ON_SQLITE, parameters)
        return list(cursor.fetchall())


def _on_postgresql(questions: Sequence[Question]) -> tuple[Plan, Sequence[str]]:
    if len(questions) == 1:
        return _ONE, questions[0]
    return _MANY, [f"{{{','.join(column)}}}" for column in zip(*questions, strict=True)]


def _on_a_whole_connection(ask: Callable[[], list[list[str | None]]]) -> list[list[str | None]]:
    """Ask, and again where the connection had been cut since the last request: nothing else looks before it."""
    try:
        return ask()
    except DatabaseError:
        if connection.in_atomic_block or not connection.connection.closed:
            raise
    connection.close()
    return ask()


def _fetched(name: str, values: list[str]) -> list[list[str | None]]:
    """Run a statement by libpq itself: by a cursor of psycopg's the process would work more than the database does."""
    raw: Any = connection.connection
    with connection.wrap_database_errors:
        result = raw.pgconn.exec_prepared(name.encode(), [value.encode() for value in values])
        if result.status != pq.ExecStatus.TUPLES_OK:
            raise error_from_result(result)
    rows, columns, value = range(result.ntuples), range(result.nfields), result.get_value
    return [[_text(value(row, column)) for column in columns] for row in rows]


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def _token(facts: str) -> dict[str, Any]:
    *values, is_active = json.loads(facts)
    token = dict(zip(_FACTS, values, strict=True)) | {"is_active": bool(is_active)}
    moments = {name: token[name] and _moment(token[name]) for name in _MOMENTS}
    return token | moments | {"id": _dashed(token["id"]), "user_id": _dashed(token["user_id"])}


def _moment(value: str | datetime) -> datetime:
    """SQLite keeps moments in UTC and does not say so; PostgreSQL gives them in the zone of the session."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
