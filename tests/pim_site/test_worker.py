"""The supervisor's judgement, on real rows. What it does to real processes: tests/races/test_worker_kill.py."""

import subprocess
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone
from django_q.models import OrmQ
from django_q.tasks import async_task

from notifications.models import Message
from pim_site import worker
from pim_site.models import Heartbeat
from pim_site.tasks import WORKER, beat
from tests.factories import ActiveFactory

pytestmark = pytest.mark.django_db

BEAT, EXPIRE, DELIVER = "pim_site.tasks.beat", "assignments.tasks.expire_due", "notifications.tasks.deliver_due"


@pytest.fixture
def now():
    return timezone.now()


def bells():
    return sorted(bell.func() for bell in OrmQ.objects.all())


def after(**time):
    return timezone.now().replace(microsecond=0) + timedelta(**time)


def test_rings_for_the_heartbeat_alone_when_nothing_is_due(now):
    worker.ring(now)
    assert bells() == [BEAT]


def test_rings_for_the_heartbeat_after_the_clock_was_set_back(now):
    Heartbeat.objects.create(name=WORKER, at=now + timedelta(hours=1))
    worker.ring(now)
    assert bells() == [BEAT]


def test_rings_for_what_is_due(now):
    beat()
    ActiveFactory(starts_at=after(hours=-2), ends_at=after(seconds=-1))
    Message.objects.create(kind="account_created", context="{}", next_attempt_at=after(seconds=-1))
    worker.ring(now)
    assert bells() == [EXPIRE, DELIVER]


def test_does_not_ring_for_what_is_not_yet_due(now):
    beat()
    ActiveFactory(starts_at=after(hours=-2), ends_at=after(minutes=1))
    worker.ring(now)
    assert bells() == []


def test_rings_once_however_often_it_looks(now):
    Message.objects.create(kind="account_created", context="{}", next_attempt_at=after(seconds=-1))
    for _ in range(3):
        worker.ring(now)
    assert bells() == [DELIVER, BEAT]


def test_does_not_ring_again_for_a_task_at_work(now):
    async_task(BEAT)
    OrmQ.objects.update(lock=after(seconds=600))
    worker.ring(now)
    assert bells() == [BEAT]


@pytest.mark.parametrize(
    ("heartbeat", "taken", "word"),
    [
        (timedelta(seconds=74), None, ""),
        (timedelta(seconds=76), None, "no heartbeat"),
        (timedelta(seconds=-74), None, ""),
        (timedelta(hours=-1), None, "no heartbeat"),
        (timedelta(0), timedelta(seconds=74), ""),
        (timedelta(0), timedelta(seconds=76), "not answered"),
    ],
)
def test_silence(now, heartbeat, taken, word):
    """A bell is taken by locking it for the `retry` of the queue, 600 seconds."""
    Heartbeat.objects.create(name=WORKER, at=now - heartbeat)
    if taken is not None:
        async_task(BEAT)
        OrmQ.objects.update(lock=now - taken + timedelta(seconds=600))
    cause = worker.silence(now)
    assert (word in cause) if word else (cause == "")


def test_bell_that_nobody_took_is_no_silence_by_itself(now):
    beat()
    async_task(BEAT)
    OrmQ.objects.update(lock=after(minutes=-10))
    assert worker.silence(now) == ""


def test_silence_without_any_heartbeat(now):
    assert worker.silence(now)


@pytest.fixture
def supervisor():
    """One with a process that has just been started."""
    supervisor = worker.Supervisor()
    supervisor.cluster = subprocess.Popen(["sleep", "60"], start_new_session=True)
    supervisor.started = worker.monotonic()
    yield supervisor
    supervisor.kill()


def test_young_cluster_is_given_time(supervisor):
    assert supervisor.fallen() == ""


def test_old_cluster_without_a_heartbeat_has_fallen(supervisor):
    supervisor.started -= 76
    assert "no heartbeat" in supervisor.fallen()


def test_ended_cluster_has_fallen(supervisor):
    supervisor.cluster.kill()
    supervisor.cluster.wait()
    assert "it ended with code -9" in supervisor.fallen()


def test_pauses_grow_while_clusters_do_not_stay_up():
    supervisor = worker.Supervisor()
    supervisor.started = worker.monotonic()
    assert [supervisor.pause() for _ in range(7)] == [0.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    supervisor.started -= worker.STEADY
    assert supervisor.pause() == 0.0


def test_database_that_does_not_answer_ends_nothing(supervisor, monkeypatch, caplog):
    def broken(at):
        raise OperationalError("the server went away")

    monkeypatch.setattr(worker, "ring", broken)
    monkeypatch.setattr(worker, "close_old_connections", lambda: None)  # the test's own connection
    supervisor.look()
    assert "the server went away" in caplog.text
    assert supervisor.cluster.poll() is None
