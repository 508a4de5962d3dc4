"""The rows that a file calls by name."""

from typing import Any

from django.contrib.auth.models import Permission
from django.utils.translation import gettext as _

from accounts.models import Group, User
from assignments.models import ActiveAssignment, EligibleAssignment
from roles.builtin import OUR_APPS
from roles.hooks import Hook
from roles.models import Resource, Role

from .present import paths_of_resources
from .shapes import Unreadable


class Site:
    """People, groups, resources, roles and rights by their names in the file; what is made is put in.

    A name that nobody has raises Unreadable, with it in the text.
    """

    def __init__(self) -> None:
        paths = paths_of_resources()
        # Not by a join of people with people: over a table that has just been filled PostgreSQL took minutes for it.
        self.people = {user.username: user for user in User.objects.prefetch_related("manager")}
        self.groups = {group.name: group for group in Group.objects.all()}
        self.resources = {paths[row.pk]: row for row in Resource.objects.all()}
        roles = Role.objects.select_related("resource")
        self.roles = {(paths[role.resource_id], role.name): role for role in roles}
        self.hooks = {hook.name: hook for hook in Hook.objects.all()}
        rights = Permission.objects.filter(content_type__app_label__in=OUR_APPS).select_related("content_type")
        self.rights = {f"{right.content_type.app_label}.{right.codename}": right for right in rights}

    def person(self, name: str) -> User:
        if name not in self.people:
            raise Unreadable(_("There is nobody with the username “%(name)s”.") % {"name": name})
        return self.people[name]

    def group(self, name: str) -> Group:
        if name not in self.groups:
            raise Unreadable(_("There is no group “%(name)s”.") % {"name": name})
        return self.groups[name]

    def resource(self, path: str) -> Resource:
        if path not in self.resources:
            raise Unreadable(_("There is no resource “%(path)s”.") % {"path": path})
        return self.resources[path]

    def role(self, path: str, name: str) -> Role:
        if (path, name) not in self.roles:
            raise Unreadable(_("There is no role “%(name)s” at “%(path)s”.") % {"name": name, "path": path})
        return self.roles[path, name]

    def hook(self, name: str) -> Hook:
        if name not in self.hooks:
            raise Unreadable(_("There is no hook “%(name)s”.") % {"name": name})
        return self.hooks[name]

    def right(self, name: str) -> Permission:
        if name not in self.rights:
            raise Unreadable(_("There is no right “%(name)s”.") % {"name": name})
        return self.rights[name]

    def assignment(self, section: str, holder: User | Group, role: Role, scope: Resource) -> Any:
        """Return the row that stands for an entry which is in force or scheduled."""
        rows = EligibleAssignment.objects.all() if section == "eligible" else ActiveAssignment.objects.assigned()
        return rows.open().of(holder).get(role=role, scope=scope)
