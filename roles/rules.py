"""Which roles and settings make sense. Nothing here reads the clock or writes."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext as _

from accounts.rules import says_nothing

from .mails import AUDIENCES, EVENTS, LEVELS, MOST_ADDRESSES, WITHOUT_ADDRESSES
from .models import (
    DAYS_OFFERED,
    HALF_HOUR,
    LONGEST_EMERGENCY,
    LONGEST_MAXIMUM,
    SHORTEST_MAXIMUM,
    Resource,
    Role,
    RoleSettings,
)
from .stages import MOST_APPROVALS, MOST_STAGES, TIMEOUT_RANGE, StageTerms, everybody_named, reachable, seats
from .tickets import is_link, steps_of

if TYPE_CHECKING:
    from uuid import UUID

    from accounts.models import Group, User


# Hours; who needs a role for longer than three days asks anew, or holds it.
LONGEST_REPEAT = 72
LONGEST_DELEGATION = timedelta(days=90)
# A form that was open for a while asks for a start that has just gone by; it means "now".
LATE_START = timedelta(minutes=5)


class ResourceRefused(ValidationError):
    """A resource could not be saved.

    Codes: ``name_taken``, ``name_invalid``, ``scope_invalid``, ``governed``,
    ``already_governed``, ``cycle``, ``unchanged``, ``root_stays``, ``too_deep``, ``in_use``.
    """


class RoleRefused(ValidationError):
    """A role could not be saved.

    Codes: ``name_taken``, ``built_in``, ``governed``, ``scope_invalid``, ``must_be_privileged``,
    ``group_not_protected``, ``in_use``.
    """


class SettingsRefused(ValidationError):
    """Settings could not be saved.

    Codes: ``out_of_range``, ``ticket_pattern_invalid``, ``ticket_link_invalid``, ``address_invalid``,
    ``too_many_addresses``, ``no_addresses``, ``changed_meanwhile``, ``no_own_settings``, ``settings_needed``,
    ``nobody_could_approve``, ``quorum_unreachable``, ``group_not_protected``, ``hook_unusable``.
    """


class HookRefused(ValidationError):
    """A hook could not be used. Code: ``hook_unusable``."""


def check_resource_change(resource: Resource, *, name: str, kind: str) -> None:
    """A resource that stands for a group goes by the group's name."""
    if resource.stands_for_group and (name, kind) != (resource.name, resource.kind):
        raise ResourceRefused(_("This stands for a group. Rename the group instead."), code="governed")


def check_move(resource: Resource, parent: Resource) -> None:
    """The organisation stays above all, and nothing is beneath itself.

    Raises:
        ResourceRefused: ``root_stays``, ``cycle``, ``unchanged``.
    """
    check_not_root(resource)
    if parent.is_within(resource):
        text = _("%(parent)s is this itself, or beneath it: choose another place.") % {"parent": parent}
        raise ResourceRefused(text, code="cycle")
    if parent.pk == resource.parent_id:
        raise ResourceRefused(_("It is there already: choose another place."), code="unchanged")


def check_not_root(resource: Resource) -> None:
    """Everything else is beneath the organisation."""
    if resource.parent_id is None:
        raise ResourceRefused(_("The organisation itself stays: everything is beneath it."), code="root_stays")


def check_role_can_go(role: Role) -> None:
    """What the product made stays: it counts on it.

    Raises:
        RoleRefused: ``built_in``, ``governed``.
    """
    if role.is_built_in:
        raise RoleRefused(_("A built-in role stays: the product counts on it."), code="built_in")
    if role.is_needed:
        raise RoleRefused(_("Membership of the group is governed by it: it stays with the group."), code="governed")


class DelegationRefused(ValidationError):
    """Decisions were not delegated, or a delegation not ended.

    Codes: ``delegate_invalid``, ``schedule_invalid``, ``already_delegated``, ``already_ended``,
    ``justification_required``.
    """


def check_delegation(
    delegator: "User", delegate: "User", *, starts_at: datetime, ends_at: datetime, at: datetime
) -> None:
    """A delegation is to another enabled person, begins no earlier than now, and lasts 5 minutes to 90 days.

    Raises:
        DelegationRefused: ``delegate_invalid``, ``schedule_invalid``.
    """
    if delegate.pk == delegator.pk or not _can_approve(delegate):
        text = _("Choose a colleague whose account is enabled, other than yourself.")
        raise DelegationRefused(text, code="delegate_invalid")
    if starts_at < at - LATE_START or ends_at <= at or starts_at > at + LONGEST_DELEGATION:
        raise DelegationRefused(_("Choose a start from now on, and an end after it."), code="schedule_invalid")
    if not timedelta(minutes=5) <= ends_at - starts_at <= LONGEST_DELEGATION:
        text = _("A delegation lasts between 5 minutes and %(days)d days.")
        raise DelegationRefused(text % {"days": LONGEST_DELEGATION.days}, code="schedule_invalid")


def check_reason(justification: str) -> None:
    """Who ends what two others have agreed on says why: both are told.

    Raises:
        DelegationRefused: ``justification_required``.
    """
    if says_nothing(justification):
        raise DelegationRefused(_("Say why: it is kept in the audit."), code="justification_required")


def check_role_change(role: Role, *, name: str, is_privileged: bool) -> None:
    """A built-in role keeps its name, its rights and its weight: the product counts on them.

    So do the roles of a governed group, which are privileged just when the group is protected.
    """
    if role.group_part and (name != role.name or is_privileged != role.is_privileged):
        text = _("Members and owners of a group: the name stays, and the group says whether it is protected.")
        raise RoleRefused(text, code="governed")
    if role.is_built_in and (name != role.name or is_privileged != role.is_privileged):
        raise RoleRefused(_("A built-in role keeps its name and stays privileged or not."), code="built_in")


def check_resource_name(name: str) -> None:
    """The way to a resource is its names with "/" between them: one with "/" in it would read as two."""
    if "/" in name:
        raise ResourceRefused({"name": ValidationError(_("A name has no “/” in it."), code="name_invalid")})


def check_rights_place(resource: Resource, *, gives_rights: bool) -> None:
    """Rights in this site come from roles held at the organisation itself, where others cannot be held."""
    if gives_rights and resource.parent_id is not None:
        text = _("Only a role of the organisation itself gives rights in this site. Leave them out.")
        raise RoleRefused(text, code="scope_invalid")


def check_held_by_protected(role: Role, unprotected: "Collection[Group]") -> None:
    """Refuse to make a role privileged that groups hold which helpdesk staff may fill."""
    if names := ", ".join(sorted(map(str, unprotected))):
        text = _("Groups that are not protected hold %(role)s: %(groups)s. Protect them first.")
        raise RoleRefused(text % {"role": role, "groups": names}, code="group_not_protected")


def check_can_own(role: Role) -> None:
    """What the product made is for what it was made for."""
    if role.is_built_in or role.group_part:
        raise RoleRefused(_("This role cannot own its resource: make one of its own for that."), code="built_in")


def check_weight(*, is_privileged: bool, codenames: Collection[str], owns_resource: bool = False) -> None:
    """Refuse rights that change something, and ownership, in a role that helpdesk staff could give away.

    Args:
        codenames: of the permissions that the role gives in this site, e.g. "change_user".
    """
    changes = owns_resource or not all(codename.startswith(("view_", "export_")) for codename in codenames)
    if changes and not is_privileged:
        text = _("A role that may change something in this site is privileged. Mark it so, or leave out those rights.")
        raise RoleRefused(text, code="must_be_privileged")


def check_scope(role: Role, scope: Resource, *, refusal: type[ValidationError]) -> None:
    """A role can be used on its own resource and beneath, nowhere else."""
    if not role.is_usable_at(scope):
        text = _("%(role)s belongs to %(resource)s: choose that or something beneath it as the scope.")
        raise refusal(text % {"role": role, "resource": role.resource}, code="scope_invalid")


def check_unchanged(current: RoleSettings | None, seen: "UUID | None") -> None:
    """Refuse a change that was thought of when other settings counted.

    Args:
        current: the version that counts at the scope.
        seen: the id of the one that counted then; None: whichever does.
    """
    if seen is not None and (current is None or current.pk != seen):
        text = _("Somebody has saved other settings meanwhile. Look at what they changed, then save again.")
        raise SettingsRefused(text, code="changed_meanwhile")


def check_removal(role: Role, scope: Resource) -> None:
    """A role always has settings at its own resource."""
    if scope == role.resource:
        raise SettingsRefused(_("The settings of the role itself stay: change them."), code="settings_needed")


def check_settings(
    settings: RoleSettings, stages: Sequence[StageTerms], *, members: "Mapping[Group, Collection[User]]"
) -> None:
    """Refuse settings outside their ranges, and an approval that nobody could ever give.

    Args:
        settings: the version to be saved.
        stages: those of its approval, in their order.
        members: the enabled people of each group that the stages name.

    Raises:
        SettingsRefused: with the limit in its text.
    """
    _check_ranges(settings)
    _check_tickets(settings)
    _check_notifications(settings.notifications)
    if settings.hook is not None and not settings.hook.secret:
        text = _("This hook has no secret yet: make one on its page, and give it to the other system.")
        raise SettingsRefused({"hook": ValidationError(text, code="hook_unusable")})
    if len(stages) > MOST_STAGES:
        text = _("An approval has at most %(most)d stages.")
        raise SettingsRefused(text % {"most": MOST_STAGES}, code="out_of_range")
    for terms in stages:
        _check_stage(terms)
    if settings.approval_required:
        check_reachable(stages, members)


def _check_stage(terms: StageTerms) -> None:
    if not 1 <= terms.quorum <= MOST_APPROVALS:
        text = _("Between one and %(most)d people must approve.")
        raise SettingsRefused(text % {"most": MOST_APPROVALS}, code="out_of_range")
    shortest, longest = TIMEOUT_RANGE
    if not shortest <= terms.timeout <= longest:
        raise SettingsRefused(_("The time to decide is between 5 minutes and 14 days."), code="out_of_range")
    others = bool(terms.escalation_approvers or terms.escalation_groups)
    if others != (terms.escalates_after is not None):
        raise SettingsRefused(_("Say after what time others are asked, and whom."), code="out_of_range")
    if terms.escalates_after is not None and not timedelta(0) < terms.escalates_after < terms.timeout:
        raise SettingsRefused(_("Others are asked before the time to decide is over."), code="out_of_range")
    if terms.one_from_each_group and not terms.approver_groups:
        raise SettingsRefused(_("Name the groups of which one each must approve."), code="out_of_range")


def check_reachable(stages: Sequence[StageTerms], members: "Mapping[Group, Collection[User]]") -> None:
    """Refuse stages that could not all be passed: each needs its people, others than those who decided before.

    Args:
        members: the enabled people of each group that the stages name.

    Raises:
        SettingsRefused: ``group_not_protected``, ``nobody_could_approve``, ``quorum_unreachable``.
    """
    if any(not group.is_protected for terms in stages for group in terms.groups):
        raise SettingsRefused(
            _("Only protected groups can approve, because whoever may change a group decides who approves."),
            code="group_not_protected",
        )
    before: set[Hashable] = set()
    passed = 0
    for number, terms in enumerate(stages, start=1):
        seats_here = _seats(terms, members)
        if not any(seats_here):
            raise SettingsRefused(
                _("Nobody among these approvers could ever decide: name at least one enabled person."),
                code="nobody_could_approve",
            )
        if not reachable(seats_here, before=before, passed=passed):
            text = _(
                "Stage %(number)d needs %(needed)d different people who have not decided in an earlier stage: "
                "name more people."
            )
            raise SettingsRefused(text % {"number": number, "needed": len(seats_here)}, code="quorum_unreachable")
        before = before.union(*seats_here)
        passed += len(seats_here)


def _seats(terms: StageTerms, members: "Mapping[Group, Collection[User]]") -> list[set[Hashable]]:
    """The manager, and the administrators, count as one person each: that many there are for certain."""
    named: set[Hashable] = {person.pk for person in everybody_named([terms]) if _can_approve(person)}
    named |= {person.pk for group in terms.groups for person in members[group]}
    named |= {"manager"} if terms.asks_manager else set()
    named |= {"administrator"} if terms.names_nobody else set()
    groups = terms.approver_groups if terms.one_from_each_group else ()
    return seats(terms.quorum, named, [[person.pk for person in members[group]] for group in groups])


def _check_notifications(notifications: Any) -> None:
    cells = _cells(notifications)
    if cells is None:
        text = _("Say for each event and each kind of recipients who is told of what.")
        raise SettingsRefused({"notifications": ValidationError(text, code="out_of_range")})
    for (event, audience), cell in cells.items():
        _check_addresses(cell["also"], accepted=(event, audience) not in WITHOUT_ADDRESSES)


def _cells(notifications: Any) -> dict[tuple[str, str], dict[str, Any]] | None:
    """Return the nine cells; None where they are not just those, each with what a cell has."""
    try:
        cells = {(event, who): cell for event, row in notifications.items() for who, cell in row.items()}
    except AttributeError:
        return None
    complete = set(cells) == {(event, who) for event in EVENTS for who in AUDIENCES}
    return cells if complete and all(map(_is_cell, cells.values())) else None


def _is_cell(cell: Any) -> bool:
    return (
        isinstance(cell, dict)
        and set(cell) == {"default", "also", "level"}
        and isinstance(cell["default"], bool)
        and isinstance(cell["also"], list)
        and all(isinstance(address, str) for address in cell["also"])
        and cell["level"] in LEVELS
    )


def _check_addresses(addresses: list[str], *, accepted: bool) -> None:
    text, code = "", ""
    wrong = [address for address in addresses if not _is_address(address)]
    if addresses and not accepted:
        text, code = _("Only those who can decide are asked for approval: leave the addresses empty."), "no_addresses"
    elif len(addresses) > MOST_ADDRESSES:
        text, code = _("At most %(limit)d addresses.") % {"limit": MOST_ADDRESSES}, "too_many_addresses"
    elif wrong:
        text, code = _("This is no e-mail address: %(address)s") % {"address": wrong[0][:100]}, "address_invalid"
    elif len({address.casefold() for address in addresses}) < len(addresses):
        text, code = _("An address is named twice."), "address_invalid"
    if code:
        raise SettingsRefused({"notifications": ValidationError(text, code=code)})


def _is_address(address: str) -> bool:
    try:
        validate_email(address)
    except ValidationError:
        return False
    return True


def _check_tickets(settings: RoleSettings) -> None:
    try:
        steps_of(settings.ticket_pattern) if settings.ticket_pattern else []
    except ValueError as error:
        text = _("This is no pattern: use characters, [A-Z], \\d, ?, *, +, {7} and | between alternatives.")
        raise SettingsRefused({"ticket_pattern": ValidationError(text, code="ticket_pattern_invalid")}) from error
    if settings.ticket_link and not is_link(settings.ticket_link):
        text = _("This is no address of a ticket. Example: https://tickets.example.org/{ticket}")
        raise SettingsRefused({"ticket_link": ValidationError(text, code="ticket_link_invalid")})


def _can_approve(person: "User") -> bool:
    return person.is_active and person.is_person


def _check_ranges(settings: RoleSettings) -> None:
    if not 0 <= settings.auto_approve_within_hours <= LONGEST_REPEAT:
        text = _("An approval is repeated for at most %(hours)d hours.")
        raise SettingsRefused(text % {"hours": LONGEST_REPEAT}, code="out_of_range")
    longest = settings.activation_max_duration
    if not SHORTEST_MAXIMUM <= longest <= LONGEST_MAXIMUM or longest % HALF_HOUR:
        raise SettingsRefused(
            _("The longest activation is between 30 minutes and 24 hours, in steps of 30 minutes."), code="out_of_range"
        )
    emergency = settings.emergency_duration
    if not HALF_HOUR <= emergency <= LONGEST_EMERGENCY or emergency % HALF_HOUR:
        text = _("Emergency access lasts between 30 minutes and 4 hours, in steps of 30 minutes.")
        raise SettingsRefused({"emergency_duration": ValidationError(text, code="out_of_range")})
    for days in (settings.eligible_max_days, settings.active_max_days):
        if days not in DAYS_OFFERED:
            text = _("Assignments last at most %(days)s days.")
            raise SettingsRefused(text % {"days": ", ".join(map(str, DAYS_OFFERED))}, code="out_of_range")
