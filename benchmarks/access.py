"""`make bench-access`: how quick the access check is beside bare views on the same server, in the same run.

On PostgreSQL, with a million active assignments (`--rows` for fewer). The floor is a bare Django view with one SELECT;
its runs and those of the check take turns, and what counts is the median of the ratios of neighbours: on a machine that
others use as well, absolute figures say little. There are two floors: one passes what a page passes, and the harder one
is answered as directly as the check. Both have what Django gives each view here: it asks whether the connection still
is, a round trip that the check does without. The clients are threads of one Python process on the same cores: what
they take is in every rate alike and draws ratios of rates towards 1, so CPU time of server and database stands beside.
"""

import argparse
import contextlib
import http.client
import json
import os
import random
import secrets
import statistics
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
ROUNDS, SECONDS = 5, 3.0
WORKERS, THREADS = 2, 4
CONNECTION_SECONDS = 60  # CONN_MAX_AGE: each thread opens another one after this
ROLES = 2000
BATCH = 100
# The floor that is answered as directly is ours, so that what the check itself costs does not grow unseen.
LEAST = {"rate": 0.85, "beside direct": 0.8, "batch": 25.0}
MOST_P99 = 1.5


def as_in_production():
    """Start a PostgreSQL that ends with this process, and Django with the settings of a real site."""
    os.environ["PIM_TEST_DATABASE"] = "postgres"
    from tests import environment

    environment.prepare()
    os.environ |= {
        "PIM_DEBUG": "0",
        "PIM_DEMO": "0",
        "PIM_SECRET_KEY": secrets.token_urlsafe(48),
        "PIM_BASE_URL": "https://localhost",
        "PIM_ALLOWED_HOSTS": "localhost",
        "PIM_TRUSTED_PROXIES": "1",
        "PIM_DATABASE_OPTIONS": "-c statement_timeout=0",
    }
    import django

    django.setup()


@contextlib.contextmanager
def in_bulk():
    """A cursor whose rows are believed: no foreign key is looked up for them, and no trigger runs."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica; SET maintenance_work_mem = '256MB'")
        yield cursor
        cursor.execute("RESET session_replication_role")


def like(cursor, one, source, **columns):
    """Add a row like this one for each `n` of the source, but for these columns: expressions in SQL."""
    table = one._meta.db_table
    columns = {"id": "gen_random_uuid()"} | columns
    kept = [field.column for field in one._meta.concrete_fields if field.column not in columns]
    with unindexed(cursor, table):
        cursor.execute(
            f"INSERT INTO {table} ({', '.join([*columns, *kept])})"
            f" SELECT {', '.join([*columns.values(), *(f'one.{name}' for name in kept)])}"
            f" FROM {table} one CROSS JOIN {source} n WHERE one.id = %s",
            [one.pk],
        )


@contextlib.contextmanager
def unindexed(cursor, table):
    """Make the indexes of a table after its rows: random keys, one by one, take ten times as long."""
    cursor.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s"
        " AND indexname NOT IN (SELECT conname FROM pg_constraint)",
        [table],
    )
    indexes = cursor.fetchall()
    cursor.execute("".join(f'DROP INDEX "{name}";' for name, _definition in indexes) or "SELECT")
    yield
    cursor.execute(";".join(definition for _name, definition in indexes) or "SELECT")


def prepare(rows):
    """Make the database: people, a role at the organisation, `rows` assignments, and a token of a reader."""
    from django.core.management import call_command
    from django.utils.timezone import now

    from accounts.factors import digest
    from accounts.models import ApiToken, User
    from accounts.tokens import new_token
    from assignments.models import ActiveAssignment
    from roles.models import Resource, Role

    call_command("migrate", verbosity=0)
    people = max(rows // 10, 100)
    root = Resource.objects.get(path="/")
    person = User.objects.create(username="p0", email="p0@example.org", display_name="P 0")
    role = Role.objects.create(resource=root, name="Role 0")
    common = {"scope": root, "starts_at": now() - timedelta(days=1), "created_at": now()}
    held = ActiveAssignment.objects.create(user=person, role=role, **common)
    with in_bulk() as cursor:
        like(cursor, person, f"generate_series(1, {people})", username="'p' || n", email="'p' || n || '@example.org'")
        like(cursor, role, f"generate_series(1, {ROLES})", name="'Role ' || n")
        cursor.execute("ANALYZE")
        cursor.execute(
            "CREATE TEMPORARY TABLE pairs AS WITH"
            " u AS (SELECT id, row_number() OVER () - 1 AS n FROM accounts_user WHERE username ~ '^p[0-9]+$'),"
            " r AS (SELECT array_agg(id) AS ids FROM roles_role WHERE name ~ '^Role [0-9]+$')"
            " SELECT u.id AS user_id, r.ids[(u.n * 7 + k * 13) % cardinality(r.ids) + 1] AS role_id"
            " FROM u CROSS JOIN r CROSS JOIN generate_series(1, 10) k"
        )
        like(cursor, held, "pairs", user_id="n.user_id", role_id="n.role_id")
        cursor.execute(
            "VACUUM ANALYZE"
        )  # as autovacuum leaves a table: fresh rows cost each reader a look at their age
    text, key = new_token()
    ActiveAssignment.objects.create(
        user=person,
        role=Role.objects.built_in(Role.SECURITY_READER),
        **common,
    )
    terms = {"name": "benchmark", "scopes": "read", "key": key, "digest": digest(text)}
    ApiToken.objects.create(user=person, created_at=now(), expires_at=now() + timedelta(days=1), **terms)
    held = ActiveAssignment.objects.order_by("id").values_list("user_id", "role_id", "scope_id")[:2000]
    print(f"{ActiveAssignment.objects.count()} active assignments of {people} people", flush=True)
    return text, [tuple(map(str, row)) for row in held]


def serve(port):
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        f"--bind=127.0.0.1:{port}",
        "--worker-class=gthread",
        f"--workers={WORKERS}",
    ]
    command += [f"--threads={THREADS}", "--no-control-socket", "--log-level=error", "benchmarks.server"]
    server = subprocess.Popen(command, cwd=HOME)
    for _attempt in range(100):
        try:
            if ask(connect(port), "GET", "/healthz", headers={"Host": "localhost"})[0] == 200:
                return server
        except OSError:
            time.sleep(0.2)
    sys.exit("the server did not start")


def connect(port):
    return http.client.HTTPConnection("127.0.0.1", port, timeout=30)


def ask(connection, method, path, body=None, headers=None):
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    return answer.status, answer.read()


def load(port, clients, question):
    """Ask from so many connections for some seconds; requests in a second, and the 99th percentile in ms."""
    taken, until = [], time.perf_counter() + SECONDS

    def client():
        connection = connect(port)
        while time.perf_counter() < until:
            begun = time.perf_counter()
            try:
                status, _body = ask(connection, *question())
            except (OSError, http.client.HTTPException):
                connection = connect(port)  # the server closes what waits while all its threads are busy
                continue
            assert status == 200, status
            taken.append(time.perf_counter() - begun)

    threads = [threading.Thread(target=client) for _client in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(taken) / SECONDS, 1000 * sorted(taken)[int(len(taken) * 0.99)]


def questions(text, held):
    """What is asked: the floors, one question, and a hundred at once."""
    headers = {"Authorization": f"Bearer {text}", "Host": "localhost", "X-Forwarded-Proto": "https"}
    with_body = headers | {"Content-Type": "application/json"}

    def one():
        person, role, scope = random.choice(held)
        return "GET", f"/api/v1/access/check?principal={person}&role={role}&scope={scope}", None, headers

    def many():
        asked = [dict(zip(("principal", "role", "scope"), row, strict=True)) for row in random.choices(held, k=BATCH)]
        return "POST", "/api/v1/access/check", json.dumps({"questions": asked}), with_body

    floors = {name: lambda path=f"/{name}": ("GET", path, None, headers) for name in ("floor", "direct-floor")}
    return floors | {"check": one, "batch": many}


def spent(*roots):
    """CPU seconds that these processes and all beneath them have had, of those that still run (Linux: /proc)."""
    parents, seconds = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            pid = int(path.parent.name)
            parents[pid], seconds[pid] = int(fields[1]), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def beneath(pid):
        return pid in roots or (pid in parents and beneath(parents[pid]))

    return sum(used for pid, used in seconds.items() if beneath(pid))


def measure(port, asked, processes):
    """The ratios, and beside them what a request costs the server and the database together, which is steadier."""
    names = ("rate at 8", "rate at 32", "beside direct floor at 8", "beside direct floor at 32")
    ratios = {name: [] for name in (*names, "p99 at 32", "batch at 8", "batch beside the floor", "CPU at 8")}
    for _round in range(ROUNDS):
        for clients in (8, 32):
            begun = spent(*processes)
            floor = load(port, clients, asked["floor"])
            between = spent(*processes)
            check = load(port, clients, asked["check"])
            costs = [(between - begun) / floor[0], (spent(*processes) - between) / check[0]]
            ratios[f"rate at {clients}"].append(check[0] / floor[0])
            ratios[f"beside direct floor at {clients}"].append(check[0] / load(port, clients, asked["direct-floor"])[0])
            if clients == 32:
                ratios["p99 at 32"].append(check[1] / floor[1])
            else:
                batch = load(port, clients, asked["batch"])
                ratios["batch at 8"].append(batch[0] * BATCH / check[0])
                ratios["batch beside the floor"].append(batch[0] * BATCH / floor[0])
                ratios["CPU at 8"].append(costs[0] / costs[1])
                each = ", ".join(f"{1e6 * cost / SECONDS:.0f}" for cost in costs)
                print(
                    f"floor {floor[0]:.0f}/s, check {check[0]:.0f}/s, decisions {batch[0] * BATCH:.0f}/s;"
                    f" CPU of floor and check in microseconds: {each}",
                    flush=True,
                )
    return {name: statistics.median(values) for name, values in ratios.items()}


def connections():
    """How many connections to the database were ever opened."""
    from django.db import connection

    time.sleep(2)  # the server counts a session some time after it began
    with connection.cursor() as cursor:
        cursor.execute("SELECT sessions FROM pg_stat_database WHERE datname = current_database()")
        return cursor.fetchone()[0]


def database():
    """The process above those that serve the connections."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        fields = Path(f"/proc/{cursor.fetchone()[0]}/stat").read_text().rpartition(")")[2].split()
    return int(fields[1])


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.access", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--port", type=int, default=18_580)
    asked = parser.parse_args()
    as_in_production()
    text, held = prepare(asked.rows)
    before, begun = connections(), time.monotonic()
    server = serve(asked.port)
    try:
        ratios = measure(asked.port, questions(text, held), (server.pid, database()))
        opened = connections() - before
        lives = 1 + int(time.monotonic() - begun) // CONNECTION_SECONDS
    finally:
        server.terminate()
        server.wait(20)
    print({name: round(value, 2) for name, value in ratios.items()}, f"{opened} connections opened")
    reached = all(
        ratio >= goal for name, ratio in ratios.items() for part, goal in LEAST.items() if name.startswith(part)
    )
    return int(not (reached and ratios["p99 at 32"] <= MOST_P99 and opened <= WORKERS * THREADS * lives))


if __name__ == "__main__":
    sys.exit(main())
