"""Who may sign in, and what proves it. Nothing here reads the clock or writes."""

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.utils.translation import gettext_lazy as _

from audit.canonical import dumps, plain

from .factors import digest

if TYPE_CHECKING:
    from .browsers import BrowserSession
    from .models import EnrolmentTicket, StepUpProof, User


class SignInRefused(ValidationError):
    """Somebody could not sign in. Codes: ``invalid_credentials``, ``throttled``, ``no_factor``."""


class StepUpRefused(ValidationError):
    """A second factor was not proved.

    Codes: ``mfa_required``, ``mfa_invalid``, ``mfa_reused``, ``throttled``, ``passkey_invalid``, ``passkey_expired``,
    ``passkey_copied``, ``no_passkey``, ``phishing_resistant_required``.
    """


class EnrolmentRefused(ValidationError):
    """A factor could not be enrolled or removed.

    Codes: ``ticket_invalid``, ``mfa_invalid``, ``passkey_invalid``, ``last_factor``, ``not_found``.
    """


class SessionRefused(ValidationError):
    """A session was not ended. Code: ``not_found``."""


class PersonRefused(ValidationError):
    """A person could not be saved. Codes: ``name_taken``, ``username_mixed``, ``own_manager``."""


class ChangedMeanwhile(ValidationError):
    """Somebody has changed what a change was thought out for. Code: ``changed_meanwhile``."""


class GroupRefused(ValidationError):
    """A group could not be changed. Codes: ``name_taken``, ``self_assignment``."""


class NotAllowed(PermissionDenied):
    """The person lacks the right. Code: ``not_allowed``."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or _("Your roles in force do not allow this. Activate the role that does."))
        self.code = "not_allowed"


# Scripts whose letters are taken for each other, as the “о” of Cyrillic is for the “o” of Latin.
LOOK_ALIKES = {"LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "CHEROKEE", "COPTIC"}


def check_username(username: str) -> None:
    """Refuse a name that mixes scripts which look alike: it could be read as somebody else's.

    Raises:
        PersonRefused: ``username_mixed``.
    """
    if _mixes_scripts(username):
        text = _("Write the username in one alphabet: letters of several can be mistaken for each other.")
        raise PersonRefused(text, code="username_mixed")


def check_address(email: str) -> None:
    """Refuse an address with a part, between its dots and its sign, that mixes scripts which look alike.

    Raises:
        PersonRefused: ``username_mixed``.
    """
    if any(map(_mixes_scripts, re.split("[.@]", email))):
        text = _("Write each part of the address in one alphabet: letters of several can be mistaken for each other.")
        raise PersonRefused(text, code="username_mixed")


def _mixes_scripts(text: str) -> bool:
    return len({unicodedata.name(character, "").split(" ")[0] for character in text} & LOOK_ALIKES) > 1


def check_manager(person: "User") -> None:
    """Refuse to let people report to themselves: a stage that asks the manager would ask nobody.

    Raises:
        PersonRefused: ``own_manager``.
    """
    if person.manager_id == person.pk:
        raise PersonRefused(_("Nobody is their own manager. Choose another person, or leave it empty."), "own_manager")


def says_nothing(text: str) -> bool:
    """Is there no letter and no figure in it? Spaces, dots and characters that nobody sees are no reason."""
    return not any(character.isalnum() for character in text)


def fingerprint(facts: Mapping[str, Any]) -> str:
    """Return what tells whether a thing is as somebody saw it: 32 letters and figures of all that they could change."""
    return digest(dumps(plain(facts)))[:32]


def check_seen(facts: Mapping[str, Any], seen: str) -> None:
    """Refuse a change thought out for what is not there any more.

    Args:
        facts: as it is now; its row is locked by the caller.
        seen: `fingerprint` of what the change was thought out for; empty: whatever is there.

    Raises:
        ChangedMeanwhile
    """
    if seen and seen != fingerprint(facts):
        text = _("Somebody has changed this meanwhile. Look at it anew, then try again.")
        raise ChangedMeanwhile(text, code="changed_meanwhile")


@dataclass(frozen=True)
class Throttle:
    """So many failures in a row are free; then each doubles the wait, from one second up to `longest`."""

    free: int
    longest: timedelta

    def wait(self, failures: int) -> timedelta:
        over = failures - self.free
        if over < 0:
            return timedelta(0)
        return min(timedelta(seconds=2 ** min(over, 30)), self.longest)


# A person behind a name can be kept out by a stranger only for a minute; one address trying one name waits longest;
# an office behind one address shares a wide allowance.
THROTTLES = {
    "name": Throttle(free=20, longest=timedelta(minutes=1)),
    "address": Throttle(free=50, longest=timedelta(minutes=5)),
    "both": Throttle(free=5, longest=timedelta(minutes=15)),
}
# Failures older than this are forgotten.
THROTTLE_MEMORY = timedelta(hours=24)


def throttle_keys(identifier: str, address: str) -> dict[str, str]:
    """Return the counter key of each throttle. Keys are digests: what somebody typed is not kept in clear.

    Names count together where a database finds one by the other: it compares their capitals, and “ſ” has that of “s”.
    """
    name, network = identifier.strip().upper(), network_of(address)
    parts = {"address": f"address {network}", "both": f"both {name} {network}", "name": f"name {name}"}
    return {kind: digest(text) for kind, text in parts.items()}


def network_of(address: str) -> str:
    """One subscriber of IPv6 owns a whole /64, so it counts as one address; one of IPv4 may be written as IPv6."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    if isinstance(parsed, IPv6Address):
        return str(IPv6Address(int(parsed) >> 64 << 64))
    return str(parsed)


def intent_digest(action: str, **facts: Any) -> str:
    """Return what a proof is bound to: SHA-256 over the action and everything that is being asked."""
    text = json.dumps({"action": action, **facts}, sort_keys=True, cls=DjangoJSONEncoder)
    return digest(text)


def check_proof(proof: "StepUpProof | None", *, user: "User", intent: str, session: str, at: datetime) -> None:
    """Refuse a proof that was not made for just this: by this person, in this session, at most 120 s ago."""
    fresh = timedelta(seconds=settings.STEP_UP_SECONDS)
    if (
        proof is None
        or proof.user_id != user.pk
        or proof.intent_digest != intent
        or proof.session_digest != digest(session)
        or proof.consumed_at is not None
        or not timedelta(0) <= at - proof.created_at <= fresh
    ):
        raise StepUpRefused(_("Confirm with a one-time code for this request."), code="mfa_required")


# The one method whose proof nobody can pass on to another site: the browser tells the passkey where it is.
PASSKEY = "passkey"


def check_phishing_resistant(method: str) -> None:
    """Refuse what was proved with `method` where only a passkey will do.

    Raises:
        StepUpRefused: ``phishing_resistant_required``.
    """
    if method != PASSKEY:
        text = _("Only a passkey will do here, no code. If you have none yet, add one on your Security page.")
        raise StepUpRefused(text, code="phishing_resistant_required")


def check_sign_count(before: int, after: int) -> None:
    """Refuse a passkey that has counted less than before: a copy of it answers. Those that do not count say 0."""
    if (before or after) and after <= before:
        text = _("This passkey may have been copied: it was used elsewhere. Remove it, and tell an administrator.")
        raise StepUpRefused(text, code="passkey_copied")


def check_own_session(browser: "BrowserSession", user: "User") -> None:
    """Nobody signs others out here: whoever disables an account does.

    Raises:
        SessionRefused: ``not_found``.
    """
    if browser.user_id != user.pk:
        raise SessionRefused(_("This is not yours, or is gone already."), code="not_found")


def check_ticket(ticket: "EnrolmentTicket | None", *, at: datetime) -> None:
    if ticket is None or not ticket.is_valid(at) or not ticket.user.is_active:
        raise EnrolmentRefused(
            _("This enrolment link is not valid any more. Ask an administrator for a new one."), code="ticket_invalid"
        )


def check_factor_can_go(present: int) -> None:
    """Refuse to remove the last authenticator app or passkey of those `present`: recovery codes alone run out."""
    if present <= 1:
        text = _("You sign in with nothing else. Add an authenticator app or a passkey before you remove this.")
        raise EnrolmentRefused(text, code="last_factor")
