"""`make run`, as far as it is ours: real processes on a free port, driven over HTTP."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar

import pyotp
import pytest

from tests.demo import ROOT, Demo, environment, eventually

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]


@pytest.fixture
def running(demo):
    demo.as_it_was()
    return demo


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
    second = Demo(tmp_path / "demo", running.port)
    assert second.process.wait() == 1
    assert f"PORT={running.port + 1} make run" in second.said()
    assert not (tmp_path / "demo").exists()


def test_start_again_keeps_the_people_and_ends_with_every_process(running, tmp_path):
    directory = tmp_path / "demo"
    shutil.copytree(running.directory, directory, ignore=shutil.ignore_patterns("pim.sqlite3*"))
    (directory / "kept.sqlite3").rename(directory / "pim.sqlite3")
    again = Demo(directory)
    assert eventually(lambda: again.processes("pim_site.cluster"))
    again.end_with_every_process(signal.SIGTERM)
    assert again.people == running.people
