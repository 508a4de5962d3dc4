"""The calendar of what comes: when the reviews of all series begin and end. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from .schedule import days_after
from .series import Definition


@dataclass(frozen=True)
class Coming:
    """A review that is planned.

    Attributes:
        ends: when the last stage is over, if it begins in time.
    """

    series: Definition
    number: int
    begins: datetime
    ends: datetime


def coming(series: Iterable[Definition], until: datetime) -> list[Coming]:
    """Return what begins before `until`, the next one first. One query, unless the stages were fetched."""
    found = [each for one in series for each in _of(one, until)]
    return sorted(found, key=lambda each: (each.begins, each.series.name))


def _of(series: Definition, until: datetime) -> Iterable[Coming]:
    number, begins, days = series.next_number, series.next_at, series.days
    while begins is not None and begins < until:
        yield Coming(series, number, begins, days_after(begins, days, series.time_zone))
        number += 1
        begins = series.plan.begins(number)
