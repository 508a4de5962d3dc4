"""Roles that nobody uses, and those that somebody uses all the time."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils.timezone import now

from accounts.models import User
from assignments.models import ActiveAssignment
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


def asked_at(hour, **values):
    """A privileged role that somebody in Tokyo activated yesterday, at this hour of theirs."""
    local = now().astimezone(ZoneInfo("Asia/Tokyo")) - timedelta(days=1)
    eligible = EligibleFactory(role__is_privileged=values.pop("privileged", True), user__time_zone="Asia/Tokyo")
    active = ActivationFactory(eligible_assignment=eligible)
    values = {"status": "provisioned", "requested_at": local.replace(hour=hour, minute=0, second=0)} | values
    RequestFactory(eligible_assignment=eligible, active_assignment=active, stage=None, expires_at=None, **values)
    return active


def test_privileged_role_activated_while_its_person_sleeps_is_found():
    night, evening = asked_at(5), asked_at(21)

    assert rows("unusual_hours") == {night, evening}
    assert rows("unusual_hours", begin=5) == {evening}
    assert rows("unusual_hours", begin=0, end=24) == set()
    assert "at 5 o'clock in their zone." in " ".join(words("unusual_hours"))


def test_what_was_activated_by_day_of_no_privilege_or_long_ago_is_not_found():
    asked_at(6)
    asked_at(20)
    asked_at(3, privileged=False)
    asked_at(3, requested_at=now() - timedelta(days=8))
    asked_at(3, action="admin_assign")

    assert rows("unusual_hours") == set()


def test_unusual_hours_are_found_in_the_order_of_their_keys():
    keys = sorted(str(asked_at(3).pk) for _each in range(2))
    ActiveAssignment.objects.filter(pk=keys[0]).update(starts_at=ago(minutes=9))  # the newest are listed first

    assert list(found("unusual_hours")) == keys


def test_each_is_judged_in_their_own_zone():
    far = asked_at(3)
    near = asked_at(12)
    User.objects.filter(pk=near.user_id).update(time_zone="America/New_York")  # 22 or 23 o'clock there

    assert rows("unusual_hours") == {far, near}


def test_repair_ends_the_activation_and_leaves_the_eligibility():
    administrator, active = holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR), asked_at(3)

    incident = repaired("unusual_hours", about=active, actor=administrator)

    active.refresh_from_db()
    assert (incident.resolution, active.end_reason, active.eligible_assignment.end_reason) == (
        "repaired",
        "deactivated",
        "",
    )
