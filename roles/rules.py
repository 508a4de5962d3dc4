"""Which roles and settings make sense. Nothing here reads the clock or writes."""

from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from .models import DAYS_OFFERED, HALF_HOUR, LONGEST_MAXIMUM, SHORTEST_MAXIMUM, Resource, Role, RoleSettings
from .tickets import is_link, steps_of

if TYPE_CHECKING:
    from accounts.models import Group, User

APPROVAL_TIMEOUT_RANGE = (timedelta(minutes=5), timedelta(days=14))


class ResourceRefused(ValidationError):
    """A resource could not be saved. Codes: ``name_taken``, ``scope_invalid``."""


class RoleRefused(ValidationError):
    """A role could not be saved. Codes: ``name_taken``, ``built_in``, ``scope_invalid``, ``must_be_privileged``."""


class SettingsRefused(ValidationError):
    """Settings could not be saved.

    Codes: ``out_of_range``, ``ticket_pattern_invalid``, ``ticket_link_invalid``, ``nobody_could_approve``,
    ``group_not_protected``.
    """


def check_role_change(role: Role, *, name: str, is_privileged: bool) -> None:
    """A built-in role keeps its name, its rights and its weight: the product counts on them."""
    if role.is_built_in and (name != role.name or is_privileged != role.is_privileged):
        raise RoleRefused(_("A built-in role keeps its name and stays privileged or not."), code="built_in")


def check_weight(*, is_privileged: bool, codenames: Collection[str]) -> None:
    """Refuse rights that change something in a role that helpdesk staff could give away.

    Args:
        codenames: of the permissions that the role gives in this site, e.g. "change_user".
    """
    if not is_privileged and not all(codename.startswith(("view_", "export_")) for codename in codenames):
        text = _("A role that may change something in this site is privileged. Mark it so, or leave out those rights.")
        raise RoleRefused(text, code="must_be_privileged")


def check_scope(role: Role, scope: Resource, *, refusal: type[ValidationError]) -> None:
    """A role can be used on its own resource and beneath, nowhere else."""
    if not role.is_usable_at(scope):
        text = _("%(role)s belongs to %(resource)s: choose that or something beneath it as the scope.")
        raise refusal(text % {"role": role, "resource": role.resource}, code="scope_invalid")


def check_settings(
    settings: RoleSettings, *, approvers: Collection["User"], groups: Collection["Group"], group_people: int
) -> None:
    """Refuse settings outside their ranges, and an approval that nobody could ever give.

    Args:
        settings: the version to be saved.
        approvers: the people named as approvers.
        groups: the groups named as approvers.
        group_people: how many enabled people are in those groups together.

    Raises:
        SettingsRefused: with the limit in its text.
    """
    _check_ranges(settings)
    _check_tickets(settings)
    _check_notifications(settings.notifications)
    if not settings.approval_required:
        return
    if any(not group.is_protected for group in groups):
        raise SettingsRefused(
            _("Only protected groups can approve, because whoever may change a group decides who approves."),
            code="group_not_protected",
        )
    if (approvers or groups) and not group_people and not any(_can_approve(person) for person in approvers):
        raise SettingsRefused(
            _("Nobody among these approvers could ever decide: name at least one enabled person."),
            code="nobody_could_approve",
        )


def _check_notifications(notifications: Any) -> None:
    def kinds(cells: Any) -> Any:
        return {name: kinds(cell) for name, cell in cells.items()} if isinstance(cells, dict) else type(cells)

    if kinds(notifications) != dict.fromkeys(RoleSettings.EVENTS, dict.fromkeys(RoleSettings.AUDIENCES, bool)):
        raise SettingsRefused(_("Say for each event and each kind of recipient: told, or not."), code="out_of_range")


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
    longest = settings.activation_max_duration
    if not SHORTEST_MAXIMUM <= longest <= LONGEST_MAXIMUM or longest % HALF_HOUR:
        raise SettingsRefused(
            _("The longest activation is between 30 minutes and 24 hours, in steps of 30 minutes."), code="out_of_range"
        )
    for days in (settings.eligible_max_days, settings.active_max_days):
        if days not in DAYS_OFFERED:
            text = _("Assignments last at most %(days)s days.")
            raise SettingsRefused(text % {"days": ", ".join(map(str, DAYS_OFFERED))}, code="out_of_range")
    shortest, timeout_longest = APPROVAL_TIMEOUT_RANGE
    if not shortest <= settings.approval_timeout <= timeout_longest:
        raise SettingsRefused(_("The time to decide is between 5 minutes and 14 days."), code="out_of_range")
