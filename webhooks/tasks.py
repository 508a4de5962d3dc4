"""Loops for the worker. Each may run twice, in parallel or late."""

from collections.abc import Iterator
from time import monotonic
from uuid import UUID

from django.utils.timezone import now

from .models import Delivery
from .services import collect, deliver, forget
from .services.delivering import BATCH

# Well below the time after which the queue kills a task, the longest attempt included.
RUN_SECONDS = 30.0


def deliver_due() -> int:
    """Collect what happened and send what is due; return how many messages were taken.

    Whoever fails is left out for the rest of the run, so that one who is slow keeps nobody else waiting.
    """
    until = monotonic() + RUN_SECONDS
    while collect() == BATCH and monotonic() < until:
        pass
    taken, failing = 0, set[UUID]()
    for delivery in _due(failing):
        if monotonic() > until:
            break
        outcome = deliver(delivery=delivery)
        taken += outcome is True
        if outcome is False:
            failing.add(delivery.subscription_id)
    return taken


def _due(failing: set[UUID]) -> Iterator[Delivery]:
    """Yield what is due, until nothing is but what goes to `failing`, which may grow meanwhile."""
    seen: set[tuple[UUID, int]] = set()
    while True:
        batch = Delivery.objects.due(now()).exclude(subscription__in=failing)[:100]
        fresh = [row for row in batch if (row.pk, row.attempts) not in seen]
        if not fresh:
            return
        for row in fresh:
            seen.add((row.pk, row.attempts))
            if row.subscription_id not in failing:
                yield row


def forget_due() -> int:
    """Delete what is over and old; return how many this run deleted. What is left waits for the next."""
    return forget()
