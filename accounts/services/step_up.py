"""Proving a second factor, and changing what one proves with."""

from typing import Any

import django_otp
from django.contrib.auth.password_validation import validate_password
from django.db import transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django_otp.models import Device

from accounts import factors
from accounts.authority import require
from accounts.links import link
from accounts.models import EnrolmentTicket, RecoveryCode, RecoveryDevice, StepUpProof, TotpDevice, User
from accounts.rules import (
    EnrolmentRefused,
    StepUpRefused,
    check_factor_can_go,
    check_proof,
    check_ticket,
    intent_digest,
)
from audit.context import current
from audit.services import privileged, record, refusal_code
from notifications.services import queue

METHODS = {TotpDevice: "totp", RecoveryDevice: "recovery"}


def prove(*, user: User, session: str, intent: str, code: str, app: TotpDevice | None = None) -> StepUpProof:
    """Check a one-time code or recovery code and return a proof bound to person, session and intent.

    Commits by itself, before anything that the proof is for: a code that is checked inside a transaction which
    rolls back could be used again, and the count of wrong guesses would be lost.

    Args:
        user: who proves.
        session: the name of the sign-in session or of the API token.
        intent: `rules.intent_digest` of what is being asked.
        code: six digits of an authenticator app, or a recovery code; spaces and dashes do not count.
        app: which authenticator app, where the person has several.

    Raises:
        StepUpRefused: ``mfa_required`` (no code), ``mfa_invalid``, ``mfa_reused``, ``throttled``.
    """
    code = factors.plain(code)
    if not code:
        raise StepUpRefused(_("Enter the code of your authenticator app."), code="mfa_required")
    device = device_for(user, code, app)
    with transaction.atomic(durable=True):
        refusal = _refusal_before(device, code)
        if device is not None and not (refusal and refusal.code == "throttled"):
            accepted = django_otp.verify_token(user, device.persistent_id, code)
            refusal = None if accepted else refusal or _wrong_code()
        if refusal:
            record(
                "step_up.proved", actor=user, target=user, subject=user, outcome="refused", code=refusal_code(refusal)
            )
        else:
            proof = _new_proof(user, session, intent, METHODS[type(device)])
    if refusal:
        raise refusal
    return proof


def device_for(user: User, code: str, app: TotpDevice | None = None) -> Device | None:
    """Return what of `user` the code belongs to by its look: `app` or their first one, or their recovery codes."""
    if not factors.is_time_based(code):
        return RecoveryDevice.objects.filter(user=user, confirmed=True).first()
    apps = TotpDevice.objects.filter(user=user, confirmed=True)
    return apps.filter(pk=app.pk).first() if app else apps.order_by("pk").first()


def _refusal_before(device: Device | None, code: str) -> StepUpRefused | None:
    """What can be said beforehand; the verdict itself is the device's, under its lock."""
    if device is None:
        return _wrong_code()
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


def _wrong_code() -> StepUpRefused:
    text = _("This code is wrong. Enter the code that your authenticator app shows now, or an unused recovery code.")
    return StepUpRefused(text, code="mfa_invalid")


def _new_proof(user: User, session: str, intent: str, method: str) -> StepUpProof:
    proof = StepUpProof.objects.create(
        user=user, session_digest=factors.digest(session), intent_digest=intent, method=method, created_at=now()
    )
    record("step_up.proved", actor=user, target=user, subject=user, after={"method": method})
    return proof


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


# --- enrolment and change of factors ------------------------------------------------------------------------


def open_ticket(secret: str) -> EnrolmentTicket:
    """Return the valid enrolment ticket with this secret.

    Raises:
        EnrolmentRefused: ``ticket_invalid``.
    """
    ticket = EnrolmentTicket.objects.select_related("user").filter(digest=factors.digest(secret)).first()
    check_ticket(ticket, at=now())
    assert ticket is not None  # noqa: S101
    return ticket


@privileged("enrolment.completed", target=None)
def enrol(*, secret: str, password: str, encrypted_key: str, code: str, actor: User | None = None) -> list[str]:
    """Set the password and first factor of whom the ticket with this `secret` is for; return recovery codes.

    Whatever factors there were before are replaced: a ticket is also how somebody comes back who lost theirs.

    Raises:
        EnrolmentRefused: ``ticket_invalid``, ``mfa_invalid``.
        ValidationError: the password is too weak.
    """
    opened = open_ticket(secret)
    user = User.objects.select_for_update(of=("self",)).get(pk=opened.user_id)
    at = now()
    if not EnrolmentTicket.objects.filter(pk=opened.pk, used_at=None).update(used_at=at):
        check_ticket(None, at=at)
    validate_password(password, user)
    app = _app_proved(user, encrypted_key, code, name=_("Authenticator app"))
    TotpDevice.objects.filter(user=user).delete()
    app.save()
    user.set_password(password)
    user.save(update_fields=["password"])
    codes = _replace_recovery_codes(user)
    _tell(user, _("Password, authenticator app and recovery codes were set by an enrolment link."))
    record("enrolment.completed", actor=user, target=user, subject=user)
    return codes


def check_new_app(*, encrypted_key: str, code: str) -> int:
    """Return the time step of `code`, if it shows that the person's app has the key. Changes nothing.

    Raises:
        EnrolmentRefused: ``mfa_invalid``.
    """
    step = factors.accepted_step(encrypted_key, code, after=-1, at=now())
    if step is None:
        raise EnrolmentRefused(
            _("This code does not fit. Check the time of your phone, and enter the code that the app shows now."),
            code="mfa_invalid",
        )
    return step


def _app_proved(user: User, encrypted_key: str, code: str, *, name: str) -> TotpDevice:
    step = check_new_app(encrypted_key=encrypted_key, code=code)
    return TotpDevice(user=user, name=name[:64], encrypted_key=encrypted_key, last_step=step)


def _replace_recovery_codes(user: User) -> list[str]:
    device, _created = RecoveryDevice.objects.get_or_create(user=user, defaults={"name": "recovery codes"})
    device.codes.all().delete()
    codes = factors.new_recovery_codes()
    rows = [RecoveryCode(device=device, digest=factors.digest(factors.plain(code))) for code in codes]
    RecoveryCode.objects.bulk_create(rows)
    return codes


def _tell(user: User, what: str) -> None:
    queue(
        "factors_changed",
        to=[user],
        about=user.pk,
        context={
            "name": str(user),
            "what": what,
            "changed_at": now(),
            "address": current().address,
            "url": link("accounts:security"),
        },
    )


@privileged("factor.added", target="actor")
def add_app(
    *, actor: User, name: str, encrypted_key: str, code: str, proof: StepUpProof | None, session: str
) -> TotpDevice:
    """Enrol one more authenticator app, with a fresh proof of an existing factor.

    Raises:
        StepUpRefused: the proof does not fit. EnrolmentRefused: the new app's code does not.
    """
    consume(proof, user=actor, session=session, action="factor.added", key=factors.digest(encrypted_key))
    app = _app_proved(actor, encrypted_key, code, name=name.strip() or _("Authenticator app"))
    app.save()
    _tell(actor, _("The authenticator app “%(name)s” was added.") % {"name": app.name})
    record("factor.added", actor=actor, target=actor, subject=actor, after={"name": app.name})
    return app


@privileged("factor.removed", target="actor")
def remove_app(*, actor: User, app: TotpDevice, proof: StepUpProof | None, session: str) -> None:
    """Remove an authenticator app, with a fresh proof; the last one stays.

    Raises:
        StepUpRefused: the proof does not fit. EnrolmentRefused: ``last_factor``, ``not_found``.
    """
    consume(proof, user=actor, session=session, action="factor.removed", app=app.pk)
    User.objects.select_for_update(of=("self",)).get(pk=actor.pk)
    check_factor_can_go(TotpDevice.objects.filter(user=actor, confirmed=True).count())
    removed, _by_model = TotpDevice.objects.filter(pk=app.pk, user=actor).delete()
    if not removed:
        raise EnrolmentRefused(_("This authenticator app is not yours, or is gone already."), code="not_found")
    _tell(actor, _("The authenticator app “%(name)s” was removed.") % {"name": app.name})
    record("factor.removed", actor=actor, target=actor, subject=actor, before={"name": app.name})


@privileged("recovery_codes.renewed", target="actor")
def renew_recovery_codes(*, actor: User, proof: StepUpProof | None, session: str) -> list[str]:
    """Replace all recovery codes by ten new ones, shown once, with a fresh proof.

    Raises:
        StepUpRefused: the proof does not fit.
    """
    consume(proof, user=actor, session=session, action="recovery_codes.renewed")
    codes = _replace_recovery_codes(actor)
    _tell(actor, _("The recovery codes were replaced by new ones."))
    record("recovery_codes.renewed", actor=actor, target=actor, subject=actor)
    return codes


@privileged("password.changed", target="actor")
def change_password(*, actor: User, password: str, proof: StepUpProof | None, session: str) -> None:
    """Set a new password, with a fresh proof. All other sessions of the person end by it.

    Raises:
        StepUpRefused: the proof does not fit. ValidationError: the password is too weak.
    """
    consume(proof, user=actor, session=session, action="password.changed")
    validate_password(password, actor)
    actor.set_password(password)
    actor.save(update_fields=["password"])
    _tell(actor, _("The password was changed."))
    record("password.changed", actor=actor, target=actor, subject=actor)


@privileged("factor_keys.rotated", target=None)
def rotate_keys(*, actor: User | None) -> int:
    """Encrypt every stored key with the newest of the configured keys; return how many there were.

    Raises:
        NotAllowed: only the system may.
    """
    require(actor)
    apps = list(TotpDevice.objects.select_for_update())
    for app in apps:
        app.encrypted_key = factors.reencrypted(app.encrypted_key)
        app.save(update_fields=["encrypted_key"])
    record("factor_keys.rotated", actor=actor, target=None, after={"count": len(apps)})
    return len(apps)
