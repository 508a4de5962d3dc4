"""Alerts about the site itself: its worker and its audit. Here, because only this floor knows the heartbeat."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from alerts.models import EVERY, Alert
from alerts.registry import Finding, Severity, alert
from audit.models import Checkpoint, Head, Unsealed
from audit.verifying import verify

from .health import HEARTBEAT_AGE, OVERDUE, audit_is_signed, nothing_overdue, scheduled_as_in_code
from .models import Heartbeat
from .tasks import WORKER as BEATING

WORKER, AUDIT = "worker_unwell", "audit_unwell"
# A log that grew by more since it was last signed is for `manage.py audit_verify`: a scan must end soon.
MOST_EVENTS = 20_000
UNFILED = timedelta(hours=1)


@alert(
    WORKER,
    severity=Severity.HIGH,
    title=gettext_lazy("Worker unwell"),
    why=gettext_lazy(
        "Access ends at its time also without the worker; but no mail goes out, and no alert is looked for."
    ),
    advice=gettext_lazy(
        "Look at the log of the worker, and start it anew. While no worker runs, nobody is told by mail: have your "
        "monitoring ask /readyz."
    ),
    sentence=gettext_lazy("%(fault)s"),
)
def worker_unwell(at: datetime) -> Iterator[Finding]:
    # Where there is no heartbeat at all, the site has just been installed, and this may come before the first.
    if Heartbeat.objects.filter(name=BEATING, at__lt=at - HEARTBEAT_AGE).exists():
        yield _fault("heartbeat", _("The worker shows no sign of life."))
    if _ran_before(WORKER, at) and not nothing_overdue(at):
        yield _fault("overdue", _("What is due has waited for more than five minutes."))
    if not scheduled_as_in_code(at):
        yield _fault("schedules", _("The schedules of the worker are not those of the program."))
    if _ran_before(WORKER, at) is False:
        yield _fault("was_down", _("The worker did nothing for a while, until just now."))


@alert(
    AUDIT,
    severity=Severity.HIGH,
    title=gettext_lazy("Audit unwell"),
    why=gettext_lazy("What the audit says of the time since then cannot be shown to be true."),
    advice=gettext_lazy(
        "Stop whoever writes to the database, keep a copy of it, and run “manage.py audit_verify”; docs/audit-proof.md "
        "says what its findings mean."
    ),
    sentence=gettext_lazy("%(fault)s"),
)
def audit_unwell(at: datetime) -> Iterator[Finding]:
    """What is new since the last checkpoint is read anew at each scan; all that is older, `audit_verify` reads."""
    ran = _ran_before(AUDIT, at)
    if ran and not audit_is_signed(at):
        yield _fault("unsigned", _("No checkpoint was signed for more than an hour."))
    if ran and Unsealed.objects.due(at - OVERDUE).exists():
        yield _fault("unsealed", _("Events have waited for their number for more than five minutes."))
    if settings.AUDIT_CHECKPOINT_FILE and Checkpoint.objects.unfiled().filter(at__lte=at - UNFILED).exists():
        yield _fault("unfiled", _("Checkpoints cannot be written to their file; is the disk full?"))
    yield from _broken()


def _broken() -> Iterator[Finding]:
    """What is wrong with the newest part of the log, each kind of fault once."""
    since = Checkpoint.objects.first()
    size = Head.objects.filter(pk=Head.ONLY).values_list("size", flat=True).first() or 0
    if size - (since.size if since else 0) > MOST_EVENTS:
        return
    faults = {fault.code: fault.text for fault in reversed(verify(since=since).faults)}
    yield from (_fault(code, text) for code, text in faults.items())


def _ran_before(key: str, at: datetime) -> bool | None:
    """Was this looked for a short while ago? If not, the worker has just started, and has to catch up; None: ever."""
    last = Alert.objects.filter(pk=key).values_list("scanned_at", flat=True).first()
    return None if last is None else last >= at - 2 * EVERY


def _fault(key: str, text: str) -> Finding:
    return Finding(key, facts={"fault": text})
