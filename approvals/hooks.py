"""What a hook is asked, and how its answer is read. Documented in docs/hooks.md; nothing here writes or calls."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from audit.canonical import clean
from notifications.outgoing import Answer

from .hook_calls import HookCall
from .models import Request

ATTEMPTS = 5
FIRST_PAUSE = timedelta(seconds=15)
# What nobody has asked about for so long closes: what is granted hours late would surprise its person.
LONGEST_WAIT = timedelta(hours=1)
MOST_REASONS = 10
LONGEST_REASON = 200
DECISIONS = (HookCall.Outcome.APPROVED, HookCall.Outcome.AUTO_APPROVED, HookCall.Outcome.DENIED)


@dataclass(frozen=True)
class Reply:
    """What came of one attempt: an outcome, or the code of what went wrong."""

    outcome: str = ""
    reasons: str = ""
    error: str = ""


def pause_after(attempts: int) -> timedelta:
    """Return how long to wait after so many attempts: 15 s, then twice as long each time."""
    return FIRST_PAUSE * int(2 ** (attempts - 1))


def question(request: Request, *, at: datetime) -> bytes:
    """Return the body of the message: JSON, times in UTC, durations in seconds."""
    person, duration = request.person, request.duration or timedelta(0)
    data = {
        "request": {
            "id": str(request.pk),
            "reference": request.reference,
            "requested_at": _moment(request.requested_at),
            "starts_at": _moment(request.starts_at),
            "duration": int(duration.total_seconds()),
            "justification": request.justification,
            "ticket": request.ticket,
            "ticket_system": request.ticket_system,
            "proved_with": request.proved_with,
        },
        "user": {
            "id": str(person.pk),
            "username": person.username,
            "name": person.display_name,
            "email": person.email,
        },
        "role": {"id": str(request.role_id), "name": request.role.name, "privileged": request.role.is_privileged},
        "scope": {"id": str(request.scope_id), "path": request.scope.label},
    }
    return json.dumps({"type": "request.pending", "timestamp": _moment(at), "data": data}).encode()


def _moment(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if at else None


def read_reply(answer: Answer) -> Reply:
    """Return what an answer says. What is not understood is no answer."""
    if not answer.is_success:
        return Reply(error=f"http_{answer.status}")
    try:
        said: Any = json.loads(answer.body)
    except (ValueError, RecursionError):
        return Reply(error="malformed")
    decision = said.get("decision") if isinstance(said, dict) else None
    if decision not in DECISIONS:
        return Reply(error="malformed")
    return Reply(outcome=decision, reasons=_reasons(said.get("reasons")))


def _reasons(said: Any) -> str:
    """One line each; what is too much, or no text, is left out."""
    texts = [each for each in said if isinstance(each, str)] if isinstance(said, list) else []
    lines = [" ".join(clean(text).split())[:LONGEST_REASON] for text in texts[:MOST_REASONS]]
    return "\n".join(filter(None, lines))[:2000]
