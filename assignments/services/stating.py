"""What events say of an assignment as it is now."""

from datetime import datetime
from typing import Any

from assignments.models import ActiveAssignment, AnyAssignment


def dates_of(assignment: AnyAssignment) -> dict[str, datetime | None]:
    return {"starts_at": assignment.starts_at, "ends_at": assignment.ends_at}


def recorded(assignment: AnyAssignment) -> dict[str, Any]:
    """Return what an event about an assignment says of it as it is now: its dates, and of what it is an activation.

    An alert compares the row with it: `alerts.kinds.given`.
    """
    facts: dict[str, Any] = dates_of(assignment)
    if isinstance(assignment, ActiveAssignment) and assignment.is_activated:
        facts |= {"kind": "activated", "eligible": str(assignment.eligible_assignment_id)}
    return facts | ({"emergency": True} if assignment.is_emergency else {})
