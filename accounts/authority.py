"""The one question that every service asks first: may this person do this at all?"""

from django.db.models import Model

from .bulk import once
from .models import User
from .rules import NotAllowed


def require(actor: User | None, *permissions: str, at: Model | None = None) -> None:
    """Refuse unless `actor` is the system (None) or holds one of `permissions` through a role in force.

    Args:
        actor: who acts; rights are read afresh, never from a session; once for a bulk act.
        permissions: Django permissions, "app.codename"; with none, only the system may.
        at: what it is done to; its owners may have the permission over it alone.

    Raises:
        NotAllowed: code ``not_allowed``.
    """
    if actor is not None and not may(actor, *permissions, at=at):
        raise NotAllowed


def may(actor: User, *permissions: str, at: Model | None = None) -> bool:
    """Answer what `require` asks."""
    held = once(("rights", actor.pk), actor.get_all_permissions)
    return bool(held.intersection(permissions)) or (
        at is not None and bool(actor.get_all_permissions(at).intersection(permissions))
    )
