"""The supervisor of the queue: `manage.py worker`.

An idle process of django-q2 that is killed can leave a lock held for ever; the cluster then looks alive and does
nothing (django-q2 issue 23). So the cluster is judged by what it does: a task writes a heartbeat, every bell must be
answered, and a cluster that fails either is killed whole and started anew. Nothing is lost by that, because the queue
holds only bells; what is due stands in the tables.
"""

import logging
import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from time import monotonic

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections
from django.utils import timezone
from django_q.models import OrmQ
from django_q.tasks import async_task

from .duties import tasks_due
from .ending import Ending
from .health import heart_beats
from .schedules import sync

log = logging.getLogger("pim.worker")

LOOK_EVERY = 3.0  # seconds
BEATS = 5  # heartbeats in the time that the watchdog waits
GRACE = 30.0  # seconds that a cluster has to end by itself
LONGEST_PAUSE = 30.0  # seconds between two starts of a cluster that will not stay up
STEADY = 10.0  # seconds after which a cluster counts as having stayed up
BEAT = "pim_site.tasks.beat"


class Supervisor:
    """Keeps one cluster at work until a SIGTERM or SIGINT. Safe to run more than once, on one host or on several."""

    def __init__(self) -> None:
        self.ending = Ending()
        self.cluster: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.falls = 0

    def run(self) -> None:
        self.ending.listen(signal.SIGTERM, signal.SIGINT)
        try:
            while not self.ending.came:
                self.look()
                self.ending.wait(LOOK_EVERY)
        finally:
            self.stop()

    def look(self) -> None:
        """One round. A database that does not answer is waited for: a new cluster would not reach it either."""
        close_old_connections()
        try:
            if cause := self.fallen():
                self.restart(cause)
            if self.cluster:
                ring(timezone.now())
        except (DatabaseError, InterfaceError) as failure:
            log.warning("the database refuses: %s", failure)

    def fallen(self) -> str:
        """Why a cluster has to be started, or an empty string while it does its work."""
        if self.cluster is None:
            return "none is running"
        if self.cluster.poll() is not None:
            return f"it ended with code {self.cluster.returncode}"
        if monotonic() - self.started > settings.WORKER_WATCHDOG_SECONDS:
            return silence(timezone.now())
        return ""

    def restart(self, cause: str) -> None:
        log.log(logging.WARNING if self.cluster else logging.INFO, "starting a cluster: %s", cause)
        self.kill()
        self.ending.wait(self.pause())
        # Bells of the last cluster may be locked for minutes by a process that is gone; what is due rings again.
        OrmQ.objects.all().delete()
        sync()
        self.start()

    def pause(self) -> float:
        """Seconds to wait before the next start: none at first, doubling while clusters do not stay up."""
        self.falls = self.falls + 1 if monotonic() - self.started < STEADY else 0
        return min(2.0 ** (self.falls - 1), LONGEST_PAUSE) if self.falls > 1 else 0.0

    def start(self) -> None:
        command = [sys.executable, "-m", "pim_site.cluster", str(os.getpid())]
        self.cluster = subprocess.Popen(command, cwd=settings.BASE_DIR, start_new_session=True)  # noqa: S603 (ours)
        self.started = monotonic()
        log.info("cluster %s is starting", self.cluster.pid)

    def stop(self) -> None:
        """End the cluster: its present tasks may finish, and then no process of it is left."""
        if self.cluster and self.cluster.poll() is None:
            self.cluster.terminate()
            try:
                self.cluster.wait(GRACE)
            except subprocess.TimeoutExpired:
                log.warning("the cluster did not end in %s s", GRACE)
        self.kill()

    def kill(self) -> None:
        """Leave no process of the group: after the master has gone the others may still be there, and stuck."""
        if self.cluster is None:
            return
        try:
            os.killpg(self.cluster.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.cluster.wait()
        self.cluster = None


def watchdog() -> timedelta:
    return timedelta(seconds=settings.WORKER_WATCHDOG_SECONDS)


def silence(at: datetime) -> str:
    """What the cluster owes since longer than the watchdog waits, or an empty string."""
    patience = watchdog()
    if not heart_beats(at, within=patience):
        return f"no heartbeat for {patience.seconds} s"
    taken_before = at + timedelta(seconds=settings.Q_CLUSTER["retry"]) - patience
    if OrmQ.objects.filter(lock__gt=at, lock__lt=taken_before).exists():
        return f"a task was taken and not answered for {patience.seconds} s"
    return ""


def ring(at: datetime) -> None:
    """Queue a bell for each task that has something to do, unless one is in the queue or at work already."""
    wanted = tasks_due(at)
    if not heart_beats(at, within=watchdog() / BEATS):
        wanted.add(BEAT)
    if wanted:
        ringing = {bell.func() for bell in OrmQ.objects.all()}
        for task in sorted(wanted - ringing):
            async_task(task)
