"""Every event waits for its number from the moment in which it is written, whoever writes it; entries never change.

Events that were there before wait with the new ones: the first sealing numbers them in the order of their ids.
SQLite: a table that is remade loses its triggers; such a migration must run `install` again.
"""

from django.db import migrations

SQLITE = [
    """CREATE TRIGGER audit_event_waits AFTER INSERT ON audit_event
    BEGIN INSERT INTO audit_unsealed (event_id) VALUES (NEW.id); END""",
    """CREATE TRIGGER audit_entry_no_update BEFORE UPDATE ON audit_entry
    BEGIN SELECT RAISE(ABORT, 'audit entries are append-only'); END""",
    """CREATE TRIGGER audit_entry_no_delete BEFORE DELETE ON audit_entry
    BEGIN SELECT RAISE(ABORT, 'audit entries are append-only'); END""",
    """CREATE TRIGGER audit_entry_no_replace BEFORE INSERT ON audit_entry
    WHEN EXISTS (SELECT 1 FROM audit_entry WHERE n = NEW.n OR event_id = NEW.event_id)
    BEGIN SELECT RAISE(ABORT, 'audit entries are append-only'); END""",
]

POSTGRESQL = [
    """CREATE FUNCTION audit_event_waits() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO audit_unsealed (event_id) VALUES (NEW.id); RETURN NULL; END $$""",
    """CREATE TRIGGER audit_event_waits AFTER INSERT ON audit_event
    FOR EACH ROW EXECUTE FUNCTION audit_event_waits()""",
    """CREATE FUNCTION audit_entry_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'audit entries are append-only' USING ERRCODE = 'integrity_constraint_violation'; END $$""",
    """CREATE TRIGGER audit_entry_no_change BEFORE UPDATE OR DELETE ON audit_entry
    FOR EACH ROW EXECUTE FUNCTION audit_entry_append_only()""",
    """CREATE TRIGGER audit_entry_no_truncate BEFORE TRUNCATE ON audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_append_only()""",
]
# After the trigger, which keeps writers out until the end of the transaction: no event is left out between the two.
ALL_WAIT = "INSERT INTO audit_unsealed (event_id) SELECT id FROM audit_event"

UNDO = {
    "sqlite": [
        f"DROP TRIGGER audit_{name}"
        for name in ("event_waits", "entry_no_update", "entry_no_delete", "entry_no_replace")
    ],
    "postgresql": [
        "DROP TRIGGER audit_event_waits ON audit_event",
        "DROP FUNCTION audit_event_waits()",
        "DROP TRIGGER audit_entry_no_change ON audit_entry",
        "DROP TRIGGER audit_entry_no_truncate ON audit_entry",
        "DROP FUNCTION audit_entry_append_only()",
    ],
}


def install(apps, schema_editor):
    statements = {"sqlite": SQLITE, "postgresql": POSTGRESQL}[schema_editor.connection.vendor]
    for statement in [*statements, ALL_WAIT]:
        schema_editor.execute(statement)


def remove(apps, schema_editor):
    for statement in UNDO[schema_editor.connection.vendor]:
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("audit", "0003_events_are_numbered")]

    operations = [migrations.RunPython(install, remove)]
