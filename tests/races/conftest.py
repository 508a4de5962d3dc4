"""Races: many threads at one gate, each with a database connection of its own."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import pytest
from django.db import connection, connections

MOST = 32


@pytest.fixture(scope="module")
def threads(django_db_setup):
    """Threads that keep their connections: one that is new reads half of the catalogue again."""
    opened = []
    with ThreadPoolExecutor(MOST, initializer=lambda: opened.append(connections["default"])) as pool:
        yield pool
    for each in opened:
        if each.connection:
            each.connection.close()


@pytest.fixture
def run_in_threads(transactional_db, threads):
    """``run_in_threads(n, fn)`` calls ``fn(i)`` n times at once; the list of results, or of exceptions in their place.

    Each thread opens its connection before the gate opens, so that the race is about the code and not about connecting.
    """
    return partial(race, threads)


def race(pool, count, function):
    gate = Barrier(count, timeout=60)
    runs = [pool.submit(run, gate, function, number) for number in range(count)]
    return [done.exception() or done.result() for done in runs]


def run(gate, function, number):
    connection.ensure_connection()
    gate.wait()
    try:
        return function(number)
    finally:
        connection.close_if_unusable_or_obsolete()
