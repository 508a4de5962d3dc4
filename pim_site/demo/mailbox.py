"""Reading the files that `mail.FileBackend` writes."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from pathlib import Path

from .mail import STAMP, mailbox


@dataclass(frozen=True)
class Letter:
    """One mail; `content` is only as much of it as was read: the headers, or all."""

    name: str
    content: EmailMessage

    @property
    def sent_at(self) -> datetime:
        return datetime.strptime(self.name.partition("-")[0], STAMP).replace(tzinfo=UTC)

    @property
    def to(self) -> str:
        return str(self.content["To"])

    @property
    def subject(self) -> str:
        return str(self.content["Subject"])

    @property
    def headers(self) -> list[tuple[str, str]]:
        return [(name, str(value)) for name, value in self.content.items()]

    def part(self, subtype: str) -> str:
        """The text of the part "text/<subtype>", empty where there is none."""
        part = self.content.get_body(preferencelist=(subtype,))
        return str(part.get_content()) if part else ""


def letters(address: str = "") -> list[Letter]:
    """All mails with `address` among their recipients, or part of it; the newest first, headers only."""
    parser = BytesHeaderParser(policy=policy.default)
    found = [Letter(path.stem, parser.parsebytes(path.read_bytes())) for path in _files()]
    return [letter for letter in found if address.casefold() in letter.to.casefold()]


def letter(name: str) -> Letter | None:
    path = next((path for path in _files() if path.stem == name), None)
    return Letter(name, message_from_bytes(path.read_bytes(), policy=policy.default)) if path else None


def _files() -> list[Path]:
    return sorted(mailbox().glob("*.eml"), reverse=True)
