"""The figures, the refusals, and what an assignment says.

Figures are those of Microsoft Entra PIM (assign and activate pages): five minutes are the shortest time.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.models import Group, User
from roles.models import Resource, Role

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


def check_moments(*moments: datetime | None, at: datetime, refusal: type[ValidationError]) -> None:
    for moment in moments:
        if moment is not None and (moment.tzinfo is None or moment - at > HORIZON):
            text = _("Give a date and a time with its zone, within the next ten years.")
            raise refusal(text, code="schedule_invalid")
