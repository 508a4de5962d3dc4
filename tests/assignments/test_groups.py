"""What a group holds reaches its members while they are members, by whatever way."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from accounts.models import User
from approvals import services
from approvals.models import Request
from assignments.holdings import active_holdings, eligible_holdings
from assignments.models import ActiveAssignment, EligibleAssignment, administrators, groups_of, members_of
from assignments.services import disable_person
from audit.models import Event
from notifications.models import Message
from roles.models import Resource, Role
from tests.factories import (
    ActivationFactory,
    ActiveFactory,
    EligibleFactory,
    GroupFactory,
    ResourceFactory,
    RoleFactory,
    UserFactory,
    holder_of,
)
from tests.refusals import refused

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def member():
    return UserFactory()


@pytest.fixture
def group(member):
    return GroupFactory(members=[member])


def held_by(user, model=ActiveAssignment):
    return list(model.objects.held_by(user, now()))


def governed(group):
    """The group as a resource, with its Member role."""
    place = ResourceFactory(kind=Resource.Kind.GROUP, group=group)
    return RoleFactory(resource=place, group_part=Role.GroupPart.MEMBER)


# --- what reaches whom ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("holdings", [active_holdings, eligible_holdings])
def test_disabled_members_hold_nothing_of_the_group(group, member, holdings):
    ActiveFactory(user=None, group=group)
    EligibleFactory(user=None, group=group)
    assert len(holdings(member, now())) == 1
    User.objects.filter(pk=member.pk).update(is_active=False)
    assert holdings(member, now()) == []


def test_members_hold_what_the_group_is_assigned(group, member):
    row = ActiveFactory(user=None, group=group)
    assert (held_by(member), held_by(UserFactory())) == ([row], [])


def test_who_leaves_the_group_holds_nothing_of_it(group, member):
    ActiveFactory(user=None, group=group)
    group.members.clear()
    assert held_by(member) == []


def test_activation_through_a_group_is_over_with_the_membership(group, member):
    eligible = EligibleFactory(user=None, group=group)
    active = ActivationFactory(eligible_assignment=eligible, user=member)
    assert held_by(member) == [active]
    group.members.clear()
    assert (held_by(member), active.ended_at) == ([], None)


def test_activation_through_a_group_reaches_nobody_else(group, member):
    group.members.add(other := UserFactory())
    ActivationFactory(eligible_assignment=EligibleFactory(user=None, group=group), user=member)
    assert held_by(other) == []


@pytest.mark.parametrize(("ends_in", "reached"), [(HOUR, True), (-timedelta(seconds=1), False), (None, True)])
def test_membership_for_a_time_carries_what_the_group_holds(ends_in, reached):
    person, group = UserFactory(), GroupFactory()
    row = ActiveFactory(user=None, group=group)
    start = now().replace(microsecond=0) - timedelta(minutes=1)
    ActiveFactory(user=person, role=governed(group), starts_at=start, ends_at=ends_in and now() + ends_in)
    assert held_by(person).count(row) == reached
    assert list(groups_of(person, now())) == [group] * reached
    assert list(members_of(group, now())) == [person] * reached


def test_activation_through_a_group_holds_by_a_membership_for_a_time():
    person, group = UserFactory(), GroupFactory()
    membership = ActiveFactory(user=person, role=governed(group))
    active = ActivationFactory(eligible_assignment=EligibleFactory(user=None, group=group), user=person)
    assert set(held_by(person)) == {membership, active}
    ActiveAssignment.objects.filter(pk=membership.pk).update(ended_at=now(), end_reason="removed")
    assert held_by(person) == []


def test_ownership_of_a_group_is_no_membership():
    person, group = UserFactory(), GroupFactory()
    place = ResourceFactory(kind=Resource.Kind.GROUP, group=group)
    ActiveFactory(user=person, role=RoleFactory(resource=place, group_part=Role.GroupPart.OWNER))
    assert list(groups_of(person, now())) == []


def test_disabled_member_holds_nothing(group, member):
    ActiveFactory(user=None, group=group, role=Role.objects.built_in(Role.GLOBAL_ADMINISTRATOR))
    assert list(administrators(now())) == [member]
    User.objects.filter(pk=member.pk).update(is_active=False)
    assert (list(administrators(now())), list(members_of(group, now()))) == ([], [])


def test_rights_in_the_console_come_through_a_group_too(group, member):
    ActiveFactory(user=None, group=group, role=Role.objects.built_in(Role.SECURITY_READER))
    assert User.objects.get(pk=member.pk).has_perm("audit.view_event")


def test_what_somebody_holds_takes_one_statement_however_much_it_is(member):
    def statements():
        with CaptureQueriesContext(
            connection,
        ) as captured:
            found = held_by(member)
        return len(found), len(captured)

    for count in (1, 20):
        for _ in range(count):
            group = GroupFactory(members=[member])
            ActiveFactory(user=None, group=group)
            ActivationFactory(eligible_assignment=EligibleFactory(user=None, group=group), user=member)
        assert statements()[1] == 1
    assert statements() == (42, 1)


# --- assigning ------------------------------------------------------------------------------------------------


def test_assign_to_a_group_tells_its_members(group, member):
    group.members.add(UserFactory(is_active=False))
    administrator = holder_of(Role.GLOBAL_ADMINISTRATOR)
    role = RoleFactory()
    request = services.assign_eligible(holder=group, role=role, scope=role.resource, actor=administrator)
    eligible = EligibleAssignment.objects.get()
    assert (eligible.group, eligible.user) == (group, None)
    assert (request.group, request.user, request.eligible_assignment) == (group, None, eligible)
    assert set(Message.objects.values_list("to_address", flat=True)) == {member.email, administrator.email}
    assert Event.objects.get(action="eligible.assigned").subject_label == group.name


@pytest.mark.parametrize("verb", [services.assign_eligible, services.assign_active])
def test_assign_a_privileged_role_to_a_group_that_anybody_fills(verb):
    role, group = RoleFactory(is_privileged=True), GroupFactory(is_protected=False)
    with refused("group_not_protected"):
        verb(holder=group, role=role, scope=role.resource, actor=None, justification="Takes over.")


@pytest.mark.parametrize("verb", [services.assign_eligible, services.assign_active])
def test_assign_a_group_into_a_group(verb, group):
    role = governed(group)
    for holder in (group, GroupFactory()):
        with refused("holder_invalid"):
            verb(holder=holder, role=role, scope=role.resource, actor=None, justification="Takes over.")


def test_remove_from_a_group(group, member):
    administrator = holder_of(Role.GLOBAL_ADMINISTRATOR)
    eligible = EligibleFactory(user=None, group=group)
    active = ActivationFactory(eligible_assignment=eligible, user=member)
    request = services.remove_eligible(eligible=eligible, actor=administrator, justification="Moved on.")
    active.refresh_from_db()
    assert (request.group, active.end_reason, held_by(member)) == (group, "eligibility_ended", [])


@pytest.mark.parametrize("holders", [{}, {"user": True, "group": True}])
def test_constraint_wants_one_holder(holders, group, member):
    given = {"user": member if "user" in holders else None, "group": group if "group" in holders else None}
    for factory in (EligibleFactory, ActiveFactory):
        with pytest.raises(IntegrityError, match="one_holder"), transaction.atomic():
            factory(**given)


# --- activating -----------------------------------------------------------------------------------------------


def test_member_activates_for_themselves_alone(group, member):
    group.members.add(other := UserFactory())
    eligible = EligibleFactory(user=None, group=group)
    for person in (member, other):
        request = services.activate(eligible=eligible, actor=person, duration=HOUR, justification="On call.")
        assert (request.user, request.active_assignment.user) == (person, person)
    assert Request.objects.count() == ActiveAssignment.objects.count() == 2


def test_stranger_cannot_activate_what_a_group_may(group):
    eligible, stranger = EligibleFactory(user=None, group=group), UserFactory()
    with refused("not_eligible"):
        services.activate(eligible=eligible, actor=stranger, duration=HOUR, justification="On call.")


def test_who_left_the_group_is_not_granted_what_was_asked_before(group, member):
    approver = UserFactory()
    role = RoleFactory(settings__approval_required=True, settings__approvers=[approver])
    eligible = EligibleFactory(user=None, group=group, role=role)
    request = services.activate(eligible=eligible, actor=member, duration=HOUR, justification="On call.")
    group.members.clear()
    settled = services.approve(request=request, actor=approver, justification="Fine.")
    assert (settled.status, settled.failure_code) == ("failed", "not_eligible")


def test_last_administrator_through_a_group_cannot_be_disabled(group, member):
    ActiveFactory(user=None, group=group, role=Role.objects.built_in(Role.GLOBAL_ADMINISTRATOR))
    with refused("last_administrator"):
        disable_person(user=member, actor=None, justification="Left.")
    group.members.add(UserFactory())
    disable_person(user=member, actor=None, justification="Left.")
    assert not User.objects.get(pk=member.pk).is_active


def test_last_group_of_administrators_cannot_lose_the_role(group, member):
    row = ActiveFactory(user=None, group=group, role=Role.objects.built_in(Role.GLOBAL_ADMINISTRATOR))
    with refused("last_administrator"):
        services.remove_active(active=row, actor=None, justification="Tidying up.")
