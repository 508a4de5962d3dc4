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

from django.db import OperationalError, connection

from accounts.plans import Plan

SEES_ALL = ("assignments", "view_activeassignment")


class Question(NamedTuple):
    principal: UUID
    role: UUID
    scope: UUID


class Held(NamedTuple):
    """Why the answer is yes.

    Attributes:
        until: when it ends as things are; None: when somebody ends it.
        via: "direct"; "activation"; "group", through which it reaches them; "group_activation", activated by a member.
    """

    assignment: UUID
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


_TOKEN = ("id", "user_id", "digest", "scopes", "networks", "created_at", "expires_at", "revoked_at", "last_used_at")


def _within(row: str) -> str:
    """Half-open [starts_at, ends_at), and not ended before its time: `models._within` in SQL."""
    open_ended = " AND ".join(f"({row}.{end} IS NULL OR {row}.{end} > {{at}})" for end in ("ends_at", "ended_at"))
    return f"({row}.starts_at <= {{at}} AND {open_ended})"


_VALID = f"{_within('a')} AND (e.id IS NULL OR {_within('e')})"
_NONE = ", ".join(["NULL"] * (len(_TOKEN) + 1))
# The row of the token comes once, and beside it one for each answer. Question 0 is no question of the caller's: does
# the owner of the token hold, at the root, what lets them ask about others?
_SQL = f"""
WITH t AS (
    SELECT {", ".join(f"t.{name}" for name in _TOKEN)}, u.is_active
    FROM accounts_apitoken t JOIN accounts_user u ON u.id = t.user_id WHERE t.key = {{key}}
),
q(n, person, role, scope) AS (
    SELECT asked.n, u.id, asked.role, coalesce(asked.scope, (SELECT id FROM roles_resource WHERE path = '/'))
    FROM t CROSS JOIN ({{questions}}) asked
    JOIN accounts_user u ON u.id = coalesce(asked.person, t.user_id) AND u.is_active
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
held(n, scope, id, role_id, scope_id, ends_at, other_end, via, m_end, m_other) AS (
    SELECT q.n, q.scope, a.id, a.role_id, a.scope_id, a.ends_at, e.ends_at,
        CASE WHEN e.id IS NULL THEN 0 WHEN e.group_id IS NULL THEN 1 ELSE 3 END, member.ends_at, member.other_end
    FROM q
    JOIN assignments_activeassignment a ON a.user_id = q.person
    LEFT JOIN assignments_eligibleassignment e ON e.id = a.eligible_assignment_id
    LEFT JOIN member ON member.person = a.user_id AND member.group_id = e.group_id
    WHERE {_VALID} AND (a.role_id = q.role OR q.n = 0) AND (e.group_id IS NULL OR member.person IS NOT NULL)
    UNION ALL
    SELECT q.n, q.scope, a.id, a.role_id, a.scope_id, a.ends_at, NULL, 2, member.ends_at, member.other_end
    FROM q
    JOIN member ON member.person = q.person
    JOIN assignments_activeassignment a ON a.group_id = member.group_id
    LEFT JOIN assignments_eligibleassignment e ON e.id = a.eligible_assignment_id
    WHERE {_VALID} AND (a.role_id = q.role OR q.n = 0)
)
SELECT t.*, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM t
UNION ALL
SELECT {_NONE}, held.n, held.id, held.via, held.ends_at, held.other_end, held.m_end, held.m_other
FROM held
JOIN roles_resource wanted ON wanted.id = held.scope
JOIN roles_resource given ON given.id = held.scope_id
WHERE substr(wanted.path, 1, length(given.path)) = given.path
    AND (held.n > 0 OR held.role_id IN (
        SELECT rp.role_id FROM roles_role_permissions rp
        JOIN auth_permission p ON p.id = rp.permission_id AND p.codename = '{SEES_ALL[1]}'
        JOIN django_content_type c ON c.id = p.content_type_id AND c.app_label = '{SEES_ALL[0]}'))
"""  # noqa: S608 (of nothing but what stands here)

_FOREVER = datetime.max.replace(tzinfo=UTC)
_VIA = ("direct", "activation", "group", "group_activation")
# The database lays the questions out as rows, so that the statement is the same however many there are.
_ROWS_OF_JSON = (
    "SELECT key AS n, json_extract(value, '$[0]') AS person, json_extract(value, '$[1]') AS role,"
    " json_extract(value, '$[2]') AS scope FROM json_each(%(asked)s)"
)
_ROWS_OF_ARRAYS = (
    "SELECT n - 1 AS n, person, role, scope FROM unnest($3, $4, $5) WITH ORDINALITY AS row(person, role, scope, n)"
)
# PostgreSQL takes an array for ten rows, for which it would rather read all people of a small site than look two up.
_TWO_ROWS = (
    "SELECT 0 AS n, NULL::uuid AS person, NULL::uuid AS role, NULL::uuid AS scope UNION ALL SELECT 1, $3, $4, $5"
)
_ON_SQLITE = _SQL.format(at="%(at)s", key="%(key)s", questions=_ROWS_OF_JSON)
_MANY = Plan(_SQL.format(at="$1", key="$2", questions=_ROWS_OF_ARRAYS), ["timestamptz", "text", *["uuid[]"] * 3])
_ONE = Plan(_SQL.format(at="$1", key="$2", questions=_TWO_ROWS), ["timestamptz", "text", *["uuid"] * 3])


def check(*, key: str, questions: Sequence[Question], at: datetime) -> Verdict | None:
    """Look a token up by its key, and answer the questions for it; None: there is no such token.

    Whether the token counts is for the caller to judge, from its row.

    Args:
        key: see `accounts.tokens.key_of`.
        questions: at least one. What they name need not be there: then the answer is no.
    """
    rows = _rows(key, questions, at)
    facts = (*_TOKEN, "is_active")
    found = next((row for row in rows if row[0] is not None), None)
    if found is None:
        return None
    token = {name: _value(name, value) for name, value in zip(facts, found, strict=False)}
    best: dict[int, Held] = {}
    for row in rows:
        number, assignment, via, *ends = row[len(facts) :]
        if assignment is not None:
            held = Held(_uuid(assignment), _earliest(ends), _VIA[via])
            if number not in best or _reach(held) > _reach(best[number]):
                best[number] = held
    about_others = any(question.principal != token["user_id"] for question in questions)
    answers = [best.get(number) for number in range(1, len(questions) + 1)]
    return Verdict(token, not about_others or 0 in best, answers)


def _reach(held: Held) -> datetime:
    return held.until or _FOREVER


def _earliest(ends: list[Any]) -> datetime | None:
    return min([_moment(end) for end in ends if end is not None], default=None)


def _rows(key: str, questions: Sequence[Question], at: datetime) -> list[tuple[Any, ...]]:
    if connection.vendor == "postgresql":
        plan, asked = _on_postgresql(questions)
        return _on_a_whole_connection(lambda: plan.asked(lambda call: _fetched(call, [at, key, *asked])))
    rows = json.dumps([[None] * 3, *([value.hex for value in question] for question in questions)])
    with connection.cursor() as cursor:
        cursor.execute(_ON_SQLITE, {"at": connection.ops.adapt_datetimefield_value(at), "key": key, "asked": rows})
        return list(cursor.fetchall())


def _on_postgresql(questions: Sequence[Question]) -> tuple[Plan, list[str]]:
    columns = [[value.hex for value in column] for column in zip(*questions, strict=True)]
    if len(questions) == 1:
        return _ONE, [ids[0] for ids in columns]
    return _MANY, [f"{{NULL,{','.join(ids)}}}" for ids in columns]


def _on_a_whole_connection(ask: Callable[[], list[tuple[Any, ...]]]) -> list[tuple[Any, ...]]:
    """Ask, and again where the connection had been cut since the last request: nothing else looks before it."""
    try:
        return ask()
    except OperationalError:
        if connection.in_atomic_block or not connection.connection.closed:
            raise
    connection.close()
    return ask()


def _fetched(sql: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
    """Go past Django's cursor, which would ask first whether the connection is good, in a statement of its own."""
    raw: Any = connection.connection
    with connection.wrap_database_errors, raw.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _value(name: str, value: Any) -> Any:
    if value is None or name in ("digest", "scopes", "networks"):
        return value
    if name == "is_active":
        return bool(value)
    return _uuid(value) if name in ("id", "user_id") else _moment(value)


def _uuid(value: Any) -> UUID:
    return value if isinstance(value, UUID) else UUID(value)


def _moment(value: Any) -> datetime:
    """SQLite keeps moments in UTC and does not say so; PostgreSQL gives them in the zone of the session."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
