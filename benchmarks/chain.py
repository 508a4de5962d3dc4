"""`make bench-chain`: activations in a second with the chain of hashes, beside the same without it.

On PostgreSQL, from 4 and from 16 processes. "Without" switches the trigger off that lets events wait for a number; then
nothing is sealed either. Both take turns under the same load, and what counts is the ratio of their medians.
"""

import multiprocessing
import statistics
import sys
import time
from datetime import timedelta

from benchmarks.database import make_database, ready

ROUNDS, SECONDS = 10, 3.0
GOALS = {4: 0.90, 16: 0.80}
TRIGGER = (
    "CREATE TRIGGER audit_event_waits AFTER INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION audit_event_waits()"
)


def make_durable():
    """A commit costs what it costs for real."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ALTER SYSTEM SET fsync = on")
        cursor.execute("SELECT pg_reload_conf()")


def make_eligible(count):
    """So many people with one eligible assignment each, of a role that asks for a reason alone; their ids."""
    from accounts.models import User
    from assignments.models import EligibleAssignment
    from tests.factories import EligibleFactory, RoleFactory, UserFactory, root

    role = RoleFactory(settings__activation_authentication="none")
    people = User.objects.bulk_create(UserFactory.build_batch(count, password=""))
    rows = [EligibleFactory.build(user=person, role=role, scope=root()) for person in people]
    return [row.pk for row in EligibleAssignment.objects.bulk_create(rows)]


def activate_all(ids, gate, over, moments):
    """Activate one after the other until it is over; the moments at which each was done go to `moments`."""
    ready()
    from approvals.services import activate
    from assignments.models import EligibleAssignment

    def one(pk):
        eligible = EligibleAssignment.objects.select_related("user", "role", "scope").get(pk=pk)
        activate(eligible=eligible, actor=eligible.user, duration=timedelta(hours=1), justification="The job is stuck.")
        return time.time()

    one(ids.pop())  # imports what an activation needs
    gate.wait()
    done = []
    while ids and not over.is_set():
        done.append(one(ids.pop()))
    moments.put(done)


def seal_beside(gate, over):
    ready()
    from audit.sealing import seal

    gate.wait()
    while not over.wait(1):
        seal()


def take_turns(over):
    """Switch the chain off and on; the turns, as (from, until, whether it was on)."""
    from django.db import connection

    turns = []
    for turn in range(2 * ROUNDS):
        chained = turn % 4 in (1, 2)
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE audit_event {'ENABLE' if chained else 'DISABLE'} TRIGGER audit_event_waits")
        begun = time.time()
        time.sleep(SECONDS)
        turns.append((begun, time.time(), chained))
    over.set()
    return turns


def measure(processes):
    """Activations in a second without and with the chain, by so many processes at once, turn by turn."""
    from django.db import connection

    ids = make_eligible(processes * 1_500)
    connection.close()
    context = multiprocessing.get_context("spawn")
    moments, gate, over = context.Queue(), context.Barrier(processes + 2), context.Event()
    runs = [
        context.Process(target=activate_all, args=(ids[n::processes], gate, over, moments)) for n in range(processes)
    ]
    runs.append(context.Process(target=seal_beside, args=(gate, over)))
    for run in runs:
        run.start()
    gate.wait()
    turns = take_turns(over)
    done = [moment for _run in range(processes) for moment in moments.get()]
    for run in runs:
        run.join()
    rates = [(chained, sum(a < moment <= b for moment in done) / (b - a)) for a, b, chained in turns]
    return [rate for chained, rate in rates if not chained], [rate for chained, rate in rates if chained]


def main():
    make_database()
    make_durable()
    reached = True
    for processes, goal in GOALS.items():
        without, chained = measure(processes)
        ratio = statistics.median(chained) / statistics.median(without)
        for name, rates in (("without", without), ("with", chained)):
            print(
                f"{processes} processes, {name}: {statistics.median(rates):.0f}/s, {sorted(map(round, rates))}",
                flush=True,
            )
        print(f"{processes} processes: {ratio:.2f} of what it is without; the goal is {goal}", flush=True)
        reached = reached and ratio >= goal
    return int(not reached)


if __name__ == "__main__":
    sys.exit(main())
