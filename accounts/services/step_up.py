"""Proving a second factor for one intent, and using the proof up."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import django_otp
from django.conf import settings
from django.db import transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django_otp.models import Device
from webauthn.helpers.structs import PublicKeyCredentialDescriptor

from accounts import factors, passkeys
from accounts.models import Passkey, PasskeyChallenge, RecoveryDevice, StepUpProof, TotpDevice, User
from accounts.rules import (
    PASSKEY,
    StepUpRefused,
    check_phishing_resistant,
    check_proof,
    check_sign_count,
    intent_digest,
)
from audit.services import record, refusal_code

METHODS = {TotpDevice: "totp", RecoveryDevice: "recovery", Passkey: PASSKEY}
# What a page sends in place of an answer to have a passkey asked.
ASK = "ask"


def prove(
    *,
    user: User,
    session: str,
    intent: str,
    code: str = "",
    app: TotpDevice | None = None,
    passkey: str = "",
    phishing_resistant: bool = False,
) -> StepUpProof:
    """Check a one-time code, a recovery code or a passkey; return a proof bound to person, session and intent.

    Args and refusals: as for `prove_each`.
    """
    factor: dict[str, Any] = {"code": code, "app": app, "passkey": passkey, "phishing_resistant": phishing_resistant}
    return prove_each(user=user, session=session, intents=[intent], **factor)[0]


def prove_each(
    *,
    user: User,
    session: str,
    intents: Sequence[str],
    code: str = "",
    app: TotpDevice | None = None,
    passkey: str = "",
    phishing_resistant: bool = False,
) -> list[StepUpProof]:
    """Check one factor once for all that is asked in one act; return a proof for each intent, in their order.

    Each proof is bound to its own intent and used up by itself, so that one refusal takes nothing from the others.

    Commits by itself, before anything that the proofs are for: a code that is checked inside a transaction which
    rolls back could be used again, and the count of wrong guesses would be lost.

    A passkey takes two calls for the same intents: one with `ASK`, whose challenge is bound to all of it as well, and
    one with the answer.

    Args:
        user: who proves.
        session: the name of the sign-in session or of the API token.
        intents: `rules.intent_digest` of each thing that is being asked; one at least.
        code: six digits of an authenticator app, or a recovery code; spaces and dashes do not count.
        app: which authenticator app, where the person has several.
        passkey: `ASK`, or the browser's answer in JSON; then the code does not count.
        phishing_resistant: a passkey alone will do; no code is used up in vain.

    Raises:
        passkeys.Asked: what to ask the browser. StepUpRefused: ``mfa_required`` (no code), ``mfa_invalid``,
        ``mfa_reused``, ``throttled``, ``passkey_invalid``, ``passkey_expired``, ``passkey_copied``, ``no_passkey``,
        ``phishing_resistant_required``.
    """
    if phishing_resistant and not passkey:
        check_phishing_resistant("")
    whole = intents[0] if len(intents) == 1 else intent_digest("several", intents=list(intents))
    if passkey == ASK:
        raise passkeys.Asked(_request_options(user, session, whole))
    code = factors.plain(code)
    if not code and not passkey:
        raise StepUpRefused(_("Enter the code of your authenticator app."), code="mfa_required")
    refusal: StepUpRefused | None = None
    with transaction.atomic(durable=True):
        try:
            device = _answering(user, session, whole, passkey) if passkey else _accepting(user, code, app)
            proofs = _new_proofs(user, session, intents, device)
        except StepUpRefused as refused:  # kept until all of this is committed: challenge, count of guesses and event
            refusal = refused
            code = refusal_code(refused)
            record("step_up.proved", actor=user, target=user, subject=user, outcome="refused", code=code)
    if refusal:
        raise refusal
    return proofs


def _new_proofs(user: User, session: str, intents: Sequence[str], device: Device) -> list[StepUpProof]:
    method, at = METHODS[type(device)], now()
    made = [
        StepUpProof(
            user=user,
            session_digest=factors.digest(session),
            intent_digest=intent,
            method=method,
            device=device.persistent_id,
            created_at=at,
        )
        for intent in intents
    ]
    record("step_up.proved", actor=user, target=user, subject=user, after={"method": method})
    return StepUpProof.objects.bulk_create(made)


# --- codes --------------------------------------------------------------------------------------------------


def _accepting(user: User, code: str, app: TotpDevice | None) -> Device:
    """Return the device of `user` that accepts `code`."""
    device = _device_for(user, code, app)
    refusal = _refusal_before(device, code)
    if device is None or (refusal and refusal.code == "throttled"):
        raise refusal or _wrong_code(device)
    if not django_otp.verify_token(user, device.persistent_id, code):
        raise refusal or _wrong_code(device)
    return device


def _device_for(user: User, code: str, app: TotpDevice | None = None) -> Device | None:
    """Return what of `user` the code belongs to by its look: `app` or their first one, or their recovery codes."""
    if not factors.is_time_based(code):
        return RecoveryDevice.objects.filter(user=user, confirmed=True).first()
    apps = TotpDevice.objects.filter(user=user, confirmed=True)
    return apps.filter(pk=app.pk).first() if app else apps.order_by("pk").first()


def _refusal_before(device: Device | None, code: str) -> StepUpRefused | None:
    """What can be said beforehand; the verdict itself is the device's, under its lock."""
    if device is None:
        return _wrong_code(device)
    allowed, reason = device.verify_is_allowed()
    if not allowed:
        until = (reason or {}).get("locked_until")
        seconds = max(1, round((until - now()).total_seconds())) if until else 1
        text = _("Too many wrong codes. Wait %(seconds)d s, then enter a new code.") % {"seconds": seconds}
        return StepUpRefused(text, code="throttled")
    if isinstance(device, TotpDevice) and _was_used(device, code):
        text = _("This code has been used already. Wait for the next one: it comes within 30 seconds.")
        return StepUpRefused(text, code="mfa_reused")
    return None


def _was_used(device: TotpDevice, code: str) -> bool:
    step = factors.accepted_step(device.encrypted_key, code, after=-1, at=now())
    return step is not None and step <= device.last_step


def _wrong_code(device: Device | None) -> StepUpRefused:
    """Only the app that was asked is tried: to try all of them would double what a guess is worth."""
    if isinstance(device, TotpDevice) and TotpDevice.objects.filter(user=device.user_id, confirmed=True).count() > 1:
        text = _("“%(name)s” does not show this code now. Enter the code of that app, or choose the app of this one.")
        return StepUpRefused(text % {"name": device.name}, code="mfa_invalid")
    text = _("This code is wrong. Enter the code that your authenticator app shows now, or an unused recovery code.")
    return StepUpRefused(text, code="mfa_invalid")


# --- passkeys -----------------------------------------------------------------------------------------------


def descriptors(user: User) -> list[PublicKeyCredentialDescriptor]:
    """Return how browsers are told of the passkeys of `user`, those used last first."""
    rows = Passkey.objects.filter(user=user, confirmed=True).order_by("-last_used_at", "pk")
    return [passkeys.descriptor(row.credential_id, row.transports) for row in rows]


def _request_options(user: User, session: str, intent: str) -> dict[str, Any]:
    allowed = descriptors(user)
    if not allowed:
        text = _("You have no passkey yet. Add one on your Security page.")
        raise StepUpRefused(text, code="no_passkey")
    return passkeys.request_options(new_challenge(user, session, intent), allowed=allowed)


@transaction.atomic(durable=True)
def new_challenge(user: User, session: str, intent: str) -> str:
    """Return a challenge for just this, and forget those of `user` that nobody answered in time."""
    at = now()
    PasskeyChallenge.objects.filter(user=user, created_at__lt=at - _fresh()).delete()
    return PasskeyChallenge.objects.create(
        challenge=passkeys.new_challenge(),
        user=user,
        session_digest=factors.digest(session),
        intent_digest=intent,
        created_at=at,
    ).challenge


def take_challenge(answer: dict[str, Any], *, user: User, session: str, intent: str) -> str:
    """Use up the challenge that `answer` is to, and return it.

    Raises:
        StepUpRefused: ``passkey_expired``: there is none, for this person, session and intent, of the last 120 s.
        passkeys.Unfit: the answer names none.
    """
    at, challenge = now(), passkeys.challenge_of(answer)
    own = PasskeyChallenge.objects.filter(user=user, session_digest=factors.digest(session), intent_digest=intent)
    taken, _by_model = own.filter(pk=challenge, created_at__range=(at - _fresh(), at)).delete()
    if not taken:
        text = _("This took too long, or something else was asked meanwhile. Use the passkey again.")
        raise StepUpRefused(text, code="passkey_expired")
    return challenge


def _fresh() -> timedelta:
    return timedelta(seconds=settings.STEP_UP_SECONDS)


def _answering(user: User, session: str, intent: str, answer: str) -> Passkey:
    """Return the passkey of `user` that gave `answer`. The challenge is used up, whatever becomes of the answer."""
    try:
        read = passkeys.parsed(answer)
        challenge = take_challenge(read, user=user, session=session, intent=intent)
        passkey: Passkey = Passkey.objects.select_for_update().get(user=user, credential_id=read["id"], confirmed=True)
        verified = passkeys.signed(read, challenge, bytes(passkey.public_key))
    except (passkeys.Unfit, Passkey.DoesNotExist) as error:
        text = _("This passkey was not accepted. Use one of yours for this site, with its PIN, finger or face.")
        raise StepUpRefused(text, code="passkey_invalid") from error
    check_sign_count(passkey.sign_count, verified.new_sign_count)
    passkey.sign_count, passkey.is_synced = verified.new_sign_count, passkeys.is_synced(verified)
    passkey.set_last_used_timestamp(commit=False)
    passkey.save(update_fields=["sign_count", "is_synced", "last_used_at"])
    return passkey


# --- proofs -------------------------------------------------------------------------------------------------


def consume(proof: StepUpProof | None, *, user: User, session: str, action: str, **facts: Any) -> StepUpProof:
    """Use up `proof` for just this intent, in the caller's transaction.

    Raises:
        StepUpRefused: ``mfa_required``: none, another's, of another session or intent, too old, or used before.
    """
    at, intent = now(), intent_digest(action, **facts)
    check_proof(proof, user=user, intent=intent, session=session, at=at)
    assert proof is not None  # noqa: S101 (what check_proof has just made sure of)
    if not StepUpProof.objects.filter(pk=proof.pk, consumed_at=None).update(consumed_at=at):
        raise StepUpRefused(_("This confirmation has been used already. Enter a new code."), code="mfa_required")
    return proof
