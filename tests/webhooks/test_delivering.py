"""Messages to other systems: against a real server that refuses, says nothing and comes back, checked by the library
that receivers use."""

import json
from datetime import timedelta

import pytest
import time_machine
from django.utils.timezone import now
from standardwebhooks.webhooks import Webhook

from accounts.models import User
from approvals import services as approvals
from approvals.tasks import start_due
from assignments.tasks import expire_due
from audit.models import Event
from pim_site.duties import tasks_due
from roles.models import Role
from tests.factories import (
    ActiveFactory,
    DeliveryFactory,
    EligibleFactory,
    RequestFactory,
    RoleFactory,
    SubscriptionFactory,
    UserFactory,
    holder_of,
)
from tests.listener import SILENCE, listening
from tests.refusals import refused
from webhooks import services
from webhooks.models import KEPT, LATE, Attempt, Delivery, Notice, untold
from webhooks.rules import ATTEMPTS, PAUSES
from webhooks.services.delivering import LEASE
from webhooks.tasks import deliver_due, forget_due

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def opened(settings):
    settings.OUTGOING_NETWORKS, settings.OUTGOING_HTTP = ["127.0.0.0/8"], True


@pytest.fixture
def listener(opened):
    with listening() as listener:
        yield listener


@pytest.fixture
def clock():
    with time_machine.travel(now(), tick=False) as clock:
        yield clock


def subscribed(listener, **differs):
    """A subscription to this listener, and its secret as it was shown."""
    row = SubscriptionFactory(url=listener.url(), **differs)
    return row, services.renew_subscription_secret(subscription=row, actor=None)


def activate(**role):
    eligible = EligibleFactory(role=RoleFactory(**role))
    return approvals.activate(eligible=eligible, actor=eligible.user, duration=HOUR, justification="Stuck.")


def heard(listener, *secrets):
    """What arrived: (id, type) of each message, once every signature was found right by the library."""
    for _path, headers, body in listener.asked:
        with time_machine.travel(int(headers["webhook-timestamp"])):  # the library looks at the time as well
            for secret in secrets:
                Webhook(secret).verify(body, headers)
    return [(headers["webhook-id"], json.loads(body)["type"]) for _path, headers, body in listener.asked]


def kinds(listener):
    return [json.loads(body)["type"] for _path, _headers, body in listener.asked]


def test_message_says_what_happened_and_is_signed(listener):
    _row, secret = subscribed(listener)
    request = activate()

    assert deliver_due() == 2

    assert sorted(kind for _id, kind in heard(listener, secret)) == ["assignment.started", "request.created"]
    started = next(json.loads(body) for _path, _headers, body in listener.asked if b'"assignment.started"' in body)
    event = Event.objects.get(action="assignment.activated")
    assert started["timestamp"] == event.facts["at"]
    names = ["actor", "subject", "role", "scope", "request", "target", "ticket", "justification", "before", "after"]
    told = {name: event.facts[name] for name in names}
    assert started["data"] == {"audit_event": event.pk, "action": "assignment.activated"} | told
    assert started["data"]["target"]["id"] == str(request.active_assignment.pk)


def decided_by_approver(verdict):
    approver = UserFactory()
    request = activate(settings__approval_required=True, settings__approvers=[approver])
    verdict(request=request, actor=approver, justification="Seen.")


def ended():
    active = ActiveFactory(ends_at=now() - HOUR, starts_at=now() - 2 * HOUR)
    assert expire_due() == 1
    return active


def assigned(**dates):
    role = RoleFactory()
    approvals.assign_active(
        holder=UserFactory(),
        role=role,
        scope=role.resource,
        actor=None,
        ends_at=now() + timedelta(days=9),
        justification="Takes over.",
        **dates,
    )


COURSES = {
    "activated": (activate, ["assignment.started", "request.created"]),
    "approved": (
        lambda: decided_by_approver(approvals.approve),
        ["assignment.started", "request.created", "request.decided"],
    ),
    "denied": (lambda: decided_by_approver(approvals.deny), ["request.created", "request.decided"]),
    "expired": (ended, ["assignment.ended"]),
    "assigned": (assigned, ["assignment.started"]),
    "assigned for later": (lambda: assigned(starts_at=now() + timedelta(days=1)), []),
}


@pytest.mark.parametrize("course", COURSES)
def test_what_is_told_of_what_happens(listener, course):
    subscribed(listener)
    happens, told = COURSES[course]
    happens()

    deliver_due()

    assert sorted(kinds(listener)) == told


def test_first_yes_of_two_is_not_told_as_a_decision(listener):
    first, second = UserFactory(), UserFactory()
    stages = {"settings__approvers": [first, second], "settings__approval_required": True}
    role = RoleFactory(**stages)
    stage = role.settings.get().stages.get()
    type(stage).objects.update(quorum=2)
    request = RequestFactory(eligible_assignment=EligibleFactory(role=role))
    subscribed(listener, kinds="request.decided")
    approvals.approve(request=request, actor=first, justification="Seen.")
    deliver_due()
    before = kinds(listener)

    approvals.approve(request=request, actor=second, justification="Seen too.")
    deliver_due()

    assert (before, kinds(listener)) == ([], ["request.decided"])


def test_scheduled_start_is_told_when_it_comes(listener, clock):
    subscribed(listener)
    assigned(starts_at=now() + HOUR)
    deliver_due()
    clock.shift(2 * HOUR)
    assert start_due() == 1
    deliver_due()

    assert kinds(listener) == ["assignment.started"]


def test_subscription_hears_what_it_asked_for_from_its_beginning_on(listener, clock):
    activate()
    clock.shift(1)
    subscribed(listener, kinds="request.created")
    clock.shift(1)
    activate()

    deliver_due()

    assert kinds(listener) == ["request.created"]


def test_refused_attempt_is_not_told(listener):
    subscribed(listener)
    eligible, stranger = EligibleFactory(), UserFactory()
    with refused("not_eligible"):
        approvals.activate(eligible=eligible, actor=stranger, duration=HOUR, justification="Stuck.")

    assert (deliver_due(), kinds(listener)) == (0, [])


def test_nothing_is_lost_and_duplicates_have_one_id(listener, clock, monkeypatch):
    """The receiver says nothing in time, fails, and takes a message whose answer is lost: all come, some twice."""
    monkeypatch.setattr("webhooks.services.delivering.SECONDS", 0.2)
    _row, secret = subscribed(listener)
    listener.answers = [
        SILENCE,
        (500, b"", {}),
        (302, b"", {"Location": "/elsewhere"}),
        (200, b"", {"Content-Length": "9"}),
    ]
    listener.answers += [(204, b"", {})]
    activate()
    expected = set()
    for pause in (timedelta(0), *PAUSES[:4]):
        clock.shift(pause)
        deliver_due()
        expected = {notice.message_id for notice in Notice.objects.all()}

    arrived = heard(listener, secret)
    taken = list(Delivery.objects.values_list("state", flat=True))
    assert ({ident for ident, _kind in arrived}, taken) == (expected, ["delivered", "delivered"])
    assert len(arrived) == 6
    outcomes = sorted(Attempt.objects.values_list("outcome", flat=True))
    assert outcomes == ["http_204", "http_204", "http_302", "http_500", "malformed", "timed_out"]


def test_receiver_that_says_nothing_keeps_nobody_else_waiting(opened, clock, monkeypatch):
    monkeypatch.setattr("webhooks.services.delivering.SECONDS", 0.2)
    with listening() as silent, listening() as other:
        silent.silent.clear()
        subscribed(silent, name="A")
        subscribed(other, name="B")
        activate()
        assert deliver_due() == 2

    assert len(silent.asked) == 1
    assert sorted(kinds(other)) == ["assignment.started", "request.created"]
    assert set(Attempt.objects.values_list("outcome", flat=True)) == {"timed_out", "http_200"}


def test_message_is_given_up_after_three_days_and_sent_again_by_hand(listener, clock):
    row, _secret = subscribed(listener, kinds="request.created")
    listener.then(500)
    activate()
    began = now()
    for pause in (timedelta(0), *PAUSES):
        clock.shift(pause)
        assert deliver_due() == 0
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts, delivery.log.count()) == ("given_up", ATTEMPTS, ATTEMPTS)
    assert timedelta(days=2, hours=22) < now() - began <= timedelta(days=3)
    row.refresh_from_db()
    assert row.failing_since == began
    assert tasks_due(now()) & {"webhooks.tasks.deliver_due"} == set()

    listener.then(204)
    services.send_again(delivery=delivery, actor=holder_of(Role.GLOBAL_ADMINISTRATOR))
    assert deliver_due() == 1

    assert {ident for ident, _kind in heard(listener)} == {delivery.notice.message_id}
    delivery.refresh_from_db()
    row.refresh_from_db()
    assert (delivery.state, row.failing_since) == ("delivered", None)


def test_message_that_waits_is_not_queued_twice():
    delivery, actor = DeliveryFactory(), holder_of(Role.GLOBAL_ADMINISTRATOR)

    with refused("still_waiting"):
        services.send_again(delivery=delivery, actor=actor)


def test_delivery_whose_worker_died_is_due_again(listener, clock):
    subscribed(listener, kinds="request.created")
    activate()
    services.collect()
    (delivery,) = Delivery.objects.due(now())
    claimed = services.delivering._claim(delivery, 1, now())

    assert (claimed, deliver_due()) == (True, 0)
    clock.shift(LEASE)
    assert deliver_due() == 1
    assert Delivery.objects.get().attempts == 2


def test_claim_taken_by_another_is_not_sent(listener):
    subscribed(listener, kinds="request.created")
    activate()
    services.collect()
    (delivery,) = Delivery.objects.due(now())

    assert [services.deliver(delivery=delivery) for _worker in range(2)] == [True, None]
    assert len(listener.asked) == 1


def test_event_committed_late_is_still_told(listener, clock):
    """What is written in a long transaction has an earlier time, and may have an earlier key, than what was seen."""
    subscribed(listener, kinds="request.created")
    clock.shift(LATE)
    activate()
    deliver_due()
    late = Event.objects.get(action="activation.requested")
    Event.objects.bulk_create([type(late)(**_columns(late) | {"pk": late.pk - 1000, "at": now() - LATE / 2})])

    assert deliver_due() == 1
    assert len({ident for ident, _kind in heard(listener)}) == 2


def _columns(event):
    return {field.attname: getattr(event, field.attname) for field in event._meta.concrete_fields}


def test_two_workers_that_collect_at_once_make_each_notice_once(listener, monkeypatch):
    subscribed(listener)
    activate()
    both = list(untold(now()))
    assert services.collect() == len(both)

    monkeypatch.setattr(services.delivering, "untold", lambda at: both)
    assert services.collect() == len(both)

    assert (Notice.objects.count(), Delivery.objects.count()) == (2, 2)


@pytest.mark.parametrize(
    ("breaks", "outcome"),
    [
        (lambda row: User.objects.filter(pk=row.owner_id).update(is_active=False), "owner_disabled"),
        (lambda row: type(row).objects.update(secret="gAAAA"), "secret_unreadable"),
        (lambda row: type(row).objects.update(url="http://192.168.0.1/"), "address_refused"),
    ],
    ids=["owner disabled", "key lost", "private address"],
)
def test_nothing_is_sent_where_it_must_not_be(listener, breaks, outcome):
    row, _secret = subscribed(listener)
    activate()
    breaks(row)

    assert deliver_due() == 0

    assert (listener.asked, Attempt.objects.get().outcome) == ([], outcome)


def test_disabled_subscription_is_sent_what_waits_and_not_what_happened_meanwhile(listener, clock):
    row, _secret = subscribed(listener, kinds="request.created")
    activate()
    services.collect()
    services.disable_subscription(subscription=row, actor=None)
    clock.shift(1)
    activate()
    meanwhile = deliver_due()
    clock.shift(1)
    services.enable_subscription(subscription=row, actor=None)

    assert (meanwhile, deliver_due(), len(listener.asked)) == (0, 1, 1)


def test_both_secrets_sign_while_one_is_replaced(listener):
    row, first = subscribed(listener, kinds="request.created")
    second = services.renew_subscription_secret(subscription=row, actor=None)
    activate()
    deliver_due()

    assert len(heard(listener, first, second)) == 1


def test_nothing_is_looked_for_while_nobody_listens(django_assert_num_queries):
    activate()

    with django_assert_num_queries(1):
        assert not untold(now()).exists()


def test_what_is_over_is_forgotten_and_not_told_anew(listener, clock):
    subscribed(listener, kinds="request.created")
    activate()
    deliver_due()
    waiting = DeliveryFactory()
    clock.shift(KEPT + timedelta(seconds=1))

    assert (forget_due(), list(Notice.objects.all())) == (2, [waiting.notice])
    assert (untold(now()).count(), len(listener.asked)) == (0, 1)
