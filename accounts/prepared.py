"""Questions that are asked again and again, with their SQL made once, and on PostgreSQL its plan as well.

Django makes the text of a query anew each time. For what somebody may do in this site that took 12 to 16 ms, and
running it less than one (`tests/accounts/test_prepared.py` measures both); a page asks about six times. PostgreSQL
then planned it anew each time, which took longer than to run it: see `plans`.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import NAMESPACE_OID, UUID, uuid5

from django.db import connection, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import RawSQL
from django.db.models.lookups import In

from .plans import Plan

Value = models.Model | UUID | datetime | str | int
Query = Callable[..., models.QuerySet[Any, Any]]
# The text, and for each parameter the number of the value that goes there, or None and what always stands there.
Compiled = tuple[str, list[tuple[int | None, Any]]]
Ask = Callable[[str, list[Any]], Any]
Row = TypeVar("Row", bound=models.Model)

_KEY, _MOMENT = models.UUIDField(), models.DateTimeField()
_TYPES = {UUID: "uuid", datetime: "timestamptz", str: "text", int: "bigint"}


@models.UUIDField.register_lookup
class Among(In):
    """As `in` is with a question, for one with few answers: PostgreSQL answers it first, and looks those rows up.

    For `in` it weighs joining the question with all else that is asked. That takes long, and behind the eighth table it
    does not even try: what somebody may do in this site read a million assignments.
    """

    lookup_name = "among"

    def get_rhs_op(self, connection: BaseDatabaseWrapper, rhs: str) -> str:
        operator: str = super().get_rhs_op(connection, rhs)
        return f"= ANY (ARRAY{rhs})" if connection.vendor == "postgresql" else operator


class Prepared:
    """A query about people and moments, written as any other and compiled once for each kind of database.

    The query is a function of what may differ from one time to the next, each a row with a UUID (of which it uses
    nothing but the key), such a key, a moment, a text or a number, and uses each as it comes: it reckons with none.
    """

    def __init__(self, query: Query) -> None:
        self.query = query
        self.compiled: dict[str, Compiled] = {}
        self.plans: dict[str, Plan] = {}

    def rows(self, *values: Value) -> list[tuple[Any, ...]]:
        """Return the rows of `query(*values)`, which ends in `values_list`, as the database gives them."""
        rows: list[tuple[Any, ...]] = self._asked(_fetched, values)
        return rows

    def count(self, *values: Value) -> int:
        """Return how many rows `query(*values)` gives."""
        return int(self._asked(_fetched, values, "SELECT COUNT(*) FROM ({}) counted")[0][0])

    def first(self, model: type[Row], *values: Value) -> Row | None:
        """Return the first row of `query(*values)`, a queryset of this model; None where there is none."""
        row: Row | None = self._asked(lambda *asked: next(iter(model._default_manager.raw(*asked)), None), values)
        return row

    def subquery(self, *values: Value) -> RawSQL:
        """Return what `query(*values)` gives, for the right side of `pk__among`; it must give one column."""
        return RawSQL(*self._made(values))  # noqa: S611 (made by the ORM, and the values are parameters)

    def _asked(self, ask: Ask, values: tuple[Value, ...], form: str = "{}") -> Any:
        """Return what `ask` does with a statement and its parameters; `form` is what stands around the query."""
        if connection.vendor != "postgresql":
            sql, parameters = self._made(values)
            return ask(form.format(sql), parameters)
        if form not in self.plans:
            self.plans[form] = self._planned(form, values)
        return self.plans[form].asked(lambda call: ask(call, [_adapted(value) for value in values]))

    def _planned(self, form: str, values: tuple[Value, ...]) -> Plan:
        """Return it with all in the text that is always the same, so that the planner knows it."""
        connection.ensure_connection()
        stand_ins = tuple(_stand_in(number, value) for number, value in enumerate(values))
        text, adapted = _literally(*self._made(stand_ins)), [_adapted(stand_in) for stand_in in stand_ins]
        for number, each in enumerate(adapted, start=1):
            text = text.replace(_literally("%s", [each]), f"${number}")
        return Plan(form.format(text), [_TYPES[type(each)] for each in adapted])

    def _made(self, values: tuple[Value, ...]) -> tuple[str, list[Any]]:
        if connection.vendor not in self.compiled:
            self.compiled[connection.vendor] = self._compiled(values)
        sql, parameters = self.compiled[connection.vendor]
        given = {number: _adapted(value) for number, value in enumerate(values)}
        return sql, [each if number is None else given[number] for number, each in parameters]

    def _compiled(self, values: tuple[Value, ...]) -> Compiled:
        stand_ins = [_stand_in(number, value) for number, value in enumerate(values)]
        sql, parameters = self.query(*stand_ins).query.sql_with_params()
        numbers = {_adapted(stand_in): number for number, stand_in in enumerate(stand_ins)}
        return sql, [(numbers.get(each), each) for each in parameters]


def _stand_in(number: int, value: Value) -> Value:
    """Return what stands for the value in the text that is made once: nothing else in a query can be the same."""
    key = uuid5(NAMESPACE_OID, f"something {number}")
    if isinstance(value, models.Model):
        return value._meta.model(pk=key)
    if isinstance(value, UUID):
        return key
    if isinstance(value, int):
        return 7_000_000_000_000 + number
    return str(key) if isinstance(value, str) else datetime(1901, 2, 3, 4, 5, 6, 789000 + number, tzinfo=UTC)


def _adapted(value: Value) -> Any:
    """Return it as this database is given it."""
    if isinstance(value, models.Model):
        value = value.pk
    if isinstance(value, UUID):
        return _KEY.get_db_prep_value(value, connection)
    return value if isinstance(value, str | int) else _MOMENT.get_db_prep_value(value, connection)


def _literally(sql: str, parameters: list[Any]) -> str:
    """Return the statement as PostgreSQL is given it, with its parameters in it."""
    text: str = connection.ops.compose_sql(sql, parameters)  # type: ignore[attr-defined] # (of this database alone)
    return text


def _fetched(sql: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())
