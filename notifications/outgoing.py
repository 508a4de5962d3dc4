"""Signed messages to other systems over HTTPS, by Standard Webhooks (standardwebhooks.com, specification 1.0).

Whoever names an address must not reach what only this server can reach. So the name is resolved once, every address
that it stands for is judged, and the connection is made to the one that was judged; nothing is followed, no proxy of
the environment is asked, and neither the time nor the answer is unbounded.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets as randomness
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from threading import Thread
from time import monotonic
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

SECONDS = 10.0
LARGEST_ANSWER = 64 * 1024
LONGEST_URL = 500
SECRET_PREFIX = "whsec_"  # noqa: S105 (what a secret begins with)
# All that is public in IPv6; beside it stand forms that carry an IPv4 address (mapped, translated), and in it 6to4.
_UNICAST, _6TO4 = ip_network("2000::/3"), ip_network("2002::/16")
_PRINTABLE = re.compile(r"[!-~]+")

Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class Answer:
    """What the other side said: the HTTP status, whatever it is (a redirect too), and at most 64 KiB of body."""

    status: int
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


class NoAnswer(Exception):
    """Nothing usable came back. The text tells no secret and no content.

    Codes: ``address_refused`` (not one that may be called), ``name_unknown``, ``connection_failed``, ``tls_failed``,
    ``timed_out``, ``too_large``, ``malformed``.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class AddressRefused(ValidationError):
    """Nothing is ever sent to such an address. Code: ``address_invalid``."""


def new_secret() -> str:
    """Return a fresh 256-bit secret in the form ``whsec_<base64>``."""
    return SECRET_PREFIX + base64.b64encode(randomness.token_bytes(32)).decode()


def signature(secrets: Sequence[str], *, message_id: str, at: datetime, body: bytes) -> str:
    """Return the header ``webhook-signature``: one signature for each secret, so that one of them can be replaced.

    Raises ValueError for a secret that is none.
    """
    signed = b".".join([message_id.encode(), str(int(at.timestamp())).encode(), body])
    macs = [hmac.new(_key(secret), signed, hashlib.sha256).digest() for secret in secrets]
    return " ".join(f"v1,{base64.b64encode(mac).decode()}" for mac in macs)


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("not a secret of Standard Webhooks") from error


def check_url(url: str) -> None:
    """Refuse what could never be called: no HTTPS address, with a password, or of a network that is not opened.

    A name is judged each time it is used, because it may stand for another address by then. Raises AddressRefused.
    """
    parts = _parts(url)
    if parts is None:
        text = _("Give an address such as https://hooks.example.org/pim, without a password and without a fragment.")
        raise AddressRefused(text, code="address_invalid")
    literal = _literal(parts.hostname or "")
    if parts.scheme == "http" and not settings.OUTGOING_HTTP:
        raise AddressRefused(_("The address must begin with https://."), code="address_invalid")
    if literal is not None and not may_be_called(literal, plain=parts.scheme == "http"):
        text = _("This address is of a private network that the configuration of this server does not open.")
        raise AddressRefused(text, code="address_invalid")


def _parts(url: str) -> SplitResult | None:
    if len(url) > LONGEST_URL or not _PRINTABLE.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("https", "http") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if usable and "@" not in parts.netloc and "%" not in parts.netloc and not parts.fragment else None


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def may_be_called(address: Address, *, plain: bool) -> bool:
    """Is it public, or of a network that the server's configuration opens? Without TLS only the latter."""
    opened = any(address in ip_network(network) for network in settings.OUTGOING_NETWORKS)
    if opened or plain:
        return opened and (not plain or settings.OUTGOING_HTTP)
    is_unicast = address.version == 4 or (address in _UNICAST and address not in _6TO4)
    return address.is_global and is_unicast and not address.is_multicast


def post(
    url: str, body: bytes, secrets: Sequence[str], *, message_id: str, at: datetime, seconds: float = SECONDS
) -> Answer:
    """Send `body` (JSON) as one signed POST and return what was answered, whatever its status.

    Args:
        secrets: as `new_secret` makes them; all of them sign, the newest first.
        message_id: the same at every attempt, so that the receiver knows a message that comes twice.
        at: the moment of this attempt; receivers refuse what is older than five minutes.
        seconds: for all of it together, resolving the name included.

    Raises:
        NoAnswer
    """
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "PIM",
        "Connection": "close",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature(secrets, message_id=message_id, at=at, body=body),
    }
    parts = _parts(url)
    if parts is None:
        raise NoAnswer("address_refused")
    return _Exchange(parts, body, headers, until=monotonic() + seconds).answer()


class _Exchange:
    """One POST, in a thread of its own: only so is there an end to what has no time-out, such as resolving a name."""

    def __init__(self, parts: SplitResult, body: bytes, headers: dict[str, str], *, until: float) -> None:
        self.parts, self.body, self.headers, self.until = parts, body, headers, until
        self.host = parts.hostname or ""
        self.is_plain = parts.scheme == "http"
        self.port = parts.port or (80 if self.is_plain else 443)
        self.sock: socket.socket | None = None
        self.result: Answer | NoAnswer = NoAnswer("timed_out")

    def answer(self) -> Answer:
        thread = Thread(target=self.run, daemon=True)
        thread.start()
        thread.join(max(0.0, self.until - monotonic()))
        result = NoAnswer("timed_out") if thread.is_alive() else self.result
        self.close()
        if isinstance(result, NoAnswer):
            raise result
        return result

    def run(self) -> None:
        try:
            self.connect()
            self.result = self.exchange()
        except NoAnswer as refusal:
            self.result = refusal
        except TimeoutError:
            self.result = NoAnswer("timed_out")
        except ssl.SSLError:
            self.result = NoAnswer("tls_failed")
        except OSError:
            self.result = NoAnswer("connection_failed")
        except (HTTPException, ValueError):
            self.result = NoAnswer("malformed")
        finally:
            self.close()

    @property
    def left(self) -> float:
        """Seconds that are left. Raises TimeoutError when none are."""
        left = self.until - monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    @cached_property
    def addresses(self) -> list[str]:
        """What the name stands for, asked once; one address that may not be called spoils all."""
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise NoAnswer("name_unknown") from error
        addresses = [str(entry[4][0]) for entry in found]
        literals = [_literal(address) for address in addresses]
        if not all(literal and may_be_called(literal, plain=self.is_plain) for literal in literals):
            raise NoAnswer("address_refused")
        return list(dict.fromkeys(addresses))

    def connect(self) -> None:
        failure: OSError = OSError()
        for address in self.addresses:
            try:
                self.sock = socket.create_connection((address, self.port), timeout=self.left)
                break
            except TimeoutError:
                raise
            except OSError as error:
                failure = error
        if self.sock is None:
            raise failure
        self.sock.settimeout(self.left)
        if not self.is_plain:
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)

    def exchange(self) -> Answer:
        connection = (HTTPConnection if self.is_plain else HTTPSConnection)(self.host, self.port, timeout=self.left)
        connection.sock = self.sock
        connection.auto_open = 0  # to this very address, or not at all
        target = (self.parts.path or "/") + (f"?{self.parts.query}" if self.parts.query else "")
        connection.request("POST", target, body=self.body, headers=self.headers)
        with connection.getresponse() as response:
            body = response.read(LARGEST_ANSWER + 1)
            if len(body) > LARGEST_ANSWER:
                raise NoAnswer("too_large")
            if response.length:
                raise NoAnswer("malformed")
            return Answer(response.status, body)

    def close(self) -> None:
        """Also from the other thread: whoever reads or writes there then fails at once."""
        if self.sock is None:
            return
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()
