"""The one text of an event: equal facts give equal bytes, on every machine and database."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

# PostgreSQL stores no NUL in a text, and neither database takes half of a surrogate pair.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def clean(text: str) -> str:
    """The text with each character that a database refuses replaced by U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)


def moment(at: datetime) -> str:
    """UTC with six digits of a second, as in 2026-11-21T18:40:00.000000Z; a naive time counts as UTC."""
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return aware.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def plain(value: Any) -> Any:
    """The value in JSON's own types. No floats, because their text is not the same everywhere; durations in seconds."""
    match value:
        case None | bool() | int():
            return value
        case datetime():
            return moment(value)
        case timedelta():
            return value // timedelta(seconds=1)
        case Mapping():
            return {clean(str(key)): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case set() | frozenset():
            return sorted((plain(item) for item in value), key=dumps)
        case _:
            return clean(str(value))


def dumps(facts: Any) -> str:
    """Canonical JSON: sorted keys, no spaces, characters as they are. Takes what `plain` gives."""
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
