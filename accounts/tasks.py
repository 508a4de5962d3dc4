"""A loop for the worker: what has served its time is forgotten."""

from datetime import timedelta

from django.contrib.sessions.models import Session
from django.utils.timezone import now

from .models import BrowserSession, PasskeyChallenge, SignInCounter, StepUpProof
from .rules import THROTTLE_MEMORY

# A proof counts for two minutes, and so does a challenge; what was proved stands in the audit.
PROOF_MEMORY = timedelta(days=1)
# The browsers of past sign-ins; that there were any stands in the audit.
SIGN_IN_MEMORY = timedelta(days=30)


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
