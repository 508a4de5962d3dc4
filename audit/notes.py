"""Checkpoints as signed notes, the text that other transparency logs use too (c2sp.org: signed-note, tlog-checkpoint).

pim.example.org                                       the log that it is about
1742                                                  how many events
mFk3…=                                                root of their tree, base64
time 2026-11-22T08:00:00.000000Z
                                                      an empty line; one line for each signature after it
— pim.example.org o8Hn…                               name, and base64 of 4 bytes of key id and an Ed25519 signature
"""

from base64 import b64decode, b64encode, urlsafe_b64decode
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.utils.translation import gettext as _

from audit.canonical import moment

_ED25519 = b"\x01"
_MARK = "\u2014 "


class NoteRefused(Exception):
    """A note does not count. The text says why, for people."""


@dataclass(frozen=True)
class Note:
    """What a checkpoint says: the log of `origin` had `size` events at `at`, and their tree this root of 32 bytes."""

    origin: str
    size: int
    root: bytes
    at: str

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\ntime {self.at}\n"


class SigningKey:
    """An Ed25519 key made of 32 secret bytes, under the name of the log that it signs for."""

    def __init__(self, name: str, secret: str) -> None:
        """Take the secret as urlsafe base64. Raises ValueError."""
        self._key = Ed25519PrivateKey.from_private_bytes(urlsafe_b64decode(secret))
        self.name = name

    def sign(self, text: str) -> str:
        """Return the line of a signature over the text."""
        return f"{_MARK}{self.name} {b64encode(self.public.id + self._key.sign(text.encode())).decode()}\n"

    @property
    def public(self) -> "VerifyingKey":
        return VerifyingKey(self.name, self._key.public_key().public_bytes_raw())


@dataclass(frozen=True)
class VerifyingKey:
    """The public part, that may be known to everybody; as text `name+id+key`, which auditors keep."""

    name: str
    raw: bytes

    @classmethod
    def of(cls, text: str) -> "VerifyingKey":
        """Read the text. Raises ValueError where it is no such key, or mistyped."""
        name, id_, coded = text.strip().split("+", 2)
        key = b64decode(coded, validate=True)
        if key[:1] != _ED25519 or len(key) != 33:
            raise ValueError("not an Ed25519 key")
        found = cls(name, key[1:])
        if found.id.hex() != id_:
            raise ValueError("the key is mistyped")
        return found

    @property
    def id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.raw).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{b64encode(_ED25519 + self.raw).decode()}"

    def has_signed(self, text: str, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class Statement:
    """What is said of an archive: events `first` to `last` of the log are in a file of this digest (SHA-256, hex).

    `root` is that of the tree over all events up to `last`. The first line keeps it apart from a checkpoint.
    """

    origin: str
    first: int
    last: int
    root: bytes
    digest: str
    at: str

    @property
    def text(self) -> str:
        root = b64encode(self.root).decode()
        return f"{self.origin}/archive\n{self.first} {self.last}\n{root}\nsha256 {self.digest}\ntime {self.at}\n"


def signed(*, origin: str, size: int, root: bytes, at: datetime, keys: Iterable[SigningKey]) -> str:
    """Write a checkpoint, signed by every key."""
    return _signed(Note(origin, size, root, moment(at)).text, keys)


def stated(statement: Statement, keys: Iterable[SigningKey]) -> str:
    """Write what is said of an archive, signed by every key."""
    return _signed(statement.text, keys)


def _signed(text: str, keys: Iterable[SigningKey]) -> str:
    return text + "\n" + "".join(key.sign(text) for key in keys)


def opened(note: str, *, origin: str, keys: Iterable[VerifyingKey]) -> Note:
    """Return what a note says, once one of the keys has signed it. Raises NoteRefused, which tells what is wrong."""
    text, signatures = _parts(note)
    found = _read(text)
    if found.origin != origin:
        raise NoteRefused(
            _("This checkpoint is of another site: it says “%(other)s”, and this log is “%(own)s”.")
            % {"other": found.origin, "own": origin}
        )
    _check_signatures(text, signatures, keys)
    return found


def opened_statement(note: str, *, origin: str, keys: Iterable[VerifyingKey]) -> Statement:
    """Return what is said of an archive, once one of the keys has signed it. Raises NoteRefused."""
    text, signatures = _parts(note)
    found = _read_statement(text)
    if found.origin != origin:
        raise NoteRefused(_("This archive is of another site: “%(other)s”.") % {"other": found.origin})
    _check_signatures(text, signatures, keys)
    return found


def _check_signatures(text: str, signatures: list[tuple[str, bytes]], keys: Iterable[VerifyingKey]) -> None:
    known = {(key.name, key.id): key for key in keys}
    mine = [(known[name, made[:4]], made[4:]) for name, made in signatures if (name, made[:4]) in known]
    if not mine:
        raise NoteRefused(_("No key that is known here has signed this checkpoint."))
    if not all(key.has_signed(text, signature) for key, signature in mine):
        raise NoteRefused(_("The signature is wrong: the checkpoint was changed, or made with another key."))


def _parts(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    text, gap, below = note.partition("\n\n")
    lines = below.split("\n")
    if not gap or lines.pop() or not lines:
        raise NoteRefused(_("This is no signed checkpoint, or a part of it is missing."))
    return text + "\n", [_signature(line) for line in lines]


def _signature(line: str) -> tuple[str, bytes]:
    name, _gap, coded = line.removeprefix(_MARK).partition(" ")
    try:
        made = b64decode(coded, validate=True)
    except ValueError:
        made = b""
    if line != f"{_MARK}{name} {b64encode(made).decode()}" or len(made) < 5:
        raise NoteRefused(_("A signature is torn."))
    return name, made


def _read(text: str) -> Note:
    try:
        origin, size, root, time = text.split("\n")[:4]
        note = Note(origin, int(size), b64decode(root, validate=True), time.removeprefix("time "))
    except ValueError as error:
        raise NoteRefused(_("This is no checkpoint.")) from error
    if note.text != text or note.size < 0 or len(note.root) != 32:
        raise NoteRefused(_("This is no checkpoint."))
    return note


def _read_statement(text: str) -> Statement:
    try:
        origin, places, root, digest, time = text.split("\n")[:5]
        first, last = map(int, places.split(" "))
        found = Statement(
            origin.removesuffix("/archive"),
            first,
            last,
            b64decode(root, validate=True),
            digest.removeprefix("sha256 "),
            time.removeprefix("time "),
        )
    except ValueError as error:
        raise NoteRefused(_("This says nothing of an archive.")) from error
    if found.text != text or not 0 < found.first <= found.last or len(found.root) != 32:
        raise NoteRefused(_("This says nothing of an archive."))
    return found
