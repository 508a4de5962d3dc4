"""kill -9 of who archives events and of who sends them: nothing is lost, and whoever comes next goes on."""

import json
from datetime import timedelta

import pytest
import time_machine
from django.core.management import call_command
from django.db import transaction
from django.utils.timezone import now

from audit import archiving, files
from audit.checkpoints import checkpoint
from audit.models import Archive, Checkpoint, Entry, Event, Reader
from audit.sealing import seal
from audit.services import record
from audit.verifying import verify
from pim_site.siem import streaming
from pim_site.siem.tasks import stream_due
from tests.audit.logs import SECRET
from tests.races.killing import killed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _origin(settings):
    settings.AUDIT_KEYS, settings.AUDIT_ORIGIN = [SECRET], "pim.example.org"


def write(count):
    with transaction.atomic():
        for _n in range(count):
            record("role.created", actor=None, target=None)
    seal()


# --- audit_archive, of five events, two of which are deleted at a time -----------------------------------------

# Where it is killed, one after the other; then how many of the events are still in the database, and how many files
# and parts of one are in the folder.
ARCHIVING = {
    "the file is being written": ((files.os, "fsync"), 5, 1),
    "it is there, and not read back": ((archiving, "_read_back"), 5, 1),
    "it is read back, and not signed": ((archiving, "note_archive"), 5, 1),
    "it is signed, and that is not in the audit": ((archiving, "record"), 5, 1),
    "nothing is deleted": ((archiving, "_removed"), 5, 1),
    "two are deleted, and the next not": ((archiving, "_remove_some", 2), 3, 1),
    "all are deleted, and that is not noted": ((archiving, "_remove_some", 3), 0, 1),
}


def test_archiving_that_is_killed_again_and_again_ends_with_the_same(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(archiving, "PAGE", 2)
    write(5)
    note = checkpoint().note
    Checkpoint.objects.update(at=now() - timedelta(days=400))
    write(1)

    def archive():
        call_command("audit_archive", before=str((now() - timedelta(days=365)).date()), to=str(tmp_path))

    for point, ((place, name, *call), kept, count) in ARCHIVING.items():
        killed(archive, place, name, call=call[0] if call else 1)
        assert (Entry.objects.filter(n__lte=5).count(), len(in_folder(tmp_path))) == (kept, count), point
        assert verify([note]).faults == [], point

    archive()
    assert verify([note]).faults == []
    assert in_folder(tmp_path) == ["audit-0000000001-0000000005.jsonl"]
    assert (Archive.objects.get().removed_at is None, Entry.objects.filter(n__lte=5).count()) == (False, 0)
    assert Event.objects.filter(action="log.archived").count() == 1


def in_folder(path):
    return [each.name for each in path.iterdir() if each.name != archiving.LOCK]


# --- a stream of events ---------------------------------------------------------------------------------------

# Where it is killed, one after the other; then what is in the file.
SENDING = {
    "it is claimed, and nothing is read": ((streaming, "_next"), []),
    "nothing is written": ((files.os, "write"), []),
    "it is written, and not known to be on the disk": ((files.os, "fsync"), [1, 2]),
    "it is on the disk, and not noted": ((streaming, "_note_taken"), [1, 2, 1, 2]),
}


def test_stream_that_is_killed_again_and_again_repeats_the_same_and_leaves_no_gap(settings, tmp_path):
    path = tmp_path / "audit.jsonl"
    settings.AUDIT_STREAMS = [f"file://{path}"]
    stream_due()
    write(2)
    start = now()

    for number, (point, ((place, name), expected)) in enumerate(SENDING.items()):
        with time_machine.travel(start + timedelta(minutes=2 * number)):
            killed(stream_due, place, name)
            assert stream_due() == 0, f"{point}: the lease is not waited for"
        assert (numbers(path), Reader.objects.get().n) == (expected, 0), point

    write(1)
    with time_machine.travel(start + timedelta(minutes=9)):
        assert (stream_due(), stream_due()) == (3, 0)
    assert numbers(path) == [1, 2, 1, 2, 1, 2, 3]
    assert {event["id"] for event in events(path)} == {f"pim.example.org/{n}" for n in (1, 2, 3)}


def events(path):
    return [json.loads(line)["event"] for line in path.read_text().splitlines()] if path.exists() else []


def numbers(path):
    return [event["sequence"] for event in events(path)]
