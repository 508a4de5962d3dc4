import errno
import os
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.utils.timezone import now

from audit import checkpoints
from audit.checkpoints import CheckpointRefused, checkpoint, file_unfiled, is_due, notes_in
from audit.keys import signing_keys
from audit.models import Checkpoint
from audit.services import record
from audit.tasks import checkpoint_due
from audit.verifying import verify

from .logs import OTHER_SECRET, SECRET
from .test_verifying import cut_to, event_at, tampering

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _keys(settings, tmp_path):
    settings.AUDIT_KEYS, settings.AUDIT_ORIGIN = [SECRET], "pim.example.org"
    settings.AUDIT_CHECKPOINT_FILE = str(tmp_path / "checkpoints")


@pytest.fixture
def path(settings):
    return Path(settings.AUDIT_CHECKPOINT_FILE)


def write(count=1):
    for _event in range(count):
        record("role.created", actor=None, target=None)


def refusal():
    with pytest.raises(CheckpointRefused) as refused:
        checkpoint()
    return refused.value.error_list[0].code


def test_checkpoint_covers_what_was_written_until_now():
    write(3)
    assert checkpoint().size == 3
    write(2)
    made = checkpoint()
    assert (made.size, verify([made.note]).faults) == (5, [])


def test_checkpoint_is_due_each_hour_although_nothing_happens(settings):
    at = now()
    assert is_due(at)
    assert checkpoint_due() == 2
    assert not is_due(at + timedelta(minutes=59))
    assert is_due(at + timedelta(minutes=61))
    assert is_due(at - timedelta(minutes=61))  # the clock was set back since
    settings.AUDIT_KEYS = []
    assert not is_due(at + timedelta(minutes=61))


def test_checkpoint_is_refused_without_a_key(settings):
    settings.AUDIT_KEYS = []
    assert refusal() == "no_key"


def test_checkpoint_is_refused_over_what_was_changed_since_the_last():
    write(3)
    checkpoint()
    write(2)
    checkpoints.seal()
    with tampering():
        event_at(5).update(code="x")
        assert refusal() == "log_broken"
        assert Checkpoint.objects.count() == 1


def test_checkpoint_is_refused_where_the_file_knows_of_more(path, caplog):
    write(3)
    checkpoint()
    file_unfiled()
    write()
    checkpoint()
    file_unfiled()
    with tampering():  # the database is put back to where it was
        cut_to(3)
        Checkpoint.objects.first().delete()
        assert refusal() == "file_differs"
        with time_machine.travel(now() + timedelta(hours=2)):
            assert checkpoint_due() == 0
        assert str(path) in caplog.text


def test_checkpoint_after_a_change_of_keys(settings):
    write(3)
    old = checkpoint().note
    settings.AUDIT_KEYS = [OTHER_SECRET]
    assert refusal() == "log_broken"  # the last one is signed by nobody who is known
    settings.AUDIT_KEYS = [OTHER_SECRET, SECRET]
    both = checkpoint().note
    settings.AUDIT_OLD_KEYS = [str(signing_keys()[1].public)]
    settings.AUDIT_KEYS = [OTHER_SECRET]
    assert verify([old, both, checkpoint().note]).faults == []


def test_checkpoints_are_appended_to_the_file_once(path):
    write()
    made = [checkpoint().note for _turn in range(2)]
    assert (file_unfiled(), file_unfiled()) == (2, 0)
    assert notes_in(path.read_text()) == made
    assert Checkpoint.objects.filter(filed_at=None).count() == 0


def test_checkpoints_wait_where_no_file_is_named(settings):
    settings.AUDIT_CHECKPOINT_FILE = ""
    checkpoint()
    assert file_unfiled() == 0
    assert Checkpoint.objects.unfiled().count() == 1


def test_line_after_a_torn_one_is_whole(path):
    path.write_text('{"checkpoint": "pim')
    made = checkpoint().note
    file_unfiled()
    assert notes_in(path.read_text()) == [made]


@pytest.mark.parametrize("writes", ["a part", "nothing"])
def test_full_disk_leaves_the_file_as_it_was(path, monkeypatch, caplog, writes):
    first = checkpoint()
    file_unfiled()
    before = path.read_bytes()
    second = checkpoint()
    real = os.write

    def full(descriptor, content):
        if writes == "nothing":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, content[:9])

    with monkeypatch.context() as patch:
        patch.setattr("audit.files.os.write", full)
        assert checkpoint_due() == 0
    assert path.read_bytes() == before
    assert "cannot be written" in caplog.text
    assert checkpoint_due() == 1
    assert notes_in(path.read_text()) == [first.note, second.note]


def test_note_of_a_mail_is_read_like_the_file():
    note = checkpoint().note
    assert (
        notes_in(note)
        == notes_in(checkpoints.line_of(note))
        == notes_in(f"Hello,\n\n{checkpoints.line_of(note)}\n")
        == [note]
    )
    assert notes_in("") == notes_in("{}\n") == []
