"""The real demo, its web process, its worker, its database and its mail: one for all tests that need it."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pyotp
import pytest

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 120.0  # seconds; a machine that runs other tests beside is slow
# What the worker does in the first seconds: number the events, look for what is wrong, send what waits.
TO_DO = """SELECT (SELECT count(*) FROM audit_unsealed) + (SELECT count(*) FROM alerts_alert WHERE scanned_at IS NULL)
    + (SELECT count(*) FROM notifications_message WHERE state IN ('queued', 'sending'))"""
SESSIONS = ["django_session", "accounts_browsersession"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(look, seconds=PATIENCE):
    until = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < until:
        time.sleep(0.1)
    return found


class Demo:
    """A started demo, from its last line of output on, and its people."""

    def __init__(self, directory, port=None):
        self.directory, self.port = directory, port or free_port()
        self.address = f"http://localhost:{self.port}"
        self.output = directory.parent / f"{self.port}.out"
        began = time.monotonic()
        with self.output.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pim_site.demo.start", "--port", str(self.port)],
                cwd=ROOT,
                env=environment(directory),
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        eventually(lambda: "Mail of the demo" in self.said() or self.process.poll() is not None)
        self.took = time.monotonic() - began
        self.used: dict[str, int] = {}  # the step of each person's last code
        self.cookies: dict[str, list] = {}  # of each person who has signed in
        self.seen = ""  # the shapes that pages have shown

    def said(self):
        return self.output.read_text()

    @property
    def people(self):
        return json.loads((self.directory / "people.json").read_text())

    def processes(self, *words):
        """Ids of the processes beneath this demo's whose command line has `words`."""
        parents, commands = process_table()
        beneath = [self.process.pid]
        for pid in beneath:
            beneath += [child for child, parent in parents.items() if parent == pid]
        return {pid for pid in beneath[1:] if all(word in commands[pid] for word in words)}

    def end_with_every_process(self, number):
        its = self.processes()
        self.process.send_signal(number)
        assert self.process.wait(PATIENCE) == 0
        assert eventually(lambda: not its & process_table()[0].keys(), seconds=5)

    def code(self, username):
        """A code of this person that was not used yet; waits where all that would be accepted were."""
        totp = pyotp.parse_uri(self.people[username]["otpauth"])
        step = max(int(time.time()) // 30, self.used.get(username, 0) + 1)
        time.sleep(max(0, (step - 1) * 30 - time.time() + 1))
        self.used[username] = step
        return totp.at(step * 30)

    def database(self):
        return sqlite3.connect(self.directory / "pim.sqlite3", timeout=20)

    def keep(self):
        """Keep a copy of the database as it is when the worker has done what there was at first."""
        assert self.process.poll() is None, self.said()
        with closing(self.database()) as database, closing(self._copy()) as copy:
            assert eventually(lambda: database.execute(TO_DO).fetchone() == (0,)), self.said()
            database.backup(copy)

    def keep_session(self, username, cookies):
        """Let this person be signed in, too, in all that follow."""
        with closing(self.database()) as database, database:
            database.execute("ATTACH ? AS kept", [str(self.kept)])
            for table in SESSIONS:
                database.execute(f"INSERT OR IGNORE INTO kept.{table} SELECT * FROM {table}")
        self.cookies[username] = cookies

    def as_it_was(self):
        """What the tests before did is undone, while the site runs; their codes can be used again."""
        with closing(self.database()) as database, closing(self._copy()) as copy:
            copy.backup(database)
        self.used.clear()

    @property
    def kept(self):
        return self.directory / "kept.sqlite3"

    def _copy(self):
        return sqlite3.connect(self.kept)


def process_table():
    """The parent and the command line of each process that runs, by its id."""
    parents, commands = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            commands[int(entry.name)] = (entry / "cmdline").read_text()
        except OSError:  # it has ended meanwhile
            continue
        if state != "Z":
            parents[int(entry.name)] = int(parent)
    return parents, commands


def environment(directory):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIM_", "DJANGO_"))}
    # A setting of another site in the shell must not reach the demo.
    return kept | {"PIM_DEMO_DIR": str(directory), "PIM_BASE_URL": "https://pim.example.org"}


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    demo = Demo(tmp_path_factory.mktemp("start") / "demo")
    try:
        demo.keep()
        yield demo
    finally:
        demo.end_with_every_process(signal.SIGINT)  # as Ctrl-C sends it
