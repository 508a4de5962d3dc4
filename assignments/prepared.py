"""Questions that are asked at every request, with their SQL made once.

Django makes the text of a query anew each time. For what somebody may do in this site that took 12 to 16 ms, and
running it less than one (`tests/assignments/test_prepared.py` measures both); a page asks about six times.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection, models

from accounts.models import User

Query = Callable[[User, datetime], models.QuerySet[Any, Any]]

# Stand for the person and the moment in the text that is made once: values that nothing else in a query can have.
_SOMEBODY = UUID("6d1e0c5b-8f0a-4b0e-9d0b-5f9d2f3a7c11")
_SOME_TIME = datetime(1901, 2, 3, 4, 5, 6, 789012, tzinfo=UTC)


class Prepared:
    """A query about a person at a moment, written as any other and compiled once for each kind of database."""

    def __init__(self, query: Query) -> None:
        self.query = query
        self.compiled: dict[str, tuple[str, tuple[Any, ...]]] = {}

    def rows(self, user: User, at: datetime) -> list[tuple[Any, ...]]:
        """Return the rows of `query(user, at)`, which must end in `values_list`, as the database gives them."""
        if connection.vendor not in self.compiled:
            self.compiled[connection.vendor] = self.query(User(pk=_SOMEBODY), _SOME_TIME).query.sql_with_params()
        sql, parameters = self.compiled[connection.vendor]
        values = dict(zip(_adapted(_SOMEBODY, _SOME_TIME), _adapted(user.pk, at), strict=True))
        with connection.cursor() as cursor:
            cursor.execute(sql, [values.get(each, each) for each in parameters])
            return list(cursor.fetchall())


def _adapted(person: UUID, at: datetime) -> tuple[Any, Any]:
    """Return both as this database is given them."""
    key = User._meta.get_field("id").get_db_prep_value(person, connection)
    return key, models.DateTimeField().get_db_prep_value(at, connection)
