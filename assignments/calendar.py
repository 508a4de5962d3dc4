"""An assignment as an event of a calendar (RFC 5545), for whoever plans with it. Pure."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .models import AnyAssignment

# Octets in a line, without its end (RFC 5545, 3.1).
LONGEST_LINE = 75


def calendar_of(assignment: "AnyAssignment", *, url: str) -> str:
    """Return a calendar with one event, from start to end; a permanent one has no end.

    Args:
        url: where more is said about it.
    """
    end = [f"DTEND:{_moment(assignment.ends_at)}"] if assignment.ends_at else []
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//PIM//Activations//EN",
        "METHOD:PUBLISH",
        "BEGIN:VEVENT",
        f"UID:{assignment.pk}@pim",
        f"DTSTAMP:{_moment(assignment.created_at)}",
        f"DTSTART:{_moment(assignment.starts_at)}",
        *end,
        f"SUMMARY:{_text(str(assignment.role))}",
        f"LOCATION:{_text(str(assignment.scope))}",
        f"URL:{url}",
        "TRANSP:TRANSPARENT",
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    return "".join(f"{_folded(line)}\r\n" for line in lines)


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _text(words: str) -> str:
    for sign in ("\\", ";", ","):
        words = words.replace(sign, f"\\{sign}")
    return " ".join(words.split())


def _folded(line: str) -> str:
    """Break a line after so many octets, never within a character; what goes on begins with a space."""
    parts, room = [""], LONGEST_LINE
    for sign in line:
        size = len(sign.encode())
        if size > room:
            parts.append("")
            room = LONGEST_LINE - 1
        parts[-1] += sign
        room -= size
    return "\r\n ".join(parts)
