"""The database itself takes no row of an archive that does not follow on the last, or is of events without a number.

What is said of it is signed, and is looked at before rows are deleted; this keeps out what no signature could hold for.
SQLite: a table that is remade loses its triggers; such a migration must run `install` again.
"""

from django.db import migrations

FOLLOWS = """NEW.removed_at IS NULL AND NEW.first <= NEW.last
    AND NEW.first = (SELECT coalesce(max(last), 0) + 1 FROM audit_archive)
    AND NEW.last <= (SELECT coalesce(max(size), 0) FROM audit_head)"""

SQLITE = [
    f"""CREATE TRIGGER audit_archive_follows_on BEFORE INSERT ON audit_archive WHEN NOT ({FOLLOWS})
    BEGIN SELECT RAISE(ABORT, 'an audit archive follows on the last one'); END""",
]

POSTGRESQL = [
    f"""CREATE FUNCTION audit_archive_follows_on() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
    IF {FOLLOWS} THEN RETURN NEW; END IF;
    RAISE EXCEPTION 'an audit archive follows on the last one' USING ERRCODE = 'integrity_constraint_violation';
    END $$""",
    """CREATE TRIGGER audit_archive_follows_on BEFORE INSERT ON audit_archive
    FOR EACH ROW EXECUTE FUNCTION audit_archive_follows_on()""",
]

UNDO = {
    "sqlite": ["DROP TRIGGER audit_archive_follows_on"],
    "postgresql": [
        "DROP TRIGGER audit_archive_follows_on ON audit_archive",
        "DROP FUNCTION audit_archive_follows_on()",
    ],
}


def install(apps, schema_editor):
    for statement in {"sqlite": SQLITE, "postgresql": POSTGRESQL}[schema_editor.connection.vendor]:
        schema_editor.execute(statement)


def remove(apps, schema_editor):
    for statement in UNDO[schema_editor.connection.vendor]:
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("audit", "0009_checkpoints_are_posted")]

    operations = [migrations.RunPython(install, remove)]
