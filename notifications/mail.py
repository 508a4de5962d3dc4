"""A message as a mail: the words of its kind, times in the zone of the one who reads them.

A kind has two templates, `emails/<kind>.subject.txt` and `emails/<kind>.txt`. The second extends `layout`, which is
`emails/base.txt` and then `emails/base.html`, so that both forms of a mail say the same.
"""

import re
from dataclasses import dataclass
from email.utils import quote
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends.base import BaseEmailBackend
from django.template import Context
from django.template.loader import get_template
from django.utils import timezone, translation

from notifications.models import Message
from notifications.rules import zone_of
from notifications.snapshot import decode


@dataclass(frozen=True, slots=True)
class Words:
    """What is said: a subject of one line, plain text, and HTML."""

    subject: str
    text: str
    html: str


def render(message: Message) -> Words:
    """The words of a message in the language and zone of its recipient. Raises whatever template or content raise."""
    content = _content(message)
    with translation.override(_language(message.language)), timezone.override(zone_of(message.time_zone)):
        subject = _subject(message, content)
        text = _fill(f"emails/{message.kind}.txt", content | {"layout": "emails/base.txt"}, autoescape=False)
        html = _fill(f"emails/{message.kind}.txt", content | {"layout": "emails/base.html"}, autoescape=True)
    return Words(f"PIM: {subject}", re.sub(r"\n{3,}", "\n\n", text).strip() + "\n", html)


def subject_of(message: Message) -> str:
    """The subject in the language of the recipient, without our mark. Raises whatever template or content raise."""
    with translation.override(_language(message.language)), timezone.override(zone_of(message.time_zone)):
        return _subject(message, _content(message))


def build(message: Message, words: Words, connection: BaseEmailBackend) -> EmailMultiAlternatives:
    """The mail to one recipient; mail servers and clients know it again by its Message-ID."""
    headers = {
        "Message-ID": message.message_id,
        "Auto-Submitted": "auto-generated",
        "X-PIM-Kind": message.kind,
    }
    to = _mailbox(_one_line(message.to_name), _one_line(message.to_address))
    mail = EmailMultiAlternatives(words.subject, words.text, to=[to], headers=headers, connection=connection)
    mail.attach_alternative(words.html, "text/html")
    if calendar := decode(message.context).get("calendar"):
        mail.attach("calendar.ics", calendar, "text/calendar")
    return mail


def _subject(message: Message, content: dict[str, Any]) -> str:
    return _one_line(_fill(f"emails/{message.kind}.subject.txt", content, autoescape=False))


def _content(message: Message) -> dict[str, Any]:
    content = {key: _shown(key, value) for key, value in decode(message.context).items()}
    return content | {"product": settings.OTP_TOTP_ISSUER, "site": settings.BASE_URL}


def _shown(key: str, value: Any) -> Any:
    # One line each: otherwise a reason could pretend to be further lines of the mail.
    if value is None and not key.endswith("_at"):
        return ""
    return _one_line(value) if isinstance(value, str) else value


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _fill(name: str, content: dict[str, Any], *, autoescape: bool) -> str:
    return str(get_template(name).template.render(Context(content, autoescape=autoescape)))  # type: ignore[attr-defined]


def _mailbox(name: str, address: str) -> str:
    return f'"{quote(name)}" <{address}>' if name and address else address


def _language(code: str) -> str:
    try:
        return translation.get_supported_language_variant(code)
    except LookupError:
        return str(settings.LANGUAGE_CODE)
