"""Habits of the house that no linter knows. Each rule is shown a line that breaks it."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
APPS = [
    "pim_site",
    "alerts",
    "reviews",
    "approvals",
    "assignments",
    "roles",
    "webhooks",
    "accounts",
    "audit",
    "notifications",
]
WRITES = {"save", "create", "update", "delete", "get_or_create", "update_or_create", "bulk_create", "bulk_update"}
NO_ROWS = {"self", "session", "headers", "fields", "context", "widget", "attrs", "kwargs", "params", "query", "data"}


def sources(*names):
    """Files of our apps called so, or lying in a package called so; never those of migrations."""
    files = [file for app in APPS for file in (ROOT / app).rglob("*.py") if "migrations" not in file.parts]
    wanted = [file for file in files if not names or {file.stem, *file.relative_to(ROOT).parts[1:-1]} & set(names)]
    return {str(file.relative_to(ROOT)): file.read_text() for file in wanted}


def calls(code):
    """(line, what is called on, name) of each call in the code."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Attribute):
                yield node.lineno, ast.unparse(called.value), called.attr
            elif isinstance(called, ast.Name):
                yield node.lineno, "", called.id


def writes(code):
    return [line for line, on, name in calls(code) if name in WRITES and on.rpartition(".")[2] not in NO_ROWS]


def clocks(code):
    return [line for line, on, name in calls(code) if name in {"now", "localtime", "today", "utcnow", "time"}]


def unlocked_codes(code):
    """A device's own verify_token takes one code several times from parallel requests; django_otp's takes it once."""
    return [
        line
        for line, on, name in calls(code)
        if name == "match_token" or (name == "verify_token" and on not in {"", "django_otp"})
    ]


def superusers(code):
    return [node.lineno for node in ast.walk(ast.parse(code)) if getattr(node, "attr", "") == "is_superuser"]


def web(code):
    """Imports of the web into what every door shares."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("django.http", "django.shortcuts"))
    ]


RULES = {
    "doors do not write": (writes, ["views", "forms", "admin", "api"], "Role.objects.filter(pk=1).update(name='x')"),
    "rules do not write": (writes, ["rules"], "assignment.save()"),
    "rules do not read the clock": (clocks, ["rules"], "ends_at < timezone.now()"),
    "services know no web": (web, ["services", "rules", "models", "tasks"], "from django.http import HttpRequest"),
    "codes are taken under the lock": (unlocked_codes, [], "device.verify_token(code)"),
    "nobody is a superuser": (superusers, [], "if user.is_superuser: grant()"),
}


@pytest.mark.parametrize("rule", RULES)
def test_rule_is_kept(rule):
    find, names, _ = RULES[rule]
    looked_at = sources(*names)
    assert looked_at
    broken = {file: lines for file, code in looked_at.items() if (lines := find(code))}
    assert not broken, f"{rule}: {broken}"


@pytest.mark.parametrize("rule", RULES)
def test_rule_can_be_broken(rule):
    find, _, bad = RULES[rule]
    assert find(bad) == [1]


def test_migrations_say_what_they_do():
    names = [file.stem for app in APPS for file in (ROOT / app / "migrations").glob("0*.py")]
    assert names
    assert not [name for name in names if "_auto_" in name or name.endswith("_initial")]


@pytest.fixture
def copied(tmp_path):
    """Our packages and their contract, in a place where they may be spoiled."""
    for app in (*APPS, "pim_cli"):
        shutil.copytree(ROOT / app, tmp_path / app, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint_imports(directory):
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.once
@pytest.mark.parametrize(
    ("app", "line"),
    [
        ("assignments", "import approvals.models"),
        ("audit", "import notifications.models"),
        ("accounts", "from roles import models"),
        ("pim_cli", "import django.conf"),
    ],
)
def test_import_upwards_breaks_the_contract(copied, app, line):
    assert lint_imports(copied).returncode == 0
    (copied / app / "climbs.py").write_text(f"{line}\n")
    spoiled = lint_imports(copied)
    assert spoiled.returncode == 1
    assert f"{app}.climbs ->" in spoiled.stdout
