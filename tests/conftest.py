"""What every test stands on: the environment, the database, a fast hasher, the browser."""

import gc
import os
import shutil
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import django
import hypothesis
import pytest
from django.conf import settings
from hypothesis import HealthCheck

from tests import tables
from tests.demo import demo  # noqa: F401 (for the tests that drive it)
from tests.environment import FIRST_PLAN, POSTGRES, prepare, session_zone

prepare()
if "PYTEST_XDIST_WORKER" not in os.environ:
    tables.make()
django.setup()  # now, because the conftest files beneath this one import models
if POSTGRES:
    # Not by the environment: in a process of a parallel run the settings are made before this file is read.
    settings.DATABASES["default"]["TIME_ZONE"] = session_zone()
    settings.DATABASES["default"]["OPTIONS"]["options"] += "".join(
        f" -c {name}={value}" for name, value in FIRST_PLAN.items()
    )

# A busy machine is no fault of what is tested.
hypothesis.settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis.settings.load_profile("any machine")

# What a page shows is looked at on SQLite. The questions that it asks a database are asked on both by the tests of the
# services and querysets behind it, and odd values are sent to every page on both (`test_odd_requests.py`).
PAGES = ("test_views", "_views", "test_console", "_console", "test_home", "test_mail_cells", "test_admin")
PAGES += ("test_climbing", "test_demo")  # by way of the console; of a site that runs on SQLite only

# What a handler of requests makes of the middleware.
CHAIN = {"_view_middleware", "_template_response_middleware", "_exception_middleware", "_middleware_chain"}

# The first draws no window around the pages: a third less to do than for any of the others.
BROWSERS = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session):
    """Each process of a parallel run begins to read the files at another one.

    What pytest makes of a file is kept beside it, for the others too: in a new clone, each would make all of it.
    """
    if process := os.environ.get("PYTEST_XDIST_WORKER"):
        files = [file for place in session.config.args for file in sorted(Path(place).rglob("test_*.py"))]
        first = len(files) * (2 * int(process[2:]) + POSTGRES) // 6  # of three on SQLite and two on PostgreSQL
        for file in files[first:] + files[:first]:
            with suppress(Exception):  # it is told of when the file's tests are collected
                import_module(".".join(file.resolve().relative_to(session.config.rootpath).with_suffix("").parts))


def pytest_collection_modifyitems(config, items):
    """Mark the browser tests; leave out (rather than skip) what the run on the other database answers."""
    for item in items:
        if "browser" in item.path.parts:
            item.add_marker(pytest.mark.browser)
        elif item.path.stem.startswith(PAGES) or item.path.stem.endswith(PAGES) or not asks_a_database(item):
            item.add_marker(pytest.mark.once)
    elsewhere = "once" if POSTGRES else "postgres"
    left_out = [item for item in items if item.get_closest_marker(elsewhere)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish():
    """Thousands of tests and all that they import stay to the end: nobody need look through them for garbage.

    What the tests leave is looked through far less often than by default, which found next to nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def asks_a_database(item):
    fixtures = {"db", "transactional_db", "django_db_setup"} & set(item.fixturenames)
    return bool(fixtures) or item.get_closest_marker("django_db") or "races" in item.path.parts


def pytest_make_parametrize_id(val, argname):
    """Long texts name no test: nobody reads them, and one that is signed differs in each process of a parallel run."""
    return argname if isinstance(val, str) and len(val) > 60 else None


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment, django_db_blocker, tmp_path_factory):
    """A database of this process, which is put back after each test that commits.

    On SQLite a file: the database in memory knows neither WAL nor waiting, so threads would fail on it.
    """
    from django.db import connection
    from django.test import TransactionTestCase

    name = f"pim_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
    connection.settings_dict["NAME"] = tables.copied(name, tmp_path_factory.mktemp("database"))
    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as patch:
        restore = tables.Restoring(connection)
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda self: restore())
        yield
        connection.close()


@pytest.fixture(scope="module")
def statistics_forgotten(django_db_setup, django_db_blocker):
    """What `ANALYZE` learned stays when its transaction is rolled back, and would plan for rows that are no more."""
    from django.db import connection

    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("UPDATE pg_class SET relpages = 0, reltuples = -1 WHERE relnamespace = 'public'::regnamespace")


@pytest.fixture(scope="session", autouse=True)
def _quick_settings():
    """A hash that takes no time; and no walk through all static files for each test client that is made."""
    from django.test import override_settings

    quick = {"PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"], "WHITENOISE_USE_FINDERS": False}
    with override_settings(**quick):
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_chain():
    """Each test client that is made would load all middleware anew; until a setting changes, one chain serves all."""
    from django.test.client import ClientHandler

    load, loaded = ClientHandler.load_middleware, {}

    def load_once(handler):
        if settings._wrapped not in loaded:
            loaded.clear()
            load(handler)
            loaded[settings._wrapped] = {name: value for name, value in vars(handler).items() if name in CHAIN}
        vars(handler).update(loaded[settings._wrapped])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClientHandler, "load_middleware", load_once)
        yield


@pytest.fixture(scope="session")
def chromium():
    """Path of a Chromium; without one the test counts as not run, or fails where one is required."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None) or playwrights_own()
    if path:
        return path
    missing = "no Chromium found: `apt-get install chromium-headless-shell` or `.venv/bin/playwright install chromium`"
    if os.environ.get("PIM_REQUIRE_BROWSER"):
        pytest.fail(missing)
    pytest.skip(missing)


def playwrights_own():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None
