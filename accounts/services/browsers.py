"""In which browsers somebody is signed in: noted at sign-in, ended by themselves, dead at the next request."""

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.utils.timezone import now
from django.utils.translation import gettext as _

from accounts import factors
from accounts.browsers import ACTIVATE_WITHIN, BrowserSession
from accounts.models import User
from accounts.prepared import Prepared
from accounts.rules import SessionRefused, check_own_session
from audit.canonical import clean
from audit.context import current
from audit.services import privileged, record

# Each request asks it.
_OPEN = Prepared(
    lambda user, digest, start: BrowserSession.objects.since(start).filter(user=user, digest=digest).values_list("pk")
)


def note_sign_in(*, user: User, session: str, method: str, device: str = "", agent: str = "") -> BrowserSession:
    """Note a new sign-in, in the transaction of it.

    Args:
        session: the name of the sign-in session, of which only a digest is kept.
        agent: how the browser calls itself.
    """
    at = now()
    named = {"digest": factors.digest(session), "agent": clean(agent)[:300], "address": current().address}
    explain_by = at + ACTIVATE_WITHIN if user.is_emergency_access else None
    times = {"started_at": at, "used_at": at, "explain_by": explain_by}
    return BrowserSession.objects.create(user=user, method=method, device=device, **times, **named)


def look_at_sign_in(*, browser: BrowserSession, at: datetime) -> bool:
    """Claim a sign-in whose explanation is due; False if it was looked at already."""
    return bool(BrowserSession.objects.to_explain(at).filter(pk=browser.pk).update(explain_by=None))


def is_signed_in(*, user: AbstractBaseUser | AnonymousUser, session: str, at: datetime) -> bool:
    """Is this session of theirs still good?"""
    oldest = at - timedelta(hours=settings.SESSION_HOURS)
    return isinstance(user, User) and bool(_OPEN.rows(user, factors.digest(session), oldest))


def note_use_of(*, session: str, at: datetime) -> None:
    BrowserSession.objects.filter(digest=factors.digest(session)).update(used_at=at)


def close(*, session: str) -> None:
    """Close a session by its name, because its person signs out."""
    BrowserSession.objects.filter(digest=factors.digest(session), ended_at=None).update(ended_at=now())


def close_others(user: User, *, session: str, **chosen: str) -> int:
    """Close all sessions of a person but this one, or those of them that are chosen; return how many."""
    others = BrowserSession.objects.open(now()).of(user).exclude(digest=factors.digest(session))
    return others.filter(**chosen).update(ended_at=now())


@privileged("session.revoked", target="actor")
def end_session(*, actor: User, browser: BrowserSession) -> None:
    """Sign oneself out in another browser.

    Raises:
        SessionRefused: ``not_found``.
    """
    at = now()
    check_own_session(browser, actor)
    if BrowserSession.objects.open(at).filter(pk=browser.pk).update(ended_at=at):
        record("session.revoked", actor=actor, target=actor, subject=actor, before=_facts(browser))


@privileged("sessions.revoked", target="actor")
def end_sessions(*, actor: User) -> int:
    """Sign oneself out everywhere, here too; return in how many browsers.

    Raises:
        SessionRefused: ``not_found``: nowhere.
    """
    at = now()
    ended = BrowserSession.objects.open(at).of(actor).update(ended_at=at)
    if not ended:
        raise SessionRefused(_("You are signed in nowhere."), code="not_found")
    record("sessions.revoked", actor=actor, target=actor, subject=actor, after={"count": ended})
    return ended


def _facts(browser: BrowserSession) -> dict[str, str]:
    return {"browser": str(browser), "address": browser.address}
