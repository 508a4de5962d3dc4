"""`make bench-alerts`: what a scan of each alert costs on PostgreSQL, with a million active assignments.

Half as many eligible ones beside them; `--rows` for fewer, `--only` for one kind, `--explain` to see what the database
does. Prints of each kind the time, that of the longest statement, the statements, the findings and the most memory that
Python took; exits with 1 where a scan takes more than its share of the quarter of an hour, a statement more than the
site lets it, or there are more of them than a few, or memory for the rows.
"""

import argparse
import sys
import time
import tracemalloc
from itertools import islice

from benchmarks.access import as_in_production, in_bulk, like, prepare

MOST_SECONDS, LONGEST_SECONDS, MOST_STATEMENTS, MOST_MEGABYTES = 60.0, 15.0, 40, 64


def lay_out(rows):
    """Beside the active assignments of `benchmarks.access`: people eligible for every other one, and a privileged role
    in ten; of all but fifty of each a request and an event tell, and each event has its number.
    """
    from django.db import connection

    from accounts.models import User
    from assignments.models import ActiveAssignment, EligibleAssignment
    from roles.models import Role

    prepare(rows)
    held = ActiveAssignment.objects.filter(role__built_in_key=None).first()
    common = {name: getattr(held, name) for name in ("role", "scope", "starts_at", "created_at")}
    eligible = EligibleAssignment.objects.create(user=User.objects.get(username="p0"), **common)
    with in_bulk() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE half AS SELECT user_id, role_id FROM pairs"
            " WHERE abs(hashtextextended(user_id::text || role_id::text, 0)) %% 2 = 0"
            " AND NOT (user_id = %s AND role_id = %s)",
            [eligible.user_id, eligible.role_id],
        )
        like(cursor, eligible, "half", user_id="n.user_id", role_id="n.role_id")
    for row in (held, eligible):
        account_for(row)
    number()
    Role.objects.filter(name__endswith="0", built_in_key=None).update(is_privileged=True)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    print(f"{EligibleAssignment.objects.count()} eligible assignments", flush=True)


def account_for(one):
    """Let a request have made each assignment of this one's kind but fifty, and an event tell of that."""
    from django.db import transaction

    from approvals.models import Request
    from assignments.services import recorded
    from audit.services import record

    about = {"user": one.user, "role": one.role, "scope": one.scope}
    states = {"action": "admin_assign", "status": "provisioned", "requested_at": one.created_at}
    settings = one.role.settings.first() or type(one.role).objects.built_in("global_administrator").settings.get()
    asked = Request.objects.create(**about, **states, settings=settings, **{f"{one.noun}_assignment": one})
    told = {"subject": one.user, "role": one.role, "scope": one.scope, "request": asked, "after": recorded(one)}
    with transaction.atomic():
        event = record(f"{one.noun}.assigned", actor=None, target=one, **told)
    with in_bulk() as cursor:
        cursor.execute(
            f"CREATE TEMPORARY TABLE {one.noun}_made AS SELECT gen_random_uuid() AS request_id, id, user_id, role_id"
            f" FROM {one._meta.db_table} WHERE id <> %s OFFSET 50",
            [one.pk],
        )
        made = {"user_id": "n.user_id", "role_id": "n.role_id", f"{one.noun}_assignment_id": "n.id"}
        like(cursor, asked, f"{one.noun}_made", id="n.request_id", **made)
        told = {"subject_id": "n.user_id", "role_id": "n.role_id", "request_id": "n.request_id"}
        text = "one.canonical"
        for key, other in ((one.pk, "n.id"), (one.user_id, "n.user_id"), (one.role_id, "n.role_id")):
            text = f"replace({text}, '{key}', {other}::text)"
        told["canonical"] = f"replace({text}, '{asked.pk}', n.request_id::text)"
        key = "nextval(pg_get_serial_sequence('audit_event', 'id'))"
        like(cursor, event, f"{one.noun}_made", id=key, target_id="n.id::text", **told)


def number():
    """Give all events their numbers and places in the tree, as `audit.sealing` does, at once."""
    from audit.merkle import Frontier
    from audit.models import Entry, Head, Unsealed

    with in_bulk() as cursor:
        cursor.execute(
            "INSERT INTO audit_entry (n, event_id, leaf) SELECT row_number() OVER (ORDER BY id), id,"
            " sha256('\\x00'::bytea || convert_to(canonical, 'UTF8')) FROM audit_event"
        )
    tree = Frontier()
    for leaf in Entry.objects.order_by("n").values_list("leaf", flat=True).iterator(10_000):
        tree.append(bytes(leaf))
    Head.objects.update_or_create(pk=Head.ONLY, defaults={"size": tree.size, "frontier": tree.packed})
    Unsealed.objects.all().delete()


class Statements:
    """Every statement of a scan, and where it is asked for, what the database does for it."""

    def __init__(self, explain):
        self.count, self.longest, self.explain = 0, 0.0, explain

    def __call__(self, execute, sql, params, many, context):
        self.count += 1
        if self.explain and sql.lstrip().startswith(("SELECT", "WITH", "(")):
            with context["connection"].connection.cursor() as cursor:
                plan = cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {sql}", params).fetchall()
            print(sql[:400], *(line for (line,) in plan), sep="\n", flush=True)
        begun = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self.longest = max(self.longest, time.perf_counter() - begun)


def scanned(kind, explain):
    """Seconds of one scan and of its longest statement, statements, findings; megabytes at the peak of a second one."""
    from django.db import connection
    from django.utils.timezone import now

    from alerts.models import MOST

    limits = {each.name: each.default for each in kind.thresholds}
    statements, begun = Statements(explain), time.perf_counter()
    with connection.execute_wrapper(statements):
        found = len(list(islice(kind.scan(now(), **limits), MOST + 1)))
    seconds = time.perf_counter() - begun
    tracemalloc.start()
    list(islice(kind.scan(now(), **limits), MOST + 1))
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return seconds, statements.longest, statements.count, found, peak


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alerts", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", default="")
    parser.add_argument("--explain", action="store_true")
    asked = parser.parse_args()
    as_in_production()
    from alerts.registry import KINDS

    lay_out(asked.rows)
    late = []
    for key, kind in sorted(KINDS.items()):
        if asked.only in ("", key):
            seconds, longest, count, found, peak = scanned(kind, asked.explain)
            took = f"{seconds:8.2f} s, longest {longest:6.2f} s"
            print(f"{key:32} {took} {count:4} statements {found:4} findings {peak:7.1f} MB", flush=True)
            slow = seconds > MOST_SECONDS or longest > LONGEST_SECONDS
            if slow or count > MOST_STATEMENTS or peak > MOST_MEGABYTES:
                late.append(key)
    print("too dear:", ", ".join(late) or "none")
    return int(bool(late))


if __name__ == "__main__":
    sys.exit(main())
