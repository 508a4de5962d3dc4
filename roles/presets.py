"""Settings to begin with, by how much harm a role could do. Ours; durations as timedelta."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Preset:
    """A name, whom it is for, and fields of `RoleSettings`; approvers and mails stay as they are."""

    label: Promise
    about: Promise
    values: dict[str, Any]


PRESETS = {
    "highly_privileged": Preset(
        _("Highly privileged"),
        _("1 h at a time, approval, reason and ticket, nothing permanent, 90 days at most"),
        {
            "activation_max_duration": HOUR,
            "activation_authentication": "mfa",
            "justification_required": True,
            "ticket_required": True,
            "approval_required": True,
            "permanent_eligible_allowed": False,
            "eligible_max_days": 90,
            "permanent_active_allowed": False,
            "active_max_days": 90,
            "assign_active_mfa_required": True,
            "assign_active_justification_required": True,
        },
    ),
    "standard": Preset(
        _("Standard"),
        _("8 h at a time, with a code and a reason"),
        {
            "activation_max_duration": 8 * HOUR,
            "activation_authentication": "mfa",
            "justification_required": True,
            "ticket_required": False,
            "approval_required": False,
            "permanent_eligible_allowed": True,
            "eligible_max_days": 365,
            "permanent_active_allowed": True,
            "active_max_days": 180,
            "assign_active_mfa_required": False,
            "assign_active_justification_required": True,
        },
    ),
    "low_risk": Preset(
        _("Low risk"),
        _("24 h at a time, without a code, a reason or approval"),
        {
            "activation_max_duration": 24 * HOUR,
            "activation_authentication": "none",
            "justification_required": False,
            "ticket_required": False,
            "approval_required": False,
            "permanent_eligible_allowed": True,
            "eligible_max_days": 365,
            "permanent_active_allowed": True,
            "active_max_days": 365,
            "assign_active_mfa_required": False,
            "assign_active_justification_required": False,
        },
    ),
}
