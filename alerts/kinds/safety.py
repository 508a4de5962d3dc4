"""What is there for the worst day, and the alerts themselves."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.utils.translation import gettext_lazy as _

from accounts.models import BrowserSession
from alerts.models import MOST, Alert
from alerts.registry import Finding, Severity, Threshold, alert
from approvals.models import EmergencyUse


@alert(
    "emergency_used",
    severity=Severity.HIGH,
    title=_("Emergency access used"),
    why=_("Somebody took a role without approval. That is what it is there for, and what a thief would do."),
    advice=_("Open the use, look at what was done, and write down your finding: then this is resolved."),
    sentence=_("%(holder)s took %(role)s in an emergency on %(used_at)s, and nobody has reviewed it."),
)
def emergency_used(at: datetime) -> Iterator[Finding]:
    """Resolved by the review, which only somebody else can do: no one click replaces it."""
    uses = EmergencyUse.objects.unreviewed().filter(used_at__lte=at).select_related("user", "request__role")
    for use in uses.order_by("pk")[: MOST + 1]:
        facts = {"holder": str(use.user), "role": str(use.request.role), "used_at": use.used_at}
        yield Finding(str(use.pk), use, facts)


@alert(
    "emergency_account_signed_in",
    severity=Severity.HIGH,
    title=_("Emergency account signed in"),
    why=_("Accounts for emergencies are used hardly ever: each sign-in is an emergency, a drill, or a theft."),
    advice=_("Ask who it was. Dismiss it with what you found, or disable the account."),
    sentence=_("%(holder)s signed in on %(used_at)s from %(address)s."),
    thresholds=(Threshold("days", _("Shown for so many days"), default=7, low=1, high=30),),
)
def emergency_account_signed_in(at: datetime, *, days: int) -> Iterator[Finding]:
    rows = BrowserSession.objects.filter(user__is_emergency_access=True, started_at__lte=at)
    rows = rows.filter(started_at__gt=at - timedelta(days=days)).select_related("user").order_by("pk")
    for row in rows[: MOST + 1]:
        facts = {"holder": str(row.user), "used_at": row.started_at, "address": row.address or "–"}
        yield Finding(str(row.pk), row.user, facts)


@alert(
    "alert_failing",
    severity=Severity.HIGH,
    title=_("Alerts that cannot be scanned"),
    why=_("What this alert looks for could be there, and nobody would hear of it."),
    advice=_("Open the alert: it says the cause. The log of the worker has all of it."),
    sentence=_("“%(title)s” could not be scanned: %(failure)s"),
)
def alert_failing(at: datetime) -> Iterator[Finding]:
    for row in Alert.objects.failing(at):
        yield Finding(row.pk, row, {"title": str(row.title), "failure": row.cause(at)})
