"""Which alerts there are, which are looked for, and from which thresholds on."""

from collections.abc import Mapping
from typing import Any

from django.utils.timezone import now

from accounts.authority import require
from accounts.models import User
from accounts.rules import check_seen
from alerts.models import Alert, Incident
from alerts.registry import KINDS
from alerts.rules import check_thresholds
from audit.services import privileged, record


def sync() -> int:
    """Make a row for each kind that has none, and give each its severity in the program; return how many were new."""
    present = dict(Alert.objects.values_list("key", "severity"))
    missing = [Alert(key=key, severity=kind.severity) for key, kind in KINDS.items() if key not in present]
    Alert.objects.bulk_create(missing, ignore_conflicts=True)
    for key, kind in KINDS.items():
        if present.get(key, kind.severity) != kind.severity:
            Alert.objects.filter(pk=key).update(severity=kind.severity)
    return len(missing)


@privileged("alert.configured", target="alert")
def configure(
    *,
    alert: Alert,
    actor: User | None,
    is_enabled: bool,
    thresholds: Mapping[str, int],
    justification: str = "",
    seen: str = "",
) -> Alert:
    """Switch an alert on or off and choose its thresholds; it is scanned anew at once.

    Args:
        thresholds: by name; those that are left out stay as they are.
        seen: `accounts.rules.fingerprint` of the `facts_of` that the actor saw; empty: whichever.

    Raises:
        NotAllowed. ChangedMeanwhile. AlertRefused: ``threshold_unknown``, ``threshold_out_of_range``.
    """
    require(actor, "alerts.change_alert")
    alert = Alert.objects.select_for_update().get(pk=alert.pk)
    before = facts_of(alert)
    check_seen(before, seen)
    check_thresholds(alert, thresholds)
    alert.is_enabled, alert.thresholds = is_enabled, alert.thresholds | dict(thresholds)
    alert.next_scan_at, alert.begun_at, alert.failure = now(), None, ""
    alert.save(update_fields=["is_enabled", "thresholds", "next_scan_at", "begun_at", "failure"])
    if not is_enabled:
        _switch_off(alert)
    after = facts_of(alert)
    record("alert.configured", actor=actor, target=alert, before=before, after=after, justification=justification)
    return alert


def facts_of(alert: Alert) -> dict[str, Any]:
    """Return what can be chosen about an alert, as it is."""
    return {"enabled": alert.is_enabled} | alert.limits


def _switch_off(alert: Alert) -> None:
    """What is not looked for is not open: the list would show what may be true no longer."""
    gone = {"state": Incident.State.RESOLVED, "resolved_at": now(), "resolution": Incident.Resolution.SWITCHED_OFF}
    alert.incidents.open().update(**gone)
