"""What second factors are made of: keys, codes and digests. Knows no tables.

Time-based codes are RFC 6238 with the values that every authenticator app takes: SHA-1, 6 digits, steps of 30 s,
one step of tolerance on both sides.
"""

import hashlib
import re
import secrets
from base64 import b32encode
from datetime import datetime
from urllib.parse import quote, urlencode

from django.conf import settings
from django_otp.oath import TOTP

from . import vault

STEP_SECONDS = 30
TOLERANCE = 1
RECOVERY_CODES = 10
# 31 letters and figures without those that are misread; 16 of them are 79 bits, too many to try.
_RECOVERY_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_RECOVERY_LENGTH = 16
_CODE = re.compile(r"[0-9]{6}")


def new_key() -> str:
    """Return a fresh 160-bit key for time-based codes, encrypted."""
    return vault.sealed(secrets.token_bytes(20))


def shown_key(encrypted_key: str) -> str:
    """Return the key as an authenticator app takes it by hand: base32."""
    return b32encode(vault.opened(encrypted_key)).decode()


def provisioning_uri(encrypted_key: str, *, account: str) -> str:
    """Return the ``otpauth://`` address that a QR code carries (the key-URI format of authenticator apps)."""
    issuer = settings.OTP_TOTP_ISSUER.replace(":", "")
    query = urlencode({"secret": shown_key(encrypted_key), "issuer": issuer}, quote_via=quote)
    return f"otpauth://totp/{quote(issuer)}:{quote(account)}?{query}&algorithm=SHA1&digits=6&period={STEP_SECONDS}"


def plain(code: str) -> str:
    """Return `code` as it is compared: no spaces or dashes, lower case. People type both."""
    return re.sub(r"[\s-]", "", code).lower()


def is_time_based(code: str) -> bool:
    """Six ASCII digits and nothing else; `int()` would also take signs, underscores and other scripts' digits."""
    return _CODE.fullmatch(plain(code)) is not None


def accepted_step(encrypted_key: str, code: str, *, after: int, at: datetime) -> int | None:
    """Return the time step that `code` belongs to, if that is near `at` and later than the step `after`."""
    if not is_time_based(code):
        return None
    totp = TOTP(vault.opened(encrypted_key), STEP_SECONDS)
    totp.time = at.timestamp()
    return totp.t() if totp.verify(int(plain(code)), TOLERANCE, after + 1) else None


def new_recovery_codes() -> list[str]:
    """Return ten fresh recovery codes, as they are shown: four groups of four."""

    def code() -> str:
        text = "".join(secrets.choice(_RECOVERY_ALPHABET) for _ in range(_RECOVERY_LENGTH))
        return "-".join(text[i : i + 4] for i in range(0, _RECOVERY_LENGTH, 4))

    return [code() for _ in range(RECOVERY_CODES)]


def digest(text: str) -> str:
    """Return the SHA-256 of `text` in hex. Of secrets only for those of 79 bits and more, which cannot be tried out.

    Half a surrogate pair, which no secret of ours has, counts as a question mark.
    """
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
