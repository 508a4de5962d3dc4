"""Helpdesk staff who try to come by more than they have, through the pages that they may use."""

import pytest
from django.urls import reverse

from accounts.models import Group, User
from assignments.models import EligibleAssignment
from roles.models import Role
from tests.client import signed_in
from tests.factories import GroupFactory, RoleFactory, UserFactory, holder_of

pytestmark = pytest.mark.django_db

PERSON = {"username": "mallory", "display_name": "Mallory", "email": "mallory@example.org", "time_zone": "UTC"}
# Fields that no form of theirs has.
MORE = {
    "is_emergency_access": "on",
    "is_active": "",
    "is_superuser": "on",
    "is_staff": "on",
    "password": "a password",
    "kind": "service",
    "last_sign_in_at": "2020-01-01",
}


@pytest.fixture
def helpdesk(client):
    client.person = holder_of(Role.HELPDESK_ADMINISTRATOR, username="desk")
    signed_in(client, client.person)
    return client


def change(client, row, data):
    return client.post(reverse(f"admin:{row._meta.label_lower.replace('.', '_')}_change", args=[row.pk]), data)


def facts_of(person):
    return User.objects.values().get(pk=person.pk)


def an_approver():
    person = UserFactory()
    RoleFactory(settings__approval_required=True, settings__approvers=[person])
    return person


def a_member_of_a_protected_group():
    person = UserFactory()
    GroupFactory(members=[person])
    return person


POWERFUL = {
    "global administrator": lambda: holder_of(Role.GLOBAL_ADMINISTRATOR),
    "role administrator": lambda: holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR),
    "approver": an_approver,
    "member of a protected group": a_member_of_a_protected_group,
}


@pytest.mark.parametrize("powerful", POWERFUL)
@pytest.mark.parametrize("field", ["username", "email"])
def test_helpdesk_cannot_change_how_somebody_with_power_signs_in(helpdesk, powerful, field):
    person = POWERFUL[powerful]()
    before = facts_of(person)
    kept = {name: before[name] for name in PERSON}

    answer = change(helpdesk, person, kept | {field: "mallory@example.org"})

    assert answer.status_code == 200
    assert "Global Administrator must" in answer.context["adminform"].form.non_field_errors()[0]
    assert facts_of(person) == before


@pytest.mark.parametrize("powerful", POWERFUL)
def test_helpdesk_gets_no_link_of_somebody_with_power(helpdesk, powerful):
    person = POWERFUL[powerful]()

    helpdesk.post(reverse("admin:accounts_user_enrol", args=[person.pk]))

    assert not person.enrolment_tickets.exists()


def test_helpdesk_changes_only_the_fields_of_the_form(helpdesk):
    person = UserFactory()
    before = facts_of(person)

    assert change(helpdesk, person, PERSON | MORE).status_code == 302
    assert facts_of(person) == before | PERSON


def test_helpdesk_makes_only_ordinary_people(helpdesk):
    helpdesk.post(reverse("admin:accounts_user_add"), PERSON | MORE | {"kind": "person", "id": helpdesk.person.pk})

    made = User.objects.get(username="mallory")
    assert (made.is_emergency_access, made.is_active, made.has_usable_password()) == (False, True, False)
    assert made.pk != helpdesk.person.pk


def test_helpdesk_makes_no_protected_group(helpdesk):
    data = {"name": "Mine", "members": [helpdesk.person.pk], "is_protected": "on"}

    helpdesk.post(reverse("admin:accounts_group_add"), data)

    assert not Group.objects.get(name="Mine").is_protected


def test_helpdesk_joins_no_protected_group(helpdesk):
    group = GroupFactory()

    assert change(helpdesk, group, {"name": group.name, "members": [helpdesk.person.pk]}).status_code == 403
    assert not group.members.exists()


@pytest.mark.parametrize("holder", ["themselves", "somebody"])
@pytest.mark.parametrize("is_privileged", [True, False])
def test_helpdesk_gives_only_ordinary_roles_and_only_to_others(helpdesk, holder, is_privileged):
    person = helpdesk.person if holder == "themselves" else UserFactory()
    role = RoleFactory(is_privileged=is_privileged)
    url = reverse("admin:assignments_eligibleassignment_assign")

    helpdesk.post(f"{url}?user={person.pk}&role={role.pk}", {"lasting": "permanent"})

    given = EligibleAssignment.objects.filter(user=person, role=role).exists()
    assert given == (holder == "somebody" and not is_privileged)
