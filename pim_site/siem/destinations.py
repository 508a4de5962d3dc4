"""Ways to send a batch of events, each of which ends when it was taken, or in StreamFailed."""

import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.utils.timezone import now
from django.utils.translation import gettext as _

from audit.files import append_whole
from audit.keys import origin
from notifications.outgoing import AddressRefused, NoAnswer, check_url, post, signature

from .records import Record
from .tls import Tls

SECONDS = 10.0
# So much is handed over at once: only in between can a clock be looked at.
PIECE = 16_384


class StreamFailed(Exception):
    """A batch was not taken, or not known to be. The text is a stable code."""


def send(address: str, records: Sequence[Record], *, at: datetime) -> None:
    """Send the events to an address of the settings, in order. Raises StreamFailed."""
    try:
        parts = urlsplit(address)
        WAYS[parts.scheme](parts, records, at)
    except TimeoutError as failure:
        raise StreamFailed("timed_out") from failure
    except ssl.SSLError as failure:
        raise StreamFailed("tls_failed") from failure
    except socket.gaierror as failure:
        raise StreamFailed("name_unknown") from failure
    except OSError as failure:
        raise StreamFailed(f"failed: {failure.strerror or 'connection'}"[:200]) from failure


def check(address: str) -> None:
    """Refuse what could never be sent to. Raises ValueError, which says why."""
    parts = urlsplit(address)
    if parts.scheme not in WAYS:
        raise ValueError(_("the address begins with none of tls://, tcp://, https://, http:// and file://"))
    if parts.scheme in ("tcp", "tls") and not (parts.hostname and parts.port):
        raise ValueError(_("a host and a port are needed, such as tls://siem.example.org:6514"))
    if "@" in parts.netloc or parts.query or len(address) > 500:
        raise ValueError(_("an address has no password, nothing after a question mark, and 500 characters at most"))
    if parts.scheme == "file" and (parts.netloc or not parts.path.startswith("/")):
        raise ValueError(_("a whole path is needed, such as file:///var/log/pim/audit.jsonl"))
    if parts.scheme in ("https", "http"):
        _check_web(address)


def _check_web(address: str) -> None:
    try:
        check_url(address)
    except AddressRefused as refusal:
        raise ValueError("; ".join(refusal.messages)) from refusal
    if not settings.AUDIT_WEBHOOK_SECRETS:
        raise ValueError(_("PIM_AUDIT_WEBHOOK_SECRETS is not set"))
    signature(settings.AUDIT_WEBHOOK_SECRETS, message_id="", at=now(), body=b"")


def to_file(parts: SplitResult, records: Sequence[Record], at: datetime) -> None:
    """All of them, to the disk itself, or none. Opened anew each time: whoever rotates it moves it away."""
    append_whole(Path(parts.path), "".join(record.json + "\n" for record in records))


def to_web(parts: SplitResult, records: Sequence[Record], at: datetime) -> None:
    body = '{"events":[' + ",".join(record.json for record in records) + "]}"
    name = f"{origin()}/{records[0].n}-{records[-1].n}"
    try:
        answer = post(parts.geturl(), body.encode(), settings.AUDIT_WEBHOOK_SECRETS, message_id=name, at=at)
    except NoAnswer as failure:
        raise StreamFailed(failure.code) from failure
    if not answer.is_success:
        raise StreamFailed(f"http_{answer.status}")


def to_syslog(parts: SplitResult, records: Sequence[Record], at: datetime) -> None:
    """One connection for a batch. Syslog knows no receipt, so it is closed, and the other side has to close it too.

    A receiver closes when it has read everything; one that ends before that, or with something unread, breaks it.
    """
    until = monotonic() + SECONDS
    host, port = parts.hostname or "", parts.port or 0
    content = b"".join(record.syslog for record in records)
    with closing(_first_connected(_addresses(host, port, until), port, until)) as connection:
        taker = Tls(connection, host=host) if parts.scheme == "tls" else connection
        for start in range(0, len(content), PIECE):
            connection.settimeout(_left(until))
            taker.sendall(content[start : start + PIECE])
        connection.settimeout(_left(until))
        if isinstance(taker, Tls):
            _close(taker)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            connection.settimeout(_left(until))


def _close(tls: Tls) -> None:
    try:
        tls.close()
    except ssl.SSLEOFError as failure:
        raise StreamFailed("not_confirmed") from failure


def _first_connected(addresses: Sequence[str], port: int, until: float) -> socket.socket:
    """A connection to the first that answers; each has its share of the time that is left."""
    failure: OSError = socket.gaierror()
    for tried, address in enumerate(addresses):
        try:
            connection = socket.create_connection((address, port), timeout=_left(until) / (len(addresses) - tried))
            connection.settimeout(_left(until))
            return connection
        except OSError as error:
            failure = error
    raise failure


def _addresses(host: str, port: int, until: float) -> list[str]:
    """What a name stands for, asked in a thread of its own: only so is there an end to it."""
    answers: SimpleQueue[list[str] | Exception] = SimpleQueue()
    Thread(target=lambda: answers.put(_asked(host, port)), daemon=True).start()
    try:
        answer = answers.get(timeout=_left(until))
    except Empty as failure:
        raise TimeoutError from failure
    if isinstance(answer, Exception):
        raise answer
    return answer


def _asked(host: str, port: int) -> list[str] | Exception:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as failure:
        return failure
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _left(until: float) -> float:
    left = until - monotonic()
    if left <= 0:
        raise TimeoutError
    return left


WAYS: dict[str, Callable[[SplitResult, Sequence[Record], datetime], None]] = {
    "file": to_file,
    "http": to_web,
    "https": to_web,
    "tcp": to_syslog,
    "tls": to_syslog,
}
