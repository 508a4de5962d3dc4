"""kill -9 of every kind of process of a real worker: what is due afterwards is done within two minutes, and once.

The watchdog waits 12 s here and 75 s in production; the figures printed are for 12.
"""

import copy
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
from aiosmtpd.controller import Controller
from django.db import connections

from notifications.models import Message
from notifications.snapshot import encode
from tests import tables
from tests.environment import POSTGRES

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("worker")]

ROOT = Path(__file__).parents[2]
RECOVERY = 120  # seconds, the promise
SAID = {
    "worker": r"ready for work at (\d+)",
    "monitor": r"monitoring at (\d+)",
    "pusher": r"pushing tasks at (\d+)",
}

COMPLETE = {"sentinel": 1, "worker": 2, "monitor": 1, "pusher": 1}


class Postbox:
    """An SMTP server's handler that counts what it was given."""

    def __init__(self):
        self.received = Counter()

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 (aiosmtpd's name)
        self.received[re.search(rb"(?im)^message-id:\s*(\S+)", envelope.content)[1].decode()] += 1
        return "250 OK"


@pytest.fixture(scope="module")
def postbox():
    handler = Postbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        handler.port = free.getsockname()[1]
    server = Controller(handler, hostname="127.0.0.1", port=handler.port)
    server.start()
    yield handler
    server.stop()


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """The name of a database of its own: the worker's processes must see what is committed, and nobody else's rows."""
    yield tables.copied("worker_kill", tmp_path_factory.mktemp("worker"))
    if POSTGRES:
        with tables.at_server() as server:
            server.execute("DROP DATABASE worker_kill WITH (FORCE)")


@pytest.fixture(scope="module")
def environment(database, postbox):
    return os.environ | {
        "PIM_DATABASE_URL": tables.url_of(database) if POSTGRES else f"sqlite:///{database}",
        "PIM_EMAIL_URL": f"smtp://127.0.0.1:{postbox.port}",
        "PIM_DEMO": "0",
        "PIM_WORKER_WATCHDOG_SECONDS": "12",
        "PIM_QUEUE_LOG_LEVEL": "INFO",  # the processes say there who they are
    }


@pytest.fixture(scope="module")
def outbox(database, django_db_blocker):
    """The messages in the worker's database."""
    with django_db_blocker.unblock():
        connections.settings["worker"] = copy.deepcopy(connections.settings["default"])
        connections.settings["worker"] |= {"NAME": database, "CONN_MAX_AGE": 0}
        yield Message.objects.using("worker")
        connections["worker"].close()
        del connections["worker"], connections.settings["worker"]


class Worker:
    """A `manage.py worker` and what is known of its processes."""

    def __init__(self, environment, log):
        self.environment, self.log = environment, log
        self.start()

    def start(self):
        with self.log.open("ab") as log:
            command = [sys.executable, "manage.py", "worker"]
            self.process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)

    def pids(self, kind):
        if kind == "supervisor":
            return [self.process.pid]
        started = re.split(r"pim\.worker cluster (\d+)", self.log.read_text())  # another process may write in between
        master, said = (int(started[-2]), started[-1]) if len(started) > 1 else (0, "")
        if kind == "master":
            return [master]
        if kind == "sentinel":
            return [child.pid for child in psutil.Process(master).children()] if lives(master) else []
        return [int(pid) for pid in re.findall(SAID[kind], said) if lives(int(pid))]

    def complete(self):
        return {kind: len(self.pids(kind)) for kind in COMPLETE} == COMPLETE

    def family(self):
        return psutil.Process(self.process.pid).children(recursive=True)

    def kill(self, pids):
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        if self.process.pid in pids:
            self.process.wait()
            self.start()

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@pytest.fixture(scope="module")
def worker(environment, outbox, postbox, tmp_path_factory):
    worker = Worker(environment, tmp_path_factory.mktemp("log") / "worker.log")
    done(tell(outbox), outbox, postbox)
    yield worker
    worker.end()


def lives(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(condition):
    """Seconds until it holds; fails after those promised."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < RECOVERY, f"not so after {RECOVERY} s"
        time.sleep(0.2)
    return time.monotonic() - began


def tell(outbox):
    """A duty: a message that is due."""
    return outbox.create(
        kind="account_created",
        to_address="person@example.org",
        time_zone="UTC",
        language="en",
        context=encode({"name": "Person", "actor": "Somebody", "url": "https://pim.example.org/"}),
    )


def done(message, outbox, postbox):
    """Seconds until the message is sent; fails when that is too late, or when it came twice."""
    took = wait_for(lambda: outbox.filter(pk=message.pk, state=Message.State.SENT).exists())
    assert postbox.received[message.message_id] == 1
    return took


# A process dies alike beside either database. SQLite sees what it does to a lock: of those who work, and of all.
KILLED = [
    *[(kind, slice(None)) for kind in ("master", "sentinel", "pusher", "monitor")],
    *[("worker", slice(number, number + 1)) for number in (0, 1)],
]
KILLED = [pytest.param(*each, marks=pytest.mark.postgres) for each in KILLED]
KILLED += [(kind, slice(None)) for kind in ("worker", "supervisor")]


@pytest.mark.parametrize(("kind", "which"), KILLED)
def test_work_goes_on_after_kill(worker, outbox, postbox, capsys, kind, which):
    wait_for(worker.complete)
    pids = worker.pids(kind)[which]
    worker.kill(pids)
    took = done(tell(outbox), outbox, postbox)
    with capsys.disabled():
        print(f"\nkill -9 of {len(pids)} {kind}: done after {took:.1f} s")
    assert set(postbox.received.values()) == {1}
    assert not outbox.exclude(state=Message.State.SENT).exists()


def test_no_process_outlives_a_killed_supervisor(worker, outbox, postbox):
    wait_for(worker.complete)
    family = worker.family()
    worker.kill([worker.process.pid])
    gone, alive = psutil.wait_procs(family, timeout=10)
    assert (len(gone), alive) == (len(family), [])


def test_sigterm_ends_worker_and_family(environment, outbox, postbox, tmp_path):
    worker = Worker(environment, tmp_path / "worker.log")
    try:
        wait_for(worker.complete)  # a message might be sent by the worker of the other tests, which lives beside it
        family = worker.family()
    finally:
        ended = worker.end()
    assert ended == 0
    assert psutil.wait_procs(family, timeout=1)[1] == []
