"""Run it: start a demo, ask as three people, judge the answers.

Fails on an answer that breaks the description or is our own fault (5xx), when fewer than 3,000 cases ran, when the
checks of authorisation did not run, when so few answers are 2xx that nothing was reached, or when there is an operation
that nobody did.
"""

import argparse
import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.demo import Demo
from tests.fuzz.stage import KEEPER, Refused, Stage
from tests.fuzz.tally import Tally

HOME = Path(__file__).resolve().parents[2]
TABLE = HOME / "tests" / "api_matrix.csv"
# The demo needs to survive nothing, and a disk that others use too takes most of its time.
MEMORY = "/dev/shm"
# How many times the examples each is asked: who may do most, is asked most.
PERSONAS = {"approver": 1, "requester": 1, "global_admin": 2}
REVIEWS = {"approver": 3, "requester": 3, "global_admin": 12}
# Of what one may not do at all, and of what is of the wrong form, so many questions.
REFUSED, WRONG = 2, 3
# A list of duties: each is at `requests`.
WITHOUT_ID = ("approvals",)
# So many things of others are asked for at least.
STRANGE = 50
UNDESCRIBED = {"GET /api/v1/schema", "GET /api/v1/reference"}
# Those whose rows have ids that questions name.
COLLECTIONS = (
    *("principals", "groups", "resources", "roles", "role_settings", "eligible_assignments", "active_assignments"),
    *(
        "requests",
        "approvals",
        "notifications",
        "outbox",
        "sessions",
        "tokens",
        "audit_events",
        "webhook_subscriptions",
    ),
    *(
        "hooks",
        "delegations",
        "webhook_deliveries",
        "review_definitions",
        "reviews",
        "review_items",
        "review_decisions",
        "alerts",
        "incidents",
    ),
)


class Receiver(BaseHTTPRequestHandler):
    """Takes what webhooks send."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def receiving():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/pim"
    finally:
        server.shutdown()


def start(directory, port):
    directory.mkdir()
    (directory / "env").write_text("PIM_API_REQUESTS_PER_MINUTE=1000000\n")
    return Demo(directory, port)


def prepare(stage):
    """What takes its time: messages to a webhook, open reviews, and assignments that run out while others are asked."""
    subscription = stage.subscription()
    stage.make(f"webhook_subscriptions/{subscription}/renew_secret")
    for who in (*PERSONAS, "on_call"):
        for _each in range(4):
            stage.assigned(who=who, minutes=5, seconds=9)
    for who, count in REVIEWS.items():
        for _each in range(count):
            series = stage.series(who)
            stage.make(f"review_definitions/{series}/start", justification="For those who ask.")
    until = time.monotonic() + 120
    while len(stage.rows("reviews?state=in_progress&page_size=200")) < sum(REVIEWS.values()):
        if time.monotonic() > until:
            sys.exit("The reviews did not begin.")
        time.sleep(1)


def known(stage):
    """The ids that this person may see; without the access of those who ask and prepare, which may not end."""
    ids = {}
    for collection in COLLECTIONS:
        with contextlib.suppress(Refused):
            ids[collection] = [row["id"] for row in stage.mine(f"{collection}?page_size=200")["results"]]
    needed = set()
    for who in stage.ids.values():
        needed |= {row["id"] for row in stage.rows(f"active_assignments?principal={who}")}
    ids["active_assignments"] = [each for each in ids["active_assignments"] if each not in needed]
    return ids


def shown_to_strangers(stages):
    """Ask for what somebody else sees and this person's lists leave out; the addresses that were answered."""
    asked, shown = 0, []
    everything = known(stages[-1])
    for stage in stages[:-1]:
        own = known(stage)
        for collection, keys in everything.items():
            foreign = [key for key in keys if key not in own.get(collection, ())][:3]
            statuses = {key: stage.status(f"{collection}/{key}") for key in foreign if collection not in WITHOUT_ID}
            asked += len(statuses)
            shown += [
                f"{stage.persona} sees {collection}/{key}: {each}" for key, each in statuses.items() if each != 404
            ]
    print(f"asked for {asked} things of others")
    return shown + ["too few things of others were asked for"] * (asked < STRANGE)


def can(persona):
    """The operations that this person can do, as the reviewed table of the API says: "GET /api/v1/roles"."""
    with TABLE.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row[persona] in ("200", "done")]
    return {f"{row['method']} /api/v1/{row['address'].split(' ')[0]}" for row in rows} - UNDESCRIBED


def configuration(directory, persona, examples):
    """Write how this person asks: what they can do more often; the file."""
    text = (HOME / "schemathesis.toml").read_text()
    for operation in sorted(can(persona)):
        text += f'\n[[operations]]\ninclude-name = "{operation}"\ngeneration.max-examples = {examples}\n'
    path = directory / f"{persona}.toml"
    path.write_text(text)
    return path


def asking(stage, directory, mode, examples):
    """Begin to ask as one person, with schemathesis; the process, and where it writes what was asked and answered."""
    report = directory / f"{stage.persona}.{mode}.ndjson"
    wrong = mode == "negative"
    config = HOME / "schemathesis.toml" if wrong else configuration(directory, stage.persona, examples)
    command = [Path(sys.executable).with_name("schemathesis"), "--config-file", config, "run", f"{stage.address}schema"]
    command += ["-H", f"Authorization: Bearer {stage.people[stage.persona]['token']}", "--checks", "all"]
    command += ["--phases", "fuzzing" if wrong else "examples,fuzzing,stateful", "--mode", mode]
    command += ["--max-examples", str(WRONG if wrong else REFUSED), "--request-timeout", "60", "--request-retries", "2"]
    command += ["--continue-on-failure", "--report-ndjson-path", report]
    given = {"stage": stage.given, "known": known(stage), "staged": not wrong}
    hooks = {"SCHEMATHESIS_HOOKS": "tests.fuzz.known", "PYTHONPATH": str(HOME), "PIM_FUZZ": json.dumps(given)}
    with report.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            [*map(str, command)], cwd=directory, env=os.environ | hooks, stdout=log, stderr=subprocess.STDOUT
        )
    return process, report


def ask_all(tally, stages, directory, examples):
    """Ask as each of the people at the same time; what went wrong is shown as schemathesis says it."""
    runs = [
        (f"{stage.persona}, {mode}", asking(stage, directory, mode, examples * PERSONAS[stage.persona]))
        for stage in stages
        for mode in ("positive", "negative")
    ]
    for name, (process, report) in runs:
        status = process.wait()
        print(f"--- as {name}: {'as it should be' if status == 0 else 'failed'}", flush=True)
        if status:
            print(report.with_suffix(".log").read_text())
        tally.take(name.partition(",")[0], status, report)


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--port", type=int, default=18_480)
    parser.add_argument("--examples", type=int, default=7, help="of each operation that a person can do")
    parser.add_argument("--keep", type=Path, help="a directory for the reports")
    asked = parser.parse_args()
    tally = Tally()
    with (
        tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as name,
        receiving() as receiver,
    ):
        directory = asked.keep or Path(name)
        directory.mkdir(exist_ok=True)
        demo = start(Path(name) / "demo", asked.port)
        people = str(demo.directory / "people.json")
        try:
            prepare(Stage(demo.address, people, KEEPER, receiver))
            stages = [Stage(demo.address, people, persona, receiver) for persona in PERSONAS]
            ask_all(tally, stages, directory, asked.examples)
            tally.wrong += shown_to_strangers(stages)
        finally:
            demo.end_with_every_process(signal.SIGTERM)
    return tally.judged()


if __name__ == "__main__":
    sys.exit(main())
