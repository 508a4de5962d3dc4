"""Days of the active time zone: when they begin, and how they stand in an address."""

import re
from datetime import date, datetime, time, timedelta

from django.utils.timezone import make_aware

# Beyond these years, moments of some time zones are outside of the calendar.
YEARS = range(1970, 9999)


def midnight(day: date) -> datetime:
    """Return the beginning of a day in the active time zone."""
    return make_aware(datetime.combine(day, time()))


def days_text(first: date, last: date) -> str:
    """Return days, the last included, as they stand in an address."""
    return f"{first:%Y-%m-%d}..{last:%Y-%m-%d}"


def span_of(text: str) -> tuple[datetime, datetime] | None:
    """Return the beginning and the end of days in an address, in the active time zone; None if these are no days."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)\.\.(\d{4}-\d\d-\d\d)", text, re.ASCII)
    try:
        first, last = (date.fromisoformat(day) for day in found.groups()) if found else (date.min, date.min)
    except ValueError:
        return None
    if not {first.year, last.year} <= {*YEARS}:
        return None
    return midnight(first), midnight(last + timedelta(days=1))
