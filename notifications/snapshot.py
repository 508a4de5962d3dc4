"""The content of a message as text: taken when something happens, read when the mail goes out."""

import json
import re
import reprlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

# PostgreSQL stores no NUL in a text, and half of a surrogate pair fits into no database and no mail.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_CAUSE, _CONTENT = "__cause__", "__content__"
_brief = reprlib.Repr()
_brief.maxdict, _brief.maxstring, _brief.maxother = 30, 200, 200


class Unreadable(ValueError):
    """The content could not be encoded when it was queued; the message says why."""


def clean(text: str) -> str:
    """The text with each character that a database refuses replaced by U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)


def encode(context: Mapping[str, Any]) -> str:
    """JSON text; never raises, because an operation must not fail for its mail. What cannot be encoded is described."""
    try:
        return json.dumps(_plain(context), ensure_ascii=False)
    except Exception as error:
        described = {_CAUSE: clean(_brief.repr(error)), _CONTENT: clean(_brief.repr(context))}
        return json.dumps(described, ensure_ascii=False)


def decode(text: str) -> dict[str, Any]:
    """The content with moments (keys ending in _at) as aware datetimes. Raises Unreadable or ValueError."""
    content: dict[str, Any] = json.loads(text, object_hook=_with_moments)
    if _CAUSE in content:
        raise Unreadable(content[_CAUSE])
    return content


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case datetime():
            return value.isoformat()
        case timedelta():
            return int(value.total_seconds())
        case Mapping():
            return {clean(str(key)): _plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in value]
        case _:
            return clean(str(value))


def _with_moments(content: dict[str, Any]) -> dict[str, Any]:
    return {key: _moment(value) if key.endswith("_at") else value for key, value in content.items()}


def _moment(value: str | None) -> datetime | None:
    if not value:
        return None
    at = datetime.fromisoformat(value)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
