from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from notifications.models import Message

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.mark.parametrize(
    ("state", "seconds", "due"),
    [
        ("queued", 0, True),
        ("queued", 1, False),
        ("sending", 0, True),
        ("sending", 1, False),
        ("sent", 0, False),
        ("failed", 0, False),
        ("suppressed", 0, False),
    ],
)
def test_due(queued, state, seconds, due):
    queued()
    Message.objects.update(state=state, next_attempt_at=NOW + timedelta(seconds=seconds))
    assert Message.objects.due(NOW).exists() is due


@pytest.mark.parametrize(
    ("state", "error", "failing"),
    [("queued", "", False), ("queued", "x", True), ("failed", "x", True), ("sent", "", False), ("sent", "x", False)],
)
def test_failing(queued, state, error, failing):
    queued()
    Message.objects.update(state=state, last_error=error)
    assert Message.objects.failing().exists() is failing


def test_state_is_one_of_the_known(queued):
    queued()
    with pytest.raises(IntegrityError, match="message_state_known"), transaction.atomic():
        Message.objects.update(state="lost")


@pytest.mark.parametrize(
    ("url", "host"), [("https://pim.example.org:8443/x", "pim.example.org"), ("", "localhost"), ("http://h", "h")]
)
def test_message_id_is_the_same_at_every_attempt(queued, settings, url, host):
    settings.BASE_URL = url
    [message] = queued()
    message.refresh_from_db()
    assert message.message_id == f"<{message.pk}@{host}>"


def test_message_reads_as_text(queued):
    [message] = queued()
    message.kind = "gone_since"
    assert [str(each) for each in (*Message.objects.all(), message)] == [
        "Role ended · ana@example.org",
        "gone_since · ana@example.org",
    ]
