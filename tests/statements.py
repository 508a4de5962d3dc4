"""Counting statements that go past Django's own cursor as well."""

from contextlib import contextmanager
from unittest.mock import patch

from django.db import connection

from assignments.check import _fetched


@contextmanager
def statements():
    """Note every statement of this connection, those by psycopg's own cursor and by libpq too."""
    run = []

    def by_django(execute, sql, *rest):
        run.append(sql)
        return execute(sql, *rest)

    if connection.vendor != "postgresql":
        with connection.execute_wrapper(by_django):
            yield run
        return
    connection.ensure_connection()
    cursors = connection.connection.cursor_factory
    execute = cursors.execute

    def by_psycopg(cursor, query, *rest):
        run.append(query)
        return execute(cursor, query, *rest)

    def by_libpq(name, values):
        run.append(name)
        return _fetched(name, values)

    with patch.object(cursors, "execute", by_psycopg), patch("assignments.check._fetched", by_libpq):
        yield run
