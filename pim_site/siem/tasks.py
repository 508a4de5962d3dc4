"""The loop for the worker. May run twice, in parallel or late."""

import logging
from time import monotonic

from django.utils.timezone import now

from audit.models import Reader

from .streaming import begin, send_next

log = logging.getLogger("pim.siem")

# Well below the time after which the queue kills a task, one attempt with each destination included.
RUN_SECONDS = 20.0


def stream_due() -> int:
    """Send every destination what it has not taken yet; return how many events were taken.

    They take turns, and whoever fails is left alone for a while, so that none keeps another waiting.
    """
    begin()
    until, taken = monotonic() + RUN_SECONDS, 0
    names = list(Reader.objects.due(now()).order_by("failures", "pk").values_list("name", flat=True))
    while names and monotonic() < until:
        counts = {name: send_next(name) for name in names if monotonic() < until}
        taken += sum(counts.values())
        names = [name for name, count in counts.items() if count]
    for reader in Reader.objects.configured().exclude(failing_since=None):
        log.warning("%s has taken nothing since %s: %s", reader, reader.failing_since, reader.last_outcome)
    return taken
