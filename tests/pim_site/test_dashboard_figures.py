"""The figures of the dashboard against small histories that are counted by hand."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from approvals.models import Decision
from pim_site.dashboard import figures
from pim_site.dashboard.figures import Split
from pim_site.dashboard.period import Period
from tests.factories import (
    ActivationFactory,
    ActiveFactory,
    EligibleFactory,
    GroupFactory,
    RequestFactory,
    RoleFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

# A Wednesday; in New Zealand it is Thursday already.
AT = datetime(2026, 4, 8, 15, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _zone():
    with timezone.override(ZoneInfo("Pacific/Auckland")):
        yield


def activated(role, *starts, **facts):
    for starts_at in starts:
        ActivationFactory(
            eligible_assignment=EligibleFactory(role=role, starts_at=AT - timedelta(days=900)),
            **{"starts_at": starts_at, "ended_at": starts_at + HOUR, "end_reason": "expired"} | facts,
        )


def test_period_counts_whole_days_of_its_zone():
    week = Period(7, AT)
    assert week.buckets == [date(2026, 4, day) for day in range(3, 10)]
    # The clocks were put back on 5 April: the third began at 11 UTC of the second, summer time.
    assert week.starts_at == datetime(2026, 4, 2, 11, tzinfo=UTC)


def test_period_of_a_year_counts_whole_weeks():
    year = Period(365, AT)
    assert (year.buckets[0], year.buckets[-1], len(year.buckets)) == (date(2025, 4, 7), date(2026, 4, 6), 53)
    assert year.last_of(year.buckets[-1]) == date(2026, 4, 12)


def test_activations_by_day_and_role():
    clerk, keeper, other = (RoleFactory(name=name) for name in ("Clerk", "Keeper", "Other"))
    # 11:59 UTC on the sixth is 23:59 in Auckland, a minute later it is the seventh.
    minute = datetime(2026, 4, 6, 11, 59, tzinfo=UTC)
    activated(clerk, minute, minute + timedelta(minutes=1), minute + timedelta(minutes=2))
    activated(keeper, minute, AT - HOUR)
    activated(other, AT - HOUR)
    activated(clerk, datetime(2026, 4, 2, 10, 59, tzinfo=UTC))  # the day before the period
    activated(clerk, AT - HOUR, ended_at=AT - 2 * HOUR, end_reason="canceled")  # never began
    ActivationFactory(eligible_assignment=EligibleFactory(role=clerk), starts_at=AT + HOUR)  # to come
    ActiveFactory(role=clerk, starts_at=AT - HOUR)  # not activated
    week = Period(7, AT)

    most = figures.most_activated(week, 2)

    assert most == {clerk: 3, keeper: 2}
    assert figures.activated_by_role(week, most) == {
        (date(2026, 4, 6), clerk.pk): 1,
        (date(2026, 4, 7), clerk.pk): 2,
        (date(2026, 4, 6), keeper.pk): 1,
        (date(2026, 4, 9), keeper.pk): 1,
        (date(2026, 4, 9), None): 1,
    }
    assert figures.activated_by_role(Period(365, AT), [clerk]) == {
        (date(2026, 3, 30), clerk.pk): 1,
        (date(2026, 4, 6), clerk.pk): 3,
        (date(2026, 4, 6), None): 3,
    }


def test_split_counts_what_is_in_force():
    facts = {"starts_at": AT - HOUR}
    role = RoleFactory()
    eligible = EligibleFactory(role=role, **facts)
    EligibleFactory(role=role, user=None, group=GroupFactory(), **facts)
    EligibleFactory(role=role, user=UserFactory(is_active=False), **facts)
    ActivationFactory(eligible_assignment=eligible, starts_at=AT - HOUR / 2)
    ActiveFactory(role=role, **facts)
    ActiveFactory(role=role, user=None, group=GroupFactory(), **facts)
    ActiveFactory(role=role, ends_at=AT + HOUR, **facts)
    ActiveFactory(role=role, ends_at=AT, **facts)

    assert figures.eligible_split(AT) == Split(people=1, groups=1)
    assert figures.active_split(AT) == {
        "activated": Split(people=1, groups=0),
        "ending": Split(people=1, groups=0),
        "permanent": Split(people=1, groups=1),
    }
    # The built-in roles have no holders here.
    assert figures.most_held(AT, 5) == [(role, 2, 3)]


def answered(asked_at, *after, status="provisioned", person=True):
    request = RequestFactory(requested_at=asked_at, expires_at=asked_at + timedelta(days=1), status=status)
    for stage, minutes in enumerate(after, start=1):
        Decision.objects.create(
            request=request,
            person=UserFactory() if person else None,
            repeats=None if person else RequestFactory(requested_at=AT - timedelta(days=800)),
            verdict="approved",
            justification="Yes.",
            stage=stage,
            decided_at=asked_at + timedelta(minutes=minutes),
        )


def test_median_time_to_the_last_answer():
    yesterday, today = AT - timedelta(days=1), AT - timedelta(hours=3)
    answered(yesterday, 10)
    answered(yesterday, 2, 30)  # two stages: the second closed it
    answered(yesterday, 90, status="denied")
    answered(today, 20)
    answered(today, 40)
    answered(today, 5, status="pending_approval")  # the next stage still waits
    answered(today, 0, person=False)  # repeated by the system
    answered(AT - timedelta(days=40), 600)

    assert figures.answered_in(Period(7, AT)) == {
        date(2026, 4, 8): timedelta(minutes=30),
        date(2026, 4, 9): timedelta(minutes=30),
        None: timedelta(minutes=30),
    }
    answered(today, 100)
    assert figures.answered_in(Period(7, AT)) == {
        date(2026, 4, 8): timedelta(minutes=30),
        date(2026, 4, 9): timedelta(minutes=40),
        None: timedelta(minutes=35),
    }


def test_standing_privileged_access_over_time():
    role, ordinary = RoleFactory(is_privileged=True), RoleFactory()
    long_ago = AT - timedelta(days=200)

    def stood(starts_at, ended_at=None, ends_at=None, role=role):
        reason = {"ended_at": ended_at, "end_reason": "removed"} if ended_at else {}
        ActiveFactory(role=role, starts_at=starts_at, ends_at=ends_at, **reason)

    stood(long_ago)
    stood(long_ago, ended_at=AT - timedelta(days=100))  # over before
    stood(long_ago, ended_at=AT - timedelta(days=2))  # ended on the seventh
    stood(AT - timedelta(days=3), ends_at=AT - timedelta(days=1))  # from the sixth to the eighth; not noted yet
    stood(AT - timedelta(days=1), ends_at=AT + timedelta(days=1))
    stood(AT - timedelta(days=1), role=ordinary)
    activated(role, AT - timedelta(days=1))

    assert figures.standing_privileged(Period(7, AT)) == {
        date(2026, 4, 3): 2,
        date(2026, 4, 4): 2,
        date(2026, 4, 5): 2,
        date(2026, 4, 6): 3,
        date(2026, 4, 7): 2,
        date(2026, 4, 8): 2,
        date(2026, 4, 9): 2,
    }


def test_ending_soon_by_day():
    facts = {"starts_at": AT - HOUR}
    EligibleFactory(ends_at=AT + timedelta(days=1), **facts)
    EligibleFactory(ends_at=AT + timedelta(days=14), **facts)
    EligibleFactory(ends_at=AT + timedelta(days=15), **facts)
    ActiveFactory(ends_at=AT + timedelta(days=1), **facts)
    ActivationFactory(ends_at=AT + HOUR, **facts)

    assert figures.ending_soon(Period(7, AT)) == {
        "eligible": {date(2026, 4, 10): 1, date(2026, 4, 23): 1},
        "active": {date(2026, 4, 10): 1},
    }
