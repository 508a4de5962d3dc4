"""Loops for the worker. Each may run twice, in parallel or late."""

import logging
from time import monotonic

from django.utils import timezone

from audit.checkpoints import CheckpointRefused, checkpoint, file_unfiled, is_due
from audit.sealing import BATCH, seal

log = logging.getLogger("pim.audit")

# Well below the time after which the queue kills a task.
RUN_SECONDS = 30.0


def seal_due() -> int:
    """Number the events that wait; return how many. What is left after a while waits for the next run."""
    until, sealed, last = monotonic() + RUN_SECONDS, 0, BATCH
    while last == BATCH and monotonic() < until:
        last = seal()
        sealed += last
    return sealed


def checkpoint_due() -> int:
    """Sign once an hour, and write to the file what is not in it yet; return how many were signed and written."""
    done = 0
    try:
        if is_due(timezone.now()):
            checkpoint()
            done += 1
        done += file_unfiled()
    except CheckpointRefused as refusal:
        log.error("no checkpoint is signed: %s", "; ".join(refusal.messages))
    except OSError as failure:
        log.error("checkpoints cannot be written: %s", failure)
    return done
