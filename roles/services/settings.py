"""Changes to the settings that roles are used under: each save is a new version."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import Max
from django.forms.models import model_to_dict
from django.utils.timezone import now
from django.utils.translation import gettext as _

from accounts.authority import require
from accounts.models import Group, User
from accounts.services import lock_people, withdraw_weak_tickets
from audit.services import privileged, record
from roles.models import ApprovalStage, Resource, Role, RoleSettings
from roles.rules import RoleRefused, SettingsRefused, check_removal, check_scope, check_settings, check_unchanged
from roles.stages import GROUPS, PEOPLE, PLAIN, StageTerms, everybody_named, stage_facts, terms_of

from .resources import hold_place

# The columns of `RoleSettings` that people set; the others say which version it is.
PLAIN_FIELDS = tuple(
    field.name
    for field in RoleSettings._meta.fields
    if field.name not in {"id", "role", "scope", "version", "changed_by_label", "created_at", "superseded_at"}
)
# All that a version says: its columns, and the stages of its approval.
SETTINGS_FIELDS = (*PLAIN_FIELDS, "stages")


@privileged("settings.changed", target="role")
def save_settings(
    *,
    role: Role,
    scope: Resource,
    actor: User | None,
    seen: UUID | None = None,
    validate_only: bool = False,
    **changes: Any,
) -> RoleSettings:
    """Put a new version of the settings of `role` at `scope` in use; return it, or the current one if nothing changed.

    Args:
        role: the role; its row is locked, so that versions count up without gaps.
        scope: where they count, and beneath: the role's resource or below.
        actor: who saves.
        seen: the id of the version that counted at the scope when the change was thought of; None: whichever does.
        validate_only: check all, and store nothing.
        changes: the fields of `SETTINGS_FIELDS` that differ from the current version; at a scope without one, from what
            counts there until now; for a new role, from the defaults.

    Raises:
        NotAllowed: the actor may not. SettingsRefused: ``changed_meanwhile``; see `rules.check_settings`.
        ValidationError: a field is wrong.
    """
    require(actor, "roles.change_rolesettings", at=RoleSettings(role=role, scope=scope))
    if unknown := set(changes) - set(SETTINGS_FIELDS):
        raise TypeError(f"not fields of role settings: {sorted(unknown)}")
    lock_people(_with_a_say(changes.get("stages", ())))
    role = _locked(role, scope)
    at = now()
    current = RoleSettings.objects.current().filter(role=role, scope=scope).first()
    before = stated_facts(current) if current else None
    # The first row at a scope starts from what counted there until now, so that no approval is lost unseen.
    base = current or RoleSettings.objects.applying_to(role, scope).first()
    check_unchanged(base, seen)
    stages = _stages_wanted(changes, base)
    version = _next_version(role, scope, base, changes, actor=actor, at=at)
    check_settings(version, stages, members=_members({group for terms in stages for group in terms.groups}))
    after = stated_facts(version, stages)
    if current is not None and before == after:
        return current
    if validate_only:
        return version
    if current is not None:
        RoleSettings.objects.filter(pk=current.pk).update(superseded_at=at)
    version.save(force_insert=True)
    write_stages(version, stages)
    withdraw_weak_tickets(_with_a_say(stages))
    record("settings.changed", actor=actor, target=version, role=role, scope=scope, before=before, after=after)
    return version


@privileged("settings.removed", target="role")
def remove_settings(*, role: Role, scope: Resource, actor: User | None, seen: UUID | None = None) -> RoleSettings:
    """Take back the own settings of a scope beneath the role's resource; return those that count there from now on.

    The versions stay, for the requests that were made under them and to be restored.

    Raises:
        NotAllowed: the actor may not. SettingsRefused: ``changed_meanwhile``, ``no_own_settings``, ``settings_needed``.
    """
    require(actor, "roles.change_rolesettings", at=RoleSettings(role=role, scope=scope))
    role = _locked(role, scope)
    at = now()
    current = RoleSettings.objects.current().filter(role=role, scope=scope).first()
    check_removal(role, scope)
    check_unchanged(current, seen)
    if current is None:
        raise SettingsRefused(_("This scope has no settings of its own."), code="no_own_settings")
    RoleSettings.objects.filter(pk=current.pk).update(superseded_at=at)
    left = RoleSettings.objects.applying_to(role, scope)[0]
    before, after = settings_facts(current), settings_facts(left)
    record("settings.removed", actor=actor, target=current, role=role, scope=scope, before=before, after=after)
    return left


def _locked(role: Role, scope: Resource) -> Role:
    """Lock the role: its settings are changed by one at a time."""
    role = Role.objects.select_for_update(of=("self",)).select_related("resource").get(pk=role.pk)
    hold_place(scope, role.resource)
    check_scope(role, scope, refusal=RoleRefused)
    return role


def values_of(settings: RoleSettings) -> dict[str, Any]:
    """Return what `save_settings` takes to say the same again: for a copy, or to restore a version."""
    return {name: getattr(settings, name) for name in PLAIN_FIELDS} | {"stages": stages_of(settings)}


def _with_a_say(stages: Iterable[StageTerms]) -> set[User]:
    """The people, not the groups, whom these stages give a say: whom they name, and managers where one is asked."""
    asks_managers = any(terms.asks_manager for terms in stages)
    return everybody_named(stages) | (set(User.objects.filter(reports__isnull=False)) if asks_managers else set())


def _stages_wanted(changes: dict[str, Any], base: RoleSettings | None) -> list[StageTerms]:
    """Return the stages to save: at least one, so that a yes is never asked of nobody at all."""
    if "stages" in changes:
        return list(changes["stages"]) or [StageTerms()]
    return stages_of(base) if base else [StageTerms()]


def stages_of(settings: RoleSettings) -> list[StageTerms]:
    named = ("approvers", "approver_groups", "escalation_approvers", "escalation_groups")
    return [terms_of(stage) for stage in settings.stages.prefetch_related(*named)]


def write_stages(version: RoleSettings, stages: Iterable[StageTerms]) -> None:
    for number, terms in enumerate(stages, start=1):
        plain = {name: getattr(terms, name) for name in PLAIN}
        stage = ApprovalStage.objects.create(settings=version, number=number, **plain)
        for name in (*PEOPLE, *GROUPS):
            if named := getattr(terms, name):
                getattr(stage, name).add(*named)


def _members(groups: Iterable[Group]) -> dict[Group, list[User]]:
    people = User.objects.enabled().people()
    return {group: list(people.filter(member_groups=group)) for group in groups}


def _next_version(
    role: Role, scope: Resource, base: RoleSettings | None, changes: dict[str, Any], *, actor: User | None, at: Any
) -> RoleSettings:
    values = {name: getattr(base, name) for name in PLAIN_FIELDS} if base else {}
    values |= {name: value for name, value in changes.items() if name in PLAIN_FIELDS}
    last = RoleSettings.objects.filter(role=role, scope=scope).aggregate(last=Max("version"))["last"]
    version = RoleSettings(
        role=role,
        scope=scope,
        version=(last or 0) + 1,
        changed_by_label=str(actor or "")[:200],
        created_at=at,
        **values,
    )
    version.clean_fields(exclude=["role", "scope", "superseded_at"])
    return version


def stated_facts(settings: RoleSettings, stages: Iterable[StageTerms] | None = None) -> dict[str, Any]:
    """Return what the event of a version says: with the keys of whom it names, for names are changed.

    An alert compares the version in use with it: `alerts.kinds.settings`.
    """
    terms = stages_of(settings) if stages is None else list(stages)
    named = [
        {part: sorted(str(one.pk) for one in getattr(each, part)) for part in (*PEOPLE, *GROUPS)} for each in terms
    ]
    keys = {"hook": str(settings.hook_id or ""), "stages": named}
    return settings_facts(settings, terms) | {"named": keys}


def settings_facts(settings: RoleSettings, stages: Iterable[StageTerms] | None = None) -> dict[str, Any]:
    """Return what a version says, in plain values that can be compared, shown and kept."""
    named = stages_of(settings) if stages is None else stages
    facts = model_to_dict(settings, fields=PLAIN_FIELDS) | {"hook": settings.hook.name if settings.hook else ""}
    return facts | {"stages": [stage_facts(terms) for terms in named]}
