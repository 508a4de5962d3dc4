"""What the documentation says of programs, copied and pasted: a role from the wish to its end, against the demo."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _as_it_was(demo):
    demo.as_it_was()


def commands(page, address):
    """All that stands in the page as shell commands, told where the demo is."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    return "".join(["set -e\n", *blocks]).replace("http://localhost:8000", address)


def follow(page, demo, directory):
    """Paste the commands of a page into a shell, as somebody with an empty home."""
    shim = directory / "pim"
    shim.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m pim_cli "$@"\n')
    shim.chmod(0o700)
    tokens = {"TOKEN": "requester", "APPROVER_TOKEN": "second_approver", "REVIEWER_TOKEN": "approver"}
    tokens["ADMIN_TOKEN"] = "role_admin"
    environment = {name: demo.people[person]["token"] for name, person in tokens.items()}
    environment |= {"CODE": demo.code("requester"), "HOME": str(directory), "PATH": f"{directory}:{os.environ['PATH']}"}
    script = commands(page, demo.address)
    return subprocess.run(
        ["bash", "-c", script], check=False, env=environment, capture_output=True, text=True, timeout=120
    )


def test_role_from_wish_to_end_by_pim_alone(demo, tmp_path):
    done = follow("cli.md", demo, tmp_path)

    assert (done.returncode, done.stderr) == (0, done.stderr), done.stdout
    said = done.stdout.splitlines()
    assert [line for line in said if re.search(r"is active: R-|^active until|is ended|^not active", line)] == said[-4:]
    assert (tmp_path / ".config/pim/token.json").stat().st_mode & 0o777 == 0o600


def test_role_from_wish_to_end_by_curl_alone(demo, tmp_path):
    done = follow("api.md", demo, tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r'"active": (true|false)', done.stdout) == ["true", "false"]
