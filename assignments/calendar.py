"""An assignment as an event of a calendar. Pure."""

from typing import TYPE_CHECKING

from notifications.calendar import event

if TYPE_CHECKING:
    from .models import AnyAssignment


def calendar_of(assignment: "AnyAssignment", *, url: str) -> str:
    """Return a calendar with one event, from start to end; a permanent one has no end.

    Args:
        url: where more is said about it.
    """
    return event(
        uid=assignment.pk,
        made_at=assignment.created_at,
        starts_at=assignment.starts_at,
        ends_at=assignment.ends_at,
        name=str(assignment.role),
        place=str(assignment.scope),
        url=url,
    )
