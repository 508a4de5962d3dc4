"""What a role in force lets its holder do in this site."""

from datetime import datetime
from typing import Any

from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.models import Permission
from django.db import models
from django.utils.timezone import now

from accounts.models import User

from .models import ActiveAssignment
from .ownership import rights_over, ways_to_own
from .prepared import Prepared


def rights(user: User, at: datetime) -> models.QuerySet[Any, Any]:
    """Return (app label, codename) of what the roles in force at the organisation itself give a person.

    Whoever owns something has the mark of that as well.
    """
    held = ActiveAssignment.objects.held_by(user, at).filter(scope__path="/")
    permissions = Permission.objects.filter(role__in=held.values("role")).order_by()
    pairs = permissions.values_list("content_type__app_label", "codename")
    mark = {"app": models.Value("assignments"), "code": models.Value("own_something")}
    owned = [rows.order_by().annotate(**mark).values_list("app", "code") for rows in ways_to_own(user, at)]
    return pairs.union(*owned)


_RIGHTS = Prepared(rights)


class AssignmentBackend(BaseBackend):
    """Reads the rights of a person from the assignments in force, at each request.

    Only assignments at the organisation itself count: a role that is held on one application gives no right over the
    whole site. Nothing is kept between requests, so a right ends at the second at which its assignment does.
    """

    def get_user(self, user_id: Any) -> User | None:
        return User.objects.enabled().filter(pk=user_id).first()

    def get_all_permissions(self, user_obj: Any, obj: models.Model | None = None) -> set[str]:
        """Return the "app.codename" of each permission in force; about a single object, those of its owners alone."""
        if not isinstance(user_obj, User) or not user_obj.is_active:
            return set()
        if obj is not None:
            return set(rights_over(user_obj, obj, now()))
        return {f"{app_label}.{codename}" for app_label, codename in _RIGHTS.rows(user_obj, now())}
