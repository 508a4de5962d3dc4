"""Something at a time as an event of a calendar (RFC 5545), for whoever plans with it. Pure."""

from datetime import UTC, datetime

# Octets in a line, without its end (RFC 5545, 3.1).
LONGEST_LINE = 75


def event(
    *,
    uid: object,
    made_at: datetime,
    starts_at: datetime,
    ends_at: datetime | None = None,
    name: str,
    place: str = "",
    url: str,
) -> str:
    """Return a calendar with one event; without an end it is a moment, as what is due by then.

    Args:
        uid: what it is about, the same whenever it is told again.
        url: where more is said about it.
    """
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//PIM//Events//EN",
        "METHOD:PUBLISH",
        "BEGIN:VEVENT",
        f"UID:{uid}@pim",
        f"DTSTAMP:{_moment(made_at)}",
        f"DTSTART:{_moment(starts_at)}",
        *([f"DTEND:{_moment(ends_at)}"] if ends_at else []),
        f"SUMMARY:{_text(name)}",
        *([f"LOCATION:{_text(place)}"] if place else []),
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
