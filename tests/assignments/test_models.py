from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils.timezone import now

from assignments.models import ActiveAssignment, EligibleAssignment, administrators, holders_in_force
from roles.models import Role
from tests.factories import ActivationFactory, ActiveFactory, EligibleFactory, ResourceFactory, UserFactory, holder_of

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 21, 18, 40, tzinfo=UTC)
TICK, HOUR, DAY = timedelta(microseconds=1), timedelta(hours=1), timedelta(days=1)
ENDED = {"ended_at": AT, "end_reason": "removed"}


@pytest.mark.parametrize("factory", [EligibleFactory, ActiveFactory])
@pytest.mark.parametrize(
    ("times", "moment", "in_force"),
    [
        ({"starts_at": AT}, AT - TICK, False),
        ({"starts_at": AT}, AT, True),
        ({"starts_at": AT - HOUR, "ends_at": AT}, AT - TICK, True),
        ({"starts_at": AT - HOUR, "ends_at": AT}, AT, False),
        ({"starts_at": AT - HOUR, **ENDED}, AT - TICK, True),
        ({"starts_at": AT - HOUR, **ENDED}, AT, False),
        ({"starts_at": AT - HOUR, "ends_at": AT + HOUR, **ENDED}, AT, False),
    ],
)
def test_in_force_is_half_open_to_the_microsecond(factory, times, moment, in_force):
    row = factory(**times)
    assert row._meta.model.objects.in_force(moment).exists() is in_force
    assert (row.state(moment) == "active") is in_force


@pytest.mark.parametrize(
    ("eligibility", "in_force"),
    [
        ({"ends_at": None}, True),
        ({"ends_at": AT}, False),
        ({"ends_at": AT + TICK}, True),
        (ENDED, False),
        ({"starts_at": AT + TICK, "ends_at": None}, False),
    ],
    ids=str,
)
def test_activation_is_in_force_as_long_as_its_eligibility(eligibility, in_force):
    eligible = EligibleFactory(**{"starts_at": AT - DAY} | eligibility)
    active = ActivationFactory(eligible_assignment=eligible, starts_at=AT - HOUR, ends_at=AT + HOUR)
    assert ActiveAssignment.objects.in_force(AT).exists() is in_force
    assert (active.state(AT) == "active") is in_force


@pytest.mark.parametrize("factory", [EligibleFactory, ActiveFactory, ActivationFactory])
def test_nothing_is_in_force_for_who_was_disabled_by_sql(factory):
    row = factory(starts_at=AT - HOUR)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_user SET is_active = %s", [False])
    assert not row._meta.model.objects.in_force(AT).exists()


@pytest.mark.parametrize(
    ("times", "state"),
    [
        ({"starts_at": AT + TICK}, {"open", "lasting", "scheduled"}),
        ({"starts_at": AT}, {"open", "lasting"}),
        ({"starts_at": AT - HOUR, "ends_at": AT}, {"open", "due"}),
        ({"starts_at": AT - HOUR, "ends_at": AT, **ENDED}, set()),
        ({"starts_at": AT + HOUR, **ENDED}, set()),
    ],
)
def test_adjectives(times, state):
    EligibleFactory(**times)
    rows = EligibleAssignment.objects
    found = {"open": rows.open(), "lasting": rows.lasting(AT), "scheduled": rows.scheduled(AT), "due": rows.due(AT)}
    assert {name for name, queryset in found.items() if queryset.exists()} == state


@pytest.mark.parametrize(
    ("starts", "ends", "reminded", "days", "due"),
    [
        (-30, 14, None, 14, True),
        (-30, 15, None, 14, False),
        (-30, 1, None, 14, True),
        (-30, 1, None, 1, True),
        (-30, 1, 14, 1, True),
        (-30, 1, 14, 14, False),
        (-30, 1, 1, 1, False),
        (-30, 1, 1, 14, False),
        (-30, 0, 14, 1, False),
        (1, 20, None, 14, False),
        (-1, 1, None, 14, False),  # made for two days: nobody needs the notice of two weeks
        (-1, 1, None, 1, True),
    ],
)
def test_to_remind(starts, ends, reminded, days, due):
    EligibleFactory(starts_at=AT + starts * DAY, ends_at=AT + ends * DAY, reminded_days=reminded)
    assert EligibleAssignment.objects.to_remind(AT, days).exists() is due


def test_state_of_who_is_disabled_is_ended():
    assert EligibleFactory(user__is_active=False).state(AT + DAY) == "ended"


@pytest.mark.parametrize(
    ("key", "seen"),
    [(None, 1), (Role.SECURITY_READER, 4), (Role.HELPDESK_ADMINISTRATOR, 4)],
)
def test_visible_to(key, seen):
    actor = holder_of(key) if key else ActiveFactory().user
    EligibleFactory(user=actor)
    ActivationFactory.create_batch(3)
    assert EligibleAssignment.objects.visible_to(actor, now()).count() == seen
    assert ActiveAssignment.objects.visible_to(actor, now()).count() == seen


def test_holders_in_force_are_people_at_the_organisation_itself():
    role = Role.objects.built_in(Role.GLOBAL_ADMINISTRATOR)
    holder = holder_of(Role.GLOBAL_ADMINISTRATOR)
    ActiveFactory(role=role, scope=ResourceFactory())
    ActiveFactory(role=role, user=UserFactory(kind="service"))
    ActiveFactory(role=role, user=UserFactory(is_active=False))
    ActiveFactory(role=role, starts_at=AT - DAY, ends_at=AT)
    EligibleFactory(role=role)
    at = ActiveAssignment.objects.get(user=holder).starts_at
    assert list(holders_in_force(Role.GLOBAL_ADMINISTRATOR, at=at)) == [holder]
    assert list(administrators(at)) == [holder]


def twice(factory, **same):
    first = factory(**same)
    return lambda **differs: factory(**{"user": first.user, "role": first.role, "scope": first.scope} | same | differs)


@pytest.mark.parametrize("factory", [EligibleFactory, ActiveFactory])
def test_one_open_assignment_each(factory):
    again = twice(factory)
    with pytest.raises(IntegrityError), transaction.atomic():
        again()
    again(scope=ResourceFactory())
    again(**ENDED | {"starts_at": AT - DAY})


def test_one_activation_for_each_eligibility_and_scope():
    eligible = EligibleFactory()
    ActivationFactory(eligible_assignment=eligible)
    with pytest.raises(IntegrityError), transaction.atomic():
        ActivationFactory(eligible_assignment=eligible)
    ActivationFactory(eligible_assignment=eligible, scope=ResourceFactory())


@pytest.mark.parametrize(
    "wrong",
    [
        {"starts_at": AT, "ends_at": AT},
        {"starts_at": AT, "ends_at": AT - TICK},
        {"ended_at": AT},
        {"end_reason": "removed"},
    ],
    ids=str,
)
@pytest.mark.parametrize("factory", [EligibleFactory, ActiveFactory])
def test_times_that_make_no_sense(factory, wrong):
    with pytest.raises(IntegrityError, match=r"ends_after_start|end_has_reason"), transaction.atomic():
        factory(**wrong)
