"""Owners of places and groups."""

import pytest
from django.utils.timezone import now

from assignments.models import EligibleAssignment
from roles.models import Role
from tests.alerts.finding import found, repaired, rows, words
from tests.factories import ActiveFactory, EligibleFactory, ResourceFactory, RoleFactory, holder_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner():
    """A role that owns the ledger."""
    return RoleFactory(name="Owner", resource=ResourceFactory(name="Ledger"), owns_resource=True)


def test_owners_are_found_from_the_count_on_eligible_ones_too(owner):
    owners = {EligibleFactory(role=owner), ActiveFactory(role=owner)}
    ActiveFactory(role=RoleFactory(name="Reader", resource=owner.resource))
    elsewhere = ResourceFactory()
    ActiveFactory(role=owner, scope=elsewhere)

    assert rows("too_many_owners", count=2) == owners
    assert rows("too_many_owners", count=3) == set()
    assert rows("too_many_owners", count=2, share=66) == owners
    assert rows("too_many_owners", count=2, share=67) == set()
    assert words("too_many_owners", count=2)[0].endswith("one of 2 owners at /Ledger (66 % of its assignments).")


def test_owners_who_are_over_disabled_or_for_emergencies_do_not_count(owner):
    ActiveFactory(role=owner)
    ActiveFactory(role=owner, ends_at=now())
    ActiveFactory(role=owner, user__is_active=False)
    ActiveFactory(role=owner, user__is_emergency_access=True)

    assert rows("too_many_owners", count=2) == set()


def test_permanent_owners_are_found_with_their_share_of_all_owners(owner):
    permanent = ActiveFactory(role=owner)
    EligibleFactory(role=owner)

    assert rows("too_many_permanent_owners", count=1, share=50) == {permanent}
    assert found("too_many_permanent_owners", count=1, share=51) == {}
    assert found("too_many_permanent_owners") == {}


def test_repair_makes_a_permanent_owner_eligible(owner):
    administrator, row = holder_of(Role.GLOBAL_ADMINISTRATOR), ActiveFactory(role=owner)

    assert repaired("too_many_permanent_owners", about=row, actor=administrator, count=1).resolution == "repaired"
    assert EligibleAssignment.objects.get(user=row.user).role == owner


def test_repair_removes_one_owner(owner):
    administrator, extra = holder_of(Role.GLOBAL_ADMINISTRATOR), EligibleFactory(role=owner)
    ActiveFactory(role=owner)

    incident = repaired("too_many_owners", about=extra, actor=administrator, count=2)

    extra.refresh_from_db()
    assert (incident.resolution, extra.end_reason) == ("repaired", "removed")
    assert words("too_many_owners", count=2) == []
