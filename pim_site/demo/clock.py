"""A clock that can be set back, so that the demo's past is made by the product itself and not invented row by row."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, tzinfo
from typing import Any

from django.utils import timezone


@contextmanager
def set_to(moment: datetime) -> Iterator[None]:
    """Let `django.utils.timezone.now` answer `moment` within the block, wherever it was imported to.

    Everything in this product asks that one function, and it asks the name `datetime` of its own module, which is what
    is replaced. For a command that runs alone: other threads would see the same clock.
    """

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return moment.astimezone(tz)

    names: Any = timezone
    real, names.datetime = names.datetime, Stopped
    try:
        yield
    finally:
        names.datetime = real
