"""Asking for, starting and ending one activation, many times at the same moment."""

from datetime import timedelta
from threading import current_thread

import pytest
from django.utils import timezone
from django.utils.timezone import now

from approvals import services
from approvals.models import Request
from approvals.rules import RequestRefused
from assignments.models import ActiveAssignment, EligibleAssignment
from assignments.rules import ActivationRefused, AssignmentRefused
from assignments.services import expire_active
from audit.models import Event
from notifications.models import Message
from tests.factories import ActivationFactory, EligibleFactory, RoleFactory, UserFactory, holder_of

from .guards import count, no_constraint, no_row_locks

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

TIMES = 16


def activate_all(run_in_threads, eligible):
    def activate(number):
        mine = EligibleAssignment.objects.described().get(pk=eligible.pk)
        return services.activate(
            eligible=mine, actor=mine.user, duration=timedelta(hours=1), justification="The nightly job is stuck."
        )

    return run_in_threads(TIMES, activate)


def test_sixteen_activations_give_one(run_in_threads):
    for _ in range(5):
        eligible = EligibleFactory()

        outcomes = activate_all(run_in_threads, eligible)

        assert count(outcomes, Request) == 1
        assert [o.code for o in outcomes if isinstance(o, ActivationRefused)] == ["already_active"] * (TIMES - 1)
        assert eligible.activations.count() == 1
        assert Event.objects.filter(action="assignment.activated", subject_id=eligible.user_id).count() == 1
        assert Message.objects.filter(kind="role_activated", user_id=eligible.user_id).count() == 1


def test_control_without_locks_and_constraint_several_are_active(run_in_threads):
    with no_constraint(ActiveAssignment, "activation_one_per_eligibility"), no_row_locks():
        eligible = EligibleFactory()
        activate_all(run_in_threads, eligible)
        several = eligible.activations.count()

    assert several > 1


def test_constraint_alone_keeps_one_activation(run_in_threads):
    eligible = EligibleFactory()

    with no_row_locks():
        activate_all(run_in_threads, eligible)

    assert eligible.activations.count() == 1


def test_sixteen_requests_for_approval_give_one(run_in_threads):
    role = RoleFactory(settings__approval_required=True, settings__approvers=[UserFactory()])
    eligible = EligibleFactory(role=role)

    outcomes = activate_all(run_in_threads, eligible)

    assert count(outcomes, Request) == 1
    assert [o.code for o in outcomes if isinstance(o, RequestRefused)] == ["already_pending"] * (TIMES - 1)
    assert Request.objects.filter(eligible_assignment=eligible).count() == 1


@pytest.fixture
def two_clocks(monkeypatch):
    """At the end of an activation the clock of some threads says "just before", that of the others "now"."""
    ends_at, behind = [None], timedelta(microseconds=1)

    def clock():
        if ends_at[0] is None or not current_thread().name.startswith("ThreadPool"):
            return timezone.now()
        return ends_at[0] - behind if getattr(current_thread(), "is_behind", False) else ends_at[0]

    for module in ("assignments.services.activation", "approvals.services.activating"):
        monkeypatch.setattr(f"{module}.now", clock)
    return ends_at


def expire_and_end(run_in_threads, two_clocks):
    active = ActivationFactory(starts_at=now().replace(microsecond=0) - timedelta(minutes=30))
    two_clocks[0] = active.ends_at

    def act(number):
        row = ActiveAssignment.objects.described().get(pk=active.pk)
        current_thread().is_behind = bool(number % 2)
        if number % 2:
            return services.deactivate(active=row, actor=row.user)
        return expire_active(active=row, actor=None)

    outcomes = run_in_threads(8, act)
    two_clocks[0] = None
    ends = Event.objects.filter(target_id=str(active.pk), outcome="success").values_list("action", flat=True)
    return outcomes, list(ends)


def test_expiry_and_end_at_the_same_moment_give_one_end(run_in_threads, two_clocks):
    for _ in range(15):
        outcomes, ends = expire_and_end(run_in_threads, two_clocks)

        assert len(ends) == 1
        assert count(outcomes, Request) + outcomes.count(True) == 1
        assert {o.code for o in outcomes if isinstance(o, AssignmentRefused)} <= {"already_ended"}


def test_control_without_row_locks_it_ends_twice(run_in_threads, two_clocks):
    with no_row_locks():
        assert any(len(expire_and_end(run_in_threads, two_clocks)[1]) > 1 for _ in range(15))


def remove_each_other(run_in_threads):
    """Two administrators, the last two, take the role from one another."""
    ActiveAssignment.objects.update(ended_at=now(), end_reason="removed")
    pair = [holder_of("privileged_role_administrator"), holder_of("privileged_role_administrator")]
    held = [person.active_assignments.get() for person in pair]

    def remove(number):
        active = ActiveAssignment.objects.described().get(pk=held[number].pk)
        return services.remove_active(active=active, actor=pair[1 - number], justification="Leaves the team.")

    run_in_threads(2, remove)
    return ActiveAssignment.objects.in_force(now()).count()


def test_two_last_administrators_cannot_remove_each_other(run_in_threads):
    assert [remove_each_other(run_in_threads) for _ in range(10)] == [1] * 10


def test_control_without_row_locks_no_administrator_is_left(run_in_threads):
    with no_row_locks():
        assert any(remove_each_other(run_in_threads) == 0 for _ in range(20))
