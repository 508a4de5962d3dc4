"""Changes to roles."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import Permission
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from accounts.authority import require
from accounts.models import Group, User
from accounts.rules import NotAllowed, check_seen
from accounts.services import lock_people, withdraw_weak_tickets
from audit.services import privileged, record
from roles.models import Resource, Role, RoleSettings
from roles.rules import (
    RoleRefused,
    check_can_own,
    check_held_by_protected,
    check_rights_place,
    check_role_change,
    check_weight,
)

from .settings import save_settings, settings_facts


@privileged("role.created", target=None)
def create_role(
    *,
    actor: User | None,
    resource: Resource,
    name: str,
    description: str = "",
    is_privileged: bool = False,
    owns_resource: bool = False,
    permissions: Iterable[Permission] = (),
    **settings: Any,
) -> Role:
    """Make a role with its first settings; those not given have their defaults.

    Raises:
        NotAllowed: the actor may not. RoleRefused, SettingsRefused, ValidationError: a field is wrong.
    """
    require(actor, "roles.add_role", at=resource)
    about = {"name": name.strip(), "description": description, "is_privileged": is_privileged}
    role = Role(resource=resource, owns_resource=owns_resource, **about)
    chosen = set(permissions)
    _check_permissions(chosen, actor=actor)
    check_rights_place(resource, gives_rights=bool(chosen))
    codenames = [permission.codename for permission in chosen]
    check_weight(is_privileged=is_privileged, owns_resource=owns_resource, codenames=codenames)
    _save_role(role)
    role.permissions.set(chosen)
    first = save_settings(role=role, scope=resource, actor=actor, **settings)
    record("role.created", actor=actor, target=role, role=role, scope=resource, after=role_facts(role, first))
    return role


@privileged("role.updated", target="role")
def update_role(
    *,
    role: Role,
    actor: User | None,
    name: str,
    description: str,
    is_privileged: bool,
    owns_resource: bool | None = None,
    permissions: Iterable[Permission] | None = None,
    seen: str = "",
) -> Role:
    """Rename or describe a role, or change whether it owns its resource and the rights it gives here (None: as it is).

    `seen` is the `rules.fingerprint` of the `role_facts` that the change was thought out for; empty: of whichever.

    Raises:
        NotAllowed: the actor may not, or does not hold a right that the role would newly give.
        RoleRefused: ``built_in``, ``must_be_privileged``, ``group_not_protected``, ``name_taken``.
        ValidationError: a field is wrong.
    """
    require(actor, "roles.change_role", at=role)
    if is_privileged and not role.is_privileged:
        lock_people(User.objects.filter(_holding(role)))
    role = Role.objects.select_for_update(of=("self",)).select_related("resource").get(pk=role.pk)
    check_seen(role_facts(role), seen)
    check_role_change(role, name=name.strip(), is_privileged=is_privileged)
    before, held = role_facts(role), set(role.permissions.all())
    chosen = held if permissions is None else set(permissions)
    if role.is_built_in and chosen != held:
        raise RoleRefused(_("The rights of a built-in role are fixed."), code="built_in")
    _check_permissions(chosen - held, actor=actor)
    check_rights_place(role.resource, gives_rights=bool(chosen - held))
    if is_privileged and not role.is_privileged:
        check_held_by_protected(role, _unprotected_groups(role))
    role.name, role.description, role.is_privileged = name.strip(), description, is_privileged
    if owns_resource is not None and owns_resource != role.owns_resource:
        _change_owning(role, owns_resource, actor=actor)
    codenames = [permission.codename for permission in chosen]
    check_weight(is_privileged=is_privileged, owns_resource=role.owns_resource, codenames=codenames)
    _save_role(role)
    role.permissions.set(chosen)
    if is_privileged and not before["is_privileged"]:
        withdraw_weak_tickets(User.objects.filter(_holding(role)))
    record("role.updated", actor=actor, target=role, role=role, before=before, after=role_facts(role))
    return role


def _unprotected_groups(role: Role) -> list[Group]:
    """Return the groups that anybody who manages groups fills, and that hold the role or may activate it."""
    return list(Group.objects.filter(_holding(role), is_protected=False).distinct())


def _holding(role: Role) -> Q:
    """The condition on people, or on groups, that they hold the role themselves or may activate it."""
    held = Q(eligible_assignments__role=role, eligible_assignments__ended_at=None)
    return held | Q(active_assignments__role=role, active_assignments__ended_at=None)


def _change_owning(role: Role, owns_resource: bool, *, actor: User | None) -> None:
    """Who owns by a role has no say in whether it owns, as none in its settings: only who owns from above has."""
    check_can_own(role)
    role.owns_resource = True
    require(actor, "roles.change_rolesettings", at=RoleSettings(role=role, scope=role.resource))
    role.owns_resource = owns_resource


def drop_role(role: Role, *, actor: User | None, justification: str) -> None:
    """Delete a role with its settings. Called by `approvals.services.delete_role`, which knows that none uses it."""
    last = RoleSettings.objects.current().get(role=role, scope=role.resource)
    common: dict[str, Any] = {"actor": actor, "target": role, "role": role, "justification": justification}
    record("role.deleted", scope=role.resource, before=role_facts(role, last), **common)
    Role.objects.filter(pk=role.pk).delete()


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


def role_facts(role: Role, settings: RoleSettings | None = None) -> dict[str, Any]:
    facts = {
        "name": role.name,
        "resource": role.resource.label,
        "description": role.description,
        "is_privileged": role.is_privileged,
        "owns_resource": role.owns_resource,
        "permissions": sorted(role.permissions.values_list("codename", flat=True)),
    }
    return facts | ({"settings": settings_facts(settings)} if settings else {})
