"""Every change to resources, roles and their settings. Nothing else writes these tables."""

import uuid
from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import Permission
from django.db import IntegrityError, transaction
from django.forms.models import model_to_dict
from django.utils.timezone import now
from django.utils.translation import gettext as _

from accounts.authority import require
from accounts.models import Group, User
from accounts.rules import NotAllowed
from accounts.services import withdraw_weak_tickets
from audit.services import privileged, record

from .models import Resource, Role, RoleSettings
from .rules import ResourceRefused, RoleRefused, check_role_change, check_scope, check_settings, check_weight

# The fields of `RoleSettings` that people set; the others say which version it is.
SETTINGS_FIELDS = tuple(
    field.name
    for field in (*RoleSettings._meta.fields, *RoleSettings._meta.many_to_many)
    if field.name not in {"id", "role", "scope", "version", "changed_by_label", "created_at", "superseded_at"}
)


def label_of(name: str, parent: Resource | None) -> str:
    """Return the way to a resource as people read it: "/", "/Finance", "/Finance/Payroll"."""
    return "/" if parent is None else f"{parent.label.rstrip('/')}/{name}"


@privileged("resource.created", target=None)
def create_resource(
    *, actor: User | None, parent: Resource, name: str, kind: str = Resource.Kind.OTHER, description: str = ""
) -> Resource:
    """Make a resource beneath `parent`.

    Raises:
        NotAllowed: the actor may not. ResourceRefused: ``name_taken``. ValidationError: a field is wrong.
    """
    require(actor, "roles.add_resource")
    pk, name = uuid.uuid4(), name.strip()
    resource = Resource(
        pk=pk,
        parent=parent,
        name=name,
        kind=kind,
        description=description,
        path=f"{parent.path}{pk.hex}/",
        label=label_of(name, parent),
    )
    _save_resource(resource)
    record("resource.created", actor=actor, target=resource, scope=resource, after=_resource_facts(resource))
    return resource


@privileged("resource.updated", target="resource")
def update_resource(*, resource: Resource, actor: User | None, name: str, kind: str, description: str) -> Resource:
    """Rename or describe a resource; what is beneath keeps its place and gets the new name in its label.

    Raises:
        NotAllowed: the actor may not. ResourceRefused: ``name_taken``. ValidationError: a field is wrong.
    """
    require(actor, "roles.change_resource")
    resource = Resource.objects.select_for_update(of=("self",)).select_related("parent").get(pk=resource.pk)
    before, old_label = _resource_facts(resource), resource.label
    resource.name, resource.kind, resource.description = name.strip(), kind, description
    resource.label = label_of(resource.name, resource.parent)
    _save_resource(resource)
    if resource.label != old_label and resource.parent:
        _relabel_beneath(resource, len(old_label))
    record(
        "resource.updated", actor=actor, target=resource, scope=resource, before=before, after=_resource_facts(resource)
    )
    return resource


def _relabel_beneath(resource: Resource, old_length: int) -> None:
    beneath = list(Resource.objects.filter(path__startswith=resource.path).exclude(pk=resource.pk))
    for node in beneath:
        node.label = resource.label + node.label[old_length:]
    Resource.objects.bulk_update(beneath, ["label"], batch_size=500)


def _save_resource(resource: Resource) -> None:
    resource.full_clean()
    try:
        with transaction.atomic():
            resource.save()
    except IntegrityError as error:
        raise ResourceRefused(_("There is a resource with this name here already."), code="name_taken") from error


def _resource_facts(resource: Resource) -> dict[str, Any]:
    return {"label": resource.label, "kind": resource.kind, "description": resource.description}


@privileged("role.created", target=None)
def create_role(
    *,
    actor: User | None,
    resource: Resource,
    name: str,
    description: str = "",
    is_privileged: bool = False,
    permissions: Iterable[Permission] = (),
    **settings: Any,
) -> Role:
    """Make a role with its first settings; those not given have their defaults.

    Raises:
        NotAllowed: the actor may not. RoleRefused, SettingsRefused, ValidationError: a field is wrong.
    """
    require(actor, "roles.add_role")
    role = Role(resource=resource, name=name.strip(), description=description, is_privileged=is_privileged)
    chosen = set(permissions)
    _check_permissions(chosen, actor=actor)
    check_weight(is_privileged=is_privileged, codenames=[permission.codename for permission in chosen])
    _save_role(role)
    role.permissions.set(chosen)
    first = save_settings(role=role, scope=resource, actor=actor, **settings)
    record("role.created", actor=actor, target=role, role=role, scope=resource, after=_role_facts(role, first))
    return role


@privileged("role.updated", target="role")
def update_role(
    *,
    role: Role,
    actor: User | None,
    name: str,
    description: str,
    is_privileged: bool,
    permissions: Iterable[Permission] | None = None,
) -> Role:
    """Rename or describe a role, or change the rights that it gives in this site (None: leave them).

    Raises:
        NotAllowed: the actor may not, or does not hold a right that the role would newly give.
        RoleRefused: ``built_in``, ``must_be_privileged``, ``name_taken``. ValidationError: a field is wrong.
    """
    require(actor, "roles.change_role")
    role = Role.objects.select_for_update(of=("self",)).select_related("resource").get(pk=role.pk)
    check_role_change(role, name=name.strip(), is_privileged=is_privileged)
    before, held = _role_facts(role), set(role.permissions.all())
    chosen = held if permissions is None else set(permissions)
    if role.is_built_in and chosen != held:
        raise RoleRefused(_("The rights of a built-in role are fixed."), code="built_in")
    _check_permissions(chosen - held, actor=actor)
    check_weight(is_privileged=is_privileged, codenames=[permission.codename for permission in chosen])
    role.name, role.description, role.is_privileged = name.strip(), description, is_privileged
    _save_role(role)
    role.permissions.set(chosen)
    if is_privileged and not before["is_privileged"]:
        withdraw_weak_tickets(User.objects.all())  # who holds it is for a higher floor to know; this is rare
    record("role.updated", actor=actor, target=role, role=role, before=before, after=_role_facts(role))
    return role


def _check_permissions(permissions: Iterable[Permission], *, actor: User | None) -> None:
    """Nobody can put a right into a role that they do not hold: it would be a way to reach it."""
    if actor is None:
        return
    held = actor.get_all_permissions()
    missing = [p for p in permissions if f"{p.content_type.app_label}.{p.codename}" not in held]
    if missing:
        names = ", ".join(str(p.name) for p in missing)
        raise NotAllowed(_("You do not hold these rights yourself, so you cannot put them into a role: %s.") % names)


def _save_role(role: Role) -> None:
    role.full_clean()
    try:
        with transaction.atomic():
            role.save()
    except IntegrityError as error:
        text = _("There is a role with this name on this resource already.")
        raise RoleRefused(text, code="name_taken") from error


def _role_facts(role: Role, settings: RoleSettings | None = None) -> dict[str, Any]:
    facts = {
        "name": role.name,
        "resource": role.resource.label,
        "description": role.description,
        "is_privileged": role.is_privileged,
        "permissions": sorted(role.permissions.values_list("codename", flat=True)),
    }
    return facts | ({"settings": settings_facts(settings)} if settings else {})


@privileged("settings.changed", target="role")
def save_settings(*, role: Role, scope: Resource, actor: User | None, **changes: Any) -> RoleSettings:
    """Put a new version of the settings of `role` at `scope` in use; return it, or the current one if nothing changed.

    Args:
        role: the role; its row is locked, so that versions count up without gaps.
        scope: where they count, and beneath: the role's resource or below.
        actor: who saves.
        changes: the fields of `SETTINGS_FIELDS` that differ from the current version; at a scope without one, from what
            counts there until now; for a new role, from the defaults.

    Raises:
        NotAllowed: the actor may not. SettingsRefused: see `rules.check_settings`. ValidationError: a field is wrong.
    """
    require(actor, "roles.change_rolesettings")
    if unknown := set(changes) - set(SETTINGS_FIELDS):
        raise TypeError(f"not fields of role settings: {sorted(unknown)}")
    role = Role.objects.select_for_update(of=("self",)).select_related("resource").get(pk=role.pk)
    check_scope(role, scope, refusal=RoleRefused)
    at = now()
    current = RoleSettings.objects.current().filter(role=role, scope=scope).first()
    before = settings_facts(current) if current else None
    # The first row at a scope starts from what counted there until now, so that no approval is lost unseen.
    base = current or RoleSettings.objects.applying_to(role, scope).first()
    approvers = _chosen(changes, base, "approvers")
    groups = _chosen(changes, base, "approver_groups")
    version = _next_version(role, scope, base, changes, actor=actor, at=at)
    version.version = current.version + 1 if current else 1
    people = User.objects.enabled().people().filter(member_groups__in=groups).distinct().count()
    check_settings(version, approvers=approvers, groups=groups, group_people=people)
    after = settings_facts(version, approvers=approvers, groups=groups)
    if current is not None and before == after:
        return current
    if current is not None:
        RoleSettings.objects.filter(pk=current.pk).update(superseded_at=at)
    version.save(force_insert=True)
    version.approvers.set(approvers)
    version.approver_groups.set(groups)
    withdraw_weak_tickets(approvers)
    record("settings.changed", actor=actor, target=version, role=role, scope=scope, before=before, after=after)
    return version


def _chosen(changes: dict[str, Any], base: RoleSettings | None, field: str) -> list[Any]:
    if field in changes:
        return list(changes[field])
    return list(getattr(base, field).all()) if base else []


def _next_version(
    role: Role, scope: Resource, base: RoleSettings | None, changes: dict[str, Any], *, actor: User | None, at: Any
) -> RoleSettings:
    plain = [name for name in SETTINGS_FIELDS if name not in {"approvers", "approver_groups"}]
    values = {name: getattr(base, name) for name in plain} if base else {}
    values |= {name: value for name, value in changes.items() if name in plain}
    version = RoleSettings(
        role=role,
        scope=scope,
        changed_by_label=str(actor or "")[:200],
        created_at=at,
        **values,
    )
    version.clean_fields(exclude=["role", "scope", "superseded_at"])
    return version


def settings_facts(
    settings: RoleSettings, *, approvers: Iterable[User] | None = None, groups: Iterable[Group] | None = None
) -> dict[str, Any]:
    """Return what a version says, in plain values that can be compared, shown and kept."""
    facts = model_to_dict(settings, fields=[n for n in SETTINGS_FIELDS if n not in {"approvers", "approver_groups"}])
    named = settings.approvers.all() if approvers is None else approvers
    named_groups = settings.approver_groups.all() if groups is None else groups
    return facts | {
        "approvers": sorted(person.username for person in named),
        "approver_groups": sorted(group.name for group in named_groups),
    }
