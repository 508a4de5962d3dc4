"""`make bench-audit`: taking out and verifying a million events, beside what the database alone takes for it.

On PostgreSQL (`--rows` for fewer). Each figure is measured with its floor in turns, in processes of their own, and what
counts is the ratio of the medians; memory is the most that such a process ever held, with few rows and with all.
"""

import argparse
import multiprocessing
import os
import statistics
import sys
import time
from pathlib import Path

ROUNDS, FEW = 3, 10_000
GOALS = {"csv": 1.5, "jsonl": 3.0, "verify": 2.0}
MEMORY = 10.0  # MB that all rows may take more than few
MOST = 1.0  # s that all statements of a page may take
ACTIONS = (
    *("person.updated", "role.updated", *("activation.requested",) * 6),
    *(*("assignment.activated",) * 6, *("assignment.deactivated",) * 6),
)


def ready():
    """Django with the settings of the tests, on the database that the environment names."""
    from tests import environment

    environment.prepare()
    import django

    django.setup()
    from django.conf import settings

    from tests.audit.logs import ORIGIN, SECRET

    settings.AUDIT_KEYS, settings.AUDIT_ORIGIN = [SECRET], ORIGIN


def prepare(rows):
    """Make the database, and so many events with their numbers and a checkpoint over all but the last tenth."""
    from django.core.management import call_command
    from django.db import connection

    from audit.checkpoints import checkpoint
    from audit.sealing import seal

    call_command("migrate", verbosity=0)
    write(rows * 9 // 10)
    while seal():
        pass
    checkpoint()
    write(rows - rows * 9 // 10)
    while seal():
        pass
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("VACUUM ANALYZE")  # which the server would begin by itself, amid what is measured


def write(count):
    from django.db import connection

    from audit.columns import COLUMNS
    from tests.audit.tampered import facts_of, row_of

    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")  # making them all is no request of anybody's
        into = f"COPY audit_event ({', '.join(['canonical', *COLUMNS])}) FROM STDIN"
        with cursor.copy(into) as copy:
            for n in range(count):
                copy.write_row(row_of(n, facts_of(n % 5_000) | done(n))[2:])


def done(n):
    """What such a log mostly tells of: of twenty events, one names a person and one a role, six are activations."""
    action, reason = ACTIONS[n % 20], "The job of the night is stuck, and nobody else is here."
    granted = {"approvers": [] if n % 3 else ["Änne 7", "Änne 8"], "proved_with": "totp", "settings_version": 3}
    return {"action": action, "justification": reason, "after": granted if action == "assignment.activated" else None}


# --- what is measured, each in a process of its own -----------------------------------------------------------------


def copied(rows):
    """The floor of files: the table, as the database alone writes it."""
    from django.db import connection

    size = 0
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        query = f"COPY (SELECT * FROM audit_event ORDER BY id LIMIT {rows}) TO STDOUT (FORMAT csv)"
        with cursor.copy(query) as copy:
            for part in copy:
                size += len(part)
    return size


def events(rows):
    from audit.models import Entry, Event

    return Event.objects.filter(pk__lte=Entry.objects.get(n=rows).event_id)


def csv(rows):
    from audit.exporting import csv_of

    return sum(map(len, csv_of(events(rows))))


def jsonl(rows):
    from audit.exporting import json_of

    return sum(map(len, json_of(events(rows))))


def fetched(rows):
    """The floor of verifying: the same rows by the same statements."""
    from audit.verifying import _rows

    return sum(1 for _row in _rows(after=0, until=rows))


def verified(rows):
    from audit.verifying import verify

    report = verify()
    assert report.faults == [], report.faults
    return report.size


def verified_new(rows):
    from audit.models import Checkpoint
    from audit.verifying import verify

    report = verify(since=Checkpoint.objects.first())
    assert report.faults == [], report.faults
    return report.size


def measure(name, rows):
    """(seconds, most memory in MB) of one of these functions, in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(run, (name, rows))


def run(name, rows):
    ready()
    from audit.models import Event

    Event.objects.first()  # connects
    begun = time.perf_counter()
    globals()[name](rows)
    return time.perf_counter() - begun, most_memory()


def most_memory():
    """Of this process, in MB. What `getrusage` says of it begins with what its parent held."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def medians(names, rows):
    """Seconds of each, which take turns; and their most memory."""
    found = {name: [] for name in names}
    for _round in range(ROUNDS):
        for name in names:
            found[name].append(measure(name, rows))
    return {name: tuple(map(statistics.median, zip(*times, strict=True))) for name, times in found.items()}


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    os.environ["PIM_TEST_DATABASE"] = "postgres"
    ready()
    prepare(rows)
    all_rows = medians(("copied", "csv", "jsonl", "fetched", "verified", "verified_new"), rows)
    few_rows = {name: measure(name, min(rows, FEW)) for name in ("csv", "jsonl")}
    for name, (seconds, memory) in all_rows.items():
        few = f", {few_rows[name][1]:.0f} MB with {FEW} events" if name in few_rows else ""
        print(f"{name:<13}{seconds:8.2f} s {rows / seconds:10.0f}/s {memory:6.0f} MB{few}", flush=True)
    reached = judge(all_rows, few_rows)
    return int(not (look() and reached))


def look():
    """Open pages of the console's list of events; whether none asks for all of the table, or long."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext
    from django.urls import reverse

    from tests.client import signed_in
    from tests.factories import holder_of

    client, address, well = Client(SERVER_NAME="localhost"), reverse("admin:audit_event_changelist"), True
    signed_in(client, holder_of("security_reader"))
    client.get(address)  # what is compiled once
    for query in (
        {},
        {"p": 3},
        {"ticket": "INC-7"},
        {"action": "role.updated"},
        {"role": "role"},
        {"person": "nobody"},
        {"since": "2026-11-22"},
        {"q": "nobody"},
        {"q": "INC-77"},
        {"q": "nobody", "action": "role.updated"},
    ):
        with CaptureQueriesContext(connection) as asked:
            begun = time.perf_counter()
            assert client.get(address, query).status_code == 200
        statements = [each["sql"] for each in asked]
        spent = sum(float(each["time"]) for each in asked)
        print(
            f"list {query or ''!s:<26}{len(statements):4} statements {spent * 1000:7.0f} ms of "
            f"{(time.perf_counter() - begun) * 1000:.0f} ms"
        )
        of_events = [sql for sql in statements if "audit_event" in sql]
        of_all = any("DISTINCT" in sql or ("COUNT(" in sql and "LIMIT" not in sql) for sql in of_events)
        well = well and spent <= MOST and not of_all
    return well


def judge(all_rows, few_rows):
    seconds = {name: taken for name, (taken, _memory) in all_rows.items()}
    ratios = {name: seconds[name] / seconds["copied"] for name in ("csv", "jsonl")}
    ratios["verify"] = seconds["verified"] / seconds["fetched"]
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.2f} times its floor; the goal is {GOALS[name]}")
    more = {name: all_rows[name][1] - few_rows[name][1] for name in few_rows}
    print(f"memory with all events above that with few, MB: { {name: round(value) for name, value in more.items()} }")
    return all(ratios[name] <= GOALS[name] for name in GOALS) and max(more.values()) <= MEMORY


if __name__ == "__main__":
    sys.exit(main())
