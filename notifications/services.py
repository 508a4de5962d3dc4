"""What is written to the outbox, and by whom. Nothing is sent here."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from hashlib import sha256
from typing import Any, Protocol
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Model
from django.utils import timezone
from django.utils.translation import gettext as _

from notifications.mail import subject_of
from notifications.models import Kind, Message
from notifications.rules import may_wait, next_morning, zone_of
from notifications.snapshot import clean, decode, encode

# Nobody reads more of one mail; how many there were besides is said.
LONGEST_DIGEST = 100

# Databases take only so many values in a statement.
WRITTEN_AT_ONCE = 500
_gathered: ContextVar[list[Message] | None] = ContextVar("gathered", default=None)


class Recipient(Protocol):
    """A person with an address; `is_active`, `language` and `daily_digest` are looked at where they exist."""

    @property
    def pk(self) -> Any: ...
    @property
    def email(self) -> str: ...
    @property
    def display_name(self) -> str: ...
    @property
    def time_zone(self) -> str: ...


class SendAgainRefused(ValidationError):
    """Codes: not_permitted, not_failed."""


def queue(
    kind: str,
    *,
    to: Iterable[Recipient | str],
    about: Model | UUID | None = None,
    context: Mapping[str, Any],
    dedup: str | None = None,
) -> list[Message]:
    """Write one message for each recipient into the present transaction; returns those that are new.

    `to` holds people and plain addresses; disabled people and repeated addresses are left out. With `dedup`, who has a
    message of that key already gets no second one. What may wait, by its kind and by the `audience` in its content, is
    held for those who want a digest. Content never makes it fail; RuntimeError outside a transaction.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("a message belongs into the transaction of what it tells")
    recipients = list(_distinct(to))
    if not recipients:
        return []
    common = {"kind": kind, "about_id": getattr(about, "pk", about), "context": encode(context)}
    common["created_at"] = at = timezone.now()
    # A file for the calendar has no place in a digest.
    patient = may_wait(kind, str(context.get("audience", ""))) and not context.get("calendar")
    messages = [
        Message(**common, **_addressed(each), **_turn(each, patient, at), dedup_key=_key(dedup, each))
        for each in recipients
    ]
    if dedup is None:
        return _write(messages)
    Message.objects.bulk_create(messages, ignore_conflicts=True)
    return list(Message.objects.filter(pk__in=[message.pk for message in messages]))


@contextmanager
def gathered() -> Iterator[None]:
    """Write the messages that are queued in the block at its end, many at a time; none, if it is left by an error.

    Those with a `dedup` key are written at once, as ever: their answer says which are new.
    """
    messages = list[Message]()
    token = _gathered.set(messages)
    try:
        yield
    finally:
        _gathered.reset(token)
    Message.objects.bulk_create(messages, batch_size=WRITTEN_AT_ONCE)


def _write(messages: list[Message]) -> list[Message]:
    waiting = _gathered.get()
    if waiting is None:
        return Message.objects.bulk_create(messages)
    waiting += messages
    return messages


def suppress(*kinds: str, about: Model | UUID) -> int:
    """Take back what waits of these kinds about that object, because it is no longer true; returns how many."""
    unsent = (Message.State.QUEUED, Message.State.HELD)
    waiting = Message.objects.filter(kind__in=kinds, about_id=getattr(about, "pk", about), state__in=unsent)
    return waiting.update(state=Message.State.SUPPRESSED)


def send_digest(*, to: Recipient, url: str, at: datetime) -> Message | None:
    """Make one mail of what was held for a person until `at`; None if nothing was, or if they are disabled by now.

    Each held message is in one digest at most: it leaves the state of being held in the transaction of its digest.

    Args:
        url: where they choose what they get.
    """
    with transaction.atomic():
        held = list(Message.objects.gathering(at).filter(user_id=to.pk).select_for_update())
        is_told = getattr(to, "is_active", True)
        state = Message.State.GATHERED if is_told else Message.State.SUPPRESSED
        Message.objects.filter(pk__in=[message.pk for message in held]).update(state=state)
        if not held or not is_told:
            return None
        held.sort(key=lambda message: message.created_at)
        shown = held[:LONGEST_DIGEST]
        context = {"items": [_line(message) for message in shown], "count": len(held), "url": url}
        return queue(Kind.DIGEST, to=[to], context=context | {"more": len(held) - len(shown)})[0]


def _line(message: Message) -> dict[str, Any]:
    """What a digest says of one message, whatever is wrong with it."""
    line = {"created_at": message.created_at, "subject": message.kind_label}
    try:
        return line | {"subject": subject_of(message), "url": decode(message.context).get("url", "")}
    except Exception:  # as delivery does, which would put such a message aside by itself
        return line


def send_again(*, message: Message, actor: Any) -> None:
    """Queue a message that was given up, with all its attempts. Raises SendAgainRefused."""
    if not actor.has_perm("notifications.resend_message"):
        raise SendAgainRefused(_("You may not send mails again."), code="not_permitted")
    failed = Message.objects.filter(pk=message.pk, state=Message.State.FAILED)
    if not failed.update(state=Message.State.QUEUED, attempts=0, next_attempt_at=timezone.now()):
        raise SendAgainRefused(_("Only a mail that has failed can be sent again."), code="not_failed")


def _distinct(to: Iterable[Recipient | str]) -> Iterator[Recipient | str]:
    seen: set[str] = set()
    for each in to:
        address = _address(each).casefold()
        if address in seen or not getattr(each, "is_active", True):
            continue
        seen.add(address)
        yield each


def _turn(recipient: Recipient | str, patient: bool, at: datetime) -> dict[str, Any]:
    """When it is sent, and how: at once, or in the digest of the next morning."""
    if patient and getattr(recipient, "daily_digest", False):
        zone = zone_of(_addressed(recipient)["time_zone"])
        return {"state": Message.State.HELD, "next_attempt_at": next_morning(at, zone)}
    return {"next_attempt_at": at}


def _address(recipient: Recipient | str) -> str:
    return clean(recipient if isinstance(recipient, str) else str(recipient.email or "")).strip()


def _addressed(recipient: Recipient | str) -> dict[str, Any]:
    person = None if isinstance(recipient, str) else recipient
    return {
        "to_address": _address(recipient),
        "to_name": clean(person.display_name or "") if person else "",
        "user_id": person.pk if person else None,
        "time_zone": clean(str((person and person.time_zone) or settings.DEFAULT_TIME_ZONE))[:64],
        "language": clean(getattr(person, "language", None) or settings.LANGUAGE_CODE)[:16],
    }


def _key(dedup: str | None, recipient: Recipient | str) -> str | None:
    if dedup is None:
        return None
    who = _address(recipient).casefold() if isinstance(recipient, str) else recipient.pk
    key = clean(f"{dedup}:{who}")
    return key if len(key) <= 400 else sha256(key.encode()).hexdigest()
