"""Races: many threads at one gate, each with a database connection of its own."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest


@pytest.fixture
def run_in_threads(transactional_db):
    """``run_in_threads(n, fn)`` calls ``fn(i)`` n times at once; the list of results, or of exceptions in their place.

    Each thread opens its connection before the gate opens, so that the race is about the code and not about connecting.
    """
    return race


def race(count, function):
    gate = Barrier(count, timeout=60)
    with ThreadPoolExecutor(count) as pool:
        runs = [pool.submit(run, gate, function, number) for number in range(count)]
    return [done.exception() or done.result() for done in runs]


def run(gate, function, number):
    from django.db import connection

    try:
        connection.ensure_connection()
        gate.wait()
        return function(number)
    finally:
        connection.close()
