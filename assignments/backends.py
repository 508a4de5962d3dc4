"""What a role in force lets its holder do in this site."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.backends import BaseBackend
from django.db import models
from django.utils.timezone import now

from accounts.models import Group, User
from accounts.prepared import Prepared

from .models import ActiveAssignment
from .ownership import OWNING, OWNS, rights_over


def held(user: User, at: datetime) -> models.QuerySet[Any, Any]:
    """Return (path of the scope, does it own, app label, codename) for each permission of what a person holds.

    All in one statement that asks once what is held, because on PostgreSQL planning it is what takes the time.
    """
    permission = ("role__permissions__content_type__app_label", "role__permissions__codename")
    rows: models.QuerySet[Any, Any] = ActiveAssignment.objects.held_by(user, at).order_by().annotate(owns=OWNING)
    standing = {"path": models.Value(""), "owns": models.Value(True), "app": models.Value(""), "code": models.Value("")}
    owned = Group.objects.filter(owners=user).order_by().annotate(**standing).values_list(*standing)
    return rows.values_list("scope__path", "owns", *permission).union(owned)


_HELD = Prepared(held)
_ENABLED = Prepared(lambda key: User.objects.enabled().filter(pk=key).order_by())


class AssignmentBackend(BaseBackend):
    """Reads the rights of a person from the assignments in force, at each request.

    Only assignments at the organisation itself count: a role that is held on one application gives no right over the
    whole site. Nothing is kept between requests, so a right ends at the second at which its assignment does.
    """

    def get_user(self, user_id: UUID) -> User | None:
        return _ENABLED.first(User, user_id)

    def get_all_permissions(self, user_obj: Any, obj: models.Model | None = None) -> set[str]:
        """Return the "app.codename" of each permission in force; about a single object, those of its owners alone."""
        if not isinstance(user_obj, User) or not user_obj.is_active:
            return set()
        if obj is not None:
            return set(rights_over(user_obj, obj, now()))
        return set(_rights(_HELD.rows(user_obj, now())))


def _rights(rows: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    """Yield what the roles at the organisation itself give, and the mark of whoever owns something anywhere."""
    for path, owns, app_label, codename in rows:
        if owns:
            yield OWNS
        if path == "/" and codename:
            yield f"{app_label}.{codename}"
