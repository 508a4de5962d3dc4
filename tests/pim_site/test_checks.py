"""What the server refuses to start with."""

import copy
import os
import runpy
import subprocess
import sys
from collections import ChainMap
from pathlib import Path

import pytest
from django.conf import settings as loaded
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured

from pim_site.checks import DEMO_MAIL, refuse_unsafe_start
from pim_site.environment import Environment

ROOT = Path(__file__).parents[2]
KEY = "dGhlLXRlc3RzLXVzZS10aGlzLWtleS1hbmQtbm9uZSE="
PRODUCTION = {
    "PIM_SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyz-0123456789-ABCDEFGHIJ",
    "PIM_FACTOR_KEYS": KEY,
    "PIM_ALLOWED_HOSTS": "pim.example.org",
    "PIM_BASE_URL": "https://pim.example.org",
    "PIM_DATABASE_URL": "sqlite://:memory:",
}
# What the environment holds besides, and a word of the refusal. None takes a name away.
REFUSED = {
    "debug": ({"PIM_DEBUG": "1"}, "DEBUG is on"),
    "demo": ({"PIM_DEMO": "1"}, "pim.E014"),
    "no key": ({"PIM_SECRET_KEY": None}, "SECRET_KEY"),
    "short key": ({"PIM_SECRET_KEY": "short"}, "security.W009"),
    "default key": ({"PIM_SECRET_KEY": "django-insecure-" + "abcdefgh" * 6}, "security.W009"),
    "no factor key": ({"PIM_FACTOR_KEYS": None}, "pim.E006"),
    "bad factor key": ({"PIM_FACTOR_KEYS": f"{KEY},no-key"}, "pim.E007"),
    "bad audit key": ({"PIM_AUDIT_KEYS": "no-key"}, "pim.E022"),
    "bad public audit key": ({"PIM_AUDIT_OLD_KEYS": "no-key"}, "pim.E022"),
    "no host": ({"PIM_ALLOWED_HOSTS": None}, "security.W020"),
    "any host": ({"PIM_ALLOWED_HOSTS": "pim.example.org,*"}, "pim.E008"),
    "host by number": ({"PIM_BASE_URL": "https://192.0.2.7"}, "pim.E019"),
    "host in letters of its own": ({"PIM_BASE_URL": "https://pïm.example.org"}, "pim.E019"),
    "plain http": ({"PIM_BASE_URL": "http://pim.example.org"}, "pim.E009"),
    "mail to the terminal": ({"PIM_EMAIL_URL": "consolemail://"}, "pim.E016"),
    "mail to nowhere": ({"PIM_EMAIL_URL": "dummymail://"}, "pim.E016"),
    "no network": ({"PIM_OUTGOING_NETWORKS": "10.1.0.1/16"}, "pim.E020"),
    "plain calls to nowhere": ({"PIM_OUTGOING_HTTP": "1"}, "pim.E021"),
    "unknown zone": ({"PIM_TIME_ZONE": "Mars/Olympus"}, "pim.E017"),
    "no session": ({"PIM_SESSION_HOURS": "0"}, "pim.E013"),
    "endless session": ({"PIM_SESSION_HOURS": "9999"}, "pim.E013"),
    "no idle limit": ({"PIM_CONSOLE_IDLE_MINUTES": "0"}, "pim.E013"),
    "short token for the metrics": ({"PIM_METRICS_TOKEN": "secret"}, "pim.E023"),
    "proxies below 0": ({"PIM_TRUSTED_PROXIES": "-1"}, "pim.E012"),
    "hasty watchdog": ({"PIM_WORKER_WATCHDOG_SECONDS": "5"}, "pim.W001"),
    "no number": ({"PIM_SESSION_HOURS": ""}, "PIM_SESSION_HOURS: invalid literal"),
    "no such file": ({"PIM_SECRET_KEY_FILE": "/nowhere/key"}, "PIM_SECRET_KEY: .*No such file"),
    "no such file of settings": ({"PIM_ENV_FILE": "/nowhere/env"}, "PIM_ENV_FILE: .*No such file"),
    "unknown mail server": ({"PIM_EMAIL_URL": "mail.example.org"}, "PIM_EMAIL_URL: Invalid email schema"),
    "mail from nobody": ({"PIM_MAIL_FROM": "PIM"}, "pim.E026"),
    "checkpoints mailed to nobody": ({"PIM_AUDIT_CHECKPOINT_MAIL": "a@example.org,auditors"}, "pim.E026"),
    "alerts mailed to nobody": ({"PIM_ALERT_MAIL": "soc"}, "pim.E026"),
    "no database": ({"PIM_DATABASE_URL": "pim"}, "PIM_DATABASE_URL: give postgres://"),
    "unknown database": ({"PIM_DATABASE_URL": "mysql://pim@localhost/pim"}, "PIM_DATABASE_URL: give postgres://"),
}


def start(changes=None):
    """Import the web application in a fresh process with a production environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIM_")}
    given = PRODUCTION | (changes or {})
    environment = kept | {name: value for name, value in given.items() if value is not None}
    # Static files are collected when the site is installed; nobody has done so here.
    command = [sys.executable, "-W", "ignore:No directory at", "-c", "import pim_site.wsgi"]
    return subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)


def test_shipped_production_settings_start_without_a_word():
    started = start()
    assert (started.returncode, started.stderr) == (0, "")


def test_demo_starts():
    assert start({"PIM_DEBUG": "1", "PIM_DEMO": "1", "PIM_BASE_URL": "http://localhost:8000"}).returncode == 0


# A start takes seconds, so few of these are made; the second ends before it looks at anything else.
@pytest.mark.parametrize("names", [["short key", "any host", "bad audit key"], ["no database"]])
def test_start_refused_by_the_process(names):
    refused = start(dict(ChainMap(*(REFUSED[name][0] for name in names))))
    assert refused.returncode == 1
    assert [name for name in names if REFUSED[name][1] not in refused.stderr] == []


@pytest.fixture
def start_here(monkeypatch):
    """The same in this process: with the settings that an environment with these `changes` makes."""

    def start_here(changes):
        for name in [name for name in os.environ if name.startswith("PIM_")]:
            monkeypatch.delenv(name)
        for name, value in (PRODUCTION | changes).items():
            if value is not None:
                monkeypatch.setenv(name, value)
        for name, value in runpy.run_path(str(ROOT / "pim_site" / "settings.py")).items():
            if name.isupper():
                monkeypatch.setattr(loaded, name, value, raising=False)
        refuse_unsafe_start()

    return start_here


@pytest.mark.parametrize("name", sorted(REFUSED.keys() - {"no database"}))
def test_start_refused(start_here, name):
    changes, word = REFUSED[name]
    with pytest.raises(ImproperlyConfigured, match=word):
        start_here(changes)


def test_production_settings_not_refused(start_here):
    start_here({})


def test_secret_of_a_file_ends_before_the_line_does(start_here, tmp_path):
    (tmp_path / "token").write_text("t" * 32 + "\r\n")
    start_here({"PIM_METRICS_TOKEN_FILE": str(tmp_path / "token")})
    assert loaded.METRICS_TOKEN == "t" * 32


def test_documented_environment_says_the_same_to_a_shell_and_to_the_site(tmp_path, monkeypatch):
    block = (ROOT / "docs" / "operations.md").read_text().split("```\nPIM_SECRET_KEY=", 1)[1].split("```", 1)[0]
    file = tmp_path / "env"
    file.write_text(f"PIM_SECRET_KEY={block}")
    shell = subprocess.run(
        ["sh", "-ec", f"set -a; . {file}; exec env"], check=True, env={}, capture_output=True, text=True
    )
    sourced = dict(line.split("=", 1) for line in shell.stdout.splitlines() if line.startswith("PIM_"))
    for name in [name for name in os.environ if name.startswith("PIM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(Environment, "ENVIRON", os.environ)

    Environment.read_env(file)

    assert {name: value for name, value in os.environ.items() if name.startswith("PIM_")} == sourced
    assert sourced["PIM_MAIL_FROM"] == "PIM <pim@example.org>"


def changed(name, **values):
    return {name: copy.deepcopy(getattr(loaded, name)) | values}


def database(**values):
    return {"DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", **values}}}


WAL = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
# Settings that only an edit of the code can bring about, and the id of the check that finds them.
FOUND = [
    (database(OPTIONS={"init_command": WAL}), "pim.E002"),
    (database(OPTIONS={"transaction_mode": "DEFERRED", "init_command": WAL}), "pim.E002"),
    (database(OPTIONS={"transaction_mode": "IMMEDIATE", "init_command": WAL.replace("FULL", "NORMAL")}), "pim.E002"),
    (database(OPTIONS={"transaction_mode": "IMMEDIATE"}), "pim.E002"),
    (database(ENGINE="django.db.backends.oracle"), "pim.E001"),
    (database(ATOMIC_REQUESTS=True), "pim.E003"),
    (changed("Q_CLUSTER", catch_up=True), "pim.E005"),
    (changed("Q_CLUSTER", max_attempts=0), "pim.E005"),
    (changed("Q_CLUSTER", ack_failures=False), "pim.E005"),
    (changed("Q_CLUSTER", retry=120), "pim.E005"),
    (changed("Q_CLUSTER", timeout=None), "pim.E005"),
    (changed("Q_CLUSTER", queue_limit=50), "pim.E005"),
    ({"MIDDLEWARE": [name for name in loaded.MIDDLEWARE if "security" not in name]}, "pim.E010"),
    ({"MIDDLEWARE": loaded.MIDDLEWARE[::-1]}, "pim.E010"),
    ({"CONTENT_SECURITY_POLICY": {"DIRECTIVES": {"default-src": ["'self'", "'unsafe-inline'"]}}}, "pim.E011"),
    ({"CONTENT_SECURITY_POLICY": {}}, "pim.E011"),
    ({"EMAIL_BACKEND": DEMO_MAIL, "DEMO": False}, "pim.E015"),
    ({"TIME_ZONE": "Europe/Berlin"}, "pim.E018"),
]


@pytest.mark.parametrize(("changes", "number"), FOUND)
def test_check_finds(monkeypatch, changes, number):
    for name, value in changes.items():
        monkeypatch.setattr(loaded, name, value)
    assert number in {finding.id for finding in run_checks(tags=["pim"])}


def test_pool_refused_in_the_worker_only(settings, monkeypatch):
    monkeypatch.setitem(settings.DATABASES["default"]["OPTIONS"], "pool", True)
    assert "pim.E004" not in {finding.id for finding in run_checks(tags=["pim"])}
    monkeypatch.setattr(sys, "argv", ["manage.py", "qcluster"])
    assert "pim.E004" in {finding.id for finding in run_checks(tags=["pim"])}


def test_every_finding_has_a_hint(settings):
    settings.FACTOR_KEYS, settings.ALLOWED_HOSTS, settings.BASE_URL = [], ["*"], "http://pim.example.org"
    found = run_checks(tags=["pim"])
    assert len(found) >= 3
    assert all(finding.hint for finding in found)


def test_unsafe_start_names_every_finding(settings):
    settings.DEBUG, settings.DEMO, settings.ALLOWED_HOSTS, settings.TRUSTED_PROXIES = True, True, ["*"], -1
    with pytest.raises(ImproperlyConfigured, match=r"(?s)pim\.E008.*pim\.E012"):
        refuse_unsafe_start()
