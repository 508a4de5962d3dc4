"""The mail that says that somebody's ways to sign in have changed."""

from django.utils.timezone import now

from accounts.links import link
from accounts.models import User
from audit.context import current
from notifications.services import queue


def tell_factors_changed(user: User, what: str) -> None:
    """Tell somebody by mail that what they sign in with has changed."""
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
