"""What a person must bring to activate a role, and what must hold when it is granted; in an emergency too."""

from copy import copy
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from accounts.models import User
from accounts.rules import PASSKEY, says_nothing
from roles.lengths import in_words
from roles.models import Resource, RoleSettings
from roles.rules import check_scope

from .terms import LATE_START, SHORTEST, ActivationRefused, check_moments

if TYPE_CHECKING:
    from assignments.models import EligibleAssignment
    from roles.hooks import Hook


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
    check_moments(starts_at, at=at, refusal=ActivationRefused)
    _check_start(eligible, starts_at, at=at)
    _check_duration(duration, settings.activation_max_duration)
    check_said(settings, justification, ticket)


def check_said(settings: RoleSettings, justification: str, ticket: str) -> None:
    if settings.justification_required and says_nothing(justification):
        raise ActivationRefused(_("Say why you need the role: it asks for a reason."), code="justification_required")
    if settings.ticket_required and says_nothing(ticket):
        raise ActivationRefused(_("Name the ticket: this role asks for one."), code="ticket_required")
    _check_ticket(settings, ticket)


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
