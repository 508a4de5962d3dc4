"""Old events go into files that verify, and only then out of the tables; what is interrupted goes on."""

import errno
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from unittest.mock import Mock

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils.timezone import now

from audit import archiving, exporting, files
from audit.archiving import ArchiveRefused, archive_next
from audit.checkpoints import checkpoint
from audit.exporting import lines
from audit.merkle import leaf_hash
from audit.models import Archive, Checkpoint, Entry, Event, Reader, Unsealed
from audit.proving import ProofRefused, consistency_proof, inclusion_proof
from audit.services import record
from audit.tasks import archive_due
from audit.verifying import verify

from .logs import OTHER_SECRET, SECRET, checkpoint_over, offline, offline_keys
from .test_verifying import codes, tampering

pytestmark = pytest.mark.django_db
LONG_AGO = timedelta(days=400)


@pytest.fixture(autouse=True)
def _keys(settings):
    settings.AUDIT_KEYS, settings.AUDIT_ORIGIN = [SECRET], "pim.example.org"


@pytest.fixture
def notes():
    """Seven events with a checkpoint of long ago over 3 and one over 5, and one of now over all."""
    made = []
    for count, age in ((3, LONG_AGO), (2, LONG_AGO), (2, timedelta())):
        for n in range(count):
            record("role.created", actor=None, target=None, ticket=f"INC-{n}", justification="schön")
        row = checkpoint()
        Checkpoint.objects.filter(pk=row.pk).update(at=now() - age)
        made.append(row)
    return made


def archive(folder, days=365):
    return archive_next(before=now() - timedelta(days=days), folder=folder)


def archive_all(folder):
    return len(list(iter(lambda: archive(folder), None)))


def refusal(folder, days=365):
    with pytest.raises(ArchiveRefused) as refused:
        archive(folder, days)
    return refused.value.error_list[0].code


def names_in(folder):
    return [path.name for path in folder.iterdir() if path.name != archiving.LOCK]


def offline_says(export, *archives, others=()):
    """What the offline verifier says; an empty text if all holds."""
    try:
        read = [Path(path).read_bytes().splitlines(keepends=True) for path in archives]
        export = export if isinstance(export, list) else [line.encode() for line in lines(export)]
        offline.verify_export(export, offline_keys(), others, read)
    except offline.Broken as broken:
        return str(broken)
    return ""


@pytest.fixture
def two(notes, tmp_path, monkeypatch):
    """Two archives, of events 1 to 3 and 4 to 5."""
    monkeypatch.setattr(archiving, "LARGEST", 3)
    assert archive_all(tmp_path) == 2
    return list(Archive.objects.order_by("first"))


def test_old_events_are_in_a_file_that_verifies_and_out_of_the_tables(notes, tmp_path):
    texts = [event.canonical for event in Event.objects.order_by("pk")[:5]]
    row = archive(tmp_path)
    content = Path(row.file).read_text()
    assert (row.first, row.last, row.removed_at is None) == (1, 5, False)
    assert [line.split('"record":')[1] for line in content.splitlines()[:5]] == [f"{text}}}" for text in texts]
    assert offline_says(content.encode().splitlines(keepends=True), others=[notes[0].note]) == ""
    assert list(Entry.objects.values_list("n", flat=True)) == [6, 7]
    assert archive(tmp_path) is None


def test_log_still_verifies_and_says_where_the_others_are(notes, tmp_path):
    archive(tmp_path)
    report = verify([row.note for row in notes])
    assert (report.faults, report.size, report.archived, report.removable, report.waiting) == ([], 7, 5, 0, 1)
    assert codes(since=Checkpoint.objects.first()) == []
    assert checkpoint().size == 8


def test_archiving_is_itself_in_the_audit(notes, tmp_path):
    row = archive(tmp_path)
    event = Event.objects.get(action="log.archived")
    facts = {"first": 1, "last": 5, "file": Path(row.file).name, "sha256": row.digest}
    assert (event.facts["after"], event.actor_label) == (facts, "System")


def test_offline_verifier_reads_archives_and_the_rest_as_one_log(two, notes):
    fresh, paths = checkpoint(), [row.file for row in two]
    others = [row.note for row in notes]
    assert offline_says(fresh, *paths, others=others) == ""
    assert offline_says(fresh) == ""  # what is here, and a signed word on the rest
    assert offline_says(fresh, paths[1], others=others) == ""
    assert "not follow" in offline_says(fresh, paths[0])
    assert "not follow" in offline_says(fresh, *reversed(paths))


def test_checkpoints_within_archives_are_told_and_compared_with_those(notes, tmp_path, capsys):
    """Nobody is to believe that a checkpoint held which nothing was compared with."""
    inner, row = notes[0].note, archive(tmp_path)
    kept, words = tmp_path / "kept", "1 checkpoints that you gave are of events in archives and were not compared"
    kept.write_text(inner)
    call_command("audit_verify", str(kept))
    assert words in capsys.readouterr().out
    assert [verify([note]).uncompared for note in (inner, notes[1].note, notes[2].note)] == [1, 0, 0]
    with pytest.raises(offline.Unreadable, match=words):
        offline_says(notes[2], others=[inner])
    assert offline_says(notes[2], row.file, others=[inner]) == ""


def test_log_is_compared_with_checkpoints_at_the_end_of_each_archive(two, notes):
    report = verify([row.note for row in notes])
    assert (report.faults, report.checkpoints, report.uncompared) == ([], 6, 0)
    other = checkpoint_over(["{}"] * 3, now())
    assert codes(other) == ["root_differs"]


def test_offline_verifier_sees_what_is_done_to_an_archive(two):
    fresh, paths = checkpoint(), [Path(row.file) for row in two]
    content = paths[1].read_bytes()
    for bit in range(0, 8 * len(content), 211):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        paths[1].write_bytes(changed)
        assert offline_says(fresh, *paths), bit
    for length in (0, 1, len(content) // 2, len(content) - 1):
        paths[1].write_bytes(content[:length])
        assert offline_says(fresh, *paths), length


def test_export_without_its_first_events_is_seen_unless_they_were_archived(two, notes):
    fresh = checkpoint()
    begin, *rest = [line.encode() for line in lines(fresh)]
    assert offline_says([begin, *rest[1:]])
    assert offline_says(rest)
    assert offline_says([exporting._beginning(two[0]).encode(), *rest])  # signed, but it says less


def test_rows_that_are_not_archived_cannot_be_deleted(notes, tmp_path):
    archive(tmp_path)
    for rows in (Event.objects.all(), Entry.objects.all(), Archive.objects.all()):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            rows.delete()
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        Archive.objects.update(digest="0" * 64)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        Archive.objects.update(removed_at=None)


@pytest.mark.parametrize("change", [{"note": "x"}, {"last": 6}, {"digest": "0" * 64}, {"frontier": b""}])
def test_archive_that_is_not_as_it_was_signed_is_seen(notes, tmp_path, change):
    archive(tmp_path)
    with tampering():
        Archive.objects.update(**change)
        assert codes()[:2] == ["archive_refused", "missing"]


def test_rows_that_nobody_archived_are_missing(notes, tmp_path):
    """Whoever owns the database can delete rows, but not sign that they are in a file."""
    with tampering():
        Event.objects.filter(entry__n__lte=3).delete()
        Entry.objects.filter(n__lte=3).delete()
        assert codes()[0] == "missing"
    archive(tmp_path)
    with tampering():
        Archive.objects.all().delete()
        assert codes()[0] == "missing"


@pytest.mark.parametrize("what", ["gone", "changed"])
def test_nothing_more_is_deleted_once_the_file_is_gone(notes, tmp_path, monkeypatch, what):
    with monkeypatch.context() as patch:
        patch.setattr(archiving, "_remove_some", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            archive(tmp_path)
    path = Path(Archive.objects.get().file)
    content = path.read_bytes()
    path.unlink() if what == "gone" else path.write_bytes(content + b"x")
    assert (refusal(tmp_path), Entry.objects.count()) == ("file_differs", 8 - 1)
    path.write_bytes(content)
    assert archive(tmp_path).removed_at is not None


@pytest.fixture
def forged(notes, tmp_path, settings):
    """A row that says of the first five events that they are in a file, which it digests rightly, signed by nobody."""
    path = tmp_path / "forged.jsonl"
    path.write_text("nothing")
    facts = {"file": str(path), "digest": files.digest_of(path), "frontier": bytes(notes[1].frontier)}
    moments = dict.fromkeys(("at", "oldest_at", "newest_at"), now())
    settings.AUDIT_ARCHIVE_DIR, settings.AUDIT_KEEP_DAYS = str(tmp_path), 365
    return Archive.objects.create(first=1, last=5, note=notes[1].note, **facts, **moments)


def test_forged_archive_lets_the_worker_and_the_command_delete_nothing(forged, tmp_path, caplog):
    assert (archive_due(), "not what was signed" in caplog.text) == (0, True)
    with pytest.raises(CommandError, match="not what was signed"):
        call_command("audit_archive", before="2020-01-01", to=str(tmp_path))
    assert refusal(tmp_path) == "not_signed"
    assert (Entry.objects.count(), Archive.objects.get().removed_at) == (7, None)


@pytest.mark.parametrize("arguments", [["--event=6"], ["--since=5"]])
def test_proof_over_a_forged_archive_is_refused_in_words(forged, arguments):
    with pytest.raises(CommandError, match="not what was signed") as refused:
        call_command("audit_proof", *arguments)
    assert refused.value.returncode == 1


@pytest.mark.parametrize("change", [{"first": 5}, {"first": 7}, {"last": 99}, {"last": 5}, {"removed_at": now()}])
def test_database_takes_no_archive_that_does_not_follow_on(notes, tmp_path, change):
    made = Archive.objects.filter(pk=archive(tmp_path).pk).values().get()
    row = made | {"id": None, "first": 6, "last": 7, "removed_at": None}
    with transaction.atomic():
        Archive.objects.create(**row)
        transaction.set_rollback(True)
    with pytest.raises(IntegrityError), transaction.atomic():
        Archive.objects.create(**row | change)


@pytest.mark.parametrize("n", [-1, 0, 2])
def test_event_under_a_number_that_was_archived_is_seen(notes, tmp_path, n):
    event = Event.objects.get(entry__n=2)
    archive(tmp_path)
    event.pk = None
    event._state.adding = True
    event.save()
    Unsealed.objects.filter(event_id=event.pk).delete()
    Entry.objects.create(n=n, event_id=event.pk, leaf=leaf_hash(event.canonical.encode()))
    assert codes() == codes(since=Checkpoint.objects.first()) == ["before_begin"]


def test_rows_that_an_unfinished_archive_left_are_looked_at(notes, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(archiving, "_remove_some", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            archive(tmp_path)
    assert codes() == []
    with tampering():
        Event.objects.filter(entry__n=2).update(canonical="{}")
        Event.objects.filter(entry__n=4).update(code="x")
        assert codes() == ["record_differs", "column_differs"]


def test_another_file_of_that_name_is_not_touched(notes, tmp_path):
    path = tmp_path / "audit-0000000001-0000000005.jsonl"
    path.write_text("something else")
    assert refusal(tmp_path) == "file_exists"
    assert (path.read_text(), Entry.objects.count()) == ("something else", 7)


def test_two_do_not_archive_into_one_folder(notes, tmp_path):
    with archiving._alone_in(tmp_path):
        assert refusal(tmp_path) == "in_use"
        assert (Entry.objects.count(), names_in(tmp_path)) == (7, [])
    assert archive(tmp_path).last == 5


def test_file_that_another_wrote_meanwhile_is_not_replaced(notes, tmp_path, monkeypatch):
    path = tmp_path / "audit-0000000001-0000000005.jsonl"

    def meanwhile(end):
        yield from lines(end)
        path.write_text("of another")

    monkeypatch.setattr(archiving, "lines", meanwhile)
    with pytest.raises(FileExistsError):
        archive(tmp_path)
    assert (path.read_text(), names_in(tmp_path)) == ("of another", [path.name])


def test_file_that_a_row_names_is_not_discarded(two):
    path = Path(two[0].file)
    archiving._discard(path)
    assert path.exists()


def test_file_that_was_there_is_forced_to_the_disk_before_rows_go(notes, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(archiving, "note_archive", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            archive(tmp_path)
    monkeypatch.setattr(files.os, "fsync", Mock(side_effect=OSError(errno.EIO, "")))
    with pytest.raises(OSError, match="Errno 5"):
        archive(tmp_path)
    assert Entry.objects.count() == 7


def test_changed_log_is_not_archived(notes, tmp_path):
    with tampering():
        Event.objects.filter(entry__n=2).update(canonical="{}")
        assert refusal(tmp_path) == "log_broken"
        assert names_in(tmp_path) == []


def test_young_events_and_those_without_a_key_stay(notes, tmp_path, settings):
    assert refusal(tmp_path, days=89) == "too_young"
    settings.AUDIT_KEYS = []
    assert refusal(tmp_path) == "no_key"


def test_events_that_a_destination_has_not_taken_stay(notes, tmp_path, settings):
    settings.AUDIT_STREAMS = ["tls://siem.example.org:6514"]
    Reader.objects.create(name="tls://siem.example.org:6514", n=4, next_attempt_at=now())
    Reader.objects.create(name="tcp://no-more.example.org", n=0, next_attempt_at=now())
    assert archive(tmp_path).last == 3
    assert archive(tmp_path) is None


def test_only_the_system_archives(notes, tmp_path, person):
    edge = archiving.Frontier()
    with pytest.raises(PermissionDenied):
        archiving.note_archive(actor=person, first=1, edge=edge, path=tmp_path, digest="")


def test_wrong_key_is_told(notes, tmp_path, settings):
    archive(tmp_path)
    settings.AUDIT_KEYS = [OTHER_SECRET]
    fault = next(fault for fault in verify().faults if fault.code == "archive_refused")
    assert "No key that is known here" in str(fault)


def test_proofs_reach_over_archives(notes, tmp_path):
    for _event in range(70):
        record("role.created", actor=None, target=None)
    for _turn in range(2):
        record("role.created", actor=None, target=None)
        newest = checkpoint()
    before = [inclusion_proof(n, newest) for n in range(6, newest.size + 1)]
    archive(tmp_path)
    assert [inclusion_proof(n, newest) for n in range(6, newest.size + 1)] == before
    for old in (notes[1], notes[2]):
        assert offline.verify_proof(consistency_proof(old, newest), offline_keys())
    with pytest.raises(ProofRefused, match="archives"):
        consistency_proof(notes[0], newest)
    with pytest.raises(ProofRefused):
        inclusion_proof(2, newest)


def test_worker_archives_once_enough_has_gathered(notes, tmp_path, settings):
    settings.AUDIT_ARCHIVE_DIR, settings.AUDIT_KEEP_DAYS = str(tmp_path), 0
    assert archive_due() == 0
    settings.AUDIT_KEEP_DAYS = 365
    assert archive_due() == 0  # the events are of today
    with tampering():
        Event.objects.update(at=now() - LONG_AGO)
        settings.AUDIT_KEEP_DAYS = 380
        assert archive_due() == 0
        settings.AUDIT_KEEP_DAYS = 365
        assert (archive_due(), archive_due()) == (1, 0)


def test_command_names_the_destination_that_has_not_taken_the_events(notes, tmp_path, settings, capsys):
    settings.AUDIT_STREAMS = [name := "tls://siem.example.org:6514"]
    Reader.objects.create(name=name, n=2, next_attempt_at=now())
    call_command("audit_archive", before=str((now() - timedelta(days=365)).date()), to=str(tmp_path))
    assert capsys.readouterr().out == f"The next ones stay until they are taken by: {name} (docs/siem.md).\n"
    assert not Archive.objects.exists()


def test_command_says_what_it_did(notes, tmp_path, capsys):
    call_command("audit_archive", before=str((now() - timedelta(days=365)).date()), to=str(tmp_path))
    call_command("audit_archive", before=str((now() - timedelta(days=365)).date()), to=str(tmp_path))
    words = capsys.readouterr().out
    assert "Events 1 to 5" in words
    assert "No events are that old" in words
    for arguments, said in (({"before": "x"}, "no day"), ({"before": "2020-02-30"}, "no day"), ({"to": "x"}, "folder")):
        with pytest.raises(CommandError, match=said):
            call_command("audit_archive", **{"before": "2020-01-01", "to": str(tmp_path)} | arguments)


FULL = """
import resource, signal, sys
from pathlib import Path
from audit.files import write_whole
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_whole(Path(sys.argv[1]) / "archive", ("x" * 999 + "\\n" for _ in range(200)))
except OSError as failure:
    print(failure.errno)
"""


def test_full_disk_leaves_nothing_behind(tmp_path):
    """In a process that may write no more than 100 kB: as on a disk with as much room."""
    done = subprocess.run([sys.executable, "-c", FULL, tmp_path], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), list(tmp_path.iterdir())) == (str(errno.EFBIG), [])


def test_full_disk_is_told_and_nothing_is_deleted(notes, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(CommandError, match="No space left"):
        call_command("audit_archive", before=str((now() - timedelta(days=365)).date()), to=str(tmp_path))
    assert (names_in(tmp_path), Entry.objects.count()) == ([], 7)
