from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import transaction
from django.utils import timezone

from notifications.models import Message
from notifications.services import SendAgainRefused, gathered, queue, send_again, suppress
from tests.notifications.test_snapshot import Broken

pytestmark = pytest.mark.django_db


@pytest.mark.django_db(transaction=True)
def test_queue_refuses_outside_a_transaction():
    with pytest.raises(RuntimeError, match="transaction"):
        queue("role_ended", to=["ana@example.org"], context={})
    assert not Message.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_queue_goes_with_its_transaction():
    with transaction.atomic():
        queue("role_ended", to=["ana@example.org"], context={})
        transaction.set_rollback(True)
    assert not Message.objects.exists()


def test_queue_writes_what_delivery_needs(make_person):
    person = make_person(time_zone="Asia/Kolkata")
    about = make_person("about")
    [message] = queue("role_ended", to=[person], about=about, context={"role": "Backup"})
    message.refresh_from_db()
    assert (message.kind, message.to_address, message.to_name) == ("role_ended", "ana@example.org", "Ana")
    assert (message.user_id, message.about_id, message.time_zone) == (person.pk, about.pk, "Asia/Kolkata")
    assert (message.state, message.attempts, message.language) == (Message.State.QUEUED, 0, "en")
    assert Message.objects.due(timezone.now()).get() == message


def test_queue_takes_plain_addresses(settings):
    settings.DEFAULT_TIME_ZONE = "Europe/Berlin"
    about = uuid4()
    [message] = queue("role_ended", to=["  team@example.org "], about=about, context={})
    assert (message.to_address, message.user_id, message.to_name) == ("team@example.org", None, "")
    assert (message.time_zone, message.about_id) == ("Europe/Berlin", about)


def test_queue_leaves_out_disabled_people_and_repeated_addresses(make_person):
    people = [make_person(), make_person("off", is_active=False), "ANA@example.org", make_person("kim")]
    messages = queue("role_ended", to=(each for each in people), context={})
    assert [message.to_address for message in messages] == ["ana@example.org", "kim@example.org"]


def test_gathered_messages_are_one_statement_at_the_end(django_assert_num_queries):
    with gathered(), django_assert_num_queries(0):
        for name in ("ana", "kim", "lou"):
            queue("role_ended", to=[f"{name}@example.org"], context={"role": name})
    written = Message.objects.order_by("to_address").values_list("to_address", "state")
    assert list(written) == [(f"{name}@example.org", Message.State.QUEUED) for name in ("ana", "kim", "lou")]


def test_gathered_messages_of_what_failed_are_not_written():
    def fail():
        with gathered():
            queue("role_ended", to=["ana@example.org"], context={})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    queue("role_ended", to=["kim@example.org"], context={})
    assert [message.to_address for message in Message.objects.all()] == ["kim@example.org"]


def test_queue_to_nobody_writes_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert queue("role_ended", to=[], context={}) == []


def test_queue_is_one_statement_for_all(django_assert_num_queries):
    with django_assert_num_queries(1):
        queue("role_ended", to=[f"p{n}@example.org" for n in range(30)], context={})


def test_queue_does_not_repeat_a_deduplication_key(person):
    first = queue("role_ended", to=[person], context={}, dedup="ended:1")
    second = queue("role_ended", to=[person, "team@example.org"], context={}, dedup="ended:1")
    assert [message.to_address for message in first + second] == ["ana@example.org", "team@example.org"]
    assert Message.objects.count() == 2


def test_queue_goes_on_in_its_transaction_after_a_repeated_key(person):
    with transaction.atomic():
        queue("role_ended", to=[person], context={}, dedup="ended:1")
        queue("role_ended", to=[person], context={}, dedup="ended:1")
        queue("role_ended", to=[person], context={}, dedup="ended:2")
    assert Message.objects.count() == 2


def test_queue_does_not_repeat_a_key_for_an_address_in_other_letters():
    queue("role_ended", to=["Team@example.org"], context={}, dedup="ended:1")
    assert queue("role_ended", to=["team@EXAMPLE.org"], context={}, dedup="ended:1") == []


def test_queue_keeps_long_keys_apart():
    for end in ("a", "b", "b"):
        queue("role_ended", to=["team@example.org"], context={}, dedup="k" * 1000 + end)
    assert Message.objects.count() == 2


CONTENTS = [{"role": Broken()}, {"\x00\ud800": "\x00\udfff"}, {1: object()}, {"deep": [[[[{}]]]]}, {"n": float("nan")}]


@pytest.mark.parametrize("context", CONTENTS, ids=range(len(CONTENTS)))
def test_queue_never_fails_for_its_content(context):
    assert queue("role_ended", to=["team@example.org"], context=context)
    assert Message.objects.get().state == Message.State.QUEUED


def test_queue_never_fails_for_its_recipient(make_person):
    person = make_person()
    person.email, person.display_name, person.time_zone = "a\x00\ud800" * 200, "\x00" * 500, "x\ud800" * 100
    assert queue("role_ended", to=[person, ""], context={}, dedup="\x00\ud800")
    assert Message.objects.count() == 2


def test_suppress_takes_back_what_waits():
    about = uuid4()
    [waiting] = queue("approval_asked", to=["a@example.org"], about=about, context={})
    [sent] = queue("approval_asked", to=["b@example.org"], about=about, context={})
    Message.objects.filter(pk=sent.pk).update(state=Message.State.SENT)
    queue("approval_asked", to=["a@example.org"], about=uuid4(), context={})
    queue("role_ended", to=["a@example.org"], about=about, context={})
    assert suppress("approval_asked", about=about) == 1
    assert Message.objects.get(state=Message.State.SUPPRESSED) == waiting
    assert suppress("approval_asked", about=about) == 0


@pytest.fixture
def given_up(queued):
    [message] = queued()
    Message.objects.update(state=Message.State.FAILED, attempts=20, next_attempt_at=timezone.now() + timedelta(days=1))
    return message


def allow(person, monkeypatch, *permissions):
    monkeypatch.setattr(person, "has_perm", permissions.__contains__)
    return person


def test_send_again_queues_with_all_attempts(given_up, person, monkeypatch):
    send_again(message=given_up, actor=allow(person, monkeypatch, "notifications.resend_message"))
    message = Message.objects.due(timezone.now()).get()
    assert (message.state, message.attempts) == (Message.State.QUEUED, 0)


def test_send_again_refused_without_permission(given_up, person, monkeypatch):
    with pytest.raises(SendAgainRefused) as refusal:
        send_again(message=given_up, actor=allow(person, monkeypatch, "notifications.view_message"))
    assert refusal.value.code == "not_permitted"
    assert Message.objects.get().state == Message.State.FAILED


@pytest.mark.parametrize("state", ["queued", "sending", "sent", "suppressed"])
def test_send_again_refused_unless_given_up(given_up, person, monkeypatch, state):
    Message.objects.update(state=state)
    with pytest.raises(SendAgainRefused) as refusal:
        send_again(message=given_up, actor=allow(person, monkeypatch, "notifications.resend_message"))
    assert refusal.value.code == "not_failed"
    assert Message.objects.get().state == state
