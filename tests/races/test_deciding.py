"""Sixteen approvers answer one request at the same moment."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils.timezone import now

from approvals import services
from approvals.models import Decision, Request
from approvals.rules import DecisionRefused
from assignments.models import ActiveAssignment
from audit.models import Event
from roles.services import delegate_decisions
from tests.factories import EligibleFactory, RequestFactory, RoleFactory, UserFactory, stage

from .guards import count, no_constraint, no_row_locks

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

DECIDERS = 16


def pending():
    approvers = UserFactory.create_batch(DECIDERS)
    role = RoleFactory(settings__approval_required=True, settings__approvers=approvers)
    return RequestFactory(eligible_assignment=EligibleFactory(role=role)), approvers


def decide_all(run_in_threads, request, approvers):
    """Even ones say yes, odd ones no."""

    def decide(number):
        verb = services.deny if number % 2 else services.approve
        return verb(request=Request.objects.get(pk=request.pk), actor=approvers[number], justification="Decided.")

    return run_in_threads(DECIDERS, decide)


def test_sixteen_deciders_give_one_decision(run_in_threads):
    for _ in range(10):
        request, approvers = pending()

        outcomes = decide_all(run_in_threads, request, approvers)

        assert count(outcomes, Request) == 1
        assert [o.code for o in outcomes if isinstance(o, DecisionRefused)] == ["already_decided"] * (DECIDERS - 1)
        decision = Decision.objects.get(request=request)
        granted = ActiveAssignment.objects.filter(eligible_assignment=request.eligible_assignment).count()
        assert granted == (decision.verdict == "approved")
        events = Event.objects.filter(request_id=request.pk, outcome="success")
        assert events.filter(action__in=["request.approved", "request.denied"]).count() == 1


def test_control_without_row_locks_several_decide(run_in_threads):
    request, approvers = pending()

    with no_row_locks():
        decide_all(run_in_threads, request, approvers)

    assert Decision.objects.filter(request=request).count() > 1


def approve_or_cancel(run_in_threads):
    request, approvers = pending()

    def act(number):
        row = Request.objects.get(pk=request.pk)
        if number % 2:
            return services.cancel(request=row, actor=request.user)
        return services.approve(request=row, actor=approvers[number], justification="Decided.")

    outcomes = run_in_threads(8, act)
    request.refresh_from_db()
    granted = ActiveAssignment.objects.filter(eligible_assignment=request.eligible_assignment, ended_at=None).exists()
    return outcomes, request.status, granted


def test_approve_and_cancel_at_once_give_one_outcome(run_in_threads):
    for _ in range(10):
        outcomes, status, granted = approve_or_cancel(run_in_threads)

        assert count(outcomes, Request) == 1
        assert count(outcomes, ValidationError) == 7
        assert (status, granted) in [("provisioned", True), ("canceled", False)]


def test_control_without_row_locks_canceled_and_approved_both_succeed(run_in_threads):
    with no_row_locks():
        successes = [count(approve_or_cancel(run_in_threads)[0], Request) for _ in range(5)]

    assert max(successes) > 1


def approve_or_time_out(run_in_threads):
    request, approvers = pending()
    due = now() + timedelta(milliseconds=150)
    Request.objects.filter(pk=request.pk).update(expires_at=due)

    def act(number):
        row = Request.objects.get(pk=request.pk)
        begin = due - timedelta(milliseconds=4 * number) if number % 2 else due  # approvals in the last instant
        while now() < begin:
            pass
        if number % 2:
            return services.approve(request=row, actor=approvers[number], justification="Decided.")
        return services.time_out(request=row, actor=None)

    outcomes = run_in_threads(8, act)
    request.refresh_from_db()
    return count(outcomes, Request) + outcomes.count(True), request.status


def test_time_out_and_approval_at_once_give_one_outcome(run_in_threads):
    for _ in range(10):
        successes, status = approve_or_time_out(run_in_threads)

        assert (successes, status in ("provisioned", "timed_out")) == (1, True)


def approve_all(run_in_threads):
    """Sixteen say yes to what two must approve."""
    approvers = UserFactory.create_batch(DECIDERS)
    role = RoleFactory(settings__approval_required=True, settings__stages=[stage(approvers, quorum=2)])
    request = RequestFactory(eligible_assignment=EligibleFactory(role=role))

    def approve(number):
        row = Request.objects.get(pk=request.pk)
        return services.approve(request=row, actor=approvers[number], justification="Decided.")

    return request, run_in_threads(DECIDERS, approve)


def test_sixteen_deciders_at_a_quorum_of_two_give_two_decisions_and_one_role(run_in_threads):
    for _ in range(10):
        request, outcomes = approve_all(run_in_threads)

        assert sorted(o.status for o in outcomes if isinstance(o, Request)) == ["pending_approval", "provisioned"]
        assert [o.code for o in outcomes if isinstance(o, DecisionRefused)] == ["already_decided"] * (DECIDERS - 2)
        assert Decision.objects.filter(request=request).count() == 2
        assert ActiveAssignment.objects.filter(eligible_assignment=request.eligible_assignment).count() == 1


def test_control_without_row_locks_more_than_two_decide(run_in_threads):
    with no_row_locks():
        request, _outcomes = approve_all(run_in_threads)

    assert Decision.objects.filter(request=request).count() > 2


def delegate_and_owner(run_in_threads):
    """An approver and fifteen delegates use one voice of the two that are needed."""
    owner, *delegates = UserFactory.create_batch(DECIDERS)
    role = RoleFactory(settings__approval_required=True, settings__stages=[stage([owner, UserFactory()], quorum=2)])
    request = RequestFactory(eligible_assignment=EligibleFactory(role=role))
    for delegate in delegates:
        delegate_decisions(actor=owner, delegate=delegate, ends_at=now() + timedelta(days=1))

    def approve(number):
        row = Request.objects.get(pk=request.pk)
        return services.approve(request=row, actor=[owner, *delegates][number], justification="Decided.")

    return request, run_in_threads(DECIDERS, approve)


def test_a_voice_that_sixteen_may_use_counts_once(run_in_threads):
    request, outcomes = delegate_and_owner(run_in_threads)

    assert (count(outcomes, Request), Decision.objects.filter(request=request).count()) == (1, 1)


def test_constraint_alone_lets_a_voice_count_once(run_in_threads):
    with no_row_locks():
        request, _outcomes = delegate_and_owner(run_in_threads)

    assert Decision.objects.filter(request=request).count() == 1


def test_control_without_locks_and_constraint_a_voice_counts_several_times(run_in_threads):
    with no_constraint(Decision, "decision_one_per_voice"), no_row_locks():
        request, _outcomes = delegate_and_owner(run_in_threads)
        several = Decision.objects.filter(request=request).count()

    assert several > 1
