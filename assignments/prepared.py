"""Questions that are asked again and again, with their SQL made once.

Django makes the text of a query anew each time. For what somebody may do in this site that took 12 to 16 ms, and
running it less than one (`tests/assignments/test_prepared.py` measures both); a page asks about six times.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from django.db import connection, models
from django.db.models.expressions import RawSQL

from accounts.models import User

Value = User | datetime
Query = Callable[..., models.QuerySet[Any, Any]]


class Prepared:
    """A query about people and moments, written as any other and compiled once for each kind of database.

    The query is a function of `User`s and `datetime`s, which are all that may differ from one time to the next, and
    uses nothing of the people but their keys. It must end in `values_list`.
    """

    def __init__(self, query: Query) -> None:
        self.query = query
        self.compiled: dict[str, tuple[str, tuple[Any, ...]]] = {}

    def rows(self, *values: Value) -> list[tuple[Any, ...]]:
        """Return the rows of `query(*values)`, as the database gives them."""
        with connection.cursor() as cursor:
            cursor.execute(*self._made(values))
            return list(cursor.fetchall())

    def subquery(self, *values: Value) -> RawSQL:
        """Return what `query(*values)` gives, for the right side of `…__in`; it must give one column."""
        return RawSQL(*self._made(values))  # noqa: S611 (made by the ORM, and the values are parameters)

    def _made(self, values: tuple[Value, ...]) -> tuple[str, list[Any]]:
        stand_ins = tuple(_stand_in(number, value) for number, value in enumerate(values))
        if connection.vendor not in self.compiled:
            self.compiled[connection.vendor] = self.query(*stand_ins).query.sql_with_params()
        sql, parameters = self.compiled[connection.vendor]
        given = {_adapted(stand_in): _adapted(value) for stand_in, value in zip(stand_ins, values, strict=True)}
        return sql, [given.get(each, each) for each in parameters]


def _stand_in(number: int, value: Value) -> Value:
    """Return what stands for the value in the text that is made once: nothing else in a query can be the same."""
    if isinstance(value, User):
        return User(pk=uuid5(NAMESPACE_OID, f"somebody {number}"))
    return datetime(1901, 2, 3, 4, 5, 6, 789000 + number, tzinfo=UTC)


def _adapted(value: Value) -> Any:
    """Return it as this database is given it."""
    if isinstance(value, User):
        return User._meta.get_field("id").get_db_prep_value(value.pk, connection)
    return models.DateTimeField().get_db_prep_value(value, connection)
