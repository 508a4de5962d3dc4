"""Signing in: the password, behind a throttle that counts before it hashes."""

from datetime import datetime, timedelta

from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.db.models import F
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import SignInCounter, StepUpProof, User
from accounts.rules import THROTTLE_MEMORY, THROTTLES, SignInRefused, throttle_keys
from audit.canonical import clean
from audit.context import bind, current
from audit.services import record

from .browsers import close, note_sign_in
from .step_up import consume


def check_password(*, identifier: str, password: str, address: str) -> User:
    """Return the enabled person named `identifier` (username or e-mail) whose password this is.

    The attempt is counted in a transaction of its own *before* the password is hashed, so a burst of parallel
    attempts cannot pass the limit, and a throttled one costs no hashing (0.6 s of a core).

    Raises:
        SignInRefused: ``throttled``, or ``invalid_credentials`` whatever was wrong.
    """
    identifier, password = clean(identifier), clean(password)
    keys = throttle_keys(identifier, address)
    _count_attempt(keys)
    user = User.objects.enabled().people().named(identifier).first()
    if user is None:
        make_password(password)  # as slow as a real check, so that time does not tell who exists
    elif user.check_password(password):
        _forgive(keys)
        return user
    _record_refusal(user)
    raise SignInRefused(_("The name or the password is wrong."), code="invalid_credentials")


def _count_attempt(keys: dict[str, str]) -> None:
    with transaction.atomic(durable=True):
        SignInCounter.objects.bulk_create([SignInCounter(key=key) for key in keys.values()], ignore_conflicts=True)
        locked = SignInCounter.objects.select_for_update().filter(key__in=keys.values()).order_by("key")
        counters = {counter.key: counter for counter in locked}
        at = now()  # read under the lock: attempts of one burst follow each other also in time
        _check_not_blocked(list(counters.values()), at=at)
        for kind, key in keys.items():
            counter = counters[key]
            forgotten = at - counter.changed_at > THROTTLE_MEMORY
            counter.failures = 1 if forgotten else counter.failures + 1
            counter.blocked_until = at + THROTTLES[kind].wait(counter.failures)
            counter.changed_at = at
        SignInCounter.objects.bulk_update(counters.values(), ["failures", "blocked_until", "changed_at"])


def _check_not_blocked(counters: list[SignInCounter], *, at: datetime) -> None:
    until = max((counter.blocked_until for counter in counters if counter.blocked_until), default=at)
    if until > at:
        seconds = int((until - at + timedelta(seconds=1)).total_seconds())
        raise SignInRefused(
            ngettext(
                "Too many attempts. Wait one second, then try again.",
                "Too many attempts. Wait %(seconds)d seconds, then try again.",
                seconds,
            )
            % {"seconds": seconds},
            code="throttled",
        )


def _forgive(keys: dict[str, str]) -> None:
    SignInCounter.objects.filter(key__in=[keys["name"], keys["both"]]).delete()
    SignInCounter.objects.filter(key=keys["address"], failures__gt=0).update(failures=F("failures") - 1)


def _record_refusal(user: User | None) -> None:
    """What was typed as a name is not kept: people type passwords there."""
    with transaction.atomic():
        record("session.started", actor=None, target=user, subject=user, outcome="refused", code="invalid_credentials")


@transaction.atomic
def sign_in(*, user: User, proof: StepUpProof, session: str, agent: str = "") -> None:
    """Note that `user`, whose password was right, has proved a second factor too and is in.

    Args:
        agent: how the browser calls itself.

    Raises:
        StepUpRefused: the proof does not fit.
    """
    consume(proof, user=user, session=session, action="session.started")
    note_sign_in(user=user, session=session, method=proof.method, device=proof.device, agent=agent)
    user.last_sign_in_at = now()
    user.save(update_fields=["last_sign_in_at"])
    origin = current()  # bound when the request came in, before anybody was signed in
    with bind(correlation_id=origin.correlation_id, address=origin.address, via=f"session {proof.method}"):
        record("session.started", actor=user, target=user, subject=user, after={"method": proof.method})


@transaction.atomic
def sign_out(*, user: User, session: str) -> None:
    close(session=session)
    record("session.ended", actor=user, target=user, subject=user)
