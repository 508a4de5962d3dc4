"""When reviews begin, end and remind: arithmetic of days in a named zone. Pure.

Days are those of the wall clock: a review that begins at 08:00 ends at 08:00, also where the clocks were changed in
between. Moments are returned in UTC.
"""

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

DAY = timedelta(days=1)
MORNING = time(8)


class Recurrence(TextChoices):
    ONCE = "once", _("once")
    WEEKLY = "weekly", _("weekly")
    MONTHLY = "monthly", _("monthly")
    QUARTERLY = "quarterly", _("quarterly")
    HALF_YEARLY = "half_yearly", _("half-yearly")
    YEARLY = "yearly", _("yearly")


MONTHS = {Recurrence.MONTHLY: 1, Recurrence.QUARTERLY: 3, Recurrence.HALF_YEARLY: 6, Recurrence.YEARLY: 12}
# The longest duration in days, one less than the shortest time between two beginnings (Entra: 27 for monthly).
LONGEST = {
    Recurrence.ONCE: 180,
    Recurrence.WEEKLY: 6,
    Recurrence.MONTHLY: 27,
    Recurrence.QUARTERLY: 88,
    Recurrence.HALF_YEARLY: 180,
    Recurrence.YEARLY: 364,
}


@dataclass(frozen=True)
class Plan:
    """When the reviews of a series begin.

    Attributes:
        first: the day of the first one, at `at` in the zone of this name.
        ends_on: the last day on which one may begin; None: without end.
        count: how many there are, from number 1 on; None: without end.
        first_number: of the review of the first day. More than 1 where the first day was changed since, and less
            where it came back more often since: numbers go on without gaps.
    """

    first: date
    at: time
    zone: str
    recurrence: str = Recurrence.ONCE
    ends_on: date | None = None
    count: int | None = None
    first_number: int = 1

    def begins(self, number: int) -> datetime | None:
        """Return when the review of this number begins; None if the series has none such."""
        last = self.first_number if self.recurrence == Recurrence.ONCE else self.count
        if last is not None and number > last:
            return None
        day = self._day(number - self.first_number)
        return None if self.ends_on is not None and day > self.ends_on else moment(day, self.at, self.zone)

    def following(self, old: "Plan", number: int, *, at: datetime) -> "Plan":
        """Return this plan with the numbers of the one that it takes the place of.

        The review of this number, which is to come, begins on the first day where that is a new one, and otherwise
        on the next day of the plan that is not over.
        """
        if self.first != old.first or number == 1:
            return replace(self, first_number=number)
        steps = number - old.first_number if self.recurrence == old.recurrence else 0
        plan = replace(self, first_number=number - steps)
        while (begins := plan.begins(number)) is not None and begins < at:
            plan = replace(plan, first_number=plan.first_number - 1)
        return plan

    def _day(self, steps: int) -> date:
        if self.recurrence == Recurrence.WEEKLY:
            return self.first + steps * timedelta(days=7)
        return later(self.first, steps * MONTHS.get(Recurrence(self.recurrence), 0))


def later(day: date, months: int) -> date:
    """Return the same day so many months later, or the last one of a month that has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def moment(day: date, at: time, zone: str) -> datetime:
    """Return the moment in UTC. A time that the clocks leave out is that much later; of two, it is the first."""
    return datetime.combine(day, at, ZoneInfo(zone)).astimezone(UTC)


def days_after(begins: datetime, days: int, zone: str) -> datetime:
    """Return the same time of the wall clock so many days later."""
    local = begins.astimezone(ZoneInfo(zone)).replace(fold=0)
    return (local + timedelta(days=days)).astimezone(UTC)


def late_begin(planned: datetime, days: int, latest: datetime | None, *, zone: str, at: datetime) -> datetime | None:
    """Return from when something counts that was planned for then and begins now; None: it is too late for it.

    Whoever is asked has at least half of the time that was planned. Where the worker was down for longer, the time
    counts from now, or from so long ago that it is over by `latest`.
    """
    half = days * DAY / 2
    if at - planned <= half:
        return planned
    begins = at if latest is None else min(at, days_after(latest, -days, zone))
    return begins if at - begins <= half else None


def next_stage(
    over: datetime, days: Sequence[int], next_at: datetime | None, *, zone: str, at: datetime
) -> tuple[int, datetime] | None:
    """Return which stage follows one that is over since then, and from when it counts; None: it is too late for all.

    One that is late leaves room for all that follow it, until the next review begins; one for which it is too late is
    left out.

    Args:
        days: how long each of the stages to come lasts; the stage is returned by its place among them, from 0.
    """
    for place, own in enumerate(days):
        latest = next_at and days_after(next_at, -sum(days[place + 1 :]), zone)
        begins = late_begin(over, own, latest, zone=zone, at=at)
        if begins is not None:
            return place, begins
        over = days_after(over, own, zone)
    return None


def reminders(begins: datetime, ends: datetime) -> list[datetime]:
    """Return when those are reminded who have not answered: half-way, and a day before the end."""
    half = begins + (ends - begins) / 2
    return sorted({when for when in (half, ends - DAY) if begins < when < ends})


def next_reminder(begins: datetime, ends: datetime, *, at: datetime) -> datetime | None:
    """Return the first reminder that is still to come: those that were missed are made up for by one."""
    return next((when for when in reminders(begins, ends) if when > at), None)
