"""Who may ask, decide and cancel. Nothing here reads the clock or writes."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.utils.translation import gettext as _

from accounts.rules import says_nothing
from assignments.rules import SHORTEST

if TYPE_CHECKING:
    from accounts.models import User
    from assignments.models import EligibleAssignment
    from roles.models import Resource

    from .models import Request

LONGEST_TEXT = 2000
LONGEST_TICKET = 100
LONGEST_NAME = 60
# One act is one code and one wait for the page: so many roles are activated in a few seconds.
MOST_AT_ONCE = 50
MOST_SETS = 30


class RequestRefused(ValidationError):
    """A request was not taken. Codes: ``already_pending``, ``justification_required``, ``too_long_text``."""


class DecisionRefused(ValidationError):
    """A decision did not count.

    Codes: ``own_request``, ``already_decided``, ``use_grant``, ``already_claimed``, ``not_claimed``, ``too_long``,
    ``too_short``.
    """


class NotAnApprover(PermissionDenied):
    """The person may not decide this request. Code: ``not_an_approver``."""

    code = "not_an_approver"


class ReviewRefused(ValidationError):
    """A use of emergency access was not reviewed. Codes: ``own_use``, ``already_reviewed``."""


class CancelRefused(ValidationError):
    """A request was not canceled. Codes: ``already_decided``, ``already_active``, ``not_canceled``."""


class SetRefused(ValidationError):
    """A set of roles was not kept. Codes: ``name_invalid``, ``name_taken``, ``nothing_chosen``, ``too_many``."""


def check_set(name: str, *, entries: int = 1, others: int = 0) -> None:
    """Refuse a set without a name or roles, and more than anybody finds their way about in.

    Args:
        entries: how many roles it has.
        others: how many other sets the person has.
    """
    if says_nothing(name) or len(name.strip()) > LONGEST_NAME:
        text = _("Give the set a name of at most %(limit)d characters.")
        raise SetRefused(text % {"limit": LONGEST_NAME}, code="name_invalid")
    if not entries:
        raise SetRefused(_("Choose the roles of the set."), code="nothing_chosen")
    if entries > MOST_AT_ONCE or others >= MOST_SETS:
        text = _("At most %(sets)d sets of at most %(roles)d roles can be kept.")
        raise SetRefused(text % {"sets": MOST_SETS, "roles": MOST_AT_ONCE}, code="too_many")


def already_pending() -> RequestRefused:
    text = _("You have asked for this role already. Cancel that request first, or wait for its decision.")
    return RequestRefused(text, code="already_pending")


def activation_facts(
    *,
    eligible: "EligibleAssignment",
    scope: "Resource",
    starts_at: datetime | None,
    duration: timedelta,
    justification: str,
    ticket: str,
    ticket_system: str,
) -> dict[str, Any]:
    """Return what a proof for an activation is bound to: all of what is being asked."""
    return {
        "eligible": eligible.pk,
        "scope": scope.pk,
        "starts_at": starts_at,
        "duration": duration,
        "justification": justification,
        "ticket": ticket,
        "ticket_system": ticket_system,
    }


def emergency_facts(
    *, eligible: "EligibleAssignment", scope: "Resource", justification: str, drill: bool
) -> dict[str, Any]:
    """Return what a proof for emergency access is bound to."""
    return {"eligible": eligible.pk, "scope": scope.pk, "justification": justification, "drill": drill}


def decision_facts(requests: "Iterable[Request]", verdict: str) -> dict[str, Any]:
    """Return what a proof for a row of decisions is bound to: which requests, and yes or no."""
    return {"requests": sorted(str(request.pk) for request in requests), "verdict": verdict}


def check_claim(request: "Request", *, actor: "User", at: datetime) -> None:
    """Refuse to look at the same time as somebody else."""
    looking = request.looked_at_by(at)
    if looking is not None and looking.pk != actor.pk:
        text = _("%(person)s is looking at this request.") % {"person": looking}
        raise DecisionRefused(text, code="already_claimed")


def check_release(request: "Request", *, actor: "User", at: datetime) -> None:
    """Refuse to end what somebody else does, or nobody."""
    looking = request.looked_at_by(at)
    if looking is None or looking.pk != actor.pk:
        raise DecisionRefused(_("You are not looking at this request."), code="not_claimed")


def check_shortened(duration: timedelta, *, asked: timedelta) -> None:
    """An approver may shorten what was asked for, down to the shortest activation."""
    if duration > asked:
        raise DecisionRefused(_("You can shorten what was asked for, not lengthen it."), code="too_long")
    if duration < SHORTEST:
        raise DecisionRefused(_("An activation lasts at least 5 minutes."), code="too_short")


def check_text(justification: str, *, ticket: str = "", ticket_system: str = "", required: bool = False) -> None:
    """Refuse a missing reason where one is needed, and texts that are longer than their columns."""
    if required and says_nothing(justification):
        raise RequestRefused(_("Say why: the reason is kept with what you do."), code="justification_required")
    if len(justification) > LONGEST_TEXT:
        text = _("The reason has at most %(limit)d characters.")
        raise RequestRefused(text % {"limit": LONGEST_TEXT}, code="too_long_text")
    if max(len(ticket), len(ticket_system)) > LONGEST_TICKET:
        text = _("The ticket and its system have at most %(limit)d characters each.")
        raise RequestRefused(text % {"limit": LONGEST_TICKET}, code="too_long_text")


def check_decision(
    request: "Request", *, actor: "User", is_approver: bool, has_decided: bool, justification: str, at: datetime
) -> None:
    """Refuse a decision that is one's own, too late, without a reason, or not this person's to give.

    Args:
        request: its row is locked by the caller.
        is_approver: the stage that it stands at names this person, in the settings in use now.
        has_decided: this person has been heard, in this stage or in one before.

    Raises:
        DecisionRefused, NotAnApprover
    """
    if actor.pk in (request.requester_id, request.user_id):
        raise DecisionRefused(_("Nobody decides their own request. Another approver must."), code="own_request")
    if request.waits_for_administrator:
        text = _("This waits for an administrator, who grants it and says until when, or denies it.")
        raise DecisionRefused(text, code="use_grant")
    if not request.is_pending or request.expires_at is None or request.expires_at <= at:
        raise DecisionRefused(already_decided(request), code="already_decided")
    if has_decided:
        text = _("You have decided this request already. Each stage needs somebody who has not been heard.")
        raise DecisionRefused(text, code="already_decided")
    if not is_approver:
        raise NotAnApprover(_("You are not among the approvers of this request."))
    check_text(justification, required=True)


def check_administrator(request: "Request", *, actor: "User", justification: str) -> None:
    """Refuse a decision about an extension or renewal that is one's own, too late, or without a reason.

    Raises:
        DecisionRefused, RequestRefused
    """
    if actor.pk in (request.requester_id, request.user_id):
        raise DecisionRefused(_("Nobody decides their own request. Another administrator must."), code="own_request")
    if not request.waits_for_administrator:
        raise DecisionRefused(already_decided(request), code="already_decided")
    check_text(justification, required=True)


def already_decided(request: "Request") -> str:
    """Say who was first, and what came of it."""
    decision = request.decisions.select_related("person", "on_behalf_of", "repeats").last()
    if decision is None:
        # The worker may not have noted yet that the time to decide is over.
        status = request.Status.TIMED_OUT.label if request.is_undecided else request.get_status_display()
        return _("This request is not waiting any more: %(status)s.") % {"status": status}
    return _("%(person)s has decided this request already: %(verdict)s.") % {
        "person": decision.who,
        "verdict": decision.get_verdict_display(),
    }


def check_cancel(request: "Request", *, at: datetime) -> None:
    if request.waits_for_administrator:
        return
    if not request.action.startswith("self_") or request.action == request.Action.SELF_DEACTIVATE:
        raise CancelRefused(
            _("Only what was asked for can be canceled. Remove the assignment instead."), code="not_canceled"
        )
    if not request.is_cancelable:
        raise CancelRefused(already_decided(request), code="already_decided")
    if request.active_assignment is not None and request.active_assignment.starts_at <= at:
        raise CancelRefused(_("It has begun already. End the role instead."), code="already_active")
