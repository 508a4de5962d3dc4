"""What may be done to alerts and incidents."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from .models import Alert, Incident
from .registry import Repair

# What is accepted is looked at again after a year at the latest.
LONGEST_DISMISSAL = timedelta(days=366)


class AlertRefused(ValidationError):
    """Codes: ``alert_unknown``, ``alert_disabled``, ``already_scanning``, ``threshold_unknown``,
    ``threshold_out_of_range``, ``justification_required``, ``until_invalid``, ``already_resolved``,
    ``not_dismissed``, ``no_repair``.
    """


def check_thresholds(alert: Alert, thresholds: Mapping[str, int]) -> None:
    """Refuse a threshold that the kind does not have, or a value out of its range."""
    known = {each.name: each for each in alert.kind.thresholds} if alert.kind else {}
    if unknown := sorted(set(thresholds) - set(known)):
        text = _("This alert has no threshold %(names)s.") % {"names": ", ".join(unknown)}
        raise AlertRefused(text, code="threshold_unknown")
    for name, value in thresholds.items():
        low, high = known[name].low, known[name].high
        if not low <= value <= high:
            facts = {"label": known[name].label, "low": low, "high": high}
            text = _("%(label)s: choose a number from %(low)d to %(high)d.") % facts
            raise AlertRefused({name: ValidationError(text, code="threshold_out_of_range")})


def check_scannable(alert: Alert) -> None:
    if alert.kind is None:
        raise AlertRefused(_("The program does not have this alert any more."), code="alert_unknown")
    if not alert.is_enabled:
        raise AlertRefused(_("This alert is switched off. Switch it on first."), code="alert_disabled")


def check_reason(justification: str) -> None:
    if not justification.strip():
        raise AlertRefused(_("Say why."), code="justification_required")


def check_until(until: datetime, *, at: datetime) -> None:
    if not at < until <= at + LONGEST_DISMISSAL:
        text = _("Choose a day within a year from now: then it is looked at again.")
        raise AlertRefused(text, code="until_invalid")


def check_open(incident: Incident) -> None:
    if incident.state == Incident.State.RESOLVED:
        raise AlertRefused(_("This is resolved already."), code="already_resolved")


def check_dismissed(incident: Incident) -> None:
    if incident.state != Incident.State.DISMISSED:
        raise AlertRefused(_("This is not dismissed."), code="not_dismissed")


def check_repairable(incident: Incident) -> Repair:
    """Return the repair of an incident. Refuses where there is none, or what it was about is gone."""
    check_open(incident)
    repair = incident.kind and incident.kind.repair
    if not (repair and incident.can_be_repaired):
        raise AlertRefused(_("There is no repair for this. Read what the alert advises."), code="no_repair")
    return repair
