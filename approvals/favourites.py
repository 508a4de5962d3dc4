"""What people keep for themselves so that a role is quickly found again: favourites, and sets with a name."""

import uuid

from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from roles.models import Resource, Role


class Kept(models.Model):
    """A role at a scope. Not an eligibility: those come and go, and reach people through groups."""

    role = models.ForeignKey(Role, on_delete=models.CASCADE, related_name="+")
    scope = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="+")

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.role} · {self.scope}"


class Favourite(Kept):
    """Stands first in the person's list."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="favourites")

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["user", "role", "scope"], name="favourite_one_each")]


class RoleSet(models.Model):
    """Roles that a person activates together, under a name of their own."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="role_sets")
    name = models.CharField(_("name"), max_length=60)

    class Meta:
        ordering = ["name"]
        default_permissions = ()
        constraints = [models.UniqueConstraint("user", Lower("name"), name="roleset_one_per_name")]

    def __str__(self) -> str:
        return self.name


class RoleSetEntry(Kept):
    role_set = models.ForeignKey(RoleSet, on_delete=models.CASCADE, related_name="entries")

    class Meta:
        default_permissions = ()
        ordering = ["role__name", "scope__label"]
        constraints = [models.UniqueConstraint(fields=["role_set", "role", "scope"], name="rolesetentry_one_each")]
