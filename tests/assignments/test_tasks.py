from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from assignments import services, tasks
from assignments.models import ActiveAssignment, EligibleAssignment
from audit.models import Event
from notifications.models import Message
from roles.mails import default_notifications
from roles.models import Role
from tests.factories import ActivationFactory, ActiveFactory, EligibleFactory, RoleFactory, UserFactory, holder_of

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 21, 18, 40, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(AT, tick=False) as clock:
        yield clock


def events():
    return sorted(Event.objects.values_list("action", "outcome", "actor_label"))


def mails():
    return sorted(Message.objects.values_list("kind", "to_address"))


def test_expire_due_closes_at_the_end_and_not_before(clock):
    active = ActivationFactory(ends_at=AT + HOUR)
    clock.move_to(AT + HOUR - timedelta(microseconds=1))
    assert tasks.expire_due() == 0
    clock.move_to(AT + HOUR)
    assert tasks.expire_due() == 1
    active.refresh_from_db()
    assert (active.ended_at, active.end_reason) == (AT + HOUR, "expired")


def test_expire_due_late_closes_at_the_time_of_the_end(clock):
    active = ActivationFactory(ends_at=AT + HOUR)
    clock.move_to(AT + 9 * DAY)
    assert tasks.expire_due() == 1
    active.refresh_from_db()
    assert active.ended_at == AT + HOUR


def test_expire_due_twice_leaves_one_event_and_one_mail(clock):
    active = ActivationFactory(ends_at=AT + HOUR)
    clock.move_to(AT + HOUR)
    assert [tasks.expire_due() for _ in range(3)] == [1, 0, 0]
    assert events() == [("assignment.expired", "success", "System")]
    assert mails() == [("role_ended", active.user.email)]


@pytest.mark.parametrize(
    ("factory", "action"), [(ActiveFactory, "assignment.expired"), (EligibleFactory, "eligible.expired")]
)
def test_expire_due_tells_the_holder_and_the_administrators(factory, action):
    administrator = holder_of(Role.GLOBAL_ADMINISTRATOR, username="zz")
    row = factory(starts_at=AT - DAY, ends_at=AT)
    tasks.expire_due()
    assert events() == [(action, "success", "System")]
    assert mails() == [("assignment_expired", row.user.email), ("assignment_expired", administrator.email)]


def test_expire_due_leaves_what_was_ended_by_hand(clock):
    active = ActivationFactory(ends_at=AT + HOUR)
    services.end(active=active, actor=active.user, reason="deactivated")
    clock.move_to(AT + HOUR)
    assert tasks.expire_due() == 0
    active.refresh_from_db()
    assert (active.ended_at, active.end_reason) == (AT, "deactivated")


def test_expire_due_goes_on_after_a_row_that_fails(monkeypatch, caplog):
    bad, good = (ActiveFactory(starts_at=AT - DAY, ends_at=AT) for _ in range(2))
    expire = services.expire_active

    def expire_good(*, active, actor):
        if active.pk == bad.pk:
            raise RuntimeError("disk full")
        return expire(active=active, actor=actor)

    monkeypatch.setattr(tasks, "expire_active", expire_good)
    assert tasks.expire_due() == 1
    assert list(ActiveAssignment.objects.due(AT)) == [bad]
    assert good.pk != bad.pk
    assert "disk full" in caplog.text


def test_expire_due_of_eligibility_and_activation_at_the_same_second():
    eligible = EligibleFactory(starts_at=AT - DAY, ends_at=AT)
    ActivationFactory(eligible_assignment=eligible, starts_at=AT - HOUR, ends_at=AT)
    assert tasks.expire_due() == 2
    assert [action for action, *_rest in events()] == ["assignment.expired", "eligible.expired"]


def test_remind_due_says_it_14_days_and_1_day_before(clock):
    EligibleFactory(starts_at=AT - 60 * DAY, ends_at=AT + 20 * DAY)
    sent = []
    for day in range(20):
        clock.move_to(AT + day * DAY)
        sent.append(tasks.remind_due())
    assert [day for day, count in enumerate(sent) if count] == [6, 19]


def test_remind_due_after_an_outage_sends_the_nearer_notice_only(clock):
    row = EligibleFactory(starts_at=AT - 60 * DAY, ends_at=AT + 20 * DAY)
    clock.move_to(AT + 19.5 * DAY)
    assert [tasks.remind_due() for _ in range(2)] == [1, 0]
    assert mails() == [("assignment_expiring", row.user.email)]
    row.refresh_from_db()
    assert row.reminded_days == 1


def test_worker_a_week_late_tells_of_the_end_and_reminds_of_nothing(clock):
    row = EligibleFactory(starts_at=AT - 60 * DAY, ends_at=AT + DAY)
    clock.move_to(AT + 7 * DAY)
    assert (tasks.remind_due(), tasks.expire_due(), tasks.remind_due()) == (0, 1, 0)
    assert mails() == [("assignment_expired", row.user.email)]


def test_remind_due_leaves_out_activations_and_what_is_permanent():
    ActivationFactory(ends_at=AT + HOUR)
    EligibleFactory()
    ActiveFactory()
    assert tasks.remind_due() == 0


def test_remind_due_tells_as_far_as_the_settings_say():
    cells = default_notifications()
    cells["eligible_assigned"]["requestor"]["default"] = False
    administrator = holder_of(Role.GLOBAL_ADMINISTRATOR)
    role = RoleFactory(settings__notifications=cells)
    EligibleFactory(role=role, starts_at=AT - 60 * DAY, ends_at=AT + DAY, user=UserFactory())
    assert tasks.remind_due() == 1
    assert mails() == [("assignment_expiring", administrator.email)]
    assert EligibleAssignment.objects.get().reminded_days == 1
