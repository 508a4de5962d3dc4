"""Moving a resource away while roles from above are being assigned at it."""

import pytest
from django.core.exceptions import ValidationError

from approvals import services
from assignments.models import EligibleAssignment
from audit.services import refusal_code
from roles.models import Resource, Role
from tests.factories import ResourceFactory, RoleFactory, UserFactory, holder_of

from .guards import no_row_locks

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

ASSIGNERS = 7
ROUNDS = 10


def moved_while_assigned(run_in_threads):
    """One moves, several assign; return what each met, and what is held where its role does not reach."""
    boss, finance, technology = holder_of(Role.GLOBAL_ADMINISTRATOR), ResourceFactory(), ResourceFactory()
    payroll, role = ResourceFactory(parent=finance), RoleFactory(resource=finance)
    people = [UserFactory() for _ in range(ASSIGNERS)]

    def act(number):
        if number == ASSIGNERS:
            return services.move_resource(resource=payroll, parent=technology, actor=boss, justification="Sold.")
        scope, mine = Resource.objects.get(pk=payroll.pk), Role.objects.select_related("resource").get(pk=role.pk)
        return services.assign_eligible(actor=boss, holder=people[number], role=mine, scope=scope)

    outcomes = run_in_threads(ASSIGNERS + 1, act)
    held = EligibleAssignment.objects.select_related("scope", "role__resource").filter(role=role)
    return outcomes, [row for row in held if not row.role.is_usable_at(row.scope)]


def test_move_and_assignments_leave_nothing_behind(run_in_threads):
    for _ in range(ROUNDS):
        outcomes, left = moved_while_assigned(run_in_threads)
        refusals = {refusal_code(each) for each in outcomes if isinstance(each, ValidationError)}
        others = [each for each in outcomes if isinstance(each, Exception) and not isinstance(each, ValidationError)]
        assert (left, others) == ([], [])
        assert refusals <= {"in_use", "scope_invalid"}


def test_control_without_row_locks_something_is_left_behind(run_in_threads):
    with no_row_locks():
        assert any(moved_while_assigned(run_in_threads)[1] for _ in range(3 * ROUNDS))
