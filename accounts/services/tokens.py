"""API tokens: made with a fresh proof and shown once, replaced, revoked, and recognised."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils.timezone import now
from django.utils.translation import gettext as _

from accounts import factors
from accounts.authority import require
from accounts.models import ApiToken, StepUpProof, User
from accounts.rules import NotAllowed
from accounts.tokens import (
    MOST_TOKENS,
    TokenRefused,
    check_overlap,
    check_terms,
    comes_from,
    is_open,
    is_same,
    key_of,
    networks_of,
    new_token,
)
from audit.services import privileged, record

from .step_up import consume
from .telling import tell_factors_changed

USE_IS_NOTED_EVERY = timedelta(minutes=1)
# Who may issue a token to a service account can act as it, whatever it comes to hold.
ISSUES = "accounts.enrol_privileged_user"
OVERLAP = timedelta(hours=24)


def token_facts(
    *, user: User, name: str, scopes: Iterable[str], lifetime: timedelta, networks: Iterable[str] = ()
) -> dict[str, Any]:
    """Return what a proof for a new token is bound to."""
    return {
        "owner": user.pk,
        "name": name,
        "scopes": sorted(set(scopes)),
        "lifetime": lifetime,
        "networks": list(networks),
    }


@privileged("token.created", target="user")
def create_token(
    *,
    user: User,
    actor: User | None,
    name: str,
    scopes: Iterable[str],
    lifetime: timedelta,
    networks: Iterable[str] = (),
    proof: StepUpProof | None = None,
    session: str = "",
    validate_only: bool = False,
) -> str:
    """Make a token for oneself, or for a service account with the right to; return it, to be shown once.

    Args:
        actor: None for the system, which needs no proof.
        scopes: of `tokens.Scope`, at least one.
        lifetime: from 5 minutes to a year.
        networks: addresses and networks that it counts from; none: from anywhere.
        proof: of the actor's second factor, made for "token.created" with `token_facts`.
        validate_only: check all but the proof, and make nothing; the token is empty.

    Raises:
        NotAllowed. TokenRefused: ``scopes_invalid``, ``lifetime_invalid``, ``network_invalid``, ``too_many_tokens``.
        StepUpRefused: ``mfa_required``. ValidationError: the name is wrong.
    """
    scopes, networks = sorted(set(scopes)), list(networks)
    _check_keeper(user, actor)
    check_terms(scopes=scopes, lifetime=lifetime, networks=networks)
    user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    at = now()
    if not user.is_active:
        raise NotAllowed(_("This account is disabled."))
    _check_number(user, at)
    asked = token_facts(user=user, name=name, scopes=scopes, lifetime=lifetime, networks=networks)
    terms = {"scopes": " ".join(scopes), "networks": " ".join(networks_of(" ".join(networks)))}
    terms["name"] = ApiToken._meta.get_field("name").clean(name.strip(), None)
    if validate_only:
        return ""
    if actor is not None:
        consume(proof, user=actor, session=session, action="token.created", **asked)
    token, text = _kept(user, expires_at=at + lifetime, at=at, **terms)
    record("token.created", actor=actor, target=token, subject=user, after=_facts(token))
    _tell(token, actor, _("The API token “%(name)s” was made."))
    return text


@privileged("token.rotated", target="token")
def rotate_token(
    *,
    token: ApiToken,
    actor: User | None,
    overlap: timedelta = OVERLAP,
    proof: StepUpProof | None = None,
    session: str = "",
    validate_only: bool = False,
) -> str:
    """Replace a token by one of the same name, scopes, networks and lifetime; return it, to be shown once.

    Args:
        overlap: how long the former one goes on, at most a week and never past its own end.
        proof: made for "token.rotated" with `token` (its id) and `overlap`.

    Raises:
        NotAllowed. TokenRefused: ``already_ended``, ``lifetime_invalid``, ``too_many_tokens``. StepUpRefused.
    """
    _check_keeper(token.user, actor)
    check_overlap(overlap)
    user, token, at = _locked(token)
    _check_number(user, at)
    if validate_only:
        return ""
    if actor is not None:
        consume(proof, user=actor, session=session, action="token.rotated", token=token.pk, overlap=overlap)
    before = _facts(token)
    terms = {"name": token.name, "scopes": token.scopes, "networks": token.networks, "replaces": token}
    made, text = _kept(user, expires_at=at + token.lifetime, at=at, **terms)
    if overlap:
        token.expires_at = min(token.expires_at, at + overlap)
    else:
        token.revoked_at = at
    token.save(update_fields=["expires_at", "revoked_at"])
    record("token.rotated", actor=actor, target=made, subject=user, before=before, after=_facts(made))
    _tell(made, actor, _("The API token “%(name)s” was replaced by a new one."))
    return text


@privileged("token.revoked", target="token")
def revoke_token(*, token: ApiToken, actor: User | None) -> None:
    """End a token at once: one's own, or anybody's with the right to disable people. Needs no proof.

    Raises:
        NotAllowed. TokenRefused: ``already_ended``.
    """
    if actor is None or actor.pk != token.user_id:
        require(actor, ISSUES, "accounts.disable_user")
    _user, token, at = _locked(token)
    _revoke(token, actor, at)
    _tell(token, actor, _("The API token “%(name)s” was revoked."))


def revoke_tokens_of(user: User, *, actor: User | None) -> None:
    """End all tokens of somebody, whose row is locked. Called where all that they signed in with so far is over."""
    at = now()
    for token in ApiToken.objects.select_for_update(of=("self",)).open(at).filter(user=user):
        _revoke(token, actor, at)


def _revoke(token: ApiToken, actor: User | None, at: datetime) -> None:
    token.revoked_at = at
    token.save(update_fields=["revoked_at"])
    record("token.revoked", actor=actor, target=token, subject=token.user, before=_facts(token))


def recognise(text: str, *, address: str) -> ApiToken:
    """Return the token that `text` is, with its owner, and note its use. One statement, and one more each minute.

    Raises:
        TokenRefused: ``token_invalid``, whatever is wrong with it; ``address_refused``.
    """
    at, key = now(), key_of(text)
    token = ApiToken.objects.select_related("user").filter(key=key).first() if key else None
    if token is None or not is_same(text, token.digest) or not is_open(token, at) or not token.user.is_active:
        raise TokenRefused(_("This token is not valid, or not any more. Make a new one."), code="token_invalid")
    if not comes_from(address, token.networks):
        raise TokenRefused(_("This token does not count from this address."), code="address_refused")
    note_use(token.pk, token.last_used_at, address=address, at=at)
    return token


def note_use(pk: Any, last: datetime | None, *, address: str, at: datetime) -> None:
    """Write that a token was used, unless that was noted within the last minute."""
    if last is not None and at - last < USE_IS_NOTED_EVERY:
        return
    old = Q(last_used_at=None) | Q(last_used_at__lte=at - USE_IS_NOTED_EVERY)
    ApiToken.objects.filter(old, pk=pk).update(last_used_at=at, last_address=address)


def _check_keeper(user: User, actor: User | None) -> None:
    if user.is_person and actor is not None and actor.pk == user.pk:
        return
    if user.is_person and actor is not None:
        raise NotAllowed(_("People make their own tokens."))
    require(actor, ISSUES)


def _check_number(user: User, at: datetime) -> None:
    if ApiToken.objects.open(at).filter(user=user).count() >= MOST_TOKENS:
        text = _("At most %(limit)d tokens at a time. Revoke one that is not used any more.")
        raise TokenRefused(text % {"limit": MOST_TOKENS}, code="too_many_tokens")


def _locked(token: ApiToken) -> tuple[User, ApiToken, datetime]:
    user = User.objects.select_for_update(no_key=True).get(pk=token.user_id)
    token = ApiToken.objects.select_for_update(of=("self",)).select_related("user").get(pk=token.pk)
    at = now()
    if not is_open(token, at):
        raise TokenRefused(_("This token has ended already."), code="already_ended")
    return user, token, at


def _kept(user: User, *, expires_at: datetime, at: datetime, **terms: Any) -> tuple[ApiToken, str]:
    text, key = new_token()
    made = {"key": key, "digest": factors.digest(text), "created_at": at, "expires_at": expires_at}
    return ApiToken.objects.create(user=user, **made, **terms), text


def _facts(token: ApiToken) -> dict[str, Any]:
    return {name: getattr(token, name) for name in ("name", "key", "scopes", "networks", "expires_at")}


def _tell(token: ApiToken, actor: User | None, what: str) -> None:
    if token.user.is_person and actor is not None:
        tell_factors_changed(token.user, what % {"name": token.name})
