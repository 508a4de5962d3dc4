"""The console as owners of places and of groups meet it: what they own, and nothing else."""

import pytest
from django.urls import reverse
from django.utils.timezone import now

from assignments.models import ActiveAssignment, EligibleAssignment
from audit.models import Event
from tests.client import signed_in
from tests.factories import (
    ActiveFactory,
    EligibleFactory,
    GroupFactory,
    ResourceFactory,
    RoleFactory,
    UserFactory,
    root,
)

pytestmark = pytest.mark.django_db

REASON = "Takes over from July."
ELIGIBLE, ACTIVE = "assignments_eligibleassignment", "assignments_activeassignment"
ASSIGN = "admin:assignments_eligibleassignment_assign"


@pytest.fixture
def finance():
    return ResourceFactory(name="Finance")


@pytest.fixture
def owner(client, finance):
    """Somebody who owns Finance and is signed in on `client`."""
    role = RoleFactory(resource=finance, name="Finance owner", owns_resource=True, is_privileged=True)
    person = ActiveFactory(role=role).user
    signed_in(client, person)
    return person


@pytest.fixture
def group_owner(client):
    """Somebody who answers for a group and is signed in on `client`."""
    group = GroupFactory(name="On call")
    group.owners.add(person := UserFactory())
    signed_in(client, person)
    return person


def rows_at(place):
    """One row of each kind at a place."""
    role = RoleFactory(resource=place)
    eligible, active = EligibleFactory(role=role), ActiveFactory(role=role)
    return {
        "roles_resource": place,
        "roles_role": role,
        ELIGIBLE: eligible,
        ACTIVE: active,
    }


def shown(client, model):
    return set(client.get(reverse(f"admin:{model}_changelist")).context["cl"].queryset)


def status(client, name, *args):
    return client.get(reverse(name, args=args)).status_code


def statuses(client, rows):
    """The answer to the page of each row; a redirect is what the console gives for a row unknown to it."""
    return {name: status(client, f"admin:{name}_change", row.pk) for name, row in rows.items()}


def terms(client, **target):
    """The address of the second step of giving a role."""
    query = {name: row.pk for name, row in target.items()}
    return f"{reverse(ASSIGN)}?" + "&".join(f"{name}={key}" for name, key in query.items())


def give(client, **target):
    data = {"justification": REASON, "lasting": "permanent"}
    return client.post(terms(client, **target), data)


@pytest.mark.parametrize("where", ["at it", "beneath"])
def test_owner_opens_what_is_owned(client, owner, finance, where):
    rows = rows_at(finance if where == "at it" else ResourceFactory(parent=finance))

    assert statuses(client, rows) == dict.fromkeys(rows, 200)


def test_rest_is_unknown_to_an_owner(client, owner):
    rows = rows_at(ResourceFactory(name="Finance 2"))

    assert statuses(client, rows) == dict.fromkeys(rows, 302)
    assert all(row not in shown(client, name) for name, row in rows.items())
    assert status(client, "admin:assignments_eligibleassignment_remove", rows[ELIGIBLE].pk) == 404
    assert status(client, "admin:assignments_activeassignment_remove", rows[ACTIVE].pk) == 404
    assert status(client, "admin:roles_role_settings", rows["roles_role"].pk) == 404


def test_role_from_above_is_known_for_its_use_but_not_who_else_holds_it(client, owner, finance):
    """It can be given at what is owned; the place above, and who holds it there, stay unknown."""
    rows = rows_at(root())
    here = EligibleFactory(role=rows["roles_role"], scope=finance)

    assert statuses(client, rows) == dict.fromkeys(rows, 302) | {"roles_role": 200}
    assert shown(client, ELIGIBLE) == {here}


@pytest.mark.parametrize(
    "model", ["accounts_user", "accounts_group", "approvals_request", "audit_event", "notifications_message"]
)
def test_owner_of_a_place_sees_no_people_groups_or_audit(client, owner, model):
    GroupFactory()
    answer = client.get(reverse(f"admin:{model}_changelist"))

    assert answer.status_code == 403 or set(answer.context["cl"].queryset) == set()


def test_owner_gives_a_role_at_an_owned_place(client, owner, finance):
    person, role = UserFactory(), RoleFactory()

    answer = give(client, user=person, role=role, scope=finance)

    made = EligibleAssignment.objects.get(user=person)
    page = reverse("admin:assignments_eligibleassignment_change", args=[made.pk])
    assert (answer.status_code, answer.url) == (302, page)
    assert (made.role, made.scope, made.ends_at) == (role, finance, None)


@pytest.mark.parametrize("where", ["above", "beside"])
def test_owner_gives_nothing_elsewhere(client, owner, where):
    place = root() if where == "above" else ResourceFactory(name="Finance 2")

    answer = give(client, user=UserFactory(), role=RoleFactory(), scope=place)

    assert (answer.status_code, EligibleAssignment.objects.count()) == (403, 0)


@pytest.mark.parametrize("way", ["user", "group"])
def test_owner_gives_nothing_to_themselves(client, owner, finance, way):
    holder = owner if way == "user" else GroupFactory(members=[owner])

    answer = give(client, **{way: holder}, role=RoleFactory(resource=finance), scope=finance)

    assert (answer.status_code, EligibleAssignment.objects.count()) == (200, 0)
    event = Event.objects.latest("id")
    assert (event.action, event.outcome, event.code) == ("eligible.assigned", "refused", "self_assignment")


def test_console_closes_with_the_ownership(client, owner, finance):
    ActiveAssignment.objects.filter(user=owner).update(ended_at=now(), end_reason="removed")

    assert client.get("/console/", follow=True).redirect_chain[-1][0] == "/no-console/"
    assert give(client, user=UserFactory(), role=RoleFactory(resource=finance), scope=finance).status_code == 302
    assert not EligibleAssignment.objects.exists()


# --- groups ---------------------------------------------------------------------------------------------------


def test_owner_of_a_group_sees_that_group_alone(client, group_owner):
    other = GroupFactory()
    mine = group_owner.owned_groups.get()

    assert shown(client, "accounts_group") == {mine}
    assert status(client, "admin:accounts_group_change", mine.pk) == 200
    assert status(client, "admin:accounts_group_change", other.pk) == 302
    assert status(client, "admin:accounts_group_remove", other.pk) == 404
    assert status(client, "admin:accounts_group_remove", mine.pk) == 403
    assert shown(client, "roles_resource") == set()


def test_owner_of_a_group_takes_somebody_in_and_changes_nothing_else(client, group_owner):
    group, person = group_owner.owned_groups.get(), UserFactory()
    page = reverse("admin:accounts_group_change", args=[group.pk])

    client.post(page, {"name": "Mine", "is_protected": "", "owners": [person.pk], "members": [person.pk]})

    group.refresh_from_db()
    assert (group.name, group.is_protected) == ("On call", True)
    assert (list(group.owners.all()), list(group.members.all())) == ([group_owner], [person])
