"""What is due, and the task that does it. The worker rings for it; the health page says when it waits too long."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from accounts.models import BrowserSession
from alerts.models import Alert, Incident
from approvals.models import EmergencyUse, HookCall, Request
from assignments.models import ActiveAssignment, EligibleAssignment
from audit.models import Reader, Unsealed
from notifications.models import Message
from reviews.models import Definition, Instance
from webhooks.models import Delivery, untold

from .models import WeeklyDigest

Due = Callable[[datetime], QuerySet[Any]]

DUTIES: list[tuple[str, Due]] = [
    ("approvals.tasks.time_out_due", Request.objects.overdue),
    ("approvals.tasks.time_out_due", Request.objects.lapsed),
    ("approvals.tasks.check_due", HookCall.objects.due),
    ("approvals.tasks.ask_due", Request.objects.to_escalate),
    ("approvals.tasks.ask_due", Request.objects.to_remind),
    ("approvals.tasks.start_due", Request.objects.starting),
    ("approvals.tasks.watch_due", EmergencyUse.objects.to_remind),
    ("approvals.tasks.watch_due", BrowserSession.objects.to_explain),
    ("assignments.tasks.expire_due", ActiveAssignment.objects.due),
    ("assignments.tasks.expire_due", EligibleAssignment.objects.due),
    ("assignments.tasks.expire_due", ActiveAssignment.objects.adrift),
    ("assignments.tasks.remind_due", ActiveAssignment.objects.ending),
    ("accounts.tasks.digest_due", Message.objects.gathering),
    ("alerts.tasks.scan_due", Alert.objects.due),
    ("alerts.tasks.scan_due", Incident.objects.untold),
    ("audit.tasks.seal_due", Unsealed.objects.due),
    ("pim_site.siem.tasks.stream_due", Reader.objects.due),
    ("reviews.tasks.start_due", Definition.objects.due),
    ("reviews.tasks.start_due", Instance.objects.beginning),
    ("reviews.tasks.advance_due", Instance.objects.over),
    ("reviews.tasks.remind_due", Instance.objects.to_remind),
    ("reviews.tasks.apply_due", Instance.objects.applying),
    ("notifications.tasks.deliver_due", Message.objects.due),
    ("pim_site.weekly.send_due", WeeklyDigest.objects.due),
    ("webhooks.tasks.deliver_due", untold),
    ("webhooks.tasks.deliver_due", Delivery.objects.due),
]


def tasks_due(at: datetime) -> set[str]:
    """Dotted paths of the tasks that have something to do; one short query for each duty."""
    return {task for task, due in DUTIES if due(at).exists()}
