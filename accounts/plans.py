"""Statements that PostgreSQL plans once for each connection, instead of at each call.

Planning what somebody may do in this site took ten times as long as asking it (decision 21). The statements are named
in SQL and not by the protocol: psycopg has the server forget those at every rollback, and each refusal is one.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from django.db import Error, connection

Answer = TypeVar("Answer")

# The names of the statements that each connection of psycopg knows.
_known: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()
# The server has forgotten the statement; a column that it gives has another type by now.
_STALE = {"26000", "0A000"}


class Plan:
    """A statement with parameters `$1`, `$2` …, of these types of PostgreSQL.

    The plan is made without knowing the values. Tables that change, and their statistics, are seen to by the server.

    Attributes:
        call: what runs it: one %s for each parameter.
    """

    def __init__(self, text: str, types: Sequence[str]) -> None:
        definition = f"{_listed(types)} AS {text}"
        self.name = f"pim_{sha256(definition.encode()).hexdigest()[:24]}"
        self.call = f"EXECUTE {self.name} {_listed(['%s'] * len(types))}"
        self._definition = f"PREPARE {self.name} {definition}"

    def asked(self, ask: Callable[[str], Answer]) -> Answer:
        """Return `ask(self.call)`, which runs it on a connection that knows it.

        What the server has forgotten, or can give no more as it did, is made known anew: at once, or within a
        transaction, which is lost by then, the next time.
        """
        try:
            return self._ask(ask)
        except Error as error:
            if getattr(error.__cause__, "sqlstate", None) not in _STALE:
                raise
            _known.pop(connection.connection, None)
            if connection.in_atomic_block:
                raise
        return self._ask(ask)

    def _ask(self, ask: Callable[[str], Answer]) -> Answer:
        connection.ensure_connection()
        if self.name not in _known.get(connection.connection, ()):
            self._make_known(connection.connection)
        return ask(self.call)

    def _make_known(self, raw: Any) -> None:
        """Go past Django's cursor: how many statements a page takes must not depend on what was asked before it."""
        with connection.wrap_database_errors, raw.cursor() as cursor:
            if raw not in _known:
                cursor.execute("DEALLOCATE ALL")
            cursor.execute(self._definition)
        _known.setdefault(raw, set()).add(self.name)


def _listed(each: Sequence[str]) -> str:
    return f"({', '.join(each)})" if each else ""
