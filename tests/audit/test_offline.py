"""Whatever is done to an export of 200 events is seen by the verifier that needs no site; what is untouched is not."""

import json
import random
from datetime import UTC, datetime
from functools import cache

import pytest

from audit.merkle import Frontier, consistency_ranges, inclusion_ranges, leaf_hash
from audit.notes import b64encode

from .logs import OTHER_SECRET, SECRET, checkpoint_over, export_of, is_sound, offline, offline_keys, records

AT = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
LOG = records(200)
NOTE = checkpoint_over(LOG, AT)
EXPORT = export_of(LOG, NOTE)


@pytest.fixture(autouse=True)
def _signatures_are_looked_at_once(monkeypatch):
    monkeypatch.setattr(offline, "signed_by", cache(offline.signed_by))


def seen(changes):
    """How many changed exports there were, and those that pass for sound."""
    changed = [lines for lines in changes if lines != EXPORT]
    return len(changed), [lines for lines in changed if is_sound(lines)]


def flipped(line, bit):
    changed = bytearray(line)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def with_line(place, *lines):
    return [*EXPORT[:place], *lines, *EXPORT[place + 1 :]]


def test_untouched_export_is_sound():
    assert is_sound(EXPORT)
    assert is_sound(EXPORT, checkpoint_over(LOG[:77], AT), checkpoint_over([], AT))


def test_thousand_untouched_logs_raise_no_alarm():
    made = random.Random(6962)
    for _log in range(1_000):
        log = records(made.randrange(12), text=chr(made.randrange(0x20, 0x2FFF)) * made.randrange(5))
        assert is_sound(export_of(log, checkpoint_over(log, AT)))


def test_every_changed_bit_is_seen():
    whole = [99]
    bits = [(place, bit) for place in whole for bit in range(8 * len(EXPORT[place]))]
    bits += [(place, 7 * place % (8 * len(EXPORT[place]))) for place in range(200)]
    bits += [(200, bit) for bit in range(0, 8 * len(EXPORT[200]), 11)]
    count, passed = seen(with_line(place, flipped(EXPORT[place], bit)) for place, bit in bits)
    assert (count, passed) == (len(bits), [])


def test_every_deletion_insertion_and_duplication_is_seen():
    deleted = (with_line(place) for place in range(201))
    doubled = (with_line(place, EXPORT[place], EXPORT[place]) for place in range(201))
    inserted = (with_line(place, b'{"n":%d,"record":{}}\n' % (place + 1), EXPORT[place]) for place in range(201))
    for changes in (deleted, doubled, inserted):
        assert seen(changes) == (201, [])


def test_every_swap_of_neighbours_is_seen():
    swapped = ([*EXPORT[:n], EXPORT[n + 1], EXPORT[n], *EXPORT[n + 2 :]] for n in range(199))
    renumbered = (export_of([*LOG[:n], LOG[n + 1], LOG[n], *LOG[n + 2 :]], NOTE) for n in range(199))
    assert seen(swapped) == seen(renumbered) == (199, [])


def test_every_truncation_is_seen():
    cut = (EXPORT[:length] for length in range(201))
    closed = (export_of(LOG[:length], NOTE) for length in range(200))
    torn = ([*EXPORT[:-1], EXPORT[-1][:length]] for length in range(len(EXPORT[-1])))
    assert [seen(changes)[1] for changes in (cut, closed, torn)] == [[], [], []]


def test_full_rewrite_is_seen_by_who_knows_the_key_or_has_an_old_checkpoint():
    other = records(200, text="y")
    assert not is_sound(export_of(other, checkpoint_over(other, AT, secrets=[OTHER_SECRET])))
    by_thief_of_the_key = export_of(other, checkpoint_over(other, AT))
    assert is_sound(by_thief_of_the_key)
    assert not is_sound(by_thief_of_the_key, checkpoint_over(LOG[:50], AT))


def test_old_copy_is_seen_by_who_has_a_newer_checkpoint():
    old = export_of(LOG[:120], checkpoint_over(LOG[:120], AT))
    assert is_sound(old)
    assert not is_sound(old, NOTE)


def test_log_is_followed_over_a_change_of_keys():
    both = checkpoint_over(LOG[:100], AT, secrets=[OTHER_SECRET, SECRET])
    new = export_of(LOG, checkpoint_over(LOG, AT, secrets=[OTHER_SECRET]))
    assert is_sound(new, both, keys=offline_keys(OTHER_SECRET))
    assert is_sound(export_of(LOG[:100], both))
    assert not is_sound(new)


def inclusion(place, log=LOG, note=NOTE):
    path = [coded_root(log[start:end]) for start, end in inclusion_ranges(place, 0, len(log))]
    return {"proof": "inclusion", "n": place + 1, "record": log[place], "path": path, "checkpoint": note}


def consistency(old):
    path = [coded_root(LOG[start:end]) for start, end in consistency_ranges(old, 200)]
    return {"proof": "consistency", "old": checkpoint_over(LOG[:old], AT), "path": path, "checkpoint": NOTE}


def coded_root(part):
    return b64encode(Frontier.over(leaf_hash(record.encode()) for record in part).root()).decode()


def proof_holds(proof):
    try:
        offline.verify_proof(proof, offline_keys())
    except offline.Broken:
        return False
    return True


def test_every_proof_of_the_site_is_understood():
    assert all(proof_holds(inclusion(place)) for place in range(0, 200, 9))
    assert all(proof_holds(consistency(old)) for old in range(0, 201, 9))


@pytest.mark.parametrize("proof", [inclusion(77), consistency(77), consistency(64)], ids=["in", "goes on", "whole"])
def test_every_spoiled_proof_is_refused(proof):
    for place in range(len(proof["path"])):
        path = proof["path"]
        for other in ([coded_root([])], [], [path[place]] * 2):
            assert not proof_holds(proof | {"path": [*path[:place], *other, *path[place + 1 :]]})
    for key in proof:
        assert not proof_holds({name: value for name, value in proof.items() if name != key})


@pytest.mark.parametrize("change", [{"n": 79}, {"n": 0}, {"n": "78"}, {"record": "{}"}, {"proof": "other"}])
def test_proof_of_something_else_is_refused(change):
    assert not proof_holds(inclusion(77) | change)


def run(capsys, *arguments):
    status = offline.main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return status, printed.out + printed.err


def test_command_says_what_it_found(tmp_path, capsys):
    export, kept, proof = tmp_path / "export", tmp_path / "kept", tmp_path / "proof"
    export.write_bytes(b"".join(EXPORT))
    kept.write_text(checkpoint_over(LOG[:9], AT))
    proof.write_text(json.dumps(inclusion(3)))
    key = "--key", "+".join([name := offline_keys()[0][0], *_coded(offline_keys()[0])])
    assert name
    assert run(capsys, *key, export, kept)[0] == offline.HOLDS
    status, words = run(capsys, *key, "--proof", proof)
    assert (status, LOG[3] in words) == (offline.HOLDS, True)
    export.write_bytes(b"".join(EXPORT[:-1]))
    status, words = run(capsys, *key, export)
    assert (status, "torn" in words) == (offline.BROKEN, True)
    assert run(capsys, *key, tmp_path / "nothing")[0] == offline.UNREADABLE
    assert run(capsys, "--key", "x", export)[0] == offline.UNREADABLE


def _coded(key):
    _name, id_, raw = key
    return [id_.hex(), b64encode(b"\x01" + raw).decode()]
