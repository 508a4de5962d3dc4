"""Changes to the settings that roles are used under: each save is a new version."""

from collections.abc import Iterable
from typing import Any

from django.forms.models import model_to_dict
from django.utils.timezone import now

from accounts.authority import require
from accounts.models import Group, User
from accounts.services import withdraw_weak_tickets
from audit.services import privileged, record
from roles.models import Resource, Role, RoleSettings
from roles.rules import RoleRefused, check_scope, check_settings

# The fields of `RoleSettings` that people set; the others say which version it is.
SETTINGS_FIELDS = tuple(
    field.name
    for field in (*RoleSettings._meta.fields, *RoleSettings._meta.many_to_many)
    if field.name not in {"id", "role", "scope", "version", "changed_by_label", "created_at", "superseded_at"}
)


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
