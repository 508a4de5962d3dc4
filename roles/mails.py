"""Which mail about a role belongs to which cell of its settings. Pure.

A cell is an event (made eligible, assigned active, activated) and a kind of recipients (administrators, the holder,
approvers): three by three, as in Microsoft Entra PIM (role settings, notifications). Each mail belongs to just one.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

EVENTS = ("eligible_assigned", "active_assigned", "activated")
AUDIENCES = ("admin", "requestor", "approver")
ALL, CRITICAL, NONE = LEVELS = ("all", "critical", "none")

# Further addresses of a cell, and mails of one event: who comes after the thousandth gets none (Entra's limit).
MOST_ADDRESSES = 10
MOST_MAILS = 1000

# Whether a mail is critical: whether its recipient must act, or somebody waits for nothing.
MAILS: dict[tuple[str, str, str], bool] = {
    ("eligible_assigned", "eligible_assigned", "admin"): False,
    ("eligible_assigned", "eligible_assigned", "requestor"): False,
    ("assignment_removed", "eligible_assigned", "admin"): False,
    ("assignment_removed", "eligible_assigned", "requestor"): False,
    ("assignment_expiring", "eligible_assigned", "admin"): False,
    ("assignment_expiring", "eligible_assigned", "requestor"): False,
    ("assignment_expired", "eligible_assigned", "admin"): False,
    ("assignment_expired", "eligible_assigned", "requestor"): False,
    ("assignment_updated", "eligible_assigned", "admin"): False,
    ("assignment_updated", "eligible_assigned", "requestor"): False,
    ("extension_asked", "eligible_assigned", "admin"): True,
    ("extension_decided", "eligible_assigned", "admin"): False,
    ("extension_decided", "eligible_assigned", "requestor"): False,
    ("request_canceled", "eligible_assigned", "admin"): False,
    ("request_canceled", "eligible_assigned", "requestor"): False,
    ("request_timed_out", "eligible_assigned", "requestor"): False,
    ("active_assigned", "active_assigned", "admin"): False,
    ("active_assigned", "active_assigned", "requestor"): False,
    ("role_ended", "active_assigned", "requestor"): False,
    ("assignment_expiring", "active_assigned", "admin"): False,
    ("assignment_expiring", "active_assigned", "requestor"): False,
    ("assignment_expired", "active_assigned", "admin"): False,
    ("assignment_expired", "active_assigned", "requestor"): False,
    ("assignment_updated", "active_assigned", "admin"): False,
    ("assignment_updated", "active_assigned", "requestor"): False,
    ("extension_asked", "active_assigned", "admin"): True,
    ("extension_decided", "active_assigned", "admin"): False,
    ("extension_decided", "active_assigned", "requestor"): False,
    ("request_canceled", "active_assigned", "admin"): False,
    ("request_canceled", "active_assigned", "requestor"): False,
    ("request_timed_out", "active_assigned", "requestor"): False,
    ("role_activated", "activated", "admin"): False,
    ("role_activated", "activated", "requestor"): False,
    ("activation_extended", "activated", "admin"): False,
    ("activation_extended", "activated", "requestor"): False,
    ("activation_ending", "activated", "requestor"): False,
    ("role_ended", "activated", "requestor"): False,
    ("stage_passed", "activated", "requestor"): False,
    ("request_decided", "activated", "requestor"): False,
    ("request_failed", "activated", "requestor"): False,
    ("request_canceled", "activated", "requestor"): False,
    ("request_timed_out", "activated", "requestor"): False,
    ("approval_asked", "activated", "approver"): True,
    ("approval_reminder", "activated", "approver"): True,
    ("request_decided", "activated", "approver"): False,
    ("request_canceled", "activated", "approver"): False,
}

# The cells that some mail belongs to; the others have nothing to govern.
USED = {(event, audience) for _kind, event, audience in MAILS}
# Only those who can decide are asked to: a further address could not.
WITHOUT_ADDRESSES = {("activated", "approver")}


@dataclass(frozen=True)
class Cell:
    """Who gets the mails of a cell: the default recipients, further addresses; and which of the mails."""

    default: bool = True
    also: list[str] = field(default_factory=list)
    level: str = ALL

    def takes(self, *, critical: bool) -> bool:
        return self.level == ALL or (self.level == CRITICAL and critical)


def default_notifications() -> dict[str, dict[str, dict[str, Any]]]:
    """Return the nine cells of a new role: everybody who is told by default, is told all."""
    return {event: {audience: asdict(Cell()) for audience in AUDIENCES} for event in EVENTS}
