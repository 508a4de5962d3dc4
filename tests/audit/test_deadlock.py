"""Two operations that lock the same rows in opposite order, on a database that really ends one of them."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import OperationalError, connection, transaction

from accounts.models import User
from audit import services
from audit.models import Event
from audit.services import privileged, record
from tests.audit.conftest import make_person

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def cross(monkeypatch):
    """Run an operation twice at once, over two people in opposite order; what each run raised, if anything."""
    monkeypatch.setattr(services, "OPERATIONS", {})
    first, second = make_person("ana"), make_person("kim")
    gate = Barrier(2, timeout=20)

    def lock(person):
        User.objects.select_for_update().get(pk=person.pk)

    @privileged("people.merged", target="user")
    def merge(*, actor, user, other, meet):
        lock(user)
        if meet:
            meet.pop().wait()
        lock(other)
        record("people.merged", actor=actor, target=user, subject=other)

    def run(user, other):
        try:
            return merge(actor=user, user=user, other=other, meet=[gate])
        except OperationalError as error:
            return error.__cause__.sqlstate
        finally:
            connection.close()

    def run_both():
        with ThreadPoolExecutor(2) as pool:
            runs = pool.submit(run, first, second), pool.submit(run, second, first)
        return [done.result() for done in runs]

    return run_both


def test_both_operations_succeed_after_a_deadlock(cross):
    # On a busy machine the second run can meet the other one again; without it no round ends well (see the control).
    rounds = []
    while [None, None] not in rounds and len(rounds) < 3:
        rounds.append(cross())

    assert rounds[-1] == [None, None]
    merged = sum(ended is None for ends in rounds for ended in ends)
    assert Event.objects.filter(action="people.merged", outcome="success").count() == merged


def test_one_operation_fails_when_nothing_is_run_again(cross, monkeypatch):
    """The control: the deadlock is real."""

    def once(operation):
        with transaction.atomic():
            return operation()

    monkeypatch.setattr(services, "_run", once)
    assert sorted(cross(), key=str) == ["40P01", None]
    assert Event.objects.filter(action="people.merged").count() == 1
