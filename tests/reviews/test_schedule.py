"""Years of beginnings and ends: month ends, leap days, and the clocks that are changed."""

from datetime import date, datetime, time, timedelta
from itertools import pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviews.schedule import (
    DAY,
    LONGEST,
    Plan,
    Recurrence,
    days_after,
    late_begin,
    next_reminder,
    next_stage,
    reminders,
)
from tests.reviews.making import utc

BERLIN = "Europe/Berlin"


def days(plan, count):
    zone = ZoneInfo(plan.zone)
    return [plan.begins(number).astimezone(zone).date() for number in range(1, count + 1)]


@pytest.mark.parametrize(
    ("first", "recurrence", "following"),
    [
        (date(2027, 1, 31), "monthly", [(2, 28), (3, 31), (4, 30)]),
        (date(2028, 1, 31), "monthly", [(2, 29), (3, 31), (4, 30)]),
        (date(2026, 11, 30), "quarterly", [(2, 28), (5, 30), (8, 30)]),
        (date(2026, 8, 31), "half_yearly", [(2, 28), (8, 31), (2, 29)]),
        (date(2028, 2, 29), "yearly", [(2, 28), (2, 28), (2, 28)]),
        (date(2026, 12, 28), "weekly", [(1, 4), (1, 11), (1, 18)]),
    ],
)
def test_days_follow_the_first_one(first, recurrence, following):
    found = days(Plan(first, time(8), BERLIN, recurrence), 4)

    assert [(day.month, day.day) for day in found[1:]] == following


def test_leap_day_comes_back():
    assert days(Plan(date(2024, 2, 29), time(8), "UTC", "yearly"), 5)[-1] == date(2028, 2, 29)


def test_times_stay_on_the_wall_clock():
    plan = Plan(date(2026, 10, 19), time(8), BERLIN, "weekly")

    assert [plan.begins(number) for number in (1, 2)] == [utc(2026, 10, 19, 6), utc(2026, 10, 26, 7)]
    assert days_after(plan.begins(1), 6, BERLIN) == utc(2026, 10, 25, 7)


def test_time_that_the_clocks_leave_out_is_later():
    plan = Plan(date(2027, 3, 28), time(2, 30), BERLIN)

    assert plan.begins(1) == utc(2027, 3, 28, 1, 30)


def test_time_that_comes_twice_is_the_first():
    assert Plan(date(2026, 10, 25), time(2, 30), BERLIN).begins(1) == utc(2026, 10, 25, 0, 30)


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ({"recurrence": "once"}, 1),
        ({"recurrence": "once", "count": 5}, 1),
        ({"recurrence": "monthly", "count": 3}, 3),
        ({"recurrence": "monthly", "ends_on": date(2027, 3, 1)}, 3),
        ({"recurrence": "monthly", "ends_on": date(2027, 2, 28)}, 2),
        ({"recurrence": "weekly", "ends_on": date(2026, 12, 31)}, 0),
    ],
)
def test_series_ends(values, count):
    plan = Plan(date(2027, 1, 1), time(8), BERLIN, **values)

    assert len(list(takewhile(bool, map(plan.begins, range(1, 9))))) == count


ZONES = st.sampled_from(["UTC", BERLIN, "America/New_York", "Pacific/Apia", "Australia/Lord_Howe", "Asia/Kathmandu"])
DAYS = st.dates(date(2024, 1, 1), date(2032, 12, 31))
RECURRING = [each for each in Recurrence if each != Recurrence.ONCE]


@given(first=DAYS, zone=ZONES, hour=st.integers(0, 23), recurrence=st.sampled_from(RECURRING))
def test_longest_review_ends_before_the_next_begins(first, zone, hour, recurrence):
    plan = Plan(first, time(hour), zone, recurrence)
    begins = [plan.begins(number) for number in range(1, 14)]

    for now, following in pairwise(begins):
        assert days_after(now, LONGEST[recurrence], zone) < following


@pytest.mark.parametrize("recurrence", RECURRING)
def test_longest_leaves_less_than_two_days_somewhere(recurrence):
    plans = [Plan(date(2027, 2, 28) + DAY * day, time(0), "UTC", recurrence) for day in range(0, 366, 5)]
    gaps = [b - a for plan in plans for a, b in pairwise([plan.begins(number) for number in range(1, 6)])]

    assert min(gaps) - LONGEST[recurrence] * DAY <= 2 * DAY


@pytest.mark.parametrize(
    ("late", "latest", "begins"),
    [
        (timedelta(0), 28, "planned"),
        (timedelta(days=5), 28, "planned"),
        (timedelta(days=5, seconds=1), 28, "now"),
        (timedelta(days=18), 28, "now"),
        (timedelta(days=18, seconds=1), 28, "to the next"),
        (timedelta(days=23), 28, "to the next"),
        (timedelta(days=23, seconds=1), 28, None),
        (timedelta(days=90), None, "now"),
    ],
)
def test_late_beginning(late, latest, begins):
    planned = utc(2027, 1, 1)
    next_at = planned + latest * DAY if latest else None
    expected = {"planned": planned, "now": planned + late, "to the next": planned + 18 * DAY, None: None}[begins]

    assert late_begin(planned, 10, next_at, zone="UTC", at=planned + late) == expected


@pytest.mark.parametrize(
    ("late", "next_at", "expected"),
    [
        (0, 19, (0, 0)),
        (4, 19, (0, 0)),  # half of its time is left
        (5, 19, (0, 1)),  # and then what there is to spare
        (5, None, (0, 5)),
        (6, 19, (1, 9)),
        (14, 19, (1, 10)),
        (15, 19, None),
        (30, None, (0, 30)),
    ],
)
def test_late_stage_leaves_room_for_those_that_follow(late, next_at, expected):
    over = utc(2027, 1, 1)
    latest = over + next_at * DAY if next_at else None

    found = next_stage(over, [9, 9], latest, zone="UTC", at=over + late * DAY)

    assert (found and (found[0], (found[1] - over) / DAY)) == expected


def test_reminders_are_half_way_and_a_day_before():
    begins = utc(2027, 1, 1)

    assert reminders(begins, begins + 10 * DAY) == [begins + 5 * DAY, begins + 9 * DAY]
    assert reminders(begins, begins + 2 * DAY) == [begins + DAY]
    assert reminders(begins, begins + DAY) == [begins + DAY / 2]


def test_missed_reminders_are_not_made_up_for():
    begins = utc(2027, 1, 1)

    assert next_reminder(begins, begins + 10 * DAY, at=begins + 6 * DAY) == begins + 9 * DAY
    assert next_reminder(begins, begins + 10 * DAY, at=begins + 9 * DAY) is None


def test_moments_are_in_utc():
    begins = Plan(date(2027, 7, 1), time(8), "Asia/Kathmandu").begins(1)

    assert begins == datetime(2027, 7, 1, 2, 15, tzinfo=begins.tzinfo)
    assert begins.utcoffset() == timedelta(0)
