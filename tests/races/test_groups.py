"""Two groups hold the role that somebody must hold, and both are emptied at the same moment."""

import pytest
from django.utils.timezone import now

from accounts.models import Group
from assignments.models import ActiveAssignment, administrators
from assignments.rules import AssignmentRefused
from assignments.services import update_group
from roles.models import Role
from tests.factories import ActiveFactory, GroupFactory, UserFactory

from .guards import count, no_row_locks

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

ROUNDS = 8


def both_emptied(run_in_threads):
    """Return how many administrators are left, and how many changes were refused."""
    ActiveAssignment.objects.filter(ended_at=None).update(ended_at=now(), end_reason="removed")
    groups = [GroupFactory(members=[UserFactory()]) for _ in range(2)]
    for group in groups:
        ActiveFactory(user=None, group=group, role=Role.objects.built_in(Role.PRIVILEGED_ROLE_ADMINISTRATOR))

    def empty(number):
        group = Group.objects.get(pk=groups[number].pk)
        kept = {"name": group.name, "description": group.description, "is_protected": True, "owners": []}
        return update_group(group=group, actor=None, members=[], **kept)

    outcomes = run_in_threads(2, empty)
    return administrators(now()).count(), count(outcomes, AssignmentRefused)


def test_last_administrator_through_groups_stays(run_in_threads):
    assert [both_emptied(run_in_threads) for _ in range(ROUNDS)] == [(1, 1)] * ROUNDS


def test_control_without_row_locks_no_administrator_is_left(run_in_threads):
    with no_row_locks():
        assert any(both_emptied(run_in_threads)[0] == 0 for _ in range(3 * ROUNDS))
