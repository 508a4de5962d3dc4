"""The triggers let rows of events be deleted that are in an archive whose rows go, and no other.

What is said of an archive changes only by the moment at which its rows were gone.
SQLite: a table that is remade loses its triggers; such a migration must run `install` again.
"""

from django.db import migrations

EVENT_GOES = """SELECT 1 FROM audit_entry e JOIN audit_archive a ON e.n BETWEEN a.first AND a.last
    WHERE e.event_id = OLD.id AND a.removed_at IS NULL"""
ENTRY_GOES = """SELECT 1 FROM audit_archive a WHERE OLD.n BETWEEN a.first AND a.last AND a.removed_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM audit_event e WHERE e.id = OLD.event_id)"""
KEPT = ("id", "first", "last", "oldest_at", "newest_at", "file", "digest", "note", "frontier", "at")
IS_DONE = f"""OLD.removed_at IS NULL AND NEW.removed_at IS NOT NULL
    AND ({", ".join(f"OLD.{name}" for name in KEPT)}) = ({", ".join(f"NEW.{name}" for name in KEPT)})"""


SQLITE = [
    "DROP TRIGGER audit_event_no_delete",
    f"""CREATE TRIGGER audit_event_no_delete BEFORE DELETE ON audit_event WHEN NOT EXISTS ({EVENT_GOES})
    BEGIN SELECT RAISE(ABORT, 'audit events are append-only'); END""",
    "DROP TRIGGER audit_entry_no_delete",
    f"""CREATE TRIGGER audit_entry_no_delete BEFORE DELETE ON audit_entry WHEN NOT EXISTS ({ENTRY_GOES})
    BEGIN SELECT RAISE(ABORT, 'audit entries are append-only'); END""",
    f"""CREATE TRIGGER audit_archive_no_update BEFORE UPDATE ON audit_archive WHEN NOT ({IS_DONE})
    BEGIN SELECT RAISE(ABORT, 'audit archives are append-only'); END""",
    """CREATE TRIGGER audit_archive_no_delete BEFORE DELETE ON audit_archive
    BEGIN SELECT RAISE(ABORT, 'audit archives are append-only'); END""",
    """CREATE TRIGGER audit_archive_no_replace BEFORE INSERT ON audit_archive
    WHEN EXISTS (SELECT 1 FROM audit_archive WHERE id = NEW.id OR first = NEW.first)
    BEGIN SELECT RAISE(ABORT, 'audit archives are append-only'); END""",
]


def function(name, what, may_go, may_change="false"):
    return f"""CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
    IF TG_OP = 'DELETE' THEN IF {may_go} THEN RETURN OLD; END IF; END IF;
    IF TG_OP = 'UPDATE' THEN IF {may_change} THEN RETURN NEW; END IF; END IF;
    RAISE EXCEPTION 'audit {what} are append-only' USING ERRCODE = 'integrity_constraint_violation'; END $$"""


POSTGRESQL = [
    function("audit_event_append_only", "events", f"EXISTS ({EVENT_GOES})"),
    function("audit_entry_append_only", "entries", f"EXISTS ({ENTRY_GOES})"),
    function("audit_archive_append_only", "archives", "false", IS_DONE),
    """CREATE TRIGGER audit_archive_no_change BEFORE UPDATE OR DELETE ON audit_archive
    FOR EACH ROW EXECUTE FUNCTION audit_archive_append_only()""",
    """CREATE TRIGGER audit_archive_no_truncate BEFORE TRUNCATE ON audit_archive
    FOR EACH STATEMENT EXECUTE FUNCTION audit_archive_append_only()""",
]

UNDO = {
    "sqlite": [
        *(f"DROP TRIGGER audit_archive_no_{what}" for what in ("update", "delete", "replace")),
        "DROP TRIGGER audit_event_no_delete",
        """CREATE TRIGGER audit_event_no_delete BEFORE DELETE ON audit_event
        BEGIN SELECT RAISE(ABORT, 'audit events are append-only'); END""",
        "DROP TRIGGER audit_entry_no_delete",
        """CREATE TRIGGER audit_entry_no_delete BEFORE DELETE ON audit_entry
        BEGIN SELECT RAISE(ABORT, 'audit entries are append-only'); END""",
    ],
    "postgresql": [
        "DROP TRIGGER audit_archive_no_change ON audit_archive",
        "DROP TRIGGER audit_archive_no_truncate ON audit_archive",
        "DROP FUNCTION audit_archive_append_only()",
        function("audit_event_append_only", "events", "false"),
        function("audit_entry_append_only", "entries", "false"),
    ],
}


def install(apps, schema_editor):
    for statement in {"sqlite": SQLITE, "postgresql": POSTGRESQL}[schema_editor.connection.vendor]:
        schema_editor.execute(statement)


def remove(apps, schema_editor):
    for statement in UNDO[schema_editor.connection.vendor]:
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("audit", "0007_archives_and_readers")]

    operations = [migrations.RunPython(install, remove)]
