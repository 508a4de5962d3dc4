"""Owners: everything where they own, nothing anywhere else, and no way up."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.utils.timezone import now

from accounts.models import User
from approvals import services
from assignments.models import ActiveAssignment
from assignments.services import delete_group, update_group
from roles.models import Resource, Role, RoleSettings
from roles.services import create_resource, create_role, govern_group, save_settings, update_resource, update_role
from tests.factories import (
    ActivationFactory,
    ActiveFactory,
    EligibleFactory,
    GroupFactory,
    ResourceFactory,
    RoleFactory,
    UserFactory,
    root,
)
from tests.refusals import refused

pytestmark = pytest.mark.django_db

REASON = "Takes over from July."
HOUR = timedelta(hours=1)


@pytest.fixture
def finance():
    return ResourceFactory(name="Finance")


@pytest.fixture
def payroll(finance):
    return ResourceFactory(name="Payroll", parent=finance)


@pytest.fixture
def owning(finance):
    return RoleFactory(resource=finance, owns_resource=True, is_privileged=True)


@pytest.fixture
def owner(owning):
    return ActiveFactory(role=owning).user


def assign(verb, actor, role, scope=None, holder=None):
    holder = holder or UserFactory()
    return lambda: verb(holder=holder, role=role, scope=scope or role.resource, actor=actor, justification=REASON)


def everything_at(place, actor):
    """What an owner may do, each as a call, at a place."""
    role = RoleFactory(resource=place)
    eligible, active = EligibleFactory(role=role), ActiveFactory(role=role)
    activation = ActivationFactory(eligible_assignment=EligibleFactory(role=role))
    child = ResourceFactory(parent=place)
    about = {"description": "", "actor": actor}
    return {
        "child": lambda: create_resource(actor=actor, parent=place, name="New"),
        "rename": lambda: update_resource(resource=child, name="Other", kind="other", **about),
        "role": lambda: create_role(actor=actor, resource=place, name="New role"),
        "settings": lambda: save_settings(role=role, scope=place, actor=actor, ticket_required=True),
        "eligible": assign(services.assign_eligible, actor, role),
        "active": assign(services.assign_active, actor, role),
        "take eligible": lambda: services.remove_eligible(eligible=eligible, actor=actor, justification=REASON),
        "take active": lambda: services.remove_active(active=active, actor=actor, justification=REASON),
        "end": lambda: services.deactivate(active=activation, actor=actor, justification=REASON),
        "change": lambda: update_role(role=role, name="Other", is_privileged=True, **about),
    }


@pytest.mark.parametrize("where", ["at it", "beneath"])
def test_owner_manages_what_they_own(owner, finance, payroll, where):
    for act in everything_at(finance if where == "at it" else payroll, owner).values():
        act()


@pytest.mark.parametrize("where", ["above", "beside"])
def test_owner_manages_nothing_else(owner, where):
    place = root() if where == "above" else ResourceFactory(name="Finance 2")
    for act in everything_at(place, owner).values():
        with refused("not_allowed"):
            act()


def test_owner_gives_a_role_from_above_at_their_place_alone(owner, finance):
    role = RoleFactory(is_privileged=True)
    assign(services.assign_eligible, owner, role, finance)()
    refusing = assign(services.assign_eligible, owner, role, ResourceFactory())
    with refused("not_allowed"):
        refusing()


@pytest.mark.parametrize("ended", ["over", "scheduled", "eligible", "disabled"])
def test_owner_is_one_only_while_in_force(owning, ended):
    if ended == "eligible":
        person = EligibleFactory(role=owning).user
    else:
        times = {"ended_at": now(), "end_reason": "removed"} if ended == "over" else {}
        person = ActiveFactory(role=owning, **times).user
    if ended == "scheduled":
        ActiveAssignment.objects.update(starts_at=now() + HOUR)
    if ended == "disabled":
        User.objects.update(is_active=False)
    for act in everything_at(owning.resource, person).values():
        with refused("not_allowed"):
            act()
    assert not User.objects.get(pk=person.pk).is_staff


def test_owner_through_a_group_owns_too(owning, finance):
    person = UserFactory()
    ActiveFactory(user=None, group=GroupFactory(members=[person]), role=owning)
    create_resource(actor=person, parent=finance, name="New")
    assert person.is_staff


def test_owner_has_no_right_over_the_site(owner):
    assert owner.get_all_permissions() == {"assignments.own_something"}


@pytest.mark.parametrize("verb", [services.assign_eligible, services.assign_active])
def test_owner_gives_nothing_to_themselves(owner, payroll, verb):
    role = RoleFactory(resource=payroll)
    with refused("self_assignment"):
        verb(holder=owner, role=role, scope=payroll, actor=owner, justification=REASON)
    group = GroupFactory(members=[owner])
    with refused("self_assignment"):
        verb(holder=group, role=role, scope=payroll, actor=owner, justification=REASON)


def test_owner_of_the_organisation_gives_no_rights_in_this_site():
    owner = ActiveFactory(role=RoleFactory(owns_resource=True, is_privileged=True)).user
    reading = RoleFactory()
    reading.permissions.set(Permission.objects.filter(codename="view_user"))
    for role in (reading, Role.objects.built_in(Role.GLOBAL_ADMINISTRATOR)):
        for verb in (services.assign_eligible, services.assign_active):
            refusing = assign(verb, owner, role)
            with refused("not_allowed"):
                refusing()
    with refused("not_allowed"):
        create_role(
            actor=owner, resource=root(), name="Mine", permissions=Permission.objects.filter(codename="view_user")
        )
    with refused("not_allowed"):
        save_settings(
            role=Role.objects.built_in(Role.GLOBAL_ADMINISTRATOR), scope=root(), actor=owner, ticket_required=True
        )


def test_owner_does_not_loosen_the_rules_under_which_they_own(owner, owning, finance, payroll):
    with refused("not_allowed"):
        save_settings(role=owning, scope=finance, actor=owner, justification_required=False)
    with refused("not_allowed"):
        update_role(role=owning, actor=owner, name="X", description="", is_privileged=True, owns_resource=False)
    with refused("not_allowed"):
        create_role(actor=owner, resource=finance, name="Also owner", is_privileged=True, owns_resource=True)
    create_role(actor=owner, resource=payroll, name="Owner of payroll", is_privileged=True, owns_resource=True)


def test_role_that_owns_is_privileged(finance):
    with refused("must_be_privileged"):
        create_role(actor=None, resource=finance, name="Owner", owns_resource=True)


def test_built_in_role_owns_nothing():
    role = Role.objects.built_in(Role.SECURITY_READER)
    with refused("built_in"):
        update_role(
            role=role,
            actor=None,
            name=role.name,
            description="",
            is_privileged=role.is_privileged,
            owns_resource=True,
        )


# --- groups ---------------------------------------------------------------------------------------------------


@pytest.fixture
def group():
    return GroupFactory(name="On call")


def owner_of(group, way):
    if way == "standing":
        person = UserFactory()
        group.owners.add(person)
        return person
    return ActiveFactory(role=part(group, Role.GroupPart.OWNER)).user


def part(group, name=Role.GroupPart.MEMBER):
    place = Resource.objects.filter(group=group).first() or govern_group(group=group, actor=None)
    return Role.objects.get(resource=place, group_part=name)


def change(group, actor, **changes):
    facts = {"name": group.name, "description": group.description, "is_protected": group.is_protected}
    people = {"owners": list(group.owners.all()), "members": list(group.members.all())}
    return update_group(group=group, actor=actor, **facts | people | changes)


WAYS = pytest.mark.parametrize("way", ["standing", "in force"])


@WAYS
def test_owner_of_a_group_says_who_is_in_it(group, way):
    actor, person = owner_of(group, way), UserFactory()
    change(group, actor, members=[person])
    assert (list(group.members.all()), actor.is_staff) == ([person], True)


@WAYS
@pytest.mark.parametrize("field", ["name", "description", "is_protected", "owners"])
def test_owner_of_a_group_changes_nothing_else_of_it(group, way, field):
    actor = owner_of(group, way)
    value = {"name": "X", "description": "X", "is_protected": False, "owners": [UserFactory()]}[field]
    with refused("not_allowed"):
        change(group, actor, **{field: value})
    with refused("not_allowed"):
        delete_group(group=group, actor=actor, justification=REASON)


@WAYS
def test_owner_of_a_group_manages_no_other(group, way):
    actor, other = owner_of(group, way), GroupFactory()
    with refused("not_allowed"):
        change(other, actor, members=[])


@WAYS
def test_owner_of_a_group_does_not_put_themselves_into_it(group, way):
    actor = owner_of(group, way)
    with refused("self_assignment"):
        change(group, actor, members=[actor])


@WAYS
@pytest.mark.parametrize("name", Role.GroupPart.values)
def test_owner_of_a_group_gives_and_takes_its_two_roles(group, way, name):
    role, actor = part(group, name), owner_of(group, way)
    eligible = assign(services.assign_eligible, actor, role)().eligible_assignment
    services.remove_eligible(eligible=eligible, actor=actor, justification=REASON)
    refusing = assign(services.assign_eligible, actor, role, holder=actor)
    with refused("self_assignment"):
        refusing()
    with refused("not_allowed"):
        save_settings(role=role, scope=role.resource, actor=actor, justification_required=False)
    other = RoleFactory(resource=role.resource)
    refusing = assign(services.assign_eligible, actor, other)
    with refused("not_allowed"):
        refusing()


def test_owner_of_a_place_does_not_come_into_the_groups_beneath_it(owner, finance):
    govern_group(group=(group := GroupFactory()), actor=None, parent=finance)
    role = part(group)
    refusing = assign(services.assign_eligible, owner, role)
    with refused("not_allowed"):
        refusing()
    with refused("not_allowed"):
        save_settings(role=role, scope=role.resource, actor=owner, justification_required=False)
    assert RoleSettings.objects.current().filter(role=role).count() == 1
