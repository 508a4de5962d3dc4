"""Several workers number the events at once, while others are still being written."""

import pytest
from django.db import IntegrityError, transaction

from audit import sealing
from audit.models import Entry, Event
from audit.sealing import seal
from audit.services import record

from .guards import count, no_row_locks

pytestmark = pytest.mark.postgres


def write_and_seal(number):
    for _turn in range(5):
        with transaction.atomic():
            record("role.created", actor=None, target=None, ticket=str(number))
        seal()


def test_numbers_have_no_gap_and_no_double_whoever_seals(run_in_threads):
    assert run_in_threads(8, write_and_seal) == [None] * 8
    seal()
    assert list(Entry.objects.values_list("n", flat=True)) == list(range(1, 41))
    assert set(Entry.objects.values_list("event", flat=True)) == set(Event.objects.values_list("pk", flat=True))


def test_without_the_lock_workers_take_the_same_numbers(run_in_threads, monkeypatch):
    """The control."""
    monkeypatch.setattr(sealing, "BATCH", 1)
    with no_row_locks():
        outcomes = run_in_threads(8, write_and_seal)
    assert count(outcomes, IntegrityError) > 0
