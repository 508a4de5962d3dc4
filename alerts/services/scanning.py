"""The question of a kind, put to the database, and what its answer makes of the incidents."""

import logging
from collections.abc import Mapping
from datetime import datetime
from itertools import islice
from time import monotonic
from typing import Any

from django.db import transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _

from accounts.authority import require
from accounts.models import User
from alerts.models import EVERY, MOST, UNENDED, Alert, Incident
from alerts.registry import Finding
from alerts.rules import AlertRefused, check_scannable
from audit.services import privileged, record
from notifications.snapshot import encode

from .recording import record_incident

logger = logging.getLogger(__name__)

Findings = dict[str, Finding]


def claim(*, alert: Alert) -> bool:
    """Take an alert to scan it, before the scan: one that kills its worker is not due again at once.

    What is begun and not done after a while counts as failed, also while it is tried again. Return False if another
    worker has taken it.
    """
    at = now()
    failure = alert.failure if alert.begun_at is None else str(UNENDED)
    mine = Alert.objects.filter(pk=alert.pk, next_scan_at=alert.next_scan_at)
    return bool(mine.update(next_scan_at=at + EVERY, begun_at=at, failure=failure))


@privileged("alert.scanned", target="alert")
def scan(*, alert: Alert, actor: User | None) -> Alert:
    """Look whether what an alert is about is there; raise, resolve and bring back its incidents.

    A scan that fails leaves the incidents as they are, and its cause in the row. What people ask for is recorded; the
    worker's scans, every `EVERY`, only where they find something.

    Raises:
        NotAllowed. AlertRefused: ``already_scanning``, ``alert_unknown``, ``alert_disabled``.
    """
    require(actor, "alerts.change_alert")
    locked = Alert.objects.select_for_update(skip_locked=True).filter(pk=alert.pk).first()
    if locked is None:
        raise AlertRefused(_("It is being scanned at this moment. Look again soon."), code="already_scanning")
    check_scannable(locked)
    at, began = now(), monotonic()
    locked.next_scan_at, locked.begun_at = at + EVERY, None
    try:
        findings, overflows = _found(locked, at)
    except Exception as error:
        logger.exception("the alert %s could not be scanned", locked.pk)
        locked.failure = f"{type(error).__name__}: {error}"[:2000]
    else:
        _compare(locked, findings, overflows, at)
        locked.scanned_at, locked.overflows, locked.failure = at, overflows, ""
    locked.milliseconds = round((monotonic() - began) * 1000)
    locked.save(update_fields=["next_scan_at", "begun_at", "scanned_at", "overflows", "failure", "milliseconds"])
    if actor is not None:
        after = {"incidents": locked.incidents.active().count(), "failure": locked.failure}
        record("alert.scanned", actor=actor, target=locked, after=after)
    return locked


@transaction.atomic
def _found(alert: Alert, at: datetime) -> tuple[Findings, bool]:
    """Return what is there, by key, `MOST` at most; and whether there is more."""
    assert alert.kind is not None  # noqa: S101 (checked before)
    found = list(islice(alert.kind.scan(at, **alert.limits), MOST + 1))
    return {each.key: each for each in found[:MOST]}, len(found) > MOST


def _compare(alert: Alert, findings: Findings, overflows: bool, at: datetime) -> None:
    known = {row.key: row for row in alert.incidents.open().select_for_update(of=("self",)).select_related("alert")}
    # What was settled while the question was being answered is not there any more.
    settled = set(alert.incidents.filter(resolved_at__gte=at).values_list("key", flat=True))
    for key in findings.keys() - known.keys() - settled:
        _raise(alert, findings[key], at)
    for key in findings.keys() & known.keys():
        _see_again(known[key], findings[key], at)
    for key in known.keys() - findings.keys():
        # Beyond the last one that is listed, nobody has looked.
        if not overflows or key < max(findings):
            resolve(known[key], Incident.Resolution.GONE, at=at)
            record_incident("alert.resolved", known[key], actor=None, about=known[key].about)


def _raise(alert: Alert, finding: Finding, at: datetime) -> None:
    times = dict.fromkeys(("first_seen_at", "last_seen_at", "raised_at"), at)
    incident = Incident.objects.create(alert=alert, key=finding.key, **times, **_columns(finding))
    record_incident("alert.raised", incident, actor=None, about=finding.about)


def _see_again(incident: Incident, finding: Finding, at: datetime) -> None:
    """Note that it is still there; once its dismissal is over, bring it back."""
    changes = {"last_seen_at": at, **_columns(finding)}
    over = incident.dismissed_until is not None and incident.dismissed_until <= at
    if over:
        changes |= reopened(at)
    _update(incident, changes)
    if over:
        record_incident("alert.reopened", incident, actor=None, about=finding.about)


def reopened(at: datetime) -> dict[str, Any]:
    """Return the columns of an incident that is to be looked at again."""
    dismissal = {"dismissed_by": None, "dismissed_until": None, "justification": ""}
    return {"state": Incident.State.ACTIVE, "raised_at": at, "told_at": None, **dismissal}


def resolve(incident: Incident, resolution: str, *, at: datetime) -> None:
    state = Incident.State.RESOLVED
    _update(incident, {"state": state, "resolution": resolution, "resolved_at": at})


def _columns(finding: Finding) -> dict[str, str]:
    about = finding.about
    return {
        "about_type": about._meta.label_lower if about else "",
        "about_id": str(about.pk) if about else "",
        "facts": encode(finding.facts),
    }


def _update(incident: Incident, changes: Mapping[str, Any]) -> None:
    for name, value in changes.items():
        setattr(incident, name, value)
    incident.save(update_fields=list(changes))
