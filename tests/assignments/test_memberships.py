"""Governed groups, and what ends with a membership, by whatever way it ends."""

from datetime import timedelta

import pytest
import time_machine
from django.utils.timezone import now

from accounts.models import EnrolmentTicket, Group
from accounts.services import issue_ticket
from approvals import services
from assignments.models import ActiveAssignment, EligibleAssignment, groups_of, members_of
from assignments.services import delete_group, disable_person, update_group
from assignments.tasks import expire_due
from audit.models import Event
from roles.models import Resource, Role, RoleSettings
from roles.services import govern_group, update_resource, update_role
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
REASON = "Moved to another team."


@pytest.fixture
def boss():
    return holder_of(Role.GLOBAL_ADMINISTRATOR)


@pytest.fixture
def member():
    return UserFactory()


@pytest.fixture
def group(member):
    return GroupFactory(name="On call", members=[member])


def part(group, name=Role.GroupPart.MEMBER):
    """The role of a governed group, asking for nothing but a reason."""
    place = Resource.objects.filter(group=group).first() or govern_group(group=group, actor=None)
    RoleSettings.objects.filter(role__resource=place).update(activation_authentication="none")
    return Role.objects.get(resource=place, group_part=name)


def change(group, actor=None, **changes):
    facts = {"name": group.name, "description": group.description, "is_protected": group.is_protected}
    people = {"owners": list(group.owners.all()), "members": list(group.members.all())}
    return update_group(group=group, actor=actor, **facts | people | changes)


def activated(group, member, **facts):
    """What a member activated through the group."""
    return ActivationFactory(eligible_assignment=EligibleFactory(user=None, group=group, **facts), user=member)


def why(active):
    active.refresh_from_db()
    return active.end_reason


def held_by(user):
    return set(ActiveAssignment.objects.held_by(user, now()))


# --- governing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protected", [True, False])
def test_govern_group_makes_a_resource_with_two_roles(boss, protected):
    group, finance = GroupFactory(name="On call", is_protected=protected), ResourceFactory(name="Finance")
    place = govern_group(group=group, actor=boss, parent=finance)
    roles = place.roles.order_by("name").values_list("name", "group_part", "is_privileged")
    assert (place.label, place.kind, place.group) == ("/Finance/On call", "group", group)
    assert list(roles) == [("Member", "member", protected), ("Owner", "owner", protected)]
    assert RoleSettings.objects.current().filter(role__resource=place).count() == 2


def test_govern_group_twice(boss, group):
    govern_group(group=group, actor=boss)
    with refused("already_governed"):
        govern_group(group=group, actor=boss)


def test_govern_group_is_not_for_helpdesk(group):
    actor = holder_of(Role.HELPDESK_ADMINISTRATOR)
    with refused("not_allowed"):
        govern_group(group=group, actor=actor)


def test_renamed_group_renames_its_resource(boss, group):
    place = govern_group(group=group, actor=boss)
    change(group, boss, name="Night shift")
    place.refresh_from_db()
    assert (place.name, place.label) == ("Night shift", "/Night shift")


def test_resource_of_a_group_is_not_renamed_by_itself(boss, group):
    place = govern_group(group=group, actor=boss)
    with refused("governed"):
        update_resource(resource=place, actor=boss, name="Another", kind=place.kind, description="")


def test_roles_of_a_group_keep_their_names_and_weight(boss, group):
    role = part(group)
    for change_ in ({"name": "Guest"}, {"is_privileged": False}):
        with refused("governed"):
            update_role(
                role=role, actor=boss, **{"name": role.name, "description": "", "is_privileged": True} | change_
            )


def test_protection_of_a_group_says_whether_its_roles_are_privileged(boss):
    group = GroupFactory(is_protected=False)
    role = part(group)
    change(group, boss, is_protected=True)
    assert Role.objects.get(pk=role.pk).is_privileged
    change(group, boss, is_protected=False)
    assert not Role.objects.get(pk=role.pk).is_privileged


def test_helpdesk_cannot_make_somebody_eligible_for_a_protected_group(group):
    actor, role, person = holder_of(Role.HELPDESK_ADMINISTRATOR), part(group), UserFactory()
    with refused("not_allowed"):
        services.assign_eligible(holder=person, role=role, scope=role.resource, actor=actor)


def test_activated_membership_carries_what_the_group_holds_for_that_time(boss):
    person, group = UserFactory(), GroupFactory()
    row, role = ActiveFactory(user=None, group=group), part(group)
    eligible = services.assign_eligible(holder=person, role=role, scope=role.resource, actor=boss).eligible_assignment
    assert held_by(person) == set()
    request = services.activate(eligible=eligible, actor=person, duration=HOUR, justification="On call tonight.")
    assert held_by(person) == {row, request.active_assignment}
    with time_machine.travel(request.active_assignment.ends_at, tick=False):
        assert held_by(person) == set()


# --- the end of a membership ----------------------------------------------------------------------------------


def test_leaving_a_group_ends_what_was_activated_through_it(boss, group, member):
    active = activated(group, member)
    change(group, boss, members=[])
    assert why(active) == "membership_ended"
    assert list(Event.objects.order_by("id").values_list("action", "actor_label")) == [
        ("group.updated", str(boss)),
        ("assignment.removed", str(boss)),
    ]


def test_leaving_a_group_ends_nothing_else(boss, group, member):
    own, other = ActivationFactory(eligible_assignment__user=member), activated(group, UserFactory())
    elsewhere = activated(GroupFactory(members=[member]), member)
    group.members.add(other.user)
    change(group, boss, members=[other.user])
    assert [why(row) for row in (own, other, elsewhere)] == ["", "", ""]


def test_leaving_a_group_ends_nothing_that_another_membership_carries(boss, group, member):
    ActiveFactory(user=member, role=part(group))
    active = activated(group, member)
    change(group, boss, members=[])
    assert why(active) == ""


@pytest.mark.parametrize("verb", ["deactivate", "remove_active", "remove_eligible", "expire", "disable"])
def test_end_of_an_activated_membership_ends_what_came_through_it(boss, verb):
    person, group = UserFactory(), GroupFactory()
    membership = ActivationFactory(eligible_assignment=EligibleFactory(user=person, role=part(group)))
    active = activated(group, person)
    if verb == "deactivate":
        services.deactivate(active=membership, actor=person)
    elif verb == "remove_active":
        services.remove_active(active=membership, actor=boss, justification=REASON)
    elif verb == "remove_eligible":
        services.remove_eligible(eligible=membership.eligible_assignment, actor=boss, justification=REASON)
    elif verb == "disable":
        disable_person(user=person, actor=boss, justification=REASON)
    else:
        ActiveAssignment.objects.filter(pk=membership.pk).update(ends_at=now().replace(microsecond=0))
        expire_due()
    assert why(active) == ("holder_disabled" if verb == "disable" else "membership_ended")
    assert (bool(why(membership)), held_by(person)) == (True, set())


def test_worker_closes_what_was_left_past_the_product(group, member):
    active = activated(group, member)
    Group.members.through.objects.all().delete()
    assert (expire_due(), expire_due(), why(active)) == (1, 0, "membership_ended")


def test_activation_through_a_group_ends_with_the_membership_at_the_latest(boss):
    person, group = UserFactory(), GroupFactory()
    membership = ActivationFactory(eligible_assignment=EligibleFactory(user=person, role=part(group)))
    eligible = EligibleFactory(user=None, group=group)
    request = services.activate(eligible=eligible, actor=person, duration=4 * HOUR, justification="On call.")
    assert request.active_assignment.ends_at == membership.ends_at
    another = EligibleFactory(user=None, group=group)
    with refused("schedule_invalid"):
        services.activate(
            eligible=another,
            actor=person,
            duration=HOUR,
            starts_at=membership.ends_at,
            justification="On call.",
        )


def test_standing_member_has_the_whole_time(group, member):
    ActiveFactory(user=member, role=part(group), ends_at=now() + HOUR)
    eligible = EligibleFactory(user=None, group=group)
    active = services.activate(
        eligible=eligible, actor=member, duration=4 * HOUR, justification="On call."
    ).active_assignment
    assert active.ends_at - active.starts_at == 4 * HOUR


# --- deleting -------------------------------------------------------------------------------------------------


def test_delete_group_ends_all_that_it_held_and_all_that_it_was(boss, group, member):
    active, assigned = activated(group, member), ActiveFactory(user=None, group=group)
    membership = ActivationFactory(eligible_assignment=EligibleFactory(role=part(group)))
    delete_group(group=group, actor=boss, justification=REASON)
    assert not EligibleAssignment.objects.open().exists()
    assert [why(row) for row in (active, assigned, membership)] == ["eligibility_ended", "removed", "eligibility_ended"]
    assert not Group.objects.filter(pk=group.pk).exists()
    assert not groups_of(member, now()).exists()
    event = Event.objects.get(action="group.deleted")
    assert (event.target_label, event.facts["before"]["members"]) == ("On call", [str(member)])


def test_name_of_a_deleted_group_can_be_used_again(boss, group):
    delete_group(group=group, actor=boss, justification=REASON)
    assert GroupFactory(name=group.name.upper()).pk != group.pk


def test_deleted_group_gets_no_role(boss, group):
    delete_group(group=group, actor=boss, justification=REASON)
    role = RoleFactory()
    with refused("holder_invalid"):
        services.assign_eligible(holder=group, role=role, scope=role.resource, actor=boss)


def test_nobody_becomes_a_member_of_a_deleted_group(boss, group, member):
    role = part(group)
    delete_group(group=group, actor=boss, justification=REASON)
    role = Role.objects.get(pk=role.pk)
    with refused("holder_invalid"):
        services.assign_active(holder=member, role=role, scope=role.resource, actor=boss, justification=REASON)


def test_delete_group_that_approves(boss, group):
    RoleFactory(settings__approval_required=True, settings__approver_groups=[group])
    with refused("group_needed"):
        delete_group(group=group, actor=boss, justification=REASON)


def test_delete_protected_group_is_not_for_helpdesk(group):
    actor = holder_of(Role.HELPDESK_ADMINISTRATOR)
    with refused("not_allowed"):
        delete_group(group=group, actor=actor, justification=REASON)


# --- administrators -------------------------------------------------------------------------------------------


@pytest.fixture
def administering(group):
    """A group whose members are the only administrators."""
    return ActiveFactory(user=None, group=group, role=Role.objects.built_in(Role.GLOBAL_ADMINISTRATOR)).group


@pytest.mark.parametrize("how", ["leave", "delete"])
def test_last_administrators_keep_their_group(administering, how):
    with refused("last_administrator"):
        change(administering, members=[]) if how == "leave" else delete_group(
            group=administering, actor=None, justification=REASON
        )
    assert list(members_of(administering, now()))


def test_last_administrator_by_activation_through_a_group_stays_in_it(group, member):
    activated(group, member, role=Role.objects.built_in(Role.GLOBAL_ADMINISTRATOR))
    with refused("last_administrator"):
        change(group, members=[])


def test_one_of_two_administrators_leaves(administering, member):
    administering.members.add(other := UserFactory())
    change(administering, members=[other])
    assert list(members_of(administering, now())) == [other]


def test_last_administrator_keeps_an_assigned_membership():
    person, group = UserFactory(), GroupFactory()
    ActiveFactory(user=None, group=group, role=Role.objects.built_in(Role.GLOBAL_ADMINISTRATOR))
    membership = ActiveFactory(user=person, role=part(group))
    with refused("last_administrator"):
        services.remove_active(active=membership, actor=None, justification=REASON)


# --- ways to power --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["owners", "members"])
@pytest.mark.parametrize("kind", [EligibleFactory, ActiveFactory])
def test_nobody_joins_a_group_that_holds_a_role(kind, place):
    actor, group = holder_of(Role.HELPDESK_ADMINISTRATOR), GroupFactory(is_protected=False)
    kind(user=None, group=group)
    with refused("self_assignment"):
        change(group, actor, **{place: [actor]})


def test_helpdesk_joins_a_group_that_gives_nothing():
    actor, group = holder_of(Role.HELPDESK_ADMINISTRATOR), GroupFactory(is_protected=False)
    change(group, actor, members=[actor])
    assert list(group.members.all()) == [actor]


def test_nobody_gives_a_role_to_a_group_they_are_in(boss, group):
    group.members.add(boss)
    role = RoleFactory()
    for verb in (services.assign_eligible, services.assign_active):
        with refused("self_assignment"):
            verb(holder=group, role=role, scope=role.resource, actor=boss, justification=REASON)


@pytest.mark.parametrize("kind", [EligibleFactory, ActiveFactory])
def test_nobody_gives_a_role_to_a_group_whose_member_they_can_become(boss, group, kind):
    kind(user=boss, role=part(group))
    role = RoleFactory()
    with refused("self_assignment"):
        services.assign_eligible(holder=group, role=role, scope=role.resource, actor=boss)


@pytest.mark.parametrize("kind", [EligibleFactory, ActiveFactory])
def test_group_that_holds_a_privileged_role_stays_protected(boss, group, kind):
    kind(user=None, group=group, role=RoleFactory(is_privileged=True))
    with refused("group_not_protected"):
        change(group, boss, is_protected=False)


@pytest.mark.parametrize("kind", [EligibleFactory, ActiveFactory])
def test_role_of_a_group_that_anybody_fills_does_not_become_privileged(boss, kind):
    role, group = RoleFactory(), GroupFactory(is_protected=False)
    kind(user=None, group=group, role=role)
    facts = {"role": role, "actor": boss, "name": role.name, "description": "", "is_privileged": True}
    with refused("group_not_protected"):
        update_role(**facts)
    change(group, boss, is_protected=True)
    assert update_role(**facts).is_privileged


def test_group_that_approves_stays_protected(boss, group):
    RoleFactory(settings__approval_required=True, settings__approver_groups=[group])
    with refused("group_not_protected"):
        change(group, boss, is_protected=False)


@pytest.mark.parametrize("place", ["owners", "members", "eligible"])
def test_who_comes_into_a_protected_group_loses_the_link_of_helpdesk(boss, place):
    person, group = UserFactory(), GroupFactory(is_protected=False)
    helpdesk = holder_of(Role.HELPDESK_ADMINISTRATOR)
    if place == "eligible":
        EligibleFactory(user=person, role=part(group))
    issue_ticket(user=person, actor=helpdesk)
    change(group, boss, is_protected=True, **({} if place == "eligible" else {place: [person]}))
    assert EnrolmentTicket.objects.get().used_at is not None


def test_service_account_in_a_group_activates_nothing():
    account = UserFactory(kind="service")
    group = GroupFactory(members=[account])
    eligible = EligibleFactory(user=None, group=group)
    with refused("holder_invalid"):
        services.activate(eligible=eligible, actor=account, duration=HOUR, justification="On call.")
