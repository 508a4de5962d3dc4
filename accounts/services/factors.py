"""Changing what one proves with: enrolment, authenticator apps, passkeys, recovery codes, the password."""

from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.db import IntegrityError, transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _

from accounts import factors, passkeys, vault
from accounts.authority import require
from accounts.models import EnrolmentTicket, Passkey, RecoveryCode, RecoveryDevice, StepUpProof, TotpDevice, User
from accounts.rules import EnrolmentRefused, check_factor_can_go, check_ticket, intent_digest
from audit.services import privileged, record

from .browsers import close_others
from .step_up import consume, descriptors, new_challenge, take_challenge
from .telling import tell_factors_changed
from .tokens import revoke_tokens_of


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
    So do their API tokens end.

    Raises:
        EnrolmentRefused: ``ticket_invalid``, ``mfa_invalid``.
        ValidationError: the password is too weak.
    """
    opened = open_ticket(secret)
    user = User.objects.select_for_update(of=("self",), no_key=True).get(pk=opened.user_id)
    at = now()
    if not EnrolmentTicket.objects.filter(pk=opened.pk, used_at=None).update(used_at=at):
        check_ticket(None, at=at)
    validate_password(password, user)
    app = _app_proved(user, encrypted_key, code, name=_("Authenticator app"))
    for model in (TotpDevice, Passkey):
        model.objects.filter(user=user).delete()
    app.save()
    user.set_password(password)
    user.save(update_fields=["password"])
    codes = _replace_recovery_codes(user)
    revoke_tokens_of(user, actor=user)
    tell_factors_changed(user, _("Password, authenticator app and recovery codes were set by an enrolment link."))
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
    tell_factors_changed(actor, _("The authenticator app “%(name)s” was added.") % {"name": app.name})
    record("factor.added", actor=actor, target=actor, subject=actor, after={"name": app.name})
    return app


def new_passkey_options(*, user: User, session: str, proof: StepUpProof) -> dict[str, Any]:
    """Return what the browser is asked so that it makes a passkey, bound to the session and to `proof`."""
    return passkeys.creation_options(
        new_challenge(user, session, _creation(proof)),
        user_id=user.pk.bytes,
        username=user.username,
        display_name=str(user),
        present=descriptors(user),
    )


def _creation(proof: StepUpProof) -> str:
    return intent_digest("passkey.created", proof=proof.pk)


@privileged("passkey.added", target="actor")
def add_passkey(*, actor: User, name: str, answer: str, proof: StepUpProof | None, session: str) -> Passkey:
    """Keep a new passkey, with a fresh proof of an existing factor.

    Args:
        name: as the proof was made for.
        answer: the browser's, in JSON, to `new_passkey_options` for this proof.

    Raises:
        StepUpRefused: the proof does not fit, or ``passkey_expired``. EnrolmentRefused: ``passkey_invalid``.
    """
    proof = consume(proof, user=actor, session=session, action="passkey.added", name=name)
    try:
        read = passkeys.parsed(answer)
        challenge = take_challenge(read, user=actor, session=session, intent=_creation(proof))
        passkey = _passkey(actor, name.strip() or _("Passkey"), read, challenge)
        with transaction.atomic():
            passkey.save()
    except (passkeys.Unfit, IntegrityError) as error:
        text = _("This passkey cannot be used here. Try again, and confirm with its PIN, finger or face.")
        raise EnrolmentRefused(text, code="passkey_invalid") from error
    tell_factors_changed(actor, _("The passkey “%(name)s” was added.") % {"name": passkey.name})
    record("passkey.added", actor=actor, target=actor, subject=actor, after={"name": passkey.name})
    return passkey


def _passkey(user: User, name: str, answer: dict[str, Any], challenge: str) -> Passkey:
    verified = passkeys.created(answer, challenge)
    return Passkey(
        user=user,
        name=name[:64],
        credential_id=answer["id"],
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        transports=passkeys.transports_of(answer),
        is_synced=passkeys.is_synced(verified),
    )


@privileged("passkey.renamed", target="actor")
def rename_passkey(*, actor: User, passkey: Passkey, name: str, proof: StepUpProof | None, session: str) -> Passkey:
    """Call a passkey something else, with a fresh proof made for it and the name.

    Raises:
        StepUpRefused: the proof does not fit. EnrolmentRefused: ``not_found``. ValidationError: the name is wrong.
    """
    consume(proof, user=actor, session=session, action="passkey.renamed", factor=passkey.persistent_id, name=name)
    row: Passkey | None = Passkey.objects.select_for_update(of=("self",)).filter(pk=passkey.pk, user=actor).first()
    if row is None:
        raise EnrolmentRefused(_("This is not yours, or is gone already."), code="not_found")
    before, row.name = row.name, Passkey._meta.get_field("name").clean(name.strip(), row)
    row.save(update_fields=["name"])
    tell_factors_changed(
        actor, _("The passkey “%(before)s” is called “%(name)s” now.") % {"before": before, "name": row.name}
    )
    record(
        "passkey.renamed",
        actor=actor,
        target=actor,
        subject=actor,
        before={"name": before},
        after={"name": row.name},
    )
    return row


@privileged("factor.removed", target="actor")
def remove_factor(*, actor: User, factor: TotpDevice | Passkey, proof: StepUpProof | None, session: str) -> None:
    """Remove an authenticator app or a passkey, with a fresh proof; the last of them stays.

    Raises:
        StepUpRefused: the proof does not fit. EnrolmentRefused: ``last_factor``, ``not_found``.
    """
    consume(proof, user=actor, session=session, action="factor.removed", factor=factor.persistent_id)
    User.objects.select_for_update(of=("self",), no_key=True).get(pk=actor.pk)
    check_factor_can_go(
        sum(model.objects.filter(user=actor, confirmed=True).count() for model in (TotpDevice, Passkey))
    )
    removed, _by_model = type(factor).objects.filter(pk=factor.pk, user=actor).delete()
    if not removed:
        raise EnrolmentRefused(_("This is not yours, or is gone already."), code="not_found")
    close_others(actor, session=session, device=factor.persistent_id)
    tell_factors_changed(actor, _("“%(name)s” was removed.") % {"name": factor.name})
    record("factor.removed", actor=actor, target=actor, subject=actor, before={"name": factor.name})


@privileged("recovery_codes.renewed", target="actor")
def renew_recovery_codes(*, actor: User, proof: StepUpProof | None, session: str) -> list[str]:
    """Replace all recovery codes by ten new ones, shown once, with a fresh proof.

    Raises:
        StepUpRefused: the proof does not fit.
    """
    consume(proof, user=actor, session=session, action="recovery_codes.renewed")
    codes = _replace_recovery_codes(actor)
    tell_factors_changed(actor, _("The recovery codes were replaced by new ones."))
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
    close_others(actor, session=session)
    tell_factors_changed(actor, _("The password was changed."))
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
        app.encrypted_key = vault.resealed(app.encrypted_key)
        app.save(update_fields=["encrypted_key"])
    record("factor_keys.rotated", actor=actor, target=None, after={"count": len(apps)})
    return len(apps)
