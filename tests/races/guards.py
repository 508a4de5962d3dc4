"""Taking a guard out, for the controls: a race that is not seen without its guard proves nothing with it."""

from contextlib import contextmanager

import pytest
from django.db import connection
from django.db.models import QuerySet


@contextmanager
def no_row_locks():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(QuerySet, "select_for_update", lambda rows, **kwargs: rows)
        yield


@contextmanager
def key_locks():
    """Row locks as strong as if the row were deleted."""
    lock = QuerySet.select_for_update
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(QuerySet, "select_for_update", lambda rows, **kw: lock(rows, **kw | {"no_key": False}))
        yield


@contextmanager
def no_constraint(model, name):
    """Without this constraint; rows that break it are gone before it comes back."""
    constraint = next(each for each in model._meta.constraints if each.name == name)
    with connection.schema_editor() as editor:
        editor.remove_constraint(model, constraint)
    try:
        yield
    finally:
        connection.close()
        with connection.cursor() as cursor:
            cursor.execute(f'TRUNCATE "{model._meta.db_table}" CASCADE')
        with connection.schema_editor() as editor:
            editor.add_constraint(model, constraint)


def count(outcomes, kind):
    return sum(isinstance(outcome, kind) for outcome in outcomes)
