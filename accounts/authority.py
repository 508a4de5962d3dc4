"""The one question that every service asks first: may this person do this at all?"""

from .models import User
from .rules import NotAllowed


def require(actor: User | None, *permissions: str) -> None:
    """Refuse unless `actor` is the system (None) or holds one of `permissions` through a role in force.

    Args:
        actor: who acts; rights are read afresh, never from a session.
        permissions: Django permissions, "app.codename"; with none, only the system may.

    Raises:
        NotAllowed: code ``not_allowed``.
    """
    if actor is not None and not actor.get_all_permissions().intersection(permissions):
        raise NotAllowed
