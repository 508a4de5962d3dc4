"""From when to when figures are asked for, and the days or weeks that they are counted by."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import DateField
from django.db.models.functions import Cast, Trunc
from django.utils import timezone

from accounts.days import midnight

LENGTHS = (7, 30, 90, 365)
USUAL = 30
# A bar for each day of a year could not be told from the next.
MOST_DAYS = 90


@dataclass(frozen=True)
class Period:
    """The last so many days up to `at` (aware), today included, in the active time zone.

    Of more than 90 days, the whole weeks that these days are in.
    """

    days: int
    at: datetime

    @property
    def unit(self) -> str:
        """Return what it is counted by, as `Trunc` calls it."""
        return "day" if self.days <= MOST_DAYS else "week"

    @property
    def step(self) -> timedelta:
        return timedelta(days=1 if self.unit == "day" else 7)

    @property
    def today(self) -> date:
        return timezone.localtime(self.at).date()

    @property
    def first(self) -> date:
        day = self.today - timedelta(days=self.days - 1)
        return day if self.unit == "day" else day - timedelta(days=day.weekday())

    @property
    def starts_at(self) -> datetime:
        return midnight(self.first)

    @property
    def buckets(self) -> list[date]:
        """Return the first day of each day or week, the oldest first."""
        count = (self.today - self.first) // self.step + 1
        return [self.first + number * self.step for number in range(count)]

    def last_of(self, bucket: date) -> date:
        """Return the last day of a day or week."""
        return bucket + self.step - timedelta(days=1)

    def bucket_of(self, column: str) -> Any:
        """Return the expression that gives the bucket of a column of moments."""
        # PostgreSQL gives a moment; the cast makes it a day among other days, as in a CASE.
        return Cast(Trunc(column, self.unit, output_field=DateField()), DateField())
