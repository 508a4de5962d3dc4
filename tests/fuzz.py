"""`python -m tests.fuzz`: a demo is asked what schemathesis makes up from the description of the API, as three people.

Fails on an answer that breaks the description or is our own fault (5xx), when fewer than 3,000 cases ran, when the
checks of authorisation did not run, or when so few answers are 2xx that nothing was reached.
"""

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
# How many times the examples each is asked. The one who may disable the others comes last; who may most, is asked most.
PERSONAS = {"requester": 1, "approver": 1, "global_admin": 2}
CASES, SHARE_OF_SUCCESS = 3_000, 0.3
# The check asks each operation that answered once more without a token, and with one that is none.
PROBES = 50
# Those whose rows have ids that questions name.
COLLECTIONS = (
    *("principals", "groups", "resources", "roles", "role_settings", "eligible_assignments", "active_assignments"),
    *("requests", "approvals", "notifications", "tokens", "audit_events", "webhook_subscriptions"),
    *("hooks", "emergency_uses", "webhook_deliveries", "review_definitions", "reviews", "review_items", "incidents"),
)
# What would take the token away with which the rest is asked.
LEFT_OUT = ("tokens_destroy",)


def start(directory, port):
    directory.mkdir(exist_ok=True)
    (directory / "env").write_text("PIM_API_REQUESTS_PER_MINUTE=1000000\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIM_")}
    command = [sys.executable, "-m", "pim_site.demo.start", "--port", str(port)]
    log = (directory / "demo.log").open("wb")
    demo = subprocess.Popen(command, cwd=HOME, env=kept | {"PIM_DEMO_DIR": str(directory)}, stdout=log, stderr=log)
    until = time.monotonic() + 180
    while not ((directory / "people.json").exists() and answers(port)):
        if demo.poll() is not None or time.monotonic() > until:
            sys.exit(f"The demo did not start: see {directory}")
        time.sleep(0.5)
    return demo


def answers(port):
    try:
        return urllib.request.urlopen(f"http://localhost:{port}/healthz", timeout=5).status == 200
    except OSError:
        return False


def call(token, port, collection, body=None):
    """Ask the API by hand: GET, or POST where there is a body."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(f"http://localhost:{port}/api/v1/{collection}", data, headers)
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return json.load(answer)


def subscribe(token, port):
    """The demo has no webhook: make one, so that there is one of each."""
    owner = call(token, port, "access/mine")["principal"]["id"]
    terms = {"name": "Tickets", "url": "https://tickets.example.org/pim", "kinds": ["request.created"], "owner": owner}
    call(token, port, "webhook_subscriptions", terms)


def known(token, port, directory):
    """Write the ids that this person may see, for `tests.fuzz_known`; the file."""
    ids = {}
    for collection in COLLECTIONS:
        with contextlib.suppress(urllib.error.HTTPError):
            ids[collection] = [row["id"] for row in call(token, port, collection)["results"]]
    path = directory / "known.json"
    path.write_text(json.dumps(ids))
    return path


def ask(persona, token, port, directory, examples):
    """Run schemathesis as one person; its exit status, and what it was answered, by status."""
    report = directory / f"{persona}.ndjson"
    command = [Path(sys.executable).with_name("schemathesis"), "--config-file", HOME / "schemathesis.toml"]
    command += ["run", f"http://localhost:{port}/api/v1/schema"]
    command += ["-H", f"Authorization: Bearer {token}", "--checks", "all", "--phases", "examples,fuzzing,stateful"]
    command += ["--max-examples", str(examples), "--continue-on-failure", "--report-ndjson-path", str(report)]
    for operation in LEFT_OUT:
        command += ["--exclude-operation-id", operation]
    print(f"--- as {persona}", flush=True)
    hooks = {"SCHEMATHESIS_HOOKS": "tests.fuzz_known", "PYTHONPATH": str(HOME)}
    hooks["PIM_FUZZ_KNOWN"] = str(known(token, port, directory))
    status = subprocess.run(command, cwd=directory, env=os.environ | hooks, check=False).returncode
    text = report.read_text()
    return status, Counter(re.findall(r'"status_code": ?(\d)', text)), text


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--port", type=int, default=18_480)
    parser.add_argument("--examples", type=int, default=15, help="of each operation and person")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        demo = start(Path(name), asked.port)
        try:
            tokens = {who: each["token"] for who, each in json.loads((Path(name) / "people.json").read_text()).items()}
            subscribe(tokens["global_admin"], asked.port)
            counts = {who: asked.examples * times for who, times in PERSONAS.items()}
            runs = [ask(who, tokens[who], asked.port, Path(name), count) for who, count in counts.items()]
        finally:
            demo.send_signal(signal.SIGTERM)
            demo.wait(30)
    return judged(runs)


def judged(runs):
    answered = sum((counts for _status, counts, _text in runs), Counter())
    cases, good = answered.total(), answered["2"]
    # Those who ask have a token that counts: an answer of 401 is one to a question asked without it, to see what comes.
    probes = [len(re.findall(r'"status_code": ?401', text)) for _status, _counts, text in runs]
    checked = min(probes) >= PROBES
    print(f"{cases} answers, {good / max(cases, 1):.0%} of them 2xx, {answered['5']} of them 5xx, by class: {answered}")
    print(f"asked without a token that counts, and answered 401, by person: {probes}")
    failed = [status for status, _counts, _text in runs if status]
    return int(bool(failed) or cases < CASES or good < SHARE_OF_SUCCESS * cases or answered["5"] > 0 or not checked)


if __name__ == "__main__":
    sys.exit(main())
