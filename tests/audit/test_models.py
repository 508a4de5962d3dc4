from importlib import import_module
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import DatabaseError, IntegrityError, connection, transaction

from audit.models import Change, Event
from audit.sealing import seal
from audit.services import record
from tests.environment import POSTGRES

pytestmark = pytest.mark.django_db

# Each with one thing it must not be able to do to a row that is there.
STATEMENTS = {
    "update": "UPDATE audit_event SET code = 'x'",
    "update nothing": "UPDATE audit_event SET code = code",
    "delete": "DELETE FROM audit_event",
    "upsert": "INSERT INTO audit_event SELECT * FROM audit_event WHERE true ON CONFLICT (id) DO UPDATE SET code = 'x'",
}
SQLITE = {
    "insert or replace": "INSERT OR REPLACE INTO audit_event SELECT * FROM audit_event",
    "replace": "REPLACE INTO audit_event SELECT * FROM audit_event",
    "update or replace": "UPDATE OR REPLACE audit_event SET code = 'x'",
    "update or ignore": "UPDATE OR IGNORE audit_event SET code = 'x'",
}
POSTGRESQL = {"truncate": "TRUNCATE audit_event", "truncate cascade": "TRUNCATE audit_event RESTART IDENTITY CASCADE"}
STATEMENTS |= POSTGRESQL if POSTGRES else SQLITE


@pytest.fixture
def event(person):
    return record("role.created", actor=person, target=person, justification="first")


def rows():
    return list(Event.objects.order_by("id").values())


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_event_cannot_be_changed_by_sql(event, statement):
    before = rows()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        connection.cursor().execute(statement)
    assert rows() == before


def test_event_cannot_be_changed_by_a_queryset(event):
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        Event.objects.update(justification="second")
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        Event.objects.filter(pk=event.pk).delete()
    assert rows()[0]["justification"] == "first"


def test_event_cannot_be_saved_again(event):
    event.justification = "second"
    with pytest.raises(RuntimeError, match="append-only"):
        event.save()
    with pytest.raises(RuntimeError, match="append-only"):
        Event.objects.get().save(update_fields=["justification"])


def test_event_cannot_be_deleted(event):
    with pytest.raises(RuntimeError, match="append-only"):
        event.delete()


def test_event_cannot_take_the_place_of_another(event):
    with pytest.raises(IntegrityError), transaction.atomic():
        Event(id=event.pk, at=event.at, outcome="success", canonical="{}").save()
    assert len(rows()) == 1


def test_event_has_one_of_two_outcomes(event):
    with pytest.raises(IntegrityError, match="event_outcome_known"), transaction.atomic():
        record("role.created", actor=None, target=None, outcome="maybe")


def test_triggers_go_and_come_back_with_their_migration(event):
    migration = import_module("audit.migrations.0002_event_append_only")
    with connection.cursor() as cursor:
        editor = SimpleNamespace(connection=connection, execute=cursor.execute)
        migration.changeable(None, editor)
        Event.objects.update(code="x")
        migration.append_only(None, editor)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        Event.objects.update(code="y")


@pytest.mark.postgres  # SQLite looks for what a trigger names beside the table of the trigger
def test_temporary_tables_do_not_stand_in_for_those_that_triggers_look_into(event):
    """An archive of all events that is none lets no row go, and an event that is written waits for its number."""
    with connection.cursor() as cursor:
        home = cursor.execute("SELECT relnamespace::regnamespace FROM pg_class WHERE oid = 'audit_event'::regclass")
        home = home.fetchone()[0]
        seal()
        record("role.created", actor=None, target=None)
        for name in ("event", "entry", "archive", "unsealed", "head"):
            cursor.execute(f"CREATE TEMP TABLE audit_{name} (LIKE {home}.audit_{name})")
        cursor.execute("INSERT INTO pg_temp.audit_head (id, size, frontier) VALUES (1, 99999, '')")
        archive = """audit_archive (id, first, last, oldest_at, newest_at, file, digest, note, frontier, at)
            VALUES (1, 1, 99999, now(), now(), '', '', '', '', now())"""
        cursor.execute(f"INSERT INTO pg_temp.{archive}")
        cursor.execute(f"INSERT INTO pg_temp.audit_entry (n, event_id, leaf) SELECT id, id, '' FROM {home}.audit_event")
        statements = [f"DELETE FROM {home}.audit_event", f"DELETE FROM {home}.audit_entry"]
        for statement in [*statements, f"INSERT INTO {home}.{archive}"]:
            with pytest.raises(IntegrityError), transaction.atomic():
                cursor.execute(statement)
        cursor.execute(f"SELECT (SELECT count(*) FROM {home}.audit_unsealed), (SELECT count(*) FROM audit_unsealed)")
        assert cursor.fetchone() == (1, 0)


def test_about_finds_actor_and_subject(person, colleague):
    done = record("a.done", actor=person, target=colleague)
    suffered = record("b.done", actor=colleague, target=colleague, subject=person)
    record("c.done", actor=colleague, target=person)
    assert set(Event.objects.about(person)) == {done, suffered}


def test_about_nobody_finds_nothing(event):
    record("a.done", actor=None, target=None)
    assert not Event.objects.about(AnonymousUser())


@pytest.mark.parametrize(("permissions", "seen"), [({"audit.view_event"}, 2), ({"audit.export_event"}, 1), (set(), 1)])
def test_visible_to(person, colleague, permissions, seen, monkeypatch):
    record("a.done", actor=person, target=person)
    record("b.done", actor=colleague, target=colleague)
    monkeypatch.setattr(person, "has_perm", permissions.__contains__)
    assert Event.objects.visible_to(person).count() == seen


def test_events_are_listed_newest_first(person):
    first, second = (record(action, actor=None, target=person) for action in ("a.done", "b.done"))
    assert list(Event.objects.all()) == [second, first]


def test_facts_are_those_of_the_record_and_not_of_the_columns(event):
    read = Event.objects.get()
    read.justification = "something else"
    assert read.facts["justification"] == "first"


def test_changes_are_side_by_side_by_name(person):
    before = {"ends_at": None, "name": "a", "stages": [1]}
    after = {"name": "a", "stages": [1, 2], "added": True}
    event = record("a.done", actor=None, target=person, before=before, after=after)
    assert event.changes == [
        Change("added", "", "true"),
        Change("ends_at", "", ""),
        Change("name", "a", "a"),
        Change("stages", "[1]", "[1,2]"),
    ]
    assert [change.name for change in event.changes if change.differs] == ["added", "stages"]


def test_changes_of_an_event_without_any(event):
    assert event.changes == []


def test_event_reads_as_text(event):
    assert str(event) == "role.created · Ana"
