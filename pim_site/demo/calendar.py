"""The other system of the demo: a calendar of changes that a role asks before it asks people.

It answers over HTTP as any such system would, and knows a change by its ticket: CHG-… was agreed on and needs nobody
else, FRZ-… falls into a freeze and is denied, of all others it leaves the decision to people.
"""

import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, JsonResponse
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from accounts.models import User
from notifications.outgoing import signature
from roles import services as roles
from roles.hooks import Hook

NAME = "Change calendar"
OLDEST = timedelta(minutes=5)  # as the specification has it


def hook() -> Hook | None:
    return Hook.objects.filter(name=NAME).first()


def address() -> str:
    """Where it answers: this very site, by a number, because a name could stand for more than the loopback."""
    return f"http://127.0.0.1:{urlsplit(settings.BASE_URL).port or 80}{reverse('demo-calendar')}"


def register(actor: User) -> None:
    """Register it as a hook with a secret."""
    roles.renew_hook_secret(hook=roles.register_hook(name=NAME, url=address(), actor=actor), actor=actor)


def move() -> None:
    """Follow the site to another port."""
    known = hook()
    if known and known.url != address():
        roles.update_hook(hook=known, name=NAME, url=address(), actor=None)


@csrf_exempt  # whoever asks is known by a signature
@login_not_required
@require_POST
def change_calendar(request: HttpRequest) -> JsonResponse:
    """Answer a question of ours, as docs/hooks.md says."""
    known = hook()
    if known is None or not is_signed(request, known):
        raise PermissionDenied
    asked: dict[str, Any] = json.loads(request.body).get("data", {}).get("request", {})
    decision, reasons = answer_to(asked.get("ticket", ""))
    return JsonResponse({"decision": decision, "reasons": reasons})


def answer_to(ticket: str) -> tuple[str, list[str]]:
    """Return the decision about a ticket, and the reasons."""
    if ticket.startswith("CHG-"):
        return "auto_approved", ["The calendar has this change."]
    if ticket.startswith("FRZ-"):
        return "denied", ["Nothing is changed during the freeze."]
    return "approved", []


def is_signed(request: HttpRequest, hook: Hook) -> bool:
    """Is it a message of the last minutes that was signed with a secret of the hook?"""
    stamp = request.headers.get("webhook-timestamp", "")
    at = datetime.fromtimestamp(int(stamp), UTC) if stamp.isdecimal() and len(stamp) < 11 else None
    if at is None or abs(now() - at) > OLDEST:
        return False
    message_id, said = request.headers.get("webhook-id", ""), request.headers.get("webhook-signature", "")
    wanted = signature(hook.secrets(now()), message_id=message_id, at=at, body=request.body)
    return any(hmac.compare_digest(one.encode(), other.encode()) for one in wanted.split() for other in said.split())
