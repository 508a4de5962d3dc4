"""What the audit says of an incident."""

from typing import Any

from django.db.models import Model

from accounts.models import Group, User
from alerts.models import Incident
from alerts.registry import Severity
from audit.services import record
from roles.models import Role


def record_incident(
    action: str, incident: Incident, *, actor: User | None, about: Model | None, justification: str = "", **after: Any
) -> None:
    """Record what happened to an incident, with the person, role and scope of the row that it is about."""
    facts = {"alert": incident.alert_id, "severity": Severity(incident.alert.severity).name.lower()}
    record(
        action,
        actor=actor,
        target=incident,
        **_concerned(about),
        justification=justification,
        after=facts | {"finding": incident.words} | after,
    )


def _concerned(about: Model | None) -> dict[str, Any]:
    holder = getattr(about, "holder", None) or getattr(about, "user", None)
    return {
        "subject": about if isinstance(about, User | Group) else holder,
        "role": about if isinstance(about, Role) else getattr(about, "role", None),
        "scope": getattr(about, "scope", None),
    }
