"""Deleting a role while it is being given to somebody."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from approvals import services
from assignments.models import EligibleAssignment
from audit import services as audit
from audit.services import refusal_code
from roles.models import Role
from tests.factories import RoleFactory, UserFactory, holder_of

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

ASSIGNERS = 5
ROUNDS = 8


def deleted_while_assigned(run_in_threads):
    """One deletes, several assign; return what each met."""
    boss, role = holder_of(Role.GLOBAL_ADMINISTRATOR), RoleFactory()
    people = [UserFactory() for _ in range(ASSIGNERS)]
    read = [Role.objects.select_related("resource").get(pk=role.pk) for _ in range(ASSIGNERS + 1)]

    def act(number):
        mine = read[number]
        if number == ASSIGNERS:
            return services.delete_role(role=mine, actor=boss, justification="Never used.")
        return services.assign_eligible(actor=boss, holder=people[number], role=mine, scope=mine.resource)

    outcomes = run_in_threads(ASSIGNERS + 1, act)
    kept = Role.objects.filter(pk=role.pk).exists()
    assert EligibleAssignment.objects.filter(role=role.pk).exists() == kept
    return outcomes


def test_delete_and_assignments_are_done_or_refused(run_in_threads):
    for _ in range(ROUNDS):
        met = [each for each in deleted_while_assigned(run_in_threads) if isinstance(each, Exception)]
        assert [each for each in met if not isinstance(each, ValidationError)] == []
        assert {refusal_code(each) for each in met} <= {"in_use", "role_deleted", "changed_meanwhile"}


def test_control_a_key_that_points_at_nothing_is_an_error_of_the_server(run_in_threads, monkeypatch):
    monkeypatch.setattr(audit, "_points_at_nothing", lambda error: False)
    rounds = (deleted_while_assigned(run_in_threads) for _ in range(3 * ROUNDS))
    assert any(isinstance(outcome, IntegrityError) for outcomes in rounds for outcome in outcomes)
