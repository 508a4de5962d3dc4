"""Several changes asked in one act, as the pages offer it: one reason and one code for all, a result for each."""

from functools import partial
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers

from approvals.models import Request
from approvals.rules import MOST_AT_ONCE

from .asking import ASKED, Asked, Door, Ready
from .results import result_of

# What each of them says for itself, by action. The rest is said once, for all; one code covers several of these alone.
_EACH = {
    Request.Action.SELF_ACTIVATE: ("eligible_assignment", "scope", "duration", "ticket", "ticket_system"),
    Request.Action.ADMIN_ASSIGN: ("principal", "group"),
    Request.Action.ADMIN_EXTEND: ("eligible_assignment", "active_assignment", "ends_at"),
    Request.Action.ADMIN_REMOVE: ("eligible_assignment", "active_assignment", "emergency"),
}


def _several(kind: type[Asked], own: tuple[str, ...]) -> type[Asked]:
    """Return the body that asks for several; without `own`, which each of its requests has instead."""
    shared = kind._declared_fields.keys() - set(own)
    each: Any = type(f"{kind.__name__}Each", (kind,), dict.fromkeys(shared))  # a field that is None is no field
    requests = serializers.ListField(child=each(), min_length=1, max_length=MOST_AT_ONCE)
    return type(f"Several{kind.__name__}", (kind,), {**dict.fromkeys(own), "requests": requests})


SEVERAL = {action.value: _several(ASKED[action], own) for action, own in _EACH.items()}
ASKING_SEVERAL = PolymorphicProxySerializer(
    component_name="NewRequests", serializers=SEVERAL, resource_type_field_name="action", many=False
)


def carry_out_each(action: str, door: Door, said: dict[str, Any]) -> list[dict[str, Any]]:
    """Ask for each by itself, after one proof for all that need one. What is sure to be refused uses up no code.

    Returns:
        A result for each, in their order (`results.ResultOut`).

    Raises:
        StepUpRefused, Refused: nothing was done.
    """
    code, each, only_looked = said.pop("code", ""), said.pop("requests"), said["validate_only"]
    looked_at = [_looked_at(ASKED[action], door, {**said, **asked}) for asked in each]
    proving = [ready for ready in looked_at if ready.intent]
    strict = all(ready.phishing_resistant for ready in proving)
    intents = [ready.intent for ready in proving]
    proofs = iter(door.prove_each(code, intents, phishing_resistant=strict) if intents else [])
    asks = [
        partial(ready.ask, proof=next(proofs), session=door.session) if ready.intent else ready.ask
        for ready in looked_at
    ]
    known: dict[str, Any] = {"request": None} if only_looked else {}
    return [result_of(ask, done=200 if only_looked else 201, **known) for ask in asks]


def _looked_at(kind: type[Asked], door: Door, asked: dict[str, Any]) -> Ready:
    try:
        return kind.ready(door, asked)
    except (ValidationError, PermissionDenied) as refusal:
        return Ready(partial(_refuse, refusal))


def _refuse(refusal: Exception) -> Request:
    raise refusal
