"""Whatever is done to the rows is seen, also where the triggers are taken away first; what is untouched is not."""

import pytest
from django.db import connection

from audit.canonical import dumps, moment
from audit.checkpoints import CheckpointRefused, checkpoint
from audit.columns import COLUMNS
from audit.merkle import Frontier, leaf_hash
from audit.models import Checkpoint, Entry, Event, Head, Unsealed
from audit.sealing import seal
from audit.services import record
from audit.verifying import verify

from .logs import OTHER_SECRET, SECRET, tampering

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _keys(settings):
    settings.AUDIT_KEYS, settings.AUDIT_ORIGIN = [SECRET], "pim.example.org"


@pytest.fixture
def log(person, colleague):
    """Twelve events, checkpoints over 5 and over all of them; the note of the last."""
    for n in range(12):
        facts = {"actor": person, "target": colleague, "subject": colleague, "role": person, "scope": person}
        record("role.created", **facts, request=person, ticket=f"INC-{n}", justification="schön", code="c")
        if n == 4:
            checkpoint()
    return checkpoint().note


def codes(*notes, since=None):
    return [fault.code for fault in verify(notes, since=since).faults]


def event_at(n):
    return Event.objects.filter(entry__n=n)


def test_untouched_log_is_sound(log):
    report = verify([log])
    assert (report.faults, report.size, report.checkpoints, report.waiting) == ([], 12, 3, 0)
    assert report.root == Frontier.over(map(bytes, Entry.objects.values_list("leaf", flat=True))).root()


def test_events_that_wait_are_no_fault(log):
    record("role.created", actor=None, target=None)
    report = verify([log])
    assert (report.faults, report.size, report.waiting) == ([], 12, 1)


def test_empty_log_is_sound():
    report = verify()
    assert (report.faults, report.size, report.checkpoints) == ([], 0, 0)


OTHERS = {
    "at": "2020-01-01T00:00:00Z",
    "outcome": "refused",
    **dict.fromkeys(["actor_id", "subject_id", "role_id", "scope_id", "request_id"], "0" * 32),
}


@pytest.mark.parametrize("column", COLUMNS)
def test_every_changed_column_is_seen(log, column):
    with tampering():
        event_at(3).update(**{column: OTHERS.get(column, "x")})
        assert codes(log) == ["column_differs"]
    assert codes(log) == []


@pytest.mark.once
@pytest.mark.parametrize("odd", ["", "no id", "0" * 32, "00000000-0000-0000-0000-000000000000"])
def test_id_that_only_sqlite_takes_is_seen(log, odd):
    with tampering():
        connection.cursor().execute("UPDATE audit_event SET actor_id = %s WHERE ticket = 'INC-2'", [odd])
        assert codes(log) == ["column_differs"]


def test_text_that_was_numbered_anew_is_seen(log):
    """Whoever changes the hash with the text meets the checkpoints; a text that is no record does not end the look."""
    with tampering():
        event_at(3).update(canonical="no record")
        Entry.objects.filter(n=3).update(leaf=leaf_hash(b"no record"))
        found = codes(log)
        assert found[0] == "record_unreadable"
        assert {"root_differs", "head_differs"} <= set(found)


@pytest.mark.parametrize("n", [1, 6, 12])
@pytest.mark.parametrize("what", ["event", "entry", "both"])
def test_every_deletion_is_seen(log, n, what):
    with tampering():
        event = event_at(n).get()
        if what != "entry":
            Event.objects.filter(pk=event.pk).delete()
        if what != "event":
            Entry.objects.filter(n=n).delete()
        found = codes(log)
        assert found[0] == "missing"
        assert ("not_numbered" in found) == (what == "entry")


@pytest.mark.parametrize("kept", [0, 4, 5, 11])
def test_every_truncation_is_seen_with_the_head_set_back(log, kept):
    """By the checkpoints here; and where those are cut as well, by the one that was kept elsewhere."""
    with tampering():
        cut_to(kept)
        assert "too_short" in codes()
        Checkpoint.objects.filter(size__gt=kept).delete()
        assert (codes(), codes(log)) == ([], ["too_short"])


def cut_to(kept):
    leaves = map(bytes, Entry.objects.filter(n__lte=kept).values_list("leaf", flat=True))
    Head.objects.update(size=kept, frontier=Frontier.over(leaves).packed)
    Event.objects.filter(entry__n__gt=kept).delete()
    Entry.objects.filter(n__gt=kept).delete()


def test_swapped_events_are_seen(log):
    with tampering():
        first, second = (event_at(n).get().pk for n in (3, 4))
        Entry.objects.filter(n=3).update(event=-1)
        Entry.objects.filter(n=4).update(event=first)
        Entry.objects.filter(n=3).update(event=second)
        assert codes(log)[:2] == ["record_differs", "record_differs"]


def test_doubled_event_is_seen(log):
    with tampering():
        event = event_at(3).get()
        Event.objects.bulk_create([copy_of(event)])
        assert codes(log) == ["not_numbered"]
        Entry.objects.create(n=13, event=Event.objects.latest("pk"), leaf=leaf_hash(event.canonical.encode()))
        assert codes(log) == ["beyond_head"]


def copy_of(event):
    return Event(**{column: getattr(event, column) for column in COLUMNS}, canonical=event.canonical)


def test_inserted_event_is_seen(log):
    """With everything after it numbered anew, and the head made to fit: the checkpoints do not."""
    with tampering():
        for n in range(12, 2, -1):
            Entry.objects.filter(n=n).update(n=n + 1)
        Event.objects.bulk_create([copy_of(event_at(1).get())])
        new = Event.objects.latest("pk")
        Entry.objects.create(n=3, event=new, leaf=leaf_hash(new.canonical.encode()))
        frontier = Frontier.over(map(bytes, Entry.objects.order_by("n").values_list("leaf", flat=True)))
        Head.objects.update(size=13, frontier=frontier.packed)
        assert codes(log) == ["root_differs"] * 3


def rewrite(person):
    """Everything that whoever owns the database can do: another log, with its own numbers, hashes and head."""
    cut_to(0)
    for n in range(12):
        record("role.created", actor=person, target=person, ticket=f"OTHER-{n}")
    Unsealed.objects.bulk_create(Unsealed(event=event) for event in Event.objects.all())
    seal()


def test_full_rewrite_is_seen(log, person):
    with tampering():
        rewrite(person)
        assert codes() == ["root_differs"] * 2
        Checkpoint.objects.all().delete()
        assert (codes(), codes(log)) == ([], ["root_differs"])


def test_full_rewrite_with_another_key_is_seen(log, person, settings):
    with tampering():
        rewrite(person)
        Checkpoint.objects.all().delete()
        settings.AUDIT_KEYS = [OTHER_SECRET]
        checkpoint()
        settings.AUDIT_KEYS = [SECRET]
        assert codes() == ["checkpoint_refused"]


def test_checkpoint_of_another_site_is_told_in_clear_words(log, settings):
    settings.AUDIT_ORIGIN = "other.example.org"
    assert "another site" in str(verify([log]).faults[0])


def test_event_that_vanished_before_it_had_a_number_is_seen(log):
    event = record("role.created", actor=None, target=None)
    with tampering():
        Event.objects.filter(pk=event.pk).delete()
        assert codes(log) == ["vanished"]


def test_event_that_lost_its_place_in_the_queue_is_seen(log):
    record("role.created", actor=None, target=None)
    Unsealed.objects.all().delete()
    assert codes(log) == ["not_numbered"]


def test_what_is_new_is_read_alone(log, django_assert_num_queries):
    since = Checkpoint.objects.first()
    with tampering():
        event_at(3).update(code="x")
        record("role.created", actor=None, target=None)
        Unsealed.objects.create(event=Event.objects.latest("pk"))
        seal()
        assert codes(since=since) == []
        event_at(13).update(code="x")
        assert codes(since=since) == ["column_differs"]
        Checkpoint.objects.filter(pk=since.pk).update(frontier=b"")
        assert codes(since=Checkpoint.objects.first()) == ["checkpoint_differs", "column_differs", "column_differs"]


def test_past_that_was_rewritten_is_seen_where_the_last_checkpoint_was_moved_past_it(log):
    """By whoever owns the database: all fits, but for what was signed, which is of fewer events."""
    rows = list(Event.objects.order_by("entry__n"))
    rewritten = dumps(rows[1].facts | {"code": "x"})
    leaves = [leaf_hash(rewritten.encode() if row is rows[1] else row.canonical.encode()) for row in rows]
    record("role.created", actor=None, target=None)
    seal()
    leaves.append(bytes(Entry.objects.get(n=13).leaf))
    edge = Frontier.over(leaves)
    with tampering():
        event_at(2).update(canonical=rewritten, code="x")
        Entry.objects.filter(n=2).update(leaf=leaves[1])
        Head.objects.update(frontier=edge.packed)
        Checkpoint.objects.filter(pk=Checkpoint.objects.first().pk).update(size=13, frontier=edge.packed)

        found = codes(since=Checkpoint.objects.first())
        with pytest.raises(CheckpointRefused) as refusal:
            checkpoint()

    assert found == ["checkpoint_differs", "root_differs", "root_differs"]
    assert refusal.value.code == "log_broken"
    assert Checkpoint.objects.count() == 2


def test_many_faults_are_told_up_to_a_number(log, monkeypatch):
    monkeypatch.setattr("audit.verifying.MOST_FAULTS", 3)
    with tampering():
        Event.objects.update(code="x")
        assert codes(log) == ["column_differs"] * 3


def test_moments_of_the_two_databases_are_the_same(log):
    event = event_at(3).get()
    assert moment(event.at) == event.facts["at"]
