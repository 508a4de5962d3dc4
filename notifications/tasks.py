"""Delivery of the mail that is due: at least once, each row by itself, safe to run late, twice or in parallel."""

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from smtplib import SMTPException, SMTPServerDisconnected
from time import monotonic

from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.utils import timezone

from notifications.mail import build, render
from notifications.models import Message
from notifications.snapshot import clean

LEASE = timedelta(minutes=5)  # much longer than one mail can take with EMAIL_TIMEOUT
RUN_SECONDS = 30.0  # well below the time after which the queue kills a task
ATTEMPTS = 20
LONGEST_WAIT = timedelta(hours=6)


def deliver_due() -> int:
    """Send what is due and return how many were sent; what cannot be sent waits, visible, with its cause.

    One connection serves the run. If it cannot be opened, no message pays with an attempt; if it is lost, the one that
    was being sent does, and the rest waits for the next run. A message is sent twice only if this process dies between
    the server's "250 OK" and our own note of it; the Message-ID is the same both times.
    """
    sent = 0
    with closing(get_connection()) as connection:
        for message in _due(until=monotonic() + RUN_SECONDS):
            if not _opened(connection):
                break
            if not _claim(message):
                continue
            error = _send(message, connection)
            sent += error is None
            if _is_lost(error):
                break
    return sent


def _due(*, until: float) -> Iterator[Message]:
    while batch := list(Message.objects.due(timezone.now()).order_by("next_attempt_at", "created_at")[:100]):
        for message in batch:
            if monotonic() > until:
                return
            yield message


def _opened(connection: BaseEmailBackend) -> bool:
    try:
        connection.open()
    except Exception as error:  # a wrong name, a certificate, a password: whatever it is, mail must wait
        waiting = Message.objects.due(timezone.now()).filter(state=Message.State.QUEUED)
        waiting.exclude(last_error=_cause(error)).update(last_error=_cause(error))
        return False
    return True


def _claim(message: Message) -> bool:
    """Lease the message, unless another deliverer was faster: `attempts` moves on with every claim."""
    at = timezone.now()
    claimed = Message.objects.due(at).filter(pk=message.pk, attempts=message.attempts)
    message.attempts += 1
    return bool(claimed.update(state=Message.State.SENDING, attempts=message.attempts, next_attempt_at=at + LEASE))


def _send(message: Message, connection: BaseEmailBackend) -> Exception | None:
    try:
        if message.attempts > ATTEMPTS:
            raise RuntimeError("every process that tried to send it has died")
        words = render(message)
        if not build(message, words, connection).send():
            raise ValueError("there is no address to send it to")
    except Exception as error:  # one bad message never stops the others
        connection.close()
        _put_back(message, error)
        return error
    _settle(message, state=Message.State.SENT, sent_at=timezone.now(), subject=words.subject, last_error="")
    return None


def _put_back(message: Message, error: Exception) -> None:
    wait = min(timedelta(minutes=2 ** (message.attempts - 1)), LONGEST_WAIT)
    given_up = message.attempts >= ATTEMPTS
    _settle(
        message,
        state=Message.State.FAILED if given_up else Message.State.QUEUED,
        next_attempt_at=timezone.now() + wait,
        last_error=_cause(error),
    )


def _settle(message: Message, **changes: object) -> None:
    # Only our own claim: after a lease has run out the message may be somebody else's.
    Message.objects.filter(pk=message.pk, state=Message.State.SENDING, attempts=message.attempts).update(**changes)


def _is_lost(error: Exception | None) -> bool:
    if isinstance(error, SMTPException):
        return isinstance(error, SMTPServerDisconnected) or getattr(error, "smtp_code", None) == 421
    return isinstance(error, OSError)


def _cause(error: Exception) -> str:
    """Kind and text of an error, short; without links, because this is shown to people whom the mail is not for."""
    text = re.sub(r"https?://\S+", "…", " ".join(str(error).split()))
    return clean(f"{type(error).__name__}: {text}")[:300]
