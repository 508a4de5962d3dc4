"""The demo's mail server: a directory with one file for each mail."""

import uuid
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.utils.timezone import now

# How a file name begins: the time, to the microsecond, in UTC.
STAMP = "%Y%m%dT%H%M%S%fZ"


def mailbox() -> Path:
    return Path(settings.DEMO_DIR) / "mail"


class FileBackend(BaseEmailBackend):
    """Writes each mail whole or not at all, under a name that sorts by time."""

    def send_messages(self, messages: Sequence[EmailMessage]) -> int:
        mailbox().mkdir(parents=True, exist_ok=True, mode=0o700)
        for message in messages:
            path = mailbox() / f"{now().strftime(STAMP)}-{uuid.uuid4().hex[:8]}.eml"
            unfinished = path.with_suffix(".part")
            unfinished.write_bytes(message.message().as_bytes())
            unfinished.replace(path)
        return len(messages)
