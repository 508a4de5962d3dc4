"""The commands about the log, and what they say when something is wrong."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from audit.models import Checkpoint
from audit.services import record

from .logs import OTHER_SECRET, SECRET, offline, offline_keys
from .test_verifying import event_at, tampering

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _log(settings, tmp_path):
    settings.AUDIT_KEYS, settings.AUDIT_ORIGIN = [SECRET], "pim.example.org"
    settings.AUDIT_CHECKPOINT_FILE = str(tmp_path / "checkpoints")
    for n in range(9):
        record("role.created", actor=None, target=None, justification=f"schön {n}")


def run(name, *arguments):
    out, err = StringIO(), StringIO()
    status = 0
    try:
        call_command(name, *map(str, arguments), stdout=out, stderr=err)
    except SystemExit as end:
        status = end.code
    return status, out.getvalue() + err.getvalue()


def test_log_goes_from_checkpoint_over_export_to_the_verifier(settings, tmp_path, capsys):
    assert run("audit_checkpoint") == (0, Checkpoint.objects.get().note)
    record("role.created", actor=None, target=None)
    assert run("audit_export", tmp_path / "export")[0] == 0
    key = run("audit_keys")[1].strip()
    arguments = ["--key", key, str(tmp_path / "export"), settings.AUDIT_CHECKPOINT_FILE]
    assert offline.main(arguments) == offline.HOLDS
    assert "10 events" in capsys.readouterr().out


def test_verify_says_that_all_is_well(settings):
    run("audit_checkpoint")
    status, words = run("audit_verify", settings.AUDIT_CHECKPOINT_FILE)
    assert (status, "as it was written: 9 events" in words, "2 checkpoints hold" in words) == (0, True, True)
    assert run("audit_verify", "--new")[0] == 0


def test_verify_says_what_is_wrong(settings):
    run("audit_checkpoint")
    with tampering():
        event_at(3).update(code="x")
        status, words = run("audit_verify", settings.AUDIT_CHECKPOINT_FILE)
    assert (status, "NOT" in words, "Event 3" in words) == (1, True, True)


def test_verify_says_that_nothing_vouches_for_the_log():
    status, words = run("audit_verify")
    assert (status, "No signed checkpoint" in words) == (0, True)


def test_verify_with_another_key_says_so(settings):
    run("audit_checkpoint")
    settings.AUDIT_KEYS = [OTHER_SECRET]
    status, words = run("audit_verify")
    assert (status, "No key that is known here" in words) == (1, True)


@pytest.mark.parametrize("content", [None, b"\xff", b'{"other": 1}'], ids=["none", "no text", "no checkpoint"])
def test_verify_refuses_what_is_no_file_of_checkpoints(tmp_path, content):
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    with pytest.raises(CommandError, match="checkpoint"):
        run("audit_verify", tmp_path / "file")


@pytest.mark.parametrize("arguments", [["--event", "4"], ["--since", "9"]])
def test_proof_is_understood_by_the_verifier(arguments):
    run("audit_checkpoint")
    record("role.created", actor=None, target=None)
    run("audit_checkpoint")
    proof = json.loads(run("audit_proof", *arguments)[1])
    assert offline.verify_proof(proof, offline_keys())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--event", "10"], "covers no event"), (["--event", "0"], "covers no event"), (["--since", "5"], "over 5")],
)
def test_proof_of_what_is_not_there_is_refused(arguments, words):
    run("audit_checkpoint")
    with pytest.raises(CommandError, match=words):
        run("audit_proof", *arguments)


def test_export_leaves_no_torn_file(tmp_path, monkeypatch):
    (tmp_path / "export").write_text("an older one")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("audit.files.os.fsync", full)
    with pytest.raises(CommandError, match="Nothing was written"):
        run("audit_export", tmp_path / "export")
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
    assert (tmp_path / "export").read_text() == "an older one"


def test_without_a_key_commands_say_what_to_set(settings, tmp_path):
    settings.AUDIT_KEYS = []
    for name, *arguments in (["audit_keys"], ["audit_checkpoint"], ["audit_export", tmp_path / "export"]):
        with pytest.raises(CommandError, match="PIM_AUDIT_KEYS"):
            run(name, *arguments)
