"""Administrators answer one extension at the same moment, and one person asks many times at once."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils.timezone import now

from approvals import services
from approvals.models import Decision, Request
from assignments.models import EligibleAssignment
from roles.models import Role
from tests.factories import EligibleFactory, ExtensionFactory, holder_of

from .guards import count, no_constraint, no_row_locks

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

ANSWERS = 8


def ending(**differs):
    at = now().replace(microsecond=0)
    return EligibleFactory(starts_at=at - timedelta(days=60), ends_at=at + timedelta(days=7), **differs)


def answer_all(run_in_threads, request):
    """Even ones grant, odd ones deny."""
    deciders = [holder_of(Role.GLOBAL_ADMINISTRATOR) for _ in range(ANSWERS)]
    ends_at = now() + timedelta(days=90)

    def answer(number):
        facts = {"request": Request.objects.get(pk=request.pk), "actor": deciders[number], "justification": "Decided."}
        return services.deny_extension(**facts) if number % 2 else services.grant_extension(**facts, ends_at=ends_at)

    return run_in_threads(ANSWERS, answer)


def test_eight_administrators_give_one_answer(run_in_threads):
    for _ in range(5):
        request = ExtensionFactory(eligible_assignment=ending())
        before = request.assignment.ends_at

        outcomes = answer_all(run_in_threads, request)

        assert count(outcomes, Request) == 1
        said = Decision.objects.get(request=request)
        row = EligibleAssignment.objects.get(pk=request.eligible_assignment_id)
        assert (row.ends_at != before) == (said.verdict == "approved")


def test_control_without_row_locks_several_answer(run_in_threads):
    request = ExtensionFactory(eligible_assignment=ending())

    with no_row_locks():
        answer_all(run_in_threads, request)

    assert Decision.objects.filter(request=request).count() > 1


def ask_all(run_in_threads, row):
    def ask(number):
        mine = EligibleAssignment.objects.get(pk=row.pk)
        return services.self_extend(assignment=mine, actor=mine.user, justification="Still on call.")

    return run_in_threads(ANSWERS, ask)


def test_of_eight_questions_at_once_one_is_taken(run_in_threads):
    row = ending()

    outcomes = ask_all(run_in_threads, row)

    assert count(outcomes, Request) == 1
    assert {each.code for each in outcomes if isinstance(each, ValidationError)} == {"already_pending"}


def test_control_without_the_constraint_several_are_taken(run_in_threads):
    row = ending()

    with no_constraint(Request, "request_one_extension_per_eligible"):
        outcomes = ask_all(run_in_threads, row)

    assert count(outcomes, Request) > 1
