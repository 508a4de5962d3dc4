"""Roles that nobody uses, and those that somebody uses all the time."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from roles.models import Role
from tests.alerts.finding import found, repaired, rows, words
from tests.factories import (
    ActivationFactory,
    EligibleFactory,
    GroupFactory,
    RequestFactory,
    UserFactory,
    holder_of,
)

pytestmark = pytest.mark.django_db


def ago(**span):
    return now() - timedelta(**span)


def test_eligibility_that_was_not_activated_for_so_long_is_found():
    unused = EligibleFactory(starts_at=ago(days=91))
    once = EligibleFactory(starts_at=ago(days=300))
    ActivationFactory(eligible_assignment=once, starts_at=ago(days=91))

    assert rows("unused_eligible") == {unused, once}
    assert rows("unused_eligible", days=100) == {once} - {once}


def test_what_is_new_used_over_or_for_emergencies_is_not_unused():
    EligibleFactory(starts_at=ago(days=89))
    used = EligibleFactory(starts_at=ago(days=300))
    ActivationFactory(eligible_assignment=used, starts_at=ago(days=89))
    EligibleFactory(starts_at=ago(days=300), ends_at=ago(days=1))
    EligibleFactory(starts_at=ago(days=300), user__is_emergency_access=True)

    assert rows("unused_eligible") == set()


def test_group_has_used_what_any_member_activated():
    member = UserFactory()
    group = EligibleFactory(starts_at=ago(days=300), user=None, group=GroupFactory(members=[member, UserFactory()]))
    assert rows("unused_eligible") == {group}

    ActivationFactory(eligible_assignment=group, user=member)

    assert rows("unused_eligible") == set()


def test_repair_removes_what_is_unused():
    administrator, unused = holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR), EligibleFactory(starts_at=ago(days=91))

    assert repaired("unused_eligible", about=unused, actor=administrator).resolution == "repaired"
    unused.refresh_from_db()
    assert unused.end_reason == "removed"


def activated(eligible, times, **values):
    for _each in range(times):
        RequestFactory(eligible_assignment=eligible, status="provisioned", stage=None, expires_at=None, **values)


def test_who_activates_a_role_so_often_is_found():
    often, seldom = EligibleFactory(user__display_name="Ada", role__name="Root"), EligibleFactory()
    activated(often, 5)
    activated(seldom, 4)

    assert found("frequent_activations") == {f"{often.user_id}:{often.role_id}": often.user}
    assert words("frequent_activations") == ["Ada activated Root 5 times within 24 hours."]


def test_what_was_denied_or_is_longer_ago_is_not_counted():
    eligible = EligibleFactory()
    activated(eligible, 4)
    activated(eligible, 1, requested_at=ago(hours=25))
    RequestFactory(eligible_assignment=eligible, status="denied", stage=None, expires_at=None)

    assert rows("frequent_activations") == set()
    assert rows("frequent_activations", hours=26) == {eligible.user}
