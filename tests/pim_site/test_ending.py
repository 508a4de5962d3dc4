"""Signals that come at any moment, and while another one is handled."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.once
# Thousands of signals in half a second; with `threading.Event` this does not come to its end.
TOLD_ALL_THE_TIME = """
import signal, time
from pim_site.ending import Ending

ending, until = Ending(), time.monotonic() + 0.5
ending.listen(signal.SIGALRM)
signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
told = 0
while time.monotonic() < until:
    told += ending.wait(0.0001)
    ending.came = False
signal.setitimer(signal.ITIMER_REAL, 0)
print(told > 100)
"""
TOLD_BY_NOBODY = """
from pim_site.ending import Ending
print([Ending().wait(0.01), Ending().wait(0)])
"""
TOLD_BEFORE_IT_WAITS = """
import os, signal
from pim_site.ending import Ending

ending = Ending()
ending.listen(signal.SIGTERM, signal.SIGINT)
os.kill(os.getpid(), signal.SIGTERM)
print([ending.wait(0), ending.wait(0), ending.came])
"""


def output_of(program):
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip()


def test_signals_at_any_moment_do_not_lock_it_up():
    assert output_of(TOLD_ALL_THE_TIME) == "True"


def test_end_comes_once_it_was_told_and_stays():
    assert output_of(TOLD_BEFORE_IT_WAITS) == "[True, True, True]"


def test_end_does_not_come_by_itself():
    assert output_of(TOLD_BY_NOBODY) == "[False, False]"
