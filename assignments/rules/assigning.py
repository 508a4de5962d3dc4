"""Who may be given what, and for how long."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from accounts.models import Group, User
from accounts.rules import says_nothing
from roles.models import Role, RoleSettings
from roles.rules import check_scope

from .terms import LATE_START, SHORTEST, AssignmentRefused, Terms, check_moments


def check_not_self(holder: User | Group, actor: User | None, *, through_group: bool = False) -> None:
    """Refuse what somebody does for themselves.

    Args:
        through_group: the holder is a group that the actor is in, or may come into.
    """
    if actor is not None and (actor.pk == holder.pk or through_group):
        raise AssignmentRefused(
            _("Nobody gives a role to themselves. Ask another administrator."), code="self_assignment"
        )


def check_holder(holder: User | Group, role: Role, *, eligible: bool) -> None:
    """Only enabled principals hold roles, and only people can be eligible: activating takes a person.

    A group that holds a privileged role must be protected, and none is a member of another: who is in it must be
    decided by those who give roles, and be seen in one place.
    """
    if isinstance(holder, Group):
        _check_group(holder, role)
        return
    if not holder.is_active:
        raise AssignmentRefused(
            _("%(user)s is disabled. Enable the account first.") % {"user": holder}, code="holder_disabled"
        )
    if eligible and not holder.is_person:
        raise AssignmentRefused(
            _("A service account cannot activate a role: assign it as active instead."), code="holder_invalid"
        )
    if role.group_part and not role.resource.stands_for_group:
        raise AssignmentRefused(_("This group was deleted: nobody can be in it."), code="holder_invalid")


def _check_group(group: Group, role: Role) -> None:
    if group.deleted_at is not None:
        raise AssignmentRefused(_("%(group)s was deleted.") % {"group": group}, code="holder_invalid")
    if role.group_part:
        text = _("A group cannot be in a group: choose the people.")
        raise AssignmentRefused(text, code="holder_invalid")
    if role.is_privileged and not group.is_protected:
        text = _("%(role)s is privileged, and %(group)s is not protected: whoever manages groups could take the role.")
        raise AssignmentRefused(text % {"role": role, "group": group}, code="group_not_protected")


def check_unprotected(group: Group, *, privileged: Iterable[Role], approves_for: Iterable[Role]) -> None:
    """Refuse to take its protection from a group that has power by it.

    Args:
        privileged: the privileged roles that the group holds, or may activate.
        approves_for: the roles whose requests it decides.
    """
    if names := ", ".join(sorted({str(role) for role in (*privileged, *approves_for)})):
        text = _("%(group)s must stay protected: it holds or approves %(roles)s. Take these from it first.")
        raise AssignmentRefused(text % {"group": group, "roles": names}, code="group_not_protected")


def check_group_unneeded(group: Group, *, approves_for: Iterable[Role]) -> None:
    """Refuse to delete a group that decides requests: who decides instead is for somebody to say."""
    if names := ", ".join(sorted({str(role) for role in approves_for})):
        text = _("%(group)s approves requests for %(roles)s. Name other approvers there first.")
        raise AssignmentRefused(text % {"group": group, "roles": names}, code="group_needed")


def check_assignment(settings: RoleSettings, terms: Terms, *, eligible: bool, at: datetime) -> None:
    """Refuse an assignment that its role's settings do not allow.

    Args:
        settings: those that count at the scope.
        eligible: an eligible assignment, otherwise an active one.
        at: the present moment.

    Raises:
        AssignmentRefused: with the limit in its text.
    """
    starts_at, ends_at = terms.starts_at or at, terms.ends_at
    check_holder(terms.holder, terms.role, eligible=eligible)
    check_scope(terms.role, terms.scope, refusal=AssignmentRefused)
    check_moments(starts_at, ends_at, at=at, refusal=AssignmentRefused)
    _check_schedule(starts_at, ends_at, at=at)
    permanent, days = (
        (settings.permanent_eligible_allowed, settings.eligible_max_days)
        if eligible
        else (settings.permanent_active_allowed, settings.active_max_days)
    )
    _check_length(starts_at, ends_at, permanent_allowed=permanent, days=days)
    if not eligible and settings.assign_active_justification_required and says_nothing(terms.justification):
        raise AssignmentRefused(
            _("Say why: this role asks for a reason when it is assigned as active."), code="justification_required"
        )


def _check_schedule(starts_at: datetime, ends_at: datetime | None, *, at: datetime) -> None:
    if starts_at < at - LATE_START:
        raise AssignmentRefused(_("The start has passed already. Choose now or a later time."), code="schedule_invalid")
    if ends_at is None:
        return
    if ends_at <= starts_at:
        raise AssignmentRefused(_("The end must come after the start."), code="schedule_invalid")
    if ends_at - max(starts_at, at) < SHORTEST:
        raise AssignmentRefused(_("An assignment lasts at least 5 minutes."), code="too_short")


def _check_length(starts_at: datetime, ends_at: datetime | None, *, permanent_allowed: bool, days: int) -> None:
    if permanent_allowed:
        return
    if ends_at is None:
        text = _("This role allows no permanent assignment. Choose an end at most %(days)d days after the start.")
        raise AssignmentRefused(text % {"days": days}, code="permanent_not_allowed")
    if ends_at - starts_at > timedelta(days=days):
        text = _("This is longer than the %(days)d days that this role allows.")
        raise AssignmentRefused(text % {"days": days}, code="too_long")


def check_emergency(holder: User | Group, *, meant: bool) -> None:
    """What is there for emergencies is not taken away in passing, among many others.

    Args:
        meant: somebody said that they mean just this account.
    """
    if isinstance(holder, User) and holder.is_emergency_access and not meant:
        text = _("%(user)s is an emergency-access account and was left out. Open its own page if you mean it.")
        raise AssignmentRefused(text % {"user": holder}, code="emergency_access")


def check_not_last(role: Role, *, others: int) -> None:
    """Refuse to take away the last holder in force of a role without which no role could be given any more."""
    if role.built_in_key in Role.GUARDED and not others:
        text = _("This would leave nobody who holds %(role)s. Let somebody else hold it first.")
        raise AssignmentRefused(text % {"role": role}, code="last_administrator")
