"""What is changed in the past is found by the worker, some events at a time, and told until a round is without it."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from audit import archiving, looking
from audit.archiving import archive_next
from audit.checkpoints import checkpoint
from audit.looking import look_on
from audit.merkle import leaf_hash
from audit.models import Checkpoint, Entry, Event, Head, Look, Unsealed
from audit.sealing import seal
from audit.services import record

from .logs import SECRET, tampering

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _keys(settings, monkeypatch):
    settings.AUDIT_KEYS, settings.AUDIT_ORIGIN = [SECRET], "pim.example.org"
    monkeypatch.setattr(looking, "STRETCH", 5)


@pytest.fixture
def log():
    """Twelve events, with checkpoints over 3, 9 and all of them: read in three parts."""
    for n in range(1, 13):
        record("role.created", actor=None, target=None, ticket=f"INC-{n}")
        if n in (3, 9, 12):
            checkpoint()


def go_round(at=None):
    """The codes of what a whole round found."""
    at = at or now()
    while look_on(at):
        at += timedelta(minutes=1)
    return set(Look.objects.get().found_before)


def test_untouched_log_is_read_in_parts_round_by_round(log):
    at = now()
    assert [look_on(at + n * timedelta(minutes=1)) for n in range(4)] == [5, 5, 2, 0]
    row = Look.objects.get()
    assert (row.ended_at, row.found, row.found_before) == (at + timedelta(minutes=2), {}, {})
    assert look_on(at + timedelta(minutes=61)) == 0
    assert look_on(at + timedelta(minutes=62)) == 5


def test_empty_log_is_sound():
    assert go_round() == set()


def test_events_written_meanwhile_are_read_in_the_same_round(log):
    look_on(now())
    for _n in range(9):
        record("role.created", actor=None, target=None)
    seal()
    assert go_round() == set()


def change_text():
    Event.objects.filter(entry__n=7).update(canonical="{}")


def change_text_and_hash():
    change_text()
    Entry.objects.filter(n=7).update(leaf=leaf_hash(b"{}"))


def change_column():
    Event.objects.filter(entry__n=2).update(ticket="INC-9")


def delete_event():
    Event.objects.filter(entry__n=4).delete()


def delete_many():
    Entry.objects.filter(n__gt=3, n__lt=11).delete()


def take_out_of_the_log():
    Entry.objects.filter(n=12).delete()
    Head.objects.update(size=11)
    Checkpoint.objects.filter(size=12).delete()


def vanish():
    Unsealed.objects.create(event_id=10**6)


def forge_checkpoint():
    Checkpoint.objects.filter(size=9).update(note=Checkpoint.objects.get(size=3).note)


DAMAGE = {
    change_text: {"record_differs", "root_differs"},
    change_text_and_hash: {"record_unreadable", "root_differs"},
    change_column: {"column_differs"},
    delete_event: {"missing", "root_differs"},
    delete_many: {"missing", "not_numbered", "root_differs"},
    take_out_of_the_log: {"not_numbered"},
    vanish: {"vanished"},
    forge_checkpoint: {"checkpoint_differs"},
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_to_the_past_is_found(log, damage):
    with tampering():
        damage()
        assert go_round() == DAMAGE[damage]
    assert go_round() == set()


def test_what_was_found_is_told_until_a_round_finds_it_no_more(log):
    at = now()
    with tampering():
        change_column()
        look_on(at)
        Event.objects.filter(entry__n=2).update(ticket="INC-2")
        assert set(Look.objects.get().found) == go_round(at) == {"column_differs"}
        look_on(at + 2 * HOUR)
        assert set(Look.objects.get().found_before) == {"column_differs"}
        assert go_round(at + 2 * HOUR) == set()


def test_log_without_checkpoints_is_read_on_after_a_gap(log):
    with tampering():
        Checkpoint.objects.all().delete()
        Event.objects.filter(entry__n=4).delete()
        change_text()
        assert go_round() == {"missing", "record_differs"}


def test_edge_that_somebody_changed_lets_the_round_begin_anew(log):
    look_on(now())
    Look.objects.update(frontier=b"x")
    assert (look_on(now()), go_round()) == (5, set())


def test_rows_that_went_into_a_file_meanwhile_are_no_fault(log, monkeypatch, tmp_path):
    monkeypatch.setattr(archiving, "LEAST_KEPT", timedelta())
    look_on(now())
    assert archive_next(before=now(), folder=tmp_path).last == 12
    assert go_round() == set()
