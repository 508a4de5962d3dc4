"""Counting statements that go past Django's own cursor as well."""

from contextlib import contextmanager
from unittest.mock import patch

import psycopg
from django.db import connection


@contextmanager
def statements():
    """Note every statement of this connection, the prepared ones of psycopg too."""
    run = []

    def by_django(execute, sql, *rest):
        run.append(sql)
        return execute(sql, *rest)

    class Noting(psycopg.Cursor):
        def execute(self, query, *args, **kwargs):
            run.append(query)
            return super().execute(query, *args, **kwargs)

    with connection.execute_wrapper(by_django), patch("assignments.check.psycopg.Cursor", Noting):
        yield run
