"""PostgreSQL: what the triggers look up, they find in the schema of their tables, whatever the session's path.

Temporary tables come first in every path that does not name them: by one called as a table of the audit, a session
could have let any event go. SQLite finds what a trigger names only in the database of the trigger's own table.
"""

from django.db import migrations

BIND = """DO $$
    DECLARE name text; home text := (SELECT relnamespace::regnamespace FROM pg_class WHERE oid = 'audit_event'::regclass);
    BEGIN FOREACH name IN ARRAY ARRAY['event_append_only', 'event_waits', 'entry_append_only', 'archive_append_only',
        'archive_follows_on']
    LOOP EXECUTE 'ALTER FUNCTION audit_' || name || '() SET search_path = ' || home || ', pg_temp'; END LOOP; END $$"""
LOOSEN = """DO $$
    DECLARE name text;
    BEGIN FOREACH name IN ARRAY ARRAY['event_append_only', 'event_waits', 'entry_append_only', 'archive_append_only',
        'archive_follows_on']
    LOOP EXECUTE 'ALTER FUNCTION audit_' || name || '() RESET search_path'; END LOOP; END $$"""


def bind(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(BIND)


def loosen(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(LOOSEN)


class Migration(migrations.Migration):
    dependencies = [("audit", "0010_archives_follow_on")]

    operations = [migrations.RunPython(bind, loosen)]
