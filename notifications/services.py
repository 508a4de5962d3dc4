"""What is written to the outbox, and by whom. Nothing is sent here."""

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any, Protocol
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import Model
from django.utils import timezone
from django.utils.translation import gettext as _

from notifications.models import Message
from notifications.snapshot import clean, encode


class Recipient(Protocol):
    """A person with an address; `is_active` and `language` are looked at where they exist."""

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
    message of that key already gets no second one. Content never makes it fail; RuntimeError outside a transaction.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("a message belongs into the transaction of what it tells")
    recipients = list(_distinct(to))
    if not recipients:
        return []
    common = {"kind": kind, "about_id": getattr(about, "pk", about), "context": encode(context)}
    common["created_at"] = common["next_attempt_at"] = timezone.now()
    messages = [Message(**common, **_addressed(each), dedup_key=_key(dedup, each)) for each in recipients]
    if dedup is None:
        return Message.objects.bulk_create(messages)
    Message.objects.bulk_create(messages, ignore_conflicts=True)
    return list(Message.objects.filter(pk__in=[message.pk for message in messages]))


def suppress(*kinds: str, about: Model | UUID) -> int:
    """Take back what waits of these kinds about that object, because it is no longer true; returns how many."""
    waiting = Message.objects.filter(kind__in=kinds, about_id=getattr(about, "pk", about), state=Message.State.QUEUED)
    return waiting.update(state=Message.State.SUPPRESSED)


def send_again(*, message: Message, actor: Any) -> None:
    """Queue a message that was given up, with all its attempts. Raises SendAgainRefused."""
    if not actor.has_perm("notifications.resend_message"):
        raise SendAgainRefused(_("You may not send messages again."), code="not_permitted")
    failed = Message.objects.filter(pk=message.pk, state=Message.State.FAILED)
    if not failed.update(state=Message.State.QUEUED, attempts=0, next_attempt_at=timezone.now()):
        raise SendAgainRefused(_("Only a message that has failed can be sent again."), code="not_failed")


def _distinct(to: Iterable[Recipient | str]) -> Iterator[Recipient | str]:
    seen: set[str] = set()
    for each in to:
        address = _address(each).casefold()
        if address in seen or not getattr(each, "is_active", True):
            continue
        seen.add(address)
        yield each


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
