"""What a refusal is: an error with its code, one event, and nothing else."""

from contextlib import contextmanager
from functools import cache

import pytest
from django.apps import apps
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection

from audit.models import Event, Unsealed
from audit.services import refusal_code

OUR_APPS = {
    "accounts",
    "roles",
    "assignments",
    "approvals",
    "reviews",
    "alerts",
    "notifications",
    "audit",
    "webhooks",
    "pim_site",
}
REFUSALS = (ValidationError, PermissionDenied)


def code_of_refusal(check, *args, **kwargs):
    """The code with which a rule refuses; None where it does not."""
    try:
        check(*args, **kwargs)
    except REFUSALS as refusal:
        return refusal_code(refusal)
    return None


def snapshot(tables=None):
    """All rows of our tables, as the database has them, by table; of these alone, where they are given."""
    wanted = [table for table in every_table() if tables is None or table in tables]
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            return {table: rows(cursor, every_table()[table]) for table in wanted}
        # One question, if a long one: a server takes longer over seventy.
        found = rows(cursor, " UNION ALL ".join(f"SELECT '{each}', {each}::text FROM {each}" for each in wanted))
    by_table = {table: [] for table in wanted}
    for table, row in sorted(found):
        by_table[table].append(row)
    return by_table


def rows(cursor, sql):
    cursor.execute(sql)
    return cursor.fetchall()


@cache
def every_table():
    """How all rows of each of our tables are asked for: once for many tests, because building it takes the time."""
    models = [m._meta for m in apps.get_models(include_auto_created=True) if m._meta.app_label in OUR_APPS]
    return {m.db_table: f'SELECT * FROM "{m.db_table}" ORDER BY "{m.pk.column}"' for m in models if m.managed}


AUDIT = {Event._meta.db_table, Unsealed._meta.db_table}  # where each event waits for its number


def without_audit(rows):
    return {table: rows for table, rows in rows.items() if table not in AUDIT}


@contextmanager
def refused(code):
    """The operation in this block is refused with `code`, leaves one event that says so, and changes nothing else."""
    before = snapshot()
    with pytest.raises(REFUSALS) as refusal:
        yield refusal
    assert refusal_code(refusal.value) == code
    assert without_audit(snapshot()) == without_audit(before)
    new = Event.objects.order_by("id")[len(before[Event._meta.db_table]) :]
    assert [(event.outcome, event.code) for event in new] == [("refused", code)]
