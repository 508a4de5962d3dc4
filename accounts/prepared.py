"""Questions that are asked again and again, with their SQL made once.

Django makes the text of a query anew each time. For what somebody may do in this site that took 12 to 16 ms, and
running it less than one (`tests/accounts/test_prepared.py` measures both); a page asks about six times.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import NAMESPACE_OID, UUID, uuid5

from django.db import connection, models
from django.db.models.expressions import RawSQL

Value = models.Model | UUID | datetime | str
Query = Callable[..., models.QuerySet[Any, Any]]
# The text, and for each parameter the number of the value that goes there, or None and what always stands there.
Compiled = tuple[str, list[tuple[int | None, Any]]]
Row = TypeVar("Row", bound=models.Model)

_KEY, _MOMENT = models.UUIDField(), models.DateTimeField()


class Prepared:
    """A query about people and moments, written as any other and compiled once for each kind of database.

    The query is a function of what may differ from one time to the next, each a row with a UUID (of which it uses
    nothing but the key), such a key, a moment or a text, and uses each as it comes: it reckons with none.
    """

    def __init__(self, query: Query) -> None:
        self.query = query
        self.compiled: dict[str, Compiled] = {}

    def rows(self, *values: Value) -> list[tuple[Any, ...]]:
        """Return the rows of `query(*values)`, which ends in `values_list`, as the database gives them."""
        return self._asked(*self._made(values))

    def count(self, *values: Value) -> int:
        """Return how many rows `query(*values)` gives."""
        sql, parameters = self._made(values)
        return int(self._asked(f"SELECT COUNT(*) FROM ({sql}) counted", parameters)[0][0])  # noqa: S608 (as below)

    def first(self, model: type[Row], *values: Value) -> Row | None:
        """Return the first row of `query(*values)`, a queryset of this model; None where there is none."""
        return next(iter(model._default_manager.raw(*self._made(values))), None)

    def subquery(self, *values: Value) -> RawSQL:
        """Return what `query(*values)` gives, for the right side of `…__in`; it must give one column."""
        return RawSQL(*self._made(values))  # noqa: S611 (made by the ORM, and the values are parameters)

    def _asked(self, sql: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall())

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
    return str(key) if isinstance(value, str) else datetime(1901, 2, 3, 4, 5, 6, 789000 + number, tzinfo=UTC)


def _adapted(value: Value) -> Any:
    """Return it as this database is given it."""
    if isinstance(value, models.Model):
        value = value.pk
    if isinstance(value, UUID):
        return _KEY.get_db_prep_value(value, connection)
    return value if isinstance(value, str) else _MOMENT.get_db_prep_value(value, connection)
