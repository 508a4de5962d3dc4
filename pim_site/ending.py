"""How a process of ours learns that it is to end."""

import signal
from queue import Empty, SimpleQueue


class Ending:
    """Told by signals, waited for by the loop of the process.

    A handler runs between any two steps of the loop, and a second one within the first. `threading.Event` cannot be
    set there: its lock may be held by the very thread that is interrupted, which then waits for itself for ever. To put
    something into a `SimpleQueue` is safe at any moment.
    """

    def __init__(self) -> None:
        self.came = False
        self._told: SimpleQueue[None] = SimpleQueue()

    def listen(self, *signals: signal.Signals) -> None:
        for number in signals:
            signal.signal(number, lambda *_: self._told.put(None))

    def wait(self, seconds: float) -> bool:
        """Wait so long at most; return whether the end has come."""
        if not self.came:
            try:
                self._told.get(timeout=seconds)
            except Empty:
                return False
            self.came = True
        return True
