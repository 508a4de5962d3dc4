"""A real Chromium against the real demo: its web process, its worker, its database and its mail."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

import pyotp
import pytest
from playwright.sync_api import expect, sync_playwright

HOME = Path(__file__).resolve().parent.parent.parent
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.hookimpl(tryfirst=True)  # before the parallel run looks at the groups
def pytest_collection_modifyitems(items):
    """Those of one group share one demo in one process. They are two groups, or all else would end before they do."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group("looks" if item.path.stem == "test_pages" else "browser"))


@dataclass
class Demo:
    """The running demo and its people."""

    address: str
    directory: Path
    people: dict[str, dict[str, str]] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    seen: list[int] = field(default_factory=list)  # the shapes that pages have shown

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
        """Keep a copy of the database as it is now."""
        with closing(self.database()) as database, closing(self._copy()) as copy:
            database.backup(copy)

    def as_it_was(self):
        """What the tests before did is undone, while the site runs; their codes can be used again."""
        with closing(self.database()) as database, closing(self._copy()) as copy:
            copy.backup(database)
        self.used.clear()

    def _copy(self):
        return sqlite3.connect(self.directory / "kept.sqlite3")


@pytest.fixture(scope="session")
def demo(chromium, tmp_path_factory):
    directory, port = tmp_path_factory.mktemp("demo"), free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIM_", "DJANGO_"))}
    command = [sys.executable, "-m", "pim_site.demo.start", "--port", str(port)]
    environment["PIM_DEMO_DIR"] = str(directory)
    with (directory / "start.log").open("w") as log:
        process = subprocess.Popen(command, cwd=HOME, env=environment, stdout=log, stderr=subprocess.STDOUT)
    address = f"http://localhost:{port}"
    try:
        wait_for(f"{address}/healthz", process, directory)
        demo = Demo(address, directory, json.loads((directory / "people.json").read_text()))
        demo.keep()
        yield demo
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(url, process, directory):
    until = time.monotonic() + 120
    while time.monotonic() < until:
        assert process.poll() is None, (directory / "start.log").read_text()
        try:
            with urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError((directory / "start.log").read_text())


@pytest.fixture(scope="package")  # and no longer: beside its loop no other test could ask the database
def browser(chromium):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


class Visitor:
    """One person at a browser of their own; notes everything that a page must not do."""

    def __init__(self, browser, demo, **options):
        self.demo, self.faults = demo, []
        self.context = browser.new_context(base_url=demo.address, locale="en-GB", **options)
        self.context.add_init_script(
            "addEventListener('securitypolicyviolation', e => console.error('CSP', e.violatedDirective, e.blockedURI))"
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        expect.set_options(timeout=15_000)
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        self.page.on("request", self._note_outside)

    def _note(self, message):
        if message.type in ("error", "warning") and "the server responded with a status of" not in message.text:
            self.faults.append(f"console: {message.text} at {self.page.url}")

    def _note_outside(self, request):
        if not request.url.startswith((self.demo.address, "data:", "blob:")):
            self.faults.append(f"outside: {request.url}")

    def sign_in(self, username, path="/"):
        person, page = self.demo.people[username], self.page
        page.goto("/sign-in/")
        page.get_by_label(re.compile("Username")).fill(person["username"])
        page.get_by_label("Password").fill(person["password"])
        page.get_by_role("button", name="Continue").click()
        page.locator("input[autocomplete=one-time-code]").fill(self.demo.code(username))
        page.get_by_role("button", name=re.compile("Sign in|Continue")).click()
        page.wait_for_url(f"{self.demo.address}/")
        if path != "/":
            page.goto(path)
        return page


@pytest.fixture
def visitor(browser, demo):
    """`visitor(**options)`: a new browser; what its pages did that they must not fails the test at the end.

    Each test finds the demo as it was made, whatever tests before it did.
    """
    demo.as_it_was()
    visitors = []

    def enter(**options):
        visitors.append(Visitor(browser, demo, **options))
        return visitors[-1]

    yield enter
    faults = [fault for each in visitors for fault in each.faults]
    for each in visitors:
        each.context.close()
    assert faults == []
