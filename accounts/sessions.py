"""The browser session of somebody who signs in: first named by a password, then signed in with both factors.

Between the two the session belongs to nobody: the rest of the site sees an anonymous visitor.
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import django_otp
from django.conf import settings
from django.contrib.auth import login
from django.http import HttpRequest
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.timezone import now
from django_otp.models import Device

from . import services
from .models import StepUpProof, User

PENDING = "pending_sign_in"
PENDING_LIFETIME = timedelta(minutes=15)


class SignedInRequest(HttpRequest):
    """A request that `LoginRequiredMiddleware` has let through."""

    user: User


def next_path(request: HttpRequest) -> str:
    """Return where to go after sign-in: what the address asks for, if that is on this site."""
    wanted = request.GET.get("next", "")
    if url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure()):
        return wanted
    return reverse("home")


def begin(request: HttpRequest, user: User) -> None:
    """Note in a fresh session that the password of `user` was right."""
    request.session.flush()
    request.session["binding"] = secrets.token_urlsafe(16)
    pending = {"user": str(user.pk), "password": user.get_session_auth_hash(), "at": now().isoformat()}
    request.session[PENDING] = pending | {"next": next_path(request)}


def pending_user(request: HttpRequest) -> User | None:
    """Return whose second factor is awaited; None if nobody's, not any more, or if they were disabled meanwhile or
    have another password.
    """
    pending = request.session.get(PENDING)
    if pending is None or now() - datetime.fromisoformat(pending["at"]) > PENDING_LIFETIME:
        return None
    user: User | None = User.objects.enabled().people().filter(pk=pending["user"]).first()
    is_same = user is not None and constant_time_compare(pending["password"], user.get_session_auth_hash())
    return user if is_same else None


def complete(request: HttpRequest, user: User, *, proof: StepUpProof) -> str:
    """Sign `user` in with the factor that was proved, under a new session key; return the path to go to.

    Raises:
        StepUpRefused: the proof does not fit.
    """
    agent = request.headers.get("User-Agent", "")
    services.sign_in(user=user, proof=proof, session=request.session["binding"], agent=agent)
    path: str = request.session.pop(PENDING)["next"]
    login(request, user, backend=settings.AUTHENTICATION_BACKENDS[0])
    django_otp.login(request, Device.from_persistent_id(proof.device))
    request.session["signed_in_at"] = request.session["used_at"] = int(now().timestamp())
    request.session["signed_in_with"] = proof.method
    return path


def prove(
    request: HttpRequest, user: User, factor: Mapping[str, Any], intent: str, *, phishing_resistant: bool = False
) -> StepUpProof:
    """Prove a factor for `intent`, and go on under a new session key. See `prove_each`."""
    return prove_each(request, user, factor, [intent], phishing_resistant=phishing_resistant)[0]


def prove_each(
    request: HttpRequest,
    user: User,
    factor: Mapping[str, Any],
    intents: Sequence[str],
    *,
    phishing_resistant: bool = False,
) -> list[StepUpProof]:
    """Prove one factor for all that is asked in one act (`services.prove_each`), and go on under a new session key.

    Args:
        user: who is signed in.
        factor: the code and the app, or the passkey, as `forms.CodeForm.factor` has them.
        phishing_resistant: a passkey alone will do.

    Raises:
        StepUpRefused. passkeys.Asked: the browser is to ask for a passkey, see `services.prove_each`.
    """
    asked: dict[str, Any] = {"session": request.session["binding"], "phishing_resistant": phishing_resistant}
    proofs = services.prove_each(user=user, intents=intents, **asked, **factor)
    request.session.cycle_key()
    return proofs
