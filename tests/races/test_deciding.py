"""Eight approvers answer one request at the same moment."""

from datetime import timedelta

import pytest
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

DECIDERS = 8
ROUNDS = 3  # each control sees its fault in one


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


def test_eight_deciders_give_one_decision(run_in_threads):
    for _ in range(ROUNDS):
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


def approve_all(run_in_threads):
    """Eight say yes to what two must approve."""
    approvers = UserFactory.create_batch(DECIDERS)
    role = RoleFactory(settings__approval_required=True, settings__stages=[stage(approvers, quorum=2)])
    request = RequestFactory(eligible_assignment=EligibleFactory(role=role))

    def approve(number):
        row = Request.objects.get(pk=request.pk)
        return services.approve(request=row, actor=approvers[number], justification="Decided.")

    return request, run_in_threads(DECIDERS, approve)


def test_eight_deciders_at_a_quorum_of_two_give_two_decisions_and_one_role(run_in_threads):
    for _ in range(ROUNDS):
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
    """An approver and seven delegates use one voice of the two that are needed."""
    owner, *delegates = UserFactory.create_batch(DECIDERS)
    role = RoleFactory(settings__approval_required=True, settings__stages=[stage([owner, UserFactory()], quorum=2)])
    request = RequestFactory(eligible_assignment=EligibleFactory(role=role))
    for delegate in delegates:
        delegate_decisions(actor=owner, delegate=delegate, ends_at=now() + timedelta(days=1))

    def approve(number):
        row = Request.objects.get(pk=request.pk)
        return services.approve(request=row, actor=[owner, *delegates][number], justification="Decided.")

    return request, run_in_threads(DECIDERS, approve)


def test_a_voice_that_eight_may_use_counts_once(run_in_threads):
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
