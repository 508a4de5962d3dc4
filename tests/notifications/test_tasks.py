"""Delivery to a real mail server that fails in every phase, and to none at all."""

import email.policy
import re
from datetime import timedelta
from email import message_from_bytes

import pytest
from django.core.mail.backends.locmem import EmailBackend
from django.utils import timezone

from notifications import tasks
from notifications.models import Message
from notifications.tasks import deliver_due

pytestmark = pytest.mark.django_db
State = Message.State


def states():
    return dict(Message.objects.values_list("to_address", "state"))


def make_due():
    Message.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))


def test_deliver_due_sends_everything_over_one_connection(post, queued):
    queued(*[f"p{n}@example.org" for n in range(5)])
    assert deliver_due() == 5
    assert sorted(post.recipients) == [f"p{n}@example.org" for n in range(5)]
    assert post.connections == 1


def test_deliver_due_sends_the_words_of_the_message(post, queued):
    [message] = queued(role="Zoë's role", audience="requestor")
    deliver_due()
    mail = message_from_bytes(post.envelopes[0].content, policy=email.policy.default)
    assert mail["Message-ID"] == message.message_id
    assert mail["Subject"] == "PIM: Zoë's role has ended"
    message.refresh_from_db()
    assert (message.state, message.attempts, message.subject) == (State.SENT, 1, mail["Subject"])
    assert message.sent_at
    assert message.last_error == ""


def test_deliver_due_sends_nothing_twice(post, queued):
    queued()
    assert [deliver_due(), deliver_due()] == [1, 0]
    assert len(post.envelopes) == 1


def test_deliver_due_without_anything_due_does_not_connect(no_post, queued):
    queued()
    Message.objects.update(next_attempt_at=timezone.now() + timedelta(minutes=1))
    assert deliver_due() == 0
    assert Message.objects.get().last_error == ""


@pytest.mark.parametrize("state", [State.SENT, State.FAILED, State.SUPPRESSED])
def test_deliver_due_leaves_settled_messages_alone(post, queued, state):
    queued()
    Message.objects.update(state=state)
    assert deliver_due() == 0
    assert not post.envelopes


# --- a server that is not there, or goes away -----------------------------------------------------------------


def test_deliver_due_without_a_server_costs_no_attempt(no_post, queued):
    queued("a@example.org", "b@example.org")
    assert deliver_due() == 0
    for message in Message.objects.all():
        assert (message.state, message.attempts) == (State.QUEUED, 0)
        assert message.last_error.startswith("ConnectionRefusedError")
    assert Message.objects.due(timezone.now()).count() == 2


def test_deliver_due_goes_on_when_the_server_is_back(no_post, post, queued):
    queued()
    assert deliver_due() == 1
    assert Message.objects.get().last_error == ""


def test_deliver_due_with_a_wrong_password_keeps_everything(post, queued, settings):
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "pim", "very-secret"
    queued()
    assert deliver_due() == 0
    message = Message.objects.get()
    assert (message.state, message.attempts) == (State.QUEUED, 0)
    assert "SMTPNotSupportedError" in message.last_error
    assert "very-secret" not in message.last_error


@pytest.mark.parametrize("answer", ["hang up", "421 closing down"])
def test_deliver_due_ends_when_the_connection_is_lost(post, queued, answer):
    queued(*[f"p{n}@example.org" for n in range(5)])
    post.answers["DATA"] = answer
    assert deliver_due() == 0
    assert sorted(Message.objects.values_list("attempts", flat=True)) == [0, 0, 0, 0, 1]
    post.answers.clear()
    assert deliver_due() == 4
    make_due()
    assert deliver_due() == 1
    assert len(post.recipients) == 5


# --- one message that fails -----------------------------------------------------------------------------------

REFUSALS = {
    "MAIL": "550 sender unknown",
    "RCPT": "550 no such mailbox",
    "DATA": "554 not wanted",
}


@pytest.mark.parametrize(("phase", "answer"), REFUSALS.items())
def test_deliver_due_keeps_what_the_server_refuses(post, queued, phase, answer):
    queued()
    post.answers[phase] = answer
    assert deliver_due() == 0
    message = Message.objects.get()
    assert (message.state, message.attempts) == (State.QUEUED, 1)
    assert answer.split(" ", 1)[1] in message.last_error
    assert message.next_attempt_at > timezone.now()


@pytest.mark.parametrize(
    ("phase", "answer"), [(phase, answer) for phase, answer in REFUSALS.items() if phase != "MAIL"]
)
def test_deliver_due_goes_on_after_a_refused_message(post, queued, phase, answer):
    queued("a@example.org", "bad@example.org", "c@example.org")
    post.answers[phase, "bad@example.org"] = answer
    assert deliver_due() == 2
    assert states() == {"a@example.org": "sent", "bad@example.org": "queued", "c@example.org": "sent"}


def test_deliver_due_connects_again_when_a_refusal_closed_the_line(post, queued):
    queued("bad@example.org", "a@example.org", "b@example.org")
    post.answers["RCPT", "bad@example.org"] = "421 not you"
    assert deliver_due() == 2
    assert states()["bad@example.org"] == "queued"


BAD = [
    ("kind", "unknown_kind", "TemplateDoesNotExist: emails/unknown_kind.subject.txt"),
    ("context", '{"ended_at": "soon"}', "ValueError: Invalid isoformat string: 'soon'"),
    ("context", '{"duration": "long", "ended_at": [1]}', "TypeError"),
    ("context", '{"__cause__": "RecursionError()"}', "Unreadable: RecursionError()"),
    ("context", "no JSON", "JSONDecodeError"),
    ("to_address", "", "ValueError: there is no address to send it to"),
    ("to_address", "a@b.example, c@d.example", "ValueError"),
]


@pytest.mark.parametrize(("field", "value", "cause"), BAD, ids=range(len(BAD)))
def test_deliver_due_goes_on_after_a_message_that_cannot_be_written(post, queued, field, value, cause):
    bad, *_ = queued("bad@example.org", "a@example.org", "b@example.org")
    Message.objects.filter(pk=bad.pk).update(**{field: value})
    assert deliver_due() == 2
    bad.refresh_from_db()
    assert (bad.state, bad.attempts) == (State.QUEUED, 1)
    assert bad.last_error.startswith(cause)
    assert sorted(post.recipients) == ["a@example.org", "b@example.org"]


def test_deliver_due_shows_the_cause_of_a_template_that_fails(post, queued, settings, tmp_path):
    (tmp_path / "emails").mkdir()
    (tmp_path / "emails" / "role_ended.subject.txt").write_text("{% include 'emails/gone.txt' %}")
    settings.TEMPLATES = [settings.TEMPLATES[0] | {"DIRS": [tmp_path, *settings.TEMPLATES[0]["DIRS"]]}]
    queued()
    assert deliver_due() == 0
    assert Message.objects.get().last_error == "TemplateDoesNotExist: emails/gone.txt"


def test_deliver_due_keeps_links_out_of_the_cause(post, queued):
    queued(ended_at="https://pim.example/enrol/secret/")
    deliver_due()
    assert Message.objects.get().last_error == "ValueError: Invalid isoformat string: '…"


@pytest.mark.parametrize(("attempts", "minutes"), [(0, 1), (1, 2), (2, 4), (7, 128), (8, 256), (9, 360), (18, 360)])
def test_deliver_due_waits_longer_each_time(post, queued, attempts, minutes):
    queued()
    Message.objects.update(attempts=attempts)
    post.answers["DATA"] = "451 later"
    before = timezone.now()
    deliver_due()
    message = Message.objects.get()
    assert message.state == State.QUEUED
    assert before <= message.next_attempt_at - timedelta(minutes=minutes) <= timezone.now()


def test_deliver_due_gives_up_visibly_after_twenty_attempts(post, queued):
    queued()
    post.answers["DATA"] = "451 later"
    for _ in range(20):
        make_due()
        deliver_due()
    message = Message.objects.get()
    assert (message.state, message.attempts) == (State.FAILED, 20)
    assert "later" in message.last_error
    make_due()
    assert deliver_due() == 0
    assert list(Message.objects.failing()) == [message]


def test_deliver_due_gives_up_what_kills_its_deliverers(post, queued):
    queued()
    Message.objects.update(state=State.SENDING, attempts=20)
    assert deliver_due() == 0
    assert Message.objects.get().state == State.FAILED
    assert not post.envelopes


# --- several deliverers ---------------------------------------------------------------------------------------


def test_claim_is_given_once(queued):
    [message] = queued()
    same = Message.objects.get()
    assert tasks._claim(message) is True
    assert tasks._claim(same) is False
    assert Message.objects.get().attempts == 1


def test_claim_is_refused_for_what_another_has_tried_meanwhile(queued):
    [stale] = queued()
    tasks._claim(other := Message.objects.get())
    tasks._put_back(other, ValueError("no"))
    make_due()
    assert tasks._claim(stale) is False
    assert Message.objects.get().attempts == 1


def test_claim_is_refused_for_what_was_suppressed_meanwhile(queued):
    [message] = queued()
    Message.objects.update(state=State.SUPPRESSED)
    assert tasks._claim(message) is False


def test_deliver_due_leaves_what_another_is_sending(post, queued):
    [message] = queued()
    assert tasks._claim(message)
    assert deliver_due() == 0
    assert not post.envelopes


def test_deliver_due_takes_over_when_a_lease_has_run_out(post, queued):
    [message] = queued()
    assert tasks._claim(message)
    make_due()
    assert deliver_due() == 1
    assert re.fullmatch(r"<\S+@\S+>", message_from_bytes(post.envelopes[0].content)["Message-ID"])


def test_late_deliverer_does_not_settle_what_another_has_claimed(queued):
    [late] = queued()
    tasks._claim(late)
    make_due()
    tasks._claim(Message.objects.get())
    tasks._put_back(late, ValueError("late"))
    assert (Message.objects.get().state, Message.objects.get().last_error) == (State.SENDING, "")


class Slow(EmailBackend):
    """Each mail takes the time of a whole run."""

    def send_messages(self, messages):
        tasks.monotonic = lambda: float("inf")
        return super().send_messages(messages)


def test_deliver_due_ends_in_time_and_leaves_the_rest(queued, settings, monkeypatch):
    monkeypatch.setattr(tasks, "monotonic", tasks.monotonic)
    settings.EMAIL_BACKEND = f"{__name__}.Slow"
    queued("a@example.org", "b@example.org")
    assert deliver_due() == 1
    assert sorted(states().values()) == ["queued", "sent"]
