"""`make bench-reviews`: how long a review of many accesses takes to begin, in how much memory, and who feels it.

On PostgreSQL, with 10,000, 25,000 and 50,000 eligible assignments of people who report to 500 managers, or as many as
are given. The floor is one INSERT … SELECT of the same rows of the same tables, done and checked by the database alone.
Each size is begun in a process of its own, whose memory counts; at the last, another process activates roles before and
meanwhile.
"""

import multiprocessing
import resource
import statistics
import sys
import time
from datetime import timedelta

from benchmarks.database import make_database, ready

SIZES = (10_000, 25_000, 50_000)
SECONDS, MEGABYTES = 30, 300
MANAGERS = 500
ALONE = 5.0
GOAL_LINEAR = 1.5  # seconds per item of the largest, by those of the smallest
GOAL_FELT = 0.5  # seconds that an activation may take at most; a lock that is felt would take the whole start


def populate(count):
    """So many people who are eligible for a role, and report to 500 managers; the id of a series about them."""
    from django.db import connection
    from django.utils.timezone import now

    from accounts.models import User
    from assignments.models import EligibleAssignment
    from tests.factories import EligibleFactory, RoleFactory, UserFactory
    from tests.reviews.making import series, stage

    role = RoleFactory()
    managers = User.objects.bulk_create(UserFactory.build_batch(MANAGERS, password=""))
    for _start in range(0, count, 5_000):
        people = UserFactory.build_batch(5_000, password="")
        for number, person in enumerate(people):
            person.manager = managers[number % MANAGERS]
        User.objects.bulk_create(people)
        at = {"starts_at": now(), "created_at": now()}
        rows = [EligibleFactory.build(user=person, role=role, scope=role.resource, **at) for person in people]
        EligibleAssignment.objects.bulk_create(rows)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")  # as the database does by itself before long
    return series(stage("managers"), roles=(role,)).pk


def peak():
    """The most memory that this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)


def begin(series, answers):
    """Begin the review of a series as the worker does; (seconds, seconds of Python's, statements, MB) to `answers`."""
    ready()
    from django.db import connection

    from reviews.models import Asked, Definition, Instance
    from reviews.services import prepare, take_in

    statements = []

    def counted(execute, *args):
        statements.append(1)
        return execute(*args)

    began, worked = time.perf_counter(), time.process_time()
    with connection.execute_wrapper(counted):
        instance = prepare(definition=Definition.objects.get(pk=series))
        while take_in(instance=instance):
            pass
    seconds, worked = time.perf_counter() - began, time.process_time() - worked
    found = Instance.objects.get(pk=instance.pk)
    asked = Asked.objects.filter(item__instance=found)
    counts = (found.state, found.items.count(), asked.count(), asked.values("person").distinct().count())
    answers.put((seconds, worked, len(statements), peak(), counts))


def floor():
    """Seconds in which the database alone writes the rows of the last review once more."""
    from django.db import connection, transaction

    from reviews.models import Asked, Instance, Item

    def again(model, keys, joins=""):
        table = model._meta.db_table
        names = [field.column for field in model._meta.concrete_fields if field.column not in keys]
        into, values = (", ".join([*keys, *names]), ", ".join([*keys.values(), *(f"o.{name}" for name in names)]))
        return f"INSERT INTO {table} ({into}) SELECT {values} FROM {table} o {joins}"

    last = Instance.objects.latest("began_at")
    other = Instance.objects.create(
        definition=last.definition, number=0, state="applied", planned_at=last.began_at, began_at=last.began_at,
        ends_at=last.ends_at,
    )  # fmt: skip
    with connection.cursor() as cursor, transaction.atomic():
        cursor.execute("SET LOCAL statement_timeout = 0")  # on a machine that others use, it may take longer
        cursor.execute("ANALYZE reviews_item, reviews_asked")  # or the join below is done one row after the other
        began = time.perf_counter()
        cursor.execute(
            again(Item, {"id": "gen_random_uuid()", "instance_id": f"'{other.pk}'"}) + " WHERE o.instance_id = %s",
            [last.pk],
        )
        joins = "JOIN reviews_item old ON old.id = o.item_id JOIN reviews_item new"
        joins += f" ON new.eligible_assignment_id = old.eligible_assignment_id AND new.instance_id = '{other.pk}'"
        ids = {"id": "nextval(pg_get_serial_sequence('reviews_asked', 'id'))", "item_id": "new.id"}
        cursor.execute(again(Asked, ids, joins) + " WHERE old.instance_id = %s", [last.pk])
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # as a commit does: that what they point at is there
        seconds = time.perf_counter() - began
        transaction.set_rollback(True)
    other.delete()
    return seconds


def activate_all(ids, gate, over, spans):
    """Activate one after the other until it is over; when each began and ended goes to `spans`."""
    ready()
    from approvals.services import activate
    from assignments.models import EligibleAssignment

    done = []
    gate.wait()
    while ids and not over.is_set():
        eligible = EligibleAssignment.objects.select_related("user", "role", "scope").get(pk=ids.pop())
        began = time.time()
        activate(eligible=eligible, actor=eligible.user, duration=timedelta(hours=1), justification="The job is stuck.")
        done.append((began, time.time()))
    spans.put(done)


def activating(series, context):
    """A process that activates, for as long as is said, what the review of this series is about."""
    from assignments.models import EligibleAssignment
    from reviews.models import Definition
    from roles.models import RoleSettings

    (role,) = Definition.objects.get(pk=series).roles.all()
    RoleSettings.objects.filter(role=role).update(activation_authentication="none")
    ids = list(EligibleAssignment.objects.filter(role=role).values_list("pk", flat=True))
    gate, over, spans = context.Barrier(2), context.Event(), context.Queue()
    process = context.Process(target=activate_all, args=(ids, gate, over, spans))
    process.start()
    gate.wait()
    return process, over, spans


def felt(spans, from_, until):
    """Seconds of the activations within this time: the median and the longest."""
    within = [end - begin for begin, end in spans if begin >= from_ and begin < until]
    return statistics.median(within), max(within), len(within)


def measure(size, *, felt_by_others):
    """Begin a review of this size; seconds per item, and whether it keeps within what is promised."""
    from django.db import connection

    series = populate(size)
    connection.close()
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    beside = activating(series, context) if felt_by_others else None
    time.sleep(ALONE if beside else 0)
    from_ = time.time()
    run = context.Process(target=begin, args=(series, answers))
    run.start()
    seconds, worked, statements, memory, counts = answers.get()
    until = time.time()
    run.join()
    good = counts == ("in_progress", size, size, MANAGERS) and seconds < SECONDS and memory < MEGABYTES
    if beside:
        process, over, spans = beside
        over.set()
        found = spans.get()
        process.join()
        before, during = felt(found, from_ - ALONE, from_), felt(found, from_, until)
        for name, (median, longest, count) in (("before", before), ("during", during)):
            print(f"activations {name}: {count}, median {median * 1000:.0f} ms, longest {longest * 1000:.0f} ms")
        good = good and during[1] < max(GOAL_FELT, 2 * before[1])
    print(
        f"{size} items: {seconds:.1f} s ({worked:.1f} s of them Python's), {statements} statements, "
        f"{memory:.0f} MB at most; the database alone {floor():.1f} s",
        flush=True,
    )
    return seconds / size, good


def main():
    make_database()
    sizes = tuple(map(int, sys.argv[1:])) or SIZES
    measured = [measure(size, felt_by_others=size == sizes[-1]) for size in sizes]
    ratio = measured[-1][0] / measured[0][0]
    print(f"an item of the largest takes {ratio:.2f} times that of the smallest; the goal is {GOAL_LINEAR}")
    return int(ratio > GOAL_LINEAR or not all(good for _seconds, good in measured))


if __name__ == "__main__":
    sys.exit(main())
