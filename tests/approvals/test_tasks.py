from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from approvals import services, tasks
from approvals.models import Request
from assignments.models import ActiveAssignment
from assignments.tasks import expire_due
from audit.models import Event
from notifications.models import Message
from roles.models import Role
from tests.factories import EligibleFactory, RoleFactory, UserFactory, holder_of, root

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 21, 18, 40, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(AT, tick=False) as clock:
        yield clock


def ask(eligible=None, **differs):
    eligible = eligible or EligibleFactory()
    facts = {"eligible": eligible, "actor": eligible.user, "duration": HOUR, "justification": "Stuck."}
    return services.activate(**facts | differs)


def pending():
    return ask(EligibleFactory(role=RoleFactory(settings__approval_required=True)))


def statuses():
    return sorted(Request.objects.values_list("status", flat=True))


def test_time_out_due_closes_each_once_and_tells_its_requester(clock):
    requests = [pending(), pending()]
    clock.move_to(AT + 24 * HOUR - timedelta(microseconds=1))
    assert tasks.time_out_due() == 0
    clock.move_to(AT + 24 * HOUR)
    assert [tasks.time_out_due() for _ in range(2)] == [2, 0]
    assert statuses() == ["timed_out"] * 2
    told = Message.objects.filter(kind="request_timed_out").values_list("to_address", flat=True)
    assert sorted(told) == sorted(request.user.email for request in requests)
    assert Event.objects.filter(action="request.timed_out").count() == 2


def test_time_out_due_takes_back_what_was_not_yet_sent(clock):
    holder_of(Role.GLOBAL_ADMINISTRATOR)
    pending()
    clock.move_to(AT + DAY)
    tasks.time_out_due()
    assert list(Message.objects.filter(kind="approval_asked").values_list("state", flat=True)) == ["suppressed"]


def test_time_out_due_goes_on_after_a_row_that_fails(clock, monkeypatch, caplog):
    bad, _good = pending(), pending()
    clock.move_to(AT + DAY)
    time_out = services.time_out

    def fail(*, request, actor):
        if request.pk == bad.pk:
            raise RuntimeError("disk full")
        return time_out(request=request, actor=actor)

    monkeypatch.setattr(tasks, "time_out", fail)
    assert tasks.time_out_due() == 1
    assert statuses() == ["pending_approval", "timed_out"]
    assert "disk full" in caplog.text


def test_start_due_notes_the_start_once(clock):
    request = ask(starts_at=AT + HOUR)
    assert tasks.start_due() == 0
    clock.move_to(AT + HOUR)
    assert [tasks.start_due() for _ in range(2)] == [1, 0]
    assert statuses() == ["provisioned"]
    (event,) = Event.objects.filter(action="assignment.started")
    assert (event.request_id, event.subject_id) == (request.pk, request.user_id)


def test_start_needs_no_worker(clock):
    request = ask(starts_at=AT + HOUR)
    clock.move_to(AT + HOUR)
    assert ActiveAssignment.objects.in_force(AT + HOUR).get() == request.active_assignment


def test_start_due_notes_scheduled_assignments_too(clock):
    actor, role = holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR), RoleFactory()
    for verb in (services.assign_eligible, services.assign_active):
        verb(holder=UserFactory(), role=role, scope=root(), actor=actor, starts_at=AT + DAY, justification="Soon.")
    clock.move_to(AT + DAY)
    assert tasks.start_due() == 2
    assert statuses() == ["provisioned"] * 2


def test_start_due_says_nothing_of_what_was_taken_away_before(clock):
    request = ask(starts_at=AT + HOUR)
    actor = holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR)
    services.remove_eligible(eligible=request.eligible_assignment, actor=actor, justification="Moved on.")
    clock.move_to(AT + HOUR)
    assert [tasks.start_due() for _ in range(2)] == [1, 0]
    assert statuses() == ["revoked", "revoked"]
    assert not Event.objects.filter(action="assignment.started").exists()


def test_worker_late_for_start_and_end_notes_both(clock):
    ask(starts_at=AT + HOUR)
    clock.move_to(AT + 7 * DAY)
    assert (expire_due(), tasks.start_due()) == (1, 1)
    actions = Event.objects.order_by("action").values_list("action", flat=True)
    assert list(actions) == ["activation.requested", "assignment.activated", "assignment.expired", "assignment.started"]
    assert not ActiveAssignment.objects.in_force(AT + 7 * DAY).exists()
