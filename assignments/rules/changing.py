"""Other dates for an assignment, and its extension and renewal."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from accounts.models import User

from .terms import EXTEND_WINDOW, RENEW_WINDOW, AssignmentRefused

if TYPE_CHECKING:
    from assignments.models import ActiveAssignment, EligibleAssignment


def check_open(assignment: "ActiveAssignment | EligibleAssignment", *, at: datetime) -> None:
    if assignment.ended_at is not None or (assignment.ends_at and assignment.ends_at <= at):
        raise AssignmentRefused(_("This has ended already. Nothing was changed."), code="already_ended")


def check_assigned(assignment: "ActiveAssignment | EligibleAssignment") -> None:
    if assignment.is_activated:
        text = _("This was activated, for as long as was asked for. End it and activate it anew instead.")
        raise AssignmentRefused(text, code="is_activated")


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
