"""Many rows at once, of plain values."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import connection
from django.db.models import Model


def add_many(model: type[Model], rows: Iterable[Mapping[str, Any]]) -> None:
    """Add a row for each of these, by column; of what they leave out, the default of the model.

    PostgreSQL takes them by COPY: an object for each, and a statement with all their values, take it and Python several
    times as long. Its constraints and triggers count as ever.
    """
    if connection.vendor != "postgresql":
        model._default_manager.bulk_create([model(**row) for row in rows])
        return
    fields = [field for field in model._meta.concrete_fields if field is not model._meta.auto_field]
    blank = {field.attname: field.get_default() for field in fields}
    names = ", ".join(connection.ops.quote_name(str(field.column)) for field in fields)
    command = f"COPY {connection.ops.quote_name(model._meta.db_table)} ({names}) FROM STDIN"
    values = [[*{**blank, **row}.values()] for row in rows]  # now: while it copies, the database answers nothing else
    with connection.cursor() as cursor, connection.wrap_database_errors:
        driver: Any = cursor.cursor  # Django's own has no COPY
        with driver.copy(command) as copy:
            for row in values:
                copy.write_row(row)
