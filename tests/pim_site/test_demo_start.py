"""`make run`, as far as it is ours: real processes on a free port, driven over HTTP."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import pyotp
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo-start")]
ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 120.0  # seconds; a machine that runs other tests beside is slow


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(look, seconds=PATIENCE):
    until = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < until:
        time.sleep(0.1)
    return found


class Running:
    """A started demo, from its first line of output on."""

    def __init__(self, directory, port=None):
        self.directory, self.port = directory, port or free_port()
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

    def said(self):
        return self.output.read_text()

    def processes(self, *words):
        """Ids of the processes beneath this demo's whose command line has `words`."""
        parents, commands = processes()
        beneath = [self.process.pid]
        for pid in beneath:
            beneath += [child for child, parent in parents.items() if parent == pid]
        return {pid for pid in beneath[1:] if all(word in commands[pid] for word in words)}

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


def processes():
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


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("start") / "demo"


@pytest.fixture(scope="module")
def running(directory):
    demo = Running(directory)
    yield demo
    demo.end()


class Visitor:
    """A browser without a screen: cookies, forms with their tokens, redirects."""

    def __init__(self, demo, username):
        self.address = f"http://localhost:{demo.port}"
        self.facts = json.loads((demo.directory / "people.json").read_text())[username]
        self.cookies = CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def get(self, path):
        with self.opener.open(self.address + path, timeout=30) as answer:
            self.path = urllib.parse.urlsplit(answer.url).path
            return answer.read().decode()

    def status(self, path):
        try:
            self.get(path)
        except urllib.error.HTTPError as error:
            return error.code
        return 200

    def post(self, path, **fields):
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.get(path))[1]
        form = urllib.parse.urlencode({"csrfmiddlewaretoken": token, **fields}).encode()
        with self.opener.open(self.address + path, form, timeout=30) as answer:
            self.path = urllib.parse.urlsplit(answer.url).path
            return answer.read().decode()

    def code(self, *, steps=0):
        """The code now, or that of a later step: each is accepted once, and the next one a step early."""
        return pyotp.parse_uri(self.facts["otpauth"]).at(int(time.time()) + 30 * steps)

    def sign_in(self):
        self.post("/sign-in/", identifier=self.facts["username"], password=self.facts["password"])
        return self.post("/sign-in/code/", code=self.code())


def test_start_answers_and_says_who_there_is(running):
    said = running.said()
    print(f"the first start took {running.took:.1f} s")
    assert f"http://localhost:{running.port}" in said
    for facts in json.loads((running.directory / "people.json").read_text()).values():
        assert facts["username"] in said
        assert facts.get("otpauth", "") in said


def test_start_keeps_its_secrets_to_its_owner(running):
    assert (running.directory / "env").stat().st_mode & 0o777 == 0o600
    assert running.directory.stat().st_mode & 0o777 == 0o700


def code_command(demo, username):
    command = [sys.executable, "-m", "pim_site.demo.code", username]
    surroundings = environment(demo.directory)
    return subprocess.run(command, cwd=ROOT, env=surroundings, capture_output=True, text=True, check=False)


def test_command_prints_a_code_that_is_accepted(running):
    shown = code_command(running, "outsider")
    visitor = Visitor(running, "outsider")
    visitor.code = lambda: shown.stdout.split()[0]
    visitor.sign_in()
    assert visitor.path == "/"


def test_command_names_those_who_have_codes(running):
    shown = code_command(running, "service")
    assert shown.returncode == 1
    assert "requester" in shown.stderr


def test_activated_helpdesk_role_opens_the_console_and_is_mailed(running):
    visitor = Visitor(running, "helpdesk")
    home = visitor.sign_in()
    assert visitor.status("/console/") in (403, 200)
    assert visitor.path != "/console/"
    activate = re.search(r"/activate/[0-9a-f-]{36}/", home)[0]
    visitor.post(activate, duration="60", when="now", justification="Show the tour.", code=visitor.code(steps=1))
    assert visitor.path.startswith("/requests/")
    assert visitor.status("/console/") == 200
    assert visitor.path == "/console/"
    assert eventually(lambda: "PIM: " in visitor.get("/demo/mail/?to=helpdesk@example.org"))


def test_worker_that_dies_is_started_again(running):
    (worker,) = running.processes("manage.py", "worker")
    os.kill(worker, signal.SIGKILL)
    assert eventually(lambda: running.processes("manage.py", "worker") - {worker})


def test_start_refuses_a_port_that_is_taken(running, tmp_path):
    second = Running(tmp_path / "demo", running.port)
    assert second.process.wait() == 1
    assert f"PORT={running.port + 1} make run" in second.said()
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_start_again_keeps_the_people_and_ends_with_every_process(number, running):
    before = (running.directory / "people.json").read_text()
    demo = Running(running.directory)
    assert eventually(lambda: demo.processes("pim_site.cluster"))
    its = demo.processes()
    assert demo.end(number) == 0
    assert eventually(lambda: not its & processes()[0].keys(), seconds=5)
    assert (running.directory / "people.json").read_text() == before
