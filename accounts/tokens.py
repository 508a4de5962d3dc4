"""API tokens: how one looks, what it may be made for, and which counts. Knows no tables, no clock and no requests.

A token is ``pim_<key>_<secret>_<sum>``: a prefix that scanners of leaked secrets find, the key by which it is looked up
and named, 32 random bytes, and a CRC-32 over what stands before, so that a scanner knows it from a look-alike.
"""

import hmac
import re
import secrets
import zlib
from base64 import b32encode
from collections.abc import Iterable
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .factors import digest

if TYPE_CHECKING:
    from .models import ApiToken

_FORM = re.compile(r"(pim_([a-z2-7]{16})_[a-z2-7]{52})_([a-z2-7]{7})")
SHORTEST_LIFE, LONGEST_LIFE = timedelta(minutes=5), timedelta(days=365)
LONGEST_OVERLAP = timedelta(days=7)
MOST_NETWORKS = 20
# Of one owner at a time. Enough for every pipeline to have its own, too few to hide one among.
MOST_TOKENS = 50


class Scope(models.TextChoices):
    """What a token may be used for, of what its owner may do."""

    READ = "read", gettext_lazy("read: see what you may see, ask who holds what")
    ACTIVATE = "activate", gettext_lazy("activate: ask for your roles, end them, cancel, extend and renew")
    APPROVE = "approve", gettext_lazy("approve: decide requests")
    ASSIGN = "assign", gettext_lazy("assign: make, change and remove assignments of others")
    CONFIGURE = (
        "configure",
        gettext_lazy("configure: people, groups, resources, roles and their settings; your mail, your sessions"),
    )
    REVIEW = "review", gettext_lazy("review: answer in access reviews, define and run them; review emergency access")
    AUDIT = "audit", gettext_lazy("audit: read the audit, and where you are signed in")


class TokenRefused(ValidationError):
    """A token was not made, or does not count.

    Codes: ``token_invalid``, ``address_refused``, ``scopes_invalid``, ``lifetime_invalid``, ``network_invalid``,
    ``too_many_tokens``, ``already_ended``.
    """


def new_token() -> tuple[str, str]:
    """Return a fresh token and its key."""
    key = _spelled(secrets.token_bytes(10))
    body = f"pim_{key}_{_spelled(secrets.token_bytes(32))}"
    return f"{body}_{_sum(body)}", key


def _spelled(octets: bytes) -> str:
    return b32encode(octets).decode().rstrip("=").lower()


def _sum(body: str) -> str:
    return _spelled(zlib.crc32(body.encode()).to_bytes(4, "big"))


def key_of(text: str) -> str:
    """Return the key of what may be a token; nothing if it is none, by its form or its sum."""
    found = _FORM.fullmatch(text)
    return found[2] if found and _sum(found[1]) == found[3] else ""


def is_same(text: str, kept_digest: str) -> bool:
    return hmac.compare_digest(digest(text), kept_digest)


def is_open(token: "ApiToken", at: datetime) -> bool:
    """Does it count at `at`, as far as its own row says?"""
    return token.revoked_at is None and token.created_at <= at < token.expires_at


def check_terms(*, scopes: Iterable[str], lifetime: timedelta, networks: Iterable[str]) -> None:
    """Refuse a token for nothing, for longer than a year, or for networks that are none.

    Raises:
        TokenRefused: ``scopes_invalid``, ``lifetime_invalid``, ``network_invalid``.
    """
    wanted = set(scopes)
    if not wanted or wanted - set(Scope.values):
        raise TokenRefused(_("Choose what the token may be used for."), code="scopes_invalid")
    if not SHORTEST_LIFE <= lifetime <= LONGEST_LIFE:
        raise TokenRefused(_("A token lives for 5 minutes at least and a year at most."), code="lifetime_invalid")
    networks_of(" ".join(networks))


def networks_of(text: str) -> list[str]:
    """Return the addresses and networks in a text, as they are kept: "192.0.2.0/24", "2001:db8::/32".

    Raises:
        TokenRefused: ``network_invalid``.
    """
    words = re.split(r"[\s,;]+", text.strip()) if text.strip() else []
    try:
        found = [str(ip_network(word)) for word in words]
    except ValueError as error:
        refusal = _("%(word)s is no address and no network. Examples: 192.0.2.17, 192.0.2.0/24, 2001:db8::/32.")
        raise TokenRefused(refusal % {"word": _first_wrong(words)}, code="network_invalid") from error
    if len(found) > MOST_NETWORKS:
        text = _("A token has at most %(limit)d networks.") % {"limit": MOST_NETWORKS}
        raise TokenRefused(text, code="network_invalid")
    return found


def _first_wrong(words: list[str]) -> str:
    for word in words:
        try:
            ip_network(word)
        except ValueError:
            return word[:60]
    return ""


def comes_from(address: str, networks: str) -> bool:
    """Is `address` in one of these networks (with a space between them), or are there none?"""
    if not networks:
        return True
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(parsed in ip_network(each) for each in networks.split())


def check_overlap(overlap: timedelta) -> None:
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        text = _("The former token goes on for %(days)d days at most.") % {"days": LONGEST_OVERLAP.days}
        raise TokenRefused(text, code="lifetime_invalid")
