"""What other systems can be told of, and which events of the audit that is. Documented in docs/webhooks.md."""

import json
from datetime import datetime
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from audit.canonical import moment
from audit.models import Event


class Kind(models.TextChoices):
    REQUEST_CREATED = "request.created", _("Request created")
    REQUEST_DECIDED = "request.decided", _("Request decided")
    ASSIGNMENT_STARTED = "assignment.started", _("Assignment started")
    ASSIGNMENT_CHANGED = "assignment.changed", _("Assignment changed")
    ASSIGNMENT_ENDED = "assignment.ended", _("Assignment ended")
    REVIEW_CLOSED = "review.closed", _("Access review closed")
    ALERT_RAISED = "alert.raised", _("Alert raised")
    ALERT_RESOLVED = "alert.resolved", _("Alert resolved")


ACTIONS = {
    "activation.requested": Kind.REQUEST_CREATED,
    "activation_extension.requested": Kind.REQUEST_CREATED,
    "emergency.used": Kind.REQUEST_CREATED,
    "extension.requested": Kind.REQUEST_CREATED,
    "renewal.requested": Kind.REQUEST_CREATED,
    "extension.denied": Kind.REQUEST_DECIDED,
    "extension.granted": Kind.REQUEST_DECIDED,
    "extension.timed_out": Kind.REQUEST_DECIDED,
    "request.approved": Kind.REQUEST_DECIDED,
    "request.canceled": Kind.REQUEST_DECIDED,
    "request.checked": Kind.REQUEST_DECIDED,
    "request.denied": Kind.REQUEST_DECIDED,
    "request.failed": Kind.REQUEST_DECIDED,
    "request.timed_out": Kind.REQUEST_DECIDED,
    "active.assigned": Kind.ASSIGNMENT_STARTED,
    "assignment.activated": Kind.ASSIGNMENT_STARTED,
    "assignment.started": Kind.ASSIGNMENT_STARTED,
    "assignment.extended": Kind.ASSIGNMENT_CHANGED,
    "assignment.updated": Kind.ASSIGNMENT_CHANGED,
    "assignment.canceled": Kind.ASSIGNMENT_ENDED,
    "assignment.deactivated": Kind.ASSIGNMENT_ENDED,
    "assignment.expired": Kind.ASSIGNMENT_ENDED,
    "assignment.removed": Kind.ASSIGNMENT_ENDED,
    "review.closed": Kind.REVIEW_CLOSED,
    "alert.raised": Kind.ALERT_RAISED,
    "alert.reopened": Kind.ALERT_RAISED,
    "alert.repaired": Kind.ALERT_RESOLVED,
    "alert.resolved": Kind.ALERT_RESOLVED,
}
_ASSIGNMENT_KINDS = (Kind.ASSIGNMENT_STARTED, Kind.ASSIGNMENT_CHANGED, Kind.ASSIGNMENT_ENDED)
_TOLD = ("actor", "subject", "role", "scope", "request", "target", "ticket", "justification", "before", "after")


def kind_of(event: Event) -> Kind | None:
    """Return what an event of the audit is told as; None where its action is told of, but this one is not.

    That is: a yes after which others are still asked, a hook that leaves it to people, an eligible assignment, and one
    that is made for later (its start is told then).
    """
    kind, after = ACTIONS.get(event.action), event.facts["after"] or {}
    if event.is_refused or kind is None or "waits_for_stage" in after:
        return None
    if event.action == "request.checked" and not after.get("denied"):
        return None
    if kind in _ASSIGNMENT_KINDS and event.target_type != "assignments.activeassignment":
        return None
    return None if kind == Kind.ASSIGNMENT_STARTED and _starts_later(after, event.at) else kind


def _starts_later(after: dict[str, Any], at: datetime) -> bool:
    starts_at = after.get("starts_at")
    return starts_at is not None and datetime.fromisoformat(starts_at) > at


def body_of(event: Event, kind: Kind) -> str:
    """Return what is sent: JSON with `type`, `timestamp` and `data`, the facts of the event."""
    data = {"audit_event": event.pk, "action": event.action} | {name: event.facts[name] for name in _TOLD}
    return json.dumps({"type": kind.value, "timestamp": moment(event.at), "data": data}, ensure_ascii=False)
