"""What became of each of several things that were asked or decided in one act."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.utils.timezone import now
from rest_framework import serializers

from approvals.models import Request
from audit.services import refusal_code

from .problems import status_of

STATES = [*Request.Status.values, "active", "eligible", "ended"]


class ResultOut(serializers.Serializer[Any]):
    request = serializers.UUIDField(allow_null=True, help_text="Null where none came of it.")
    status = serializers.IntegerField(help_text="As the answer to this alone would have.")
    code = serializers.CharField(help_text="Why it was refused; empty where it was not.", allow_blank=True)
    detail = serializers.CharField(allow_blank=True)
    state = serializers.ChoiceField([*STATES, ""])


class ResultsOut(serializers.Serializer[Any]):
    results = ResultOut(many=True)


def result_of(act: Callable[[], Request], *, done: int = 200, **known: str | None) -> dict[str, Any]:
    """Do one of them; return what came of it.

    Args:
        done: the status of an answer to this alone, where it is not refused.
        known: of the result, what is so whatever comes of it.
    """
    result: dict[str, Any] = {"request": None, "status": done, "code": "", "detail": "", "state": ""}
    try:
        row = act()
    except ValidationError as refusal:
        code = refusal_code(refusal)
        refused = {"status": int(status_of(refusal, code)), "code": code, "detail": " ".join(refusal.messages)}
        return result | refused | known
    except PermissionDenied as refusal:
        return result | {"status": 403, "code": refusal_code(refusal), "detail": str(refusal)} | known
    return result | {"request": str(row.pk), "state": state_of(row, now())} | known


def state_of(row: Request, at: datetime) -> str:
    """Return its state; its status where it was only looked at: nothing came of it yet that could have a state."""
    return str(row.status if row._state.adding else row.state(at))
