"""Alerts about the site itself: its worker and its audit. Here, because only this floor knows the heartbeat."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from alerts.models import EVERY, Alert
from alerts.registry import Finding, Severity, alert
from audit.archiving import held_back_by
from audit.models import Checkpoint, Head, Look, Reader, Unsealed
from audit.tasks import is_unarchived, kept_from
from audit.verifying import verify

from .health import HEARTBEAT_AGE, OVERDUE, audit_is_signed, nothing_overdue, scheduled_as_in_code
from .models import Heartbeat
from .siem.standing import cause_of
from .tasks import WORKER as BEATING

WORKER, AUDIT = "worker_unwell", "audit_unwell"
# A scan must end soon: of a log that grew by more since it was last signed, only the worker's rounds read the rest.
MOST_EVENTS = 20_000
UNFILED = timedelta(hours=1)
UNREAD = timedelta(hours=2)
UNSENT = timedelta(hours=1)
UNARCHIVED = timedelta(days=1)


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
    """What is new since the last checkpoint is read anew at each scan; all of it, as the worker goes round the log."""
    ran = _ran_before(AUDIT, at)
    if ran and not audit_is_signed(at):
        yield _fault("unsigned", _("No checkpoint was signed for more than an hour."))
    if ran and Unsealed.objects.due(at - OVERDUE).exists():
        yield _fault("unsealed", _("Events have waited for their number for more than five minutes."))
    if settings.AUDIT_CHECKPOINT_FILE and Checkpoint.objects.unfiled().filter(at__lte=at - UNFILED).exists():
        yield _fault("unfiled", _("Checkpoints cannot be written to their file; is the disk full?"))
    if settings.AUDIT_CHECKPOINT_URL and Checkpoint.objects.unposted().filter(at__lte=at - UNFILED).exists():
        yield _fault("unposted", _("Checkpoints cannot be posted to their address; the log of the worker says why."))
    if ran:
        yield from _unsent(at)
    if ran and is_unarchived(at - UNARCHIVED):
        yield _fault("unarchived", _kept_by(at))
    if ran and Look.objects.filter(read_at__lt=at - UNREAD).exists():
        yield _fault("unread", _("The worker has read none of the older events for more than two hours."))
    yield from (_fault(code, text) for code, text in (_broken_before() | _broken_since()).items())


def _unsent(at: datetime) -> Iterator[Finding]:
    """Destinations that have not taken what happened an hour ago, failing or slow."""
    for reader in Reader.objects.lagging(at - UNSENT):
        text = _("%(destination)s has not taken what happened more than an hour ago. %(cause)s")
        facts = {"destination": reader.name, "cause": cause_of(reader.last_outcome)}
        yield _fault(f"unsent_{reader.pk}", (text % facts).strip())


def _kept_by(at: datetime) -> str:
    text = _("Old events were to go into files a day ago, and have not.")
    if names := held_back_by(kept_from(at)):
        return f"{text} {_('They wait for: %(names)s.') % {'names': ', '.join(names)}}"
    return f"{text} {_('Is the disk full? The log of the worker says why.')}"


def _broken_before() -> dict[str, str]:
    """What this round over the whole log, and the last one, found wrong."""
    look = Look.objects.first()
    return look.found_before | look.found if look else {}


def _broken_since() -> dict[str, str]:
    """What is wrong with the newest part of the log, each kind of fault once."""
    since = Checkpoint.objects.first()
    size = Head.objects.filter(pk=Head.ONLY).values_list("size", flat=True).first() or 0
    if size - (since.size if since else 0) > MOST_EVENTS:
        return {}
    return {fault.code: fault.text for fault in reversed(verify(since=since).faults)}


def _ran_before(key: str, at: datetime) -> bool | None:
    """Was this looked for a short while ago? If not, the worker has just started, and has to catch up; None: ever."""
    last = Alert.objects.filter(pk=key).values_list("scanned_at", flat=True).first()
    return None if last is None else last >= at - 2 * EVERY


def _fault(key: str, text: str) -> Finding:
    return Finding(key, facts={"fault": text})
