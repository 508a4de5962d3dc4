"""Loops for the worker: what has served its time is forgotten, what was held for the morning is told."""

import logging
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from django.contrib.sessions.models import Session
from django.utils.timezone import now

from notifications.models import Message
from notifications.services import send_digest

from .links import link
from .models import BrowserSession, PasskeyChallenge, SignInCounter, StepUpProof, User
from .rules import THROTTLE_MEMORY

logger = logging.getLogger(__name__)

# A proof counts for two minutes, and so does a challenge; what was proved stands in the audit.
PROOF_MEMORY = timedelta(days=1)
# The browsers of past sign-ins; that there were any stands in the audit.
SIGN_IN_MEMORY = timedelta(days=30)


def each_by_itself(rows: Iterable[Any], act: Callable[[Any], bool]) -> int:
    """Do it to each row; return to how many. A row that fails is logged and left as it is."""
    done = 0
    for row in rows:
        try:
            done += act(row)
        except Exception:
            logger.exception("could not finish %s %s; it stays due", type(row).__name__, row.pk)
    return done


def digest_due() -> int:
    """Send each person whose morning has come one mail of what was held for them; return how many digests."""
    at, url = now(), link("accounts:mail")
    people = User.objects.filter(pk__in=Message.objects.gathering(at).values("user_id"))
    return each_by_itself(people, lambda person: send_digest(to=person, url=url, at=at) is not None)


def forget_due() -> int:
    """Delete old failures to sign in, old proofs, challenges and sessions that are over; return how many rows went.

    Otherwise strangers could fill the table of failures with names that they make up.
    """
    at = now()
    old = (
        SignInCounter.objects.filter(changed_at__lt=at - THROTTLE_MEMORY),
        StepUpProof.objects.filter(created_at__lt=at - PROOF_MEMORY),
        PasskeyChallenge.objects.filter(created_at__lt=at - PROOF_MEMORY),
        Session.objects.filter(expire_date__lt=at),
        BrowserSession.objects.filter(started_at__lt=at - SIGN_IN_MEMORY),
    )
    return sum(rows.delete()[0] for rows in old)
