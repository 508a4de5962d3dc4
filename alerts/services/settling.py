"""What people do about an incident: let it be for a while, take that back, or have it repaired."""

from datetime import datetime
from typing import Any

from django.utils.timezone import now

from accounts.authority import require
from accounts.models import User
from alerts.models import Incident
from alerts.rules import check_dismissed, check_open, check_reason, check_repairable, check_until
from audit.services import privileged

from .recording import record_incident
from .scanning import reopened, resolve

CHANGE = "alerts.change_incident"


@privileged("alert.dismissed", target="incident")
def dismiss(*, incident: Incident, actor: User | None, until: datetime, justification: str) -> Incident:
    """Let an incident be until a day; found then still, it comes back and is told of again.

    Raises:
        NotAllowed. AlertRefused: ``justification_required``, ``until_invalid``, ``already_resolved``.
    """
    require(actor, CHANGE)
    incident = _locked(incident)
    check_open(incident)
    check_reason(justification)
    check_until(until, at=now())
    incident.state, incident.dismissed_until, incident.dismissed_by = Incident.State.DISMISSED, until, actor
    incident.justification = justification.strip()
    incident.save(update_fields=["state", "dismissed_until", "dismissed_by", "justification"])
    facts: dict[str, Any] = {"justification": incident.justification, "until": until}
    record_incident("alert.dismissed", incident, actor=actor, about=incident.about, **facts)
    return incident


@privileged("alert.reopened", target="incident")
def reopen(*, incident: Incident, actor: User | None, justification: str = "") -> Incident:
    """Take a dismissal back.

    Raises:
        NotAllowed. AlertRefused: ``not_dismissed``.
    """
    require(actor, CHANGE)
    incident = _locked(incident)
    check_dismissed(incident)
    changes = reopened(now())
    for name, value in changes.items():
        setattr(incident, name, value)
    incident.save(update_fields=list(changes))
    record_incident("alert.reopened", incident, actor=actor, about=incident.about, justification=justification)
    return incident


@privileged("alert.repaired", target="incident")
def repair(*, incident: Incident, actor: User | None, justification: str) -> Incident:
    """Have the service behind the repair of its kind do what it can, in the name of the actor, and close the incident.

    Raises:
        NotAllowed. AlertRefused: ``justification_required``, ``already_resolved``, ``no_repair``. And whatever that
        service refuses.
    """
    require(actor, CHANGE)
    check_reason(justification)
    incident = _locked(incident)
    act, about = check_repairable(incident), incident.about
    act.does(about, actor=actor, justification=justification)
    resolve(incident, Incident.Resolution.REPAIRED, at=now())
    record_incident("alert.repaired", incident, actor=actor, about=about, justification=justification)
    return incident


def _locked(incident: Incident) -> Incident:
    rows = Incident.objects.select_for_update(of=("self",)).select_related("alert")
    return rows.get(pk=incident.pk)
