"""Whatever is done to a log of 200 events is seen by both verifiers; `make bench-tamper` leaves no bit out."""

from functools import cache

import pytest

from . import tampered
from .logs import SECRET, checkpoint_over, offline
from .tampered import false_alarms, faults, flip_columns, flip_export, flip_numbers, is_seen, is_seen_offline

LOG = tampered.make()
KEPT = LOG.notes[-1]


@pytest.fixture(autouse=True)
def _keys(settings, monkeypatch):
    settings.AUDIT_KEYS, settings.AUDIT_ORIGIN = [SECRET], "pim.example.org"
    monkeypatch.setattr(offline, "signed_by", cache(offline.signed_by))


def none_passed(altered, *verdicts):
    told = tampered.passed_by_kind(altered, *verdicts)
    return all(not any(passed) for _count, *passed in told.values())


def test_untouched_log_is_sound_to_both():
    assert (faults(LOG, *LOG.notes), is_seen_offline(LOG, *LOG.notes)) == ([], False)


@pytest.mark.parametrize(("flip", "stride"), [(flip_columns, 97), (flip_numbers, 401), (flip_export, 3001)])
def test_every_changed_bit_is_seen(flip, stride):
    count, passed = flip(LOG, stride)
    assert (count > 20, passed) == (True, 0)


def test_what_is_done_without_repair_is_seen():
    assert none_passed(tampered.without_repair(LOG, stride=9), is_seen)


def test_what_is_done_with_repair_is_seen_by_both():
    assert none_passed(tampered.with_repair(LOG, stride=17), is_seen, is_seen_offline)


def test_old_copy_is_sound_in_itself_and_seen_by_who_kept_a_checkpoint():
    copies = list(tampered.old_copies(LOG, stride=10))
    assert [faults(log) for _kind, log in copies] == [[]] * 20
    assert none_passed(copies, lambda log: is_seen(log, KEPT), lambda log: is_seen_offline(log, KEPT))


def test_rewrite_by_a_thief_of_the_key_is_seen_by_who_kept_a_checkpoint():
    rows = [tampered.row_of(n, tampered.facts_of(n + 1000)) for n in range(1, 201)]
    log = tampered.Log(rows, [checkpoint_over([row[2] for row in rows], tampered.BEGIN)])
    assert faults(log) == []
    assert (is_seen(log, LOG.notes[0]), is_seen_offline(log, LOG.notes[0])) == (True, True)


def test_untouched_random_logs_raise_no_alarm():
    assert false_alarms(50) == {"site": 0, "offline": 0}
