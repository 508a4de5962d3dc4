"""What passkeys are asked and what they answer (WebAuthn level 2, W3C). Knows no tables.

Whoever holds a passkey is verified by the device each time, with a PIN, a finger or a face: a key that is merely
touched proves no person. Passkeys belong to the host of ``PIM_BASE_URL`` and answer pages of that origin alone.
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import webauthn
from django.conf import settings
from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, generate_challenge
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from webauthn.registration.verify_registration_response import VerifiedRegistration

# Transports and longest credential id of the specification; ours is written in base64url.
TRANSPORTS = {transport.value for transport in AuthenticatorTransport}
LONGEST_ID = 1364
# Longer answers come from no authenticator: attestations, which are the longest part, are not asked for.
LONGEST_ANSWER = 10_000
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")

R = TypeVar("R")


class Asked(Exception):
    """Not an error: the page is to ask the browser for a passkey with these `options`, and then to be sent again."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__("a passkey is asked for")
        self.options = options


class Unfit(ValueError):
    """The answer of a passkey is not what was asked for."""


def new_challenge() -> str:
    """Return 64 random bytes in base64url, to be signed once."""
    return bytes_to_base64url(generate_challenge())


def descriptor(credential_id: str, transports: Iterable[str]) -> PublicKeyCredentialDescriptor:
    known = [AuthenticatorTransport(transport) for transport in transports if transport in TRANSPORTS]
    return PublicKeyCredentialDescriptor(id=base64url_to_bytes(credential_id), transports=known)


def creation_options(
    challenge: str, *, user_id: bytes, username: str, display_name: str, present: list[PublicKeyCredentialDescriptor]
) -> dict[str, Any]:
    """Return what ``navigator.credentials.create`` takes, bytes as base64url.

    Args:
        user_id: up to 64 bytes that say nothing about the person.
        present: the person's passkeys: a device that holds one of them makes no second one.
    """
    options = webauthn.generate_registration_options(
        rp_id=settings.PASSKEY_HOST,
        rp_name=settings.OTP_TOTP_ISSUER,
        user_id=user_id,
        user_name=username,
        user_display_name=display_name,
        challenge=base64url_to_bytes(challenge),
        timeout=settings.STEP_UP_SECONDS * 1000,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=present,
    )
    return _plain(options)


def request_options(challenge: str, *, allowed: list[PublicKeyCredentialDescriptor]) -> dict[str, Any]:
    """Return what ``navigator.credentials.get`` takes, bytes as base64url."""
    options = webauthn.generate_authentication_options(
        rp_id=settings.PASSKEY_HOST,
        challenge=base64url_to_bytes(challenge),
        timeout=settings.STEP_UP_SECONDS * 1000,
        allow_credentials=allowed,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return _plain(options)


def _plain(options: Any) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(webauthn.options_to_json(options))
    return plain


def parsed(answer: str) -> dict[str, Any]:
    """Return the answer as the browser wrote it, nothing of it verified.

    Raises:
        Unfit: it is no answer.
    """

    def parse() -> dict[str, Any]:
        read: dict[str, Any] = json.loads(answer)
        if not _BASE64URL.fullmatch(read["id"]) or not isinstance(read["response"], dict):
            raise TypeError("not the answer of a browser")
        return read

    return _or_unfit(parse)


def challenge_of(answer: dict[str, Any]) -> str:
    """Return the challenge that the answer says it is to.

    Raises:
        Unfit: it names none.
    """

    def parse() -> str:
        challenge: str = json.loads(base64url_to_bytes(answer["response"]["clientDataJSON"]))["challenge"]
        if not _BASE64URL.fullmatch(challenge):
            raise TypeError("not a challenge of ours")
        return challenge

    return _or_unfit(parse)


def transports_of(answer: dict[str, Any]) -> list[str]:
    found = answer["response"].get("transports")
    return sorted({each for each in found if isinstance(each, str)} & TRANSPORTS) if isinstance(found, list) else []


def created(answer: dict[str, Any], challenge: str) -> VerifiedRegistration:
    """Verify the answer of a new passkey to `challenge`.

    Raises:
        Unfit: another challenge, origin or host, or the person was not verified.
    """
    return _or_unfit(
        lambda: webauthn.verify_registration_response(
            credential=answer,
            expected_challenge=base64url_to_bytes(challenge),
            expected_rp_id=settings.PASSKEY_HOST,
            expected_origin=settings.PASSKEY_ORIGIN,
            require_user_verification=True,
        )
    )


def signed(answer: dict[str, Any], challenge: str, public_key: bytes) -> VerifiedAuthentication:
    """Verify the answer of a passkey with this `public_key` to `challenge`. Its count is for the caller to judge.

    Raises:
        Unfit: as for `created`, or the signature is wrong.
    """
    return _or_unfit(
        lambda: webauthn.verify_authentication_response(
            credential=answer,
            expected_challenge=base64url_to_bytes(challenge),
            expected_rp_id=settings.PASSKEY_HOST,
            expected_origin=settings.PASSKEY_ORIGIN,
            credential_public_key=public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    )


def is_synced(verified: VerifiedRegistration | VerifiedAuthentication) -> bool:
    """May the passkey be copied to other devices of the person, as its maker does with those of phones?"""
    return verified.credential_device_type == CredentialDeviceType.MULTI_DEVICE


def _or_unfit(read: Callable[[], R]) -> R:
    """Whatever a parser trips over in what a stranger wrote means the same: this is no answer."""
    try:
        return read()
    except Exception as error:
        raise Unfit(str(error)) from error
