"""What there is now, in the terms of the file."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import yaml
from django.db.models import Q
from django.utils.timezone import now

from accounts.models import Group, User
from assignments.models import ActiveAssignment, EligibleAssignment
from roles.hooks import Hook
from roles.models import Resource, Role, RoleSettings
from roles.services import settings_facts
from roles.stages import GROUPS, PEOPLE, terms_of

from .contents import SETTINGS, VERSION, without_saying, written

Values = dict[str, Any]
HEAD = """\
# The organisation: who there is, what can be held, and who holds it. No secrets.
# What an entry leaves out has its default; an override leaves out what is as in the settings of its role.
# Put in force with `manage.py pim_import FILE`, which says first what would change.
"""


def export() -> str:
    """Return the organisation as YAML, always in the same order: the same organisation is the same text."""
    document: Values = {"version": VERSION}
    for name, values in present().items():
        document[name] = [written(name, each) for each in values]
    text: str = yaml.dump(document, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=110)
    return HEAD + text


class Dumper(yaml.SafeDumper):
    """Indents lists beneath their key, and repeats what is the same instead of pointing at it."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def present() -> dict[str, list[Values]]:
    """Return the values of all entries by section."""
    at, paths = now(), paths_of_resources()
    return {
        "people": people(),
        "groups": groups(),
        "resources": resources(paths),
        "hooks": hooks(),
        "roles": roles(paths),
        "eligible": assignments(EligibleAssignment.objects.lasting(at), paths, at),
        # What a disabled person had active is over, also where nobody has noted it yet.
        "active": assignments(
            ActiveAssignment.objects.assigned().lasting(at).filter(Q(user=None) | Q(user__is_active=True)), paths, at
        ),
    }


def paths_of_resources() -> dict[UUID, str]:
    """Return the names along the way to each resource, the organisation's left out: "/", "/Finance/Ledger"."""
    rows = {row.pk: row for row in Resource.objects.only("pk", "parent_id", "name", "path")}
    paths: dict[UUID, str] = {}
    for row in sorted(rows.values(), key=lambda row: len(row.path)):
        above = paths.get(row.parent_id) if row.parent_id else None
        paths[row.pk] = "/" if row.parent_id is None else f"{(above or '').rstrip('/')}/{row.name}"
    return paths


def people() -> list[Values]:
    return [
        {
            "username": user.username,
            "name": user.display_name,
            "email": user.email,
            "kind": user.kind,
            "manager": user.manager.username if user.manager else "",
            "time_zone": user.time_zone,
            "emergency_access": user.is_emergency_access,
            "enabled": user.is_active,
        }
        for user in sorted(User.objects.select_related("manager"), key=lambda user: user.username)
    ]


def groups() -> list[Values]:
    return [
        {
            "name": group.name,
            "description": group.description,
            "protected": group.is_protected,
            "owners": sorted(user.username for user in group.owners.all()),
            "members": sorted(user.username for user in group.members.all()),
        }
        for group in sorted(Group.objects.prefetch_related("owners", "members"), key=lambda group: group.name)
    ]


def resources(paths: dict[UUID, str]) -> list[Values]:
    """In the order of their paths, so that each comes after what it is beneath."""
    rows = [
        {
            "path": paths[row.pk],
            "name": row.name if row.parent_id is None else "",
            "kind": row.kind,
            "group": row.group.name if row.group and row.stands_for_group else "",
            "description": row.description,
        }
        for row in Resource.objects.select_related("group")
    ]
    return sorted(rows, key=lambda row: row["path"].split("/"))


def hooks() -> list[Values]:
    rows = sorted(Hook.objects.all(), key=lambda hook: hook.name)
    return [{"name": hook.name, "url": hook.url, "enabled": hook.is_enabled} for hook in rows]


def roles(paths: dict[UUID, str]) -> list[Values]:
    """Built-in roles too; their rights are theirs and not the file's."""
    versions: dict[UUID, list[RoleSettings]] = {}
    for version in (
        RoleSettings.objects.current()
        .select_related("hook")
        .prefetch_related(*(f"stages__{name}" for name in (*PEOPLE, *GROUPS)))
    ):
        versions.setdefault(version.role_id, []).append(version)
    rows = Role.objects.prefetch_related("permissions__content_type")
    values = [role_values(role, paths, versions.get(role.pk, [])) for role in rows]
    return sorted(values, key=lambda role: (role["resource"].split("/"), role["name"]))


def role_values(role: Role, paths: dict[UUID, str], versions: Iterable[RoleSettings]) -> Values:
    by_scope = {version.scope_id: settings_values(version) for version in versions}
    own = by_scope.pop(role.resource_id, SETTINGS.defaults)
    overrides = [{"scope": paths[scope], **values} for scope, values in by_scope.items()]
    rights = [] if role.is_built_in else role.permissions.all()
    return {
        "resource": paths[role.resource_id],
        "name": role.name,
        "description": role.description,
        "privileged": role.is_privileged,
        "owns_resource": role.owns_resource,
        "permissions": sorted(f"{right.content_type.app_label}.{right.codename}" for right in rights),
        "settings": own,
        "overrides": sorted(overrides, key=lambda override: override["scope"].split("/")),
    }


def settings_values(version: RoleSettings) -> Values:
    facts = settings_facts(version, [terms_of(stage) for stage in version.stages.all()])
    return {name: facts[name] for name in SETTINGS.keys} | {"stages": without_saying(facts["stages"])}


def assignments(rows: Any, paths: dict[UUID, str], at: datetime) -> list[Values]:
    """A start that has come is left out: the file says who holds what, not since when."""
    values = [
        {
            "role": row.role.name,
            "resource": paths[row.role.resource_id],
            "scope": "" if row.scope_id == row.role.resource_id else paths[row.scope_id],
            "user": row.user.username if row.user else "",
            "group": row.group.name if row.group else "",
            "starts_at": row.starts_at if row.starts_at > at else None,
            "ends_at": row.ends_at,
        }
        for row in rows.select_related("user", "group", "role")
    ]
    return sorted(
        values, key=lambda row: (row["resource"].split("/"), row["role"], row["scope"], row["user"], row["group"])
    )
