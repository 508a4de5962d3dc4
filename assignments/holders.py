"""Who has what an assignment gives, or what a request asks for: a person or a group, exactly one."""

from typing import Any

from django.db import models
from django.db.models import Q

from accounts.models import Group, User


class Held:
    """A row with the columns `user` and `group`, of which a constraint made by `one_holder` sets one."""

    user: Any  # a foreign key, which the stubs give no type that a mixin could name
    group: Any

    @property
    def holder(self) -> User | Group:
        """Who gets, has or loses the role."""
        holder: User | Group | None = self.user or self.group
        assert holder is not None  # noqa: S101 (a constraint says so)
        return holder


def one_holder(name: str) -> models.CheckConstraint:
    """Return the constraint of this name that a row is a person's or a group's."""
    either = Q(user=None, group__isnull=False) | Q(user__isnull=False, group=None)
    return models.CheckConstraint(condition=either, name=name)
