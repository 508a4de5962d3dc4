"""kill -9 at a named point."""

import os
import signal

from django.db import connections


def killed(task, place, name, *, call=1):
    """Run a task in a process that is killed when it calls `place.name` for this time."""
    connections.close_all()  # a socket that two processes share is of use to neither
    if child := os.fork():
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        return
    calls = []
    stock = getattr(place, name)

    def kill(*args, **kwargs):
        calls.append(name)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return stock(*args, **kwargs)

    setattr(place, name, kill)
    try:
        task()
    finally:
        os._exit(1)  # it should not have come so far
