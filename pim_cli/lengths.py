"""Lengths of time as people type them, and as the API writes them (ISO 8601)."""

import re

_TYPED = re.compile(r"(?:(\d{1,3})d)?(?:(\d{1,4})h)?(?:(\d{1,4})m)?(?:(\d{1,5})s)?")


def iso_of(typed: str) -> str:
    """Return "2h" or "1h30m" as the API writes it: "PT2H", "PT1H30M". Raises ValueError for what is none."""
    found = _TYPED.fullmatch(typed.strip().lower())
    parts = found.groups() if found else ()
    if not any(parts):
        raise ValueError("a length of time is written like 45m, 2h, 1h30m or 1d")
    days = f"{parts[0]}D" if parts[0] else ""
    time = "".join(f"{number}{letter}" for number, letter in zip(parts[1:], "HMS", strict=True) if number)
    return f"P{days}{'T' if time else ''}{time}"
