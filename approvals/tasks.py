"""Loops for the worker. Each takes everything that is due, may run twice or late, and stops at no bad row."""

import logging
from collections.abc import Callable, Iterable

from django.utils.timezone import now

from .models import Request
from .services import note_start, time_out

logger = logging.getLogger(__name__)


def _each(requests: Iterable[Request], act: Callable[[Request], bool]) -> int:
    done = 0
    for request in requests:
        try:
            done += act(request)
        except Exception:
            logger.exception("could not finish request %s; it stays due", request.pk)
    return done


def time_out_due() -> int:
    """Close every request that nobody decided in time; return how many this run closed."""
    return _each(Request.objects.overdue(now()), lambda request: time_out(request=request, actor=None))


def start_due() -> int:
    """Note the start of every scheduled activation that has begun; return how many this run noted."""
    return _each(Request.objects.starting(now()), lambda request: note_start(request=request, actor=None))
