"""Where access stands: what counts, for whom, and where it can be changed."""

import pytest
from django.utils.timezone import now

from assignments.insights import INSIGHTS
from assignments.models import ActiveAssignment
from roles.models import Role
from tests.client import signed_in
from tests.factories import (
    ActivationFactory,
    ActiveFactory,
    EligibleFactory,
    GroupFactory,
    RoleFactory,
    UserFactory,
    holder_of,
)

pytestmark = pytest.mark.django_db


def counts():
    return {insight.key: insight.count(now()) for insight in INSIGHTS}


def listed(key):
    insight = next(insight for insight in INSIGHTS if insight.key == key)
    return set(insight.of(ActiveAssignment.objects.all(), now()))


@pytest.fixture
def privileged():
    return RoleFactory(name="Root", is_privileged=True)


def test_nothing_stands_where_nobody_holds():
    assert counts() == {"global": 0, "privileged": 0, "service": 0, "emergency": 0}


def test_each_assignment_is_in_one_list_only(privileged):
    ada = holder_of(Role.GLOBAL_ADMINISTRATOR)
    standing = ActiveFactory(role=privileged, user=ada)
    service = ActiveFactory(role=privileged, user__kind="service")
    emergency = ActiveFactory(role=privileged, user__is_emergency_access=True)
    ActiveFactory(role=RoleFactory())  # a plain role is no insight

    assert listed("global") == set(ActiveAssignment.objects.filter(role__built_in_key=Role.GLOBAL_ADMINISTRATOR))
    assert (listed("privileged"), listed("service"), listed("emergency")) == ({standing}, {service}, {emergency})
    assert counts() == {"global": 1, "privileged": 1, "service": 1, "emergency": 1}


def test_activated_access_does_not_stand(privileged):
    ActivationFactory(eligible_assignment=EligibleFactory(role=privileged))
    assert counts()["privileged"] == 0


def test_plain_role_of_a_service_account_counts():
    ActiveFactory(user__kind="service")
    assert counts()["service"] == 1


def test_members_of_a_group_that_holds_are_counted_once_each(privileged):
    ada = UserFactory()
    group = GroupFactory(
        members=[ada, UserFactory(), UserFactory(is_active=False), UserFactory(is_emergency_access=True)]
    )
    ActiveFactory(role=privileged, user=None, group=group)
    ActiveFactory(role=privileged, user=ada)

    assert counts()["privileged"] == 2
    assert len(listed("privileged")) == 2


def test_a_group_counts_for_each_kind_of_its_members(privileged):
    members = [UserFactory(), UserFactory(kind="service"), UserFactory(is_emergency_access=True)]
    held = ActiveFactory(role=privileged, user=None, group=GroupFactory(members=members))
    ActiveFactory(role=privileged, user=None, group=GroupFactory())  # reaches nobody

    assert counts() == {"global": 0, "privileged": 1, "service": 1, "emergency": 1}
    assert [listed(key) for key in ("privileged", "service", "emergency")] == [{held}] * 3


def test_cards_lead_to_lists_of_what_they_count(client, privileged):
    administrator = holder_of(Role.GLOBAL_ADMINISTRATOR, display_name="Gloria")
    ActiveFactory(role=privileged, user__display_name="Ada")
    signed_in(client, administrator)

    page = client.get("/console/").content.decode()
    assert "Standing global administrators" in page
    assert 'href="/console/assignments/activeassignment/?insight=privileged"' in page

    listed = client.get("/console/assignments/activeassignment/?insight=privileged").context["cl"].queryset
    assert [str(row.user) for row in listed] == ["Ada"]
