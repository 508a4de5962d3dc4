"""What may be subscribed to, and when a delivery is tried again."""

from collections.abc import Collection
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.models import User

from .kinds import Kind
from .models import Delivery

# Between one attempt and the next: the last is three days after the first.
PAUSES = tuple(timedelta(seconds=seconds) for seconds in (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 72000))
ATTEMPTS = len(PAUSES) + 1


class SubscriptionRefused(ValidationError):
    """Codes: ``kind_unknown``, ``owner_disabled``."""


class SendAgainRefused(ValidationError):
    """Code: ``still_waiting``."""


def pause_after(attempts: int) -> timedelta | None:
    """Return how long to wait after so many attempts; None where it is given up."""
    return PAUSES[attempts - 1] if attempts <= len(PAUSES) else None


def check_kinds(kinds: Collection[str]) -> None:
    """Refuse no kind at all, and what is none. Raises SubscriptionRefused: ``kind_unknown``."""
    if not kinds or set(kinds) - set(Kind.values):
        text = _("Choose what it is told of, among: %(kinds)s.") % {"kinds": ", ".join(Kind.values)}
        raise SubscriptionRefused(text, code="kind_unknown")


def check_owner(owner: User) -> None:
    """Refuse an owner who could not answer for it. Raises SubscriptionRefused: ``owner_disabled``."""
    if not owner.is_active:
        raise SubscriptionRefused(_("The owner's account is disabled. Choose another."), code="owner_disabled")


def check_settled(delivery: Delivery) -> None:
    """Refuse to send again what has not been sent. Raises SendAgainRefused: ``still_waiting``."""
    if delivery.is_open:
        raise SendAgainRefused(_("It still waits to be sent."), code="still_waiting")
