"""Roles that are there twice."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.utils.timezone import now

from tests.alerts.finding import rows, words
from tests.factories import ActiveFactory, EligibleFactory, GroupFactory, ResourceFactory, RoleFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def twins():
    """Two roles of one place, with three holders each: the same."""
    place = ResourceFactory(name="Ledger")
    roles = [RoleFactory(name=name, resource=place) for name in ("Reader", "Viewer")]
    person, other, group = UserFactory(), UserFactory(), GroupFactory()
    for role in roles:
        EligibleFactory(role=role, user=person)
        EligibleFactory(role=role, user=None, group=group)
        ActiveFactory(role=role, user=other)
    return roles


def test_roles_with_the_same_rights_and_holders_are_found(twins):
    assert len(rows("duplicate_roles", count=3)) == 1
    assert rows("duplicate_roles", count=4) == set()
    [text] = words("duplicate_roles", count=3)
    assert text.endswith("at /Ledger give the same rights here to the same 3 holders.")


def test_what_is_over_does_not_count(twins):
    ActiveFactory(role=twins[0], ends_at=now())
    EligibleFactory(role=twins[1], starts_at=now() + timedelta(days=1))

    assert len(rows("duplicate_roles", count=3)) == 1


def moved(twins):
    twins[0].eligible_assignments.exclude(user=None).update(scope=ResourceFactory(parent=twins[0].resource))


def given_more(twins):
    twins[0].permissions.add(Permission.objects.get(codename="view_user"))


def placed_elsewhere(twins):
    type(twins[0]).objects.filter(pk=twins[0].pk).update(resource=ResourceFactory())


def held_by_one_more(twins):
    ActiveFactory(role=twins[0])


def held_by_somebody_else(twins):
    twins[0].active_assignments.update(user=UserFactory())


@pytest.mark.parametrize("differ", [moved, given_more, placed_elsewhere, held_by_one_more, held_by_somebody_else])
def test_roles_that_differ_are_not_found(twins, differ):
    differ(twins)

    assert rows("duplicate_roles", count=1) == set()


def test_other_holders_between_the_same_first_and_last_are_seen():
    people = sorted((UserFactory() for _each in range(4)), key=lambda person: person.pk)
    roles = RoleFactory.create_batch(2)
    for person in (people[0], people[1], people[3]):
        ActiveFactory(role=roles[0], user=person)
    for person in (people[0], people[2], people[3]):
        ActiveFactory(role=roles[1], user=person)

    assert rows("duplicate_roles", count=3) == set()
