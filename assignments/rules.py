"""Who may hold what, and for how long. Nothing here reads the clock or writes.

Figures are those of Microsoft Entra PIM (assign and activate pages): five minutes are the shortest time.
"""

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.models import Group, User
from accounts.rules import PASSKEY, says_nothing
from roles.lengths import in_words
from roles.models import Resource, Role, RoleSettings
from roles.rules import check_scope

if TYPE_CHECKING:
    from roles.hooks import Hook

    from .models import ActiveAssignment, EligibleAssignment

SHORTEST = timedelta(minutes=5)
# When an extension can be asked for before the end, and a renewal after it (Entra PIM, renew and extend).
EXTEND_WINDOW = timedelta(days=14)
RENEW_WINDOW = timedelta(days=30)
# When more time can be asked for an activation that runs (ours: Entra PIM has none for activations).
PROLONG_WINDOW = timedelta(minutes=15)
# So long before its end whoever activated a role is told.
NOTICE = timedelta(minutes=5)
# A form that was open for a while asks for a start that has just gone by; it means "now".
LATE_START = timedelta(minutes=5)
# No plan reaches further; sums of later times would leave the calendar of the databases and of Python.
HORIZON = timedelta(days=3653)


class AssignmentRefused(ValidationError):
    """An assignment was not made or taken away.

    Codes: ``holder_disabled``, ``holder_invalid``, ``group_not_protected``, ``self_assignment``, ``scope_invalid``,
    ``schedule_invalid``, ``too_short``, ``too_long``, ``permanent_not_allowed``, ``justification_required``,
    ``already_assigned``, ``already_ended``, ``already_enabled``, ``last_administrator``, ``emergency_access``,
    ``is_activated``, ``not_own``, ``outside_window``, ``group_needed``, ``role_deleted``.
    """


class ActivationRefused(ValidationError):
    """A role was not activated.

    Codes: ``not_eligible``, ``holder_disabled``, ``holder_invalid``, ``scope_invalid``, ``schedule_invalid``,
    ``too_short``, ``too_long``, ``justification_required``, ``ticket_required``, ``ticket_invalid``,
    ``mfa_required``, ``phishing_resistant_required``, ``approval_required``, ``hook_required``,
    ``emergency_not_allowed``, ``already_active``, ``already_ended``, ``not_own``, ``outside_window``.
    """


class Waiver(StrEnum):
    """Why a role is given without the approvers whom its settings name."""

    HOOK = "hook"  # the hook that the settings name has said so
    EMERGENCY = "emergency"  # the settings allow it, or the person is one for emergencies


@dataclass(frozen=True)
class Terms:
    """What an assignment says: who holds which role, where, from when until when, and why.

    A start of None is now; an end of None makes it permanent.
    """

    holder: User | Group
    role: Role
    scope: Resource
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    justification: str = ""


def whole_second(at: datetime) -> datetime:
    """Assignments begin and end on whole seconds."""
    return at.replace(microsecond=0)


def _check_moments(*moments: datetime | None, at: datetime, refusal: type[ValidationError]) -> None:
    for moment in moments:
        if moment is not None and (moment.tzinfo is None or moment - at > HORIZON):
            text = _("Give a date and a time with its zone, within the next ten years.")
            raise refusal(text, code="schedule_invalid")


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
    _check_moments(starts_at, ends_at, at=at, refusal=AssignmentRefused)
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


def check_ask(
    eligible: "EligibleAssignment",
    settings: RoleSettings,
    *,
    user: User,
    reaches: bool,
    scope: Resource,
    starts_at: datetime,
    duration: timedelta,
    justification: str,
    ticket: str,
    at: datetime,
) -> None:
    """What a person must bring to activate a role, judged at the moment of asking. The proof is consumed apart.

    Args:
        reaches: the eligibility is the person's own, or of a group that they are a member of.

    Raises:
        ActivationRefused: with what to do in its text.
    """
    check_eligible(eligible, user=user, reaches=reaches, at=at)
    check_reach(eligible, scope)
    _check_moments(starts_at, at=at, refusal=ActivationRefused)
    _check_start(eligible, starts_at, at=at)
    _check_duration(duration, settings.activation_max_duration)
    _check_said(settings, justification, ticket)


def _check_said(settings: RoleSettings, justification: str, ticket: str) -> None:
    if settings.justification_required and says_nothing(justification):
        raise ActivationRefused(_("Say why you need the role: it asks for a reason."), code="justification_required")
    if settings.ticket_required and says_nothing(ticket):
        raise ActivationRefused(_("Name the ticket: this role asks for one."), code="ticket_required")
    _check_ticket(settings, ticket)


def can_prolong(active: "ActiveAssignment | EligibleAssignment", *, at: datetime) -> bool:
    """Is it an activation that runs, and so near its end that more time can be asked for?"""
    if not active.is_activated or active.is_emergency or active.ends_at is None:
        return False
    return active.state(at) == "active" and active.ends_at - at <= PROLONG_WINDOW


def latest_end(active: "ActiveAssignment", settings: RoleSettings, *, at: datetime) -> datetime:
    """Return until when an activation can be extended: its longest duration counts from its first start.

    Where the settings let it go on past that, each extension may last as long from now as an activation may.
    """
    since = at if settings.extends_past_longest else active.starts_at
    return since.astimezone(UTC) + settings.activation_max_duration


def check_prolong_ask(
    active: "ActiveAssignment",
    settings: RoleSettings,
    *,
    user: User,
    duration: timedelta,
    justification: str,
    ticket: str,
    at: datetime,
) -> None:
    """What a person must bring to keep a role active for longer. The proof is consumed apart.

    Args:
        duration: how much longer, counted from the end that it has.

    Raises:
        ActivationRefused: with what to do in its text.
    """
    if active.user_id != user.pk:
        raise ActivationRefused(_("This is somebody else's activation."), code="not_own")
    check_runs(active, at=at)
    check_time_open(active)
    if not can_prolong(active, at=at):
        text = _("An activation can be extended in its last %(minutes)d minutes.")
        raise ActivationRefused(text % {"minutes": PROLONG_WINDOW // timedelta(minutes=1)}, code="outside_window")
    if duration < SHORTEST:
        raise ActivationRefused(_("An extension lasts at least 5 minutes."), code="too_short")
    check_longer_than_now(active, latest_end(active, settings, at=at), wanted=duration)
    _check_said(settings, justification, ticket)


def check_runs(active: "ActiveAssignment", *, at: datetime) -> None:
    """Refuse to extend what is over, or no activation.

    Raises:
        ActivationRefused: ``already_ended``.
    """
    # What the worker has closed is over, also while this clock is a moment behind its own.
    if not active.is_activated or active.ended_at is not None or active.state(at) != "active":
        text = _("This activation has ended already. Activate the role anew.")
        raise ActivationRefused(text, code="already_ended")


def check_time_open(active: "ActiveAssignment") -> None:
    """Refuse more time for emergency access: it is short and fixed, whatever the settings give to others.

    Raises:
        ActivationRefused: ``emergency_time_fixed``.
    """
    if active.is_emergency:
        text = _("Emergency access is not extended: its time is fixed. Ask for the role in the usual way.")
        raise ActivationRefused(text, code="emergency_time_fixed")


def check_longer_than_now(
    active: "ActiveAssignment", latest: datetime, *, wanted: timedelta = timedelta(seconds=1)
) -> None:
    """Refuse an extension for which there is no room before `latest`.

    Raises:
        ActivationRefused: ``too_long``.
    """
    room = latest - active.ends_at if active.ends_at else timedelta(0)
    if room <= timedelta(0):
        text = _("This activation cannot last any longer. Activate the role anew when it has ended.")
        raise ActivationRefused(text, code="too_long")
    if wanted > room:
        text = _("This activation can be extended by at most %(time)s. Ask for less.")
        raise ActivationRefused(text % {"time": in_words(room.total_seconds())}, code="too_long")


def allows_emergency(settings: RoleSettings, user: User) -> bool:
    """May this person have the role without approval, in the sight of everybody?"""
    return settings.emergency_allowed or user.is_emergency_access


def in_emergency(settings: RoleSettings, user: User) -> RoleSettings:
    """Return what these settings ask for in an emergency: a reason and the same proof, for a fixed time; not saved.

    Raises:
        ActivationRefused: ``emergency_not_allowed``.
    """
    if not allows_emergency(settings, user):
        text = _("This role has no emergency access. Ask for it in the usual way.")
        raise ActivationRefused(text, code="emergency_not_allowed")
    terms = copy(settings)
    terms.activation_max_duration = settings.emergency_duration
    terms.justification_required = True
    terms.ticket_required = terms.approval_required = False
    terms.hook = None
    return terms


def check_reach(eligible: "EligibleAssignment", scope: Resource) -> None:
    """An eligibility reaches its own scope and what is beneath it.

    Raises:
        ActivationRefused: ``scope_invalid``.
    """
    check_scope(eligible.role, scope, refusal=ActivationRefused)
    if not scope.is_within(eligible.scope):
        text = _("You are eligible at %(scope)s: choose that or something beneath it.")
        raise ActivationRefused(text % {"scope": eligible.scope}, code="scope_invalid")


def check_eligible(eligible: "EligibleAssignment", *, user: User, reaches: bool, at: datetime) -> None:
    """What must hold when asked, and again when granted, however long the wait was."""
    if not user.is_active:
        raise ActivationRefused(_("This account is disabled."), code="holder_disabled")
    if not user.is_person:
        text = _("A service account cannot activate a role: it holds what is assigned to it as active.")
        raise ActivationRefused(text, code="holder_invalid")
    if not reaches or eligible.state(at) != "active":
        raise ActivationRefused(
            _("You are not eligible for this role now. An administrator can make you eligible."), code="not_eligible"
        )


def _check_start(eligible: "EligibleAssignment", starts_at: datetime, *, at: datetime) -> None:
    if starts_at < at - LATE_START:
        raise ActivationRefused(_("The start has passed already. Choose now or a later time."), code="schedule_invalid")
    if eligible.ends_at is not None and starts_at >= eligible.ends_at:
        raise ActivationRefused(_("Your eligibility ends before that start."), code="schedule_invalid")


def check_lasts(starts_at: datetime, ends_at: datetime) -> None:
    """Refuse an activation that what it comes from, or the membership that carries it, would end before it began."""
    if ends_at <= starts_at:
        text = _("Your eligibility, or your membership of the group, ends before that start.")
        raise ActivationRefused(text, code="schedule_invalid")


def _check_duration(duration: timedelta, longest: timedelta) -> None:
    if duration < SHORTEST:
        raise ActivationRefused(_("An activation lasts at least 5 minutes."), code="too_short")
    if duration > longest:
        text = _("This role can be active for at most %(time)s. Ask for less.")
        raise ActivationRefused(text % {"time": in_words(longest.total_seconds())}, code="too_long")


def check_grant(
    eligible: "EligibleAssignment",
    settings: RoleSettings,
    *,
    user: User,
    reaches: bool,
    approvers: list[User],
    needed: int,
    checked_by: "Hook | None" = None,
    justification: str,
    ticket: str,
    proved_with: str,
    at: datetime,
) -> None:
    """What must hold at the moment at which access is given. If settings became stricter since, the stricter hold.

    Args:
        reaches: as for `check_ask`.
        approvers: those who said yes; the holder does not count, and nobody counts twice.
        needed: how many different people must have said it.
        checked_by: the hook that was asked beforehand, and let it go on.
        proved_with: the method of the second factor that was proved when the role was asked for; empty if none was.

    Raises:
        ActivationRefused
    """
    check_eligible(eligible, user=user, reaches=reaches, at=at)
    if len({person.pk for person in approvers} - {user.pk}) < needed:
        raise ActivationRefused(_("More people must approve this first."), code="approval_required")
    if settings.hook_id not in (None, checked_by and checked_by.pk):
        text = _("This role now asks for a check by another system. Ask again.")
        raise ActivationRefused(text, code="hook_required")
    check_brought(settings, justification=justification, ticket=ticket, proved_with=proved_with)


def check_brought(settings: RoleSettings, *, justification: str, ticket: str, proved_with: str) -> None:
    """Refuse to grant what was asked for without all that these settings ask for."""
    if settings.mfa_required and not proved_with:
        raise ActivationRefused(_("This role now asks for a one-time code. Ask again."), code="mfa_required")
    if settings.phishing_resistant_required and proved_with != PASSKEY:
        text = _("This role now takes a passkey and nothing else. Ask again, with one.")
        raise ActivationRefused(text, code="phishing_resistant_required")
    if settings.justification_required and says_nothing(justification):
        raise ActivationRefused(_("This role now asks for a reason. Ask again."), code="justification_required")
    if settings.ticket_required and says_nothing(ticket):
        raise ActivationRefused(_("This role now asks for a ticket. Ask again."), code="ticket_required")
    _check_ticket(settings, ticket)


def _check_ticket(settings: RoleSettings, ticket: str) -> None:
    if not settings.takes_ticket(ticket.strip()):
        text = _("This is not the number of a ticket here. The role takes numbers like this: %(pattern)s")
        raise ActivationRefused(text % {"pattern": settings.ticket_pattern}, code="ticket_invalid")


def check_open(assignment: "ActiveAssignment | EligibleAssignment", *, at: datetime) -> None:
    if assignment.ended_at is not None or (assignment.ends_at and assignment.ends_at <= at):
        raise AssignmentRefused(_("This has ended already. Nothing was changed."), code="already_ended")


def can_extend(assignment: "ActiveAssignment | EligibleAssignment", *, at: datetime) -> bool:
    """Is its end so near that its holder may ask for more, and not there yet?"""
    if assignment.is_activated or assignment.ends_at is None:
        return False
    return assignment.state(at) == "active" and assignment.ends_at - at <= EXTEND_WINDOW


def can_renew(assignment: "ActiveAssignment | EligibleAssignment", *, at: datetime) -> bool:
    """Did its time run out, not longer ago than 30 days? What was taken away is not renewed."""
    if assignment.is_activated or assignment.ends_at is None:
        return False
    ran_out = assignment.end_reason in ("", assignment.EndReason.EXPIRED)
    # A difference, for a sum is by the wall clock of the zone that a database answers in.
    return ran_out and timedelta(0) <= at - assignment.ends_at < RENEW_WINDOW


def check_own(assignment: "ActiveAssignment | EligibleAssignment", *, user: User) -> None:
    """What came through a group is the group's: no member asks to extend it."""
    if assignment.user_id != user.pk:
        text = _("You have this through a group, or not at all: its administrators extend it for all members.")
        raise AssignmentRefused(text, code="not_own")


def check_change(
    assignment: "ActiveAssignment | EligibleAssignment", *, starts_at: datetime | None, at: datetime
) -> None:
    """Refuse other dates for an activation and for what has ended, and another start for what has begun."""
    check_assigned(assignment)
    check_open(assignment, at=at)
    if starts_at is not None and starts_at != assignment.starts_at <= at:
        text = _("It has begun already: its start stays. Leave the start empty.")
        raise AssignmentRefused(text, code="schedule_invalid")


def check_assigned(assignment: "ActiveAssignment | EligibleAssignment") -> None:
    if assignment.is_activated:
        text = _("This was activated, for as long as was asked for. End it and activate it anew instead.")
        raise AssignmentRefused(text, code="is_activated")


def check_longer(assignment: "ActiveAssignment | EligibleAssignment", ends_at: datetime | None) -> None:
    """An extension ends later than what it extends."""
    if assignment.ends_at is None or (ends_at is not None and ends_at <= assignment.ends_at):
        text = _("This is no later than the end that it has. Choose a later one.")
        raise AssignmentRefused(text, code="schedule_invalid")


def check_renewal(assignment: "ActiveAssignment | EligibleAssignment", *, at: datetime) -> None:
    check_assigned(assignment)
    if not can_renew(assignment, at=at):
        text = _("Only what has run out can be renewed, up to %(days)d days after its end. Assign it anew instead.")
        raise AssignmentRefused(text % {"days": RENEW_WINDOW.days}, code="outside_window")


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
