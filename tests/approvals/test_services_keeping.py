"""Favourites and sets: kept for oneself, under a name of one's own."""

import pytest

from approvals import services
from approvals.models import RoleSet
from approvals.rules import MOST_AT_ONCE, MOST_SETS, check_set
from tests.factories import RoleFactory, UserFactory
from tests.refusals import code_of_refusal

pytestmark = pytest.mark.django_db


def places(*roles):
    return [(role, role.resource) for role in roles]


def test_set_under_a_name_used_before_takes_its_place():
    person, one, two = UserFactory(), RoleFactory(), RoleFactory()
    services.save_set(actor=person, name="Incident", places=places(one, one))
    services.save_set(actor=UserFactory(), name="Incident", places=places(one))

    services.save_set(actor=person, name=" incident ", places=places(two))

    kept = RoleSet.objects.get(user=person)
    assert (kept.name, [entry.role for entry in kept.entries.all()]) == ("Incident", [two])


def test_set_renamed_to_a_name_of_another_refused():
    person = UserFactory()
    services.save_set(actor=person, name="Incident", places=places(RoleFactory()))
    other = services.save_set(actor=person, name="Night", places=places(RoleFactory()))

    assert code_of_refusal(lambda: services.rename_set(actor=person, role_set=other, name="INCIDENT")) == "name_taken"


@pytest.mark.parametrize(
    ("name", "entries", "others", "code"),
    [
        ("Incident", 1, 0, None),
        ("…", 1, 0, "name_invalid"),
        ("x" * 61, 1, 0, "name_invalid"),
        ("Incident", 0, 0, "nothing_chosen"),
        ("Incident", MOST_AT_ONCE + 1, 0, "too_many"),
        ("Incident", 1, MOST_SETS, "too_many"),
    ],
)
def test_set_has_a_name_and_roles(name, entries, others, code):
    assert code_of_refusal(check_set, name, entries=entries, others=others) == code
