from hashlib import sha256

import pytest
from django.db import DatabaseError, connection, transaction

from audit.merkle import Frontier, leaf_hash
from audit.models import Entry, Event, Head, Unsealed
from audit.sealing import seal
from audit.services import record
from audit.tasks import seal_due
from tests.environment import POSTGRES

from .logs import tampering

pytestmark = pytest.mark.django_db


def write(count):
    return [record("role.created", actor=None, target=None, ticket=str(n)) for n in range(count)]


def entries():
    return [(entry.n, entry.event_id, bytes(entry.leaf)) for entry in Entry.objects.all()]


def test_event_waits_from_the_moment_in_which_it_is_written():
    events = write(2)
    assert set(Unsealed.objects.values_list("pk", flat=True)) == {event.pk for event in events}
    assert not Unsealed.objects.due(events[0].at.replace(year=2000)).exists()


def test_seal_numbers_what_waits_without_a_gap():
    first = write(3)
    assert seal() == 3
    second = write(2)
    assert (seal(), seal()) == (2, 0)
    expected = [
        (n, event.pk, sha256(b"\0" + event.canonical.encode()).digest()) for n, event in enumerate(first + second, 1)
    ]
    assert entries() == expected
    assert not Unsealed.objects.exists()
    head = Head.objects.get()
    assert (head.size, Frontier(head.size, bytes(head.frontier)).root()) == (
        5,
        Frontier.over(leaf for _n, _event, leaf in expected).root(),
    )


def test_event_of_a_slow_transaction_is_numbered_although_later_ones_have_numbers():
    slow, quick = write(2)
    Unsealed.objects.filter(pk=slow.pk).delete()  # not to be seen yet
    seal()
    Unsealed.objects.create(event=slow)
    seal()
    assert [event for _n, event, _leaf in entries()] == [quick.pk, slow.pk]


def test_seal_due_takes_all_of_them(monkeypatch):
    monkeypatch.setattr("audit.sealing.BATCH", 2)
    monkeypatch.setattr("audit.tasks.BATCH", 2)
    write(5)
    assert (seal_due(), seal_due()) == (5, 0)
    assert [n for n, _event, _leaf in entries()] == [1, 2, 3, 4, 5]


def test_what_is_left_of_vanished_events_stays_and_holds_nothing_up(monkeypatch):
    monkeypatch.setattr("audit.sealing.BATCH", 2)
    monkeypatch.setattr("audit.tasks.BATCH", 2)
    *gone, first, second, third = write(6)
    with tampering():
        Event.objects.filter(pk__in=[event.pk for event in gone]).delete()
        assert (seal_due(), seal_due()) == (3, 0)
        assert [event for _n, event, _leaf in entries()] == [first.pk, second.pk, third.pk]
        assert set(Unsealed.objects.values_list("pk", flat=True)) == {event.pk for event in gone}


def test_numbers_are_taken_back_with_their_transaction():
    write(2)
    with transaction.atomic():
        seal()
        transaction.set_rollback(True)
    write(1)
    seal()
    assert [n for n, _event, _leaf in entries()] == [1, 2, 3]


def test_record_costs_no_statement_more(django_assert_num_queries):
    with django_assert_num_queries(1):
        write(1)


STATEMENTS = ["UPDATE audit_entry SET n = n + 1", "DELETE FROM audit_entry"]
STATEMENTS += ["TRUNCATE audit_entry"] if POSTGRES else ["INSERT OR REPLACE INTO audit_entry SELECT * FROM audit_entry"]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_entry_cannot_be_changed_by_sql(statement):
    write(2)
    seal()
    before = entries()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        connection.cursor().execute(statement)
    assert entries() == before


def test_leaf_is_of_the_text_as_it_is_stored():
    event = record("role.created", actor=None, target=None, justification="schön \u2028 ✓")
    seal()
    assert bytes(Entry.objects.get().leaf) == leaf_hash(Event.objects.get(pk=event.pk).canonical.encode())
