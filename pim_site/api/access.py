"""Who holds what, now: the question that other systems ask at every request.

`access_check` is a plain view outside Django REST framework, whose dispatch alone would cost more than the answer, and
is answered ahead of what a page passes (`DirectMiddleware`); one statement looks the token up and decides. It is not
throttled, because counting would cost as much as answering, and a system that asks before each of its own requests must
not be told to ask later.
"""

import json
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import RequestDataTooBig
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request as ApiRequest
from rest_framework.response import Response

from accounts.models import Group, User
from accounts.services import note_use
from accounts.tokens import Scope, comes_from, is_same, key_of
from assignments.check import Held, Question, Verdict, check
from assignments.holdings import Holding, active_holdings
from assignments.models import membership_until
from audit.context import current

from . import sight
from .authentication import bearer_of
from .base import Door
from .fields import Moment, is_id
from .lists import check_once
from .parsing import check_length, loads, not_json
from .principals import GroupSummary, Summary
from .problems import Refused, not_allowed, refused_response
from .roles import ResourceSummary, RoleSummary

MOST_QUESTIONS = 500
NAMES = frozenset(Question._fields)


@csrf_exempt
@login_not_required
def access_check(request: HttpRequest) -> HttpResponse:
    """Answer one question by GET, or up to 500 by POST, of whoever has a token with the scope `read`."""
    try:
        if request.method == "GET":
            return _json(_answered(request, [_question(_asked(request), "")])[0])
        if request.method == "POST":
            return _json({"answers": _answered(request, _questions(request))})
    except Refused as refusal:
        return refused_response(refusal)
    return not_allowed("GET", "POST")


def _json(answer: dict[str, Any]) -> HttpResponse:
    return HttpResponse(json.dumps(answer), content_type="application/json")


def _asked(request: HttpRequest) -> dict[str, Any]:
    text = request.META["QUERY_STRING"]
    if text.count("&") < len(NAMES):  # one that is there twice leaves another out
        return dict(parse_qsl(text, keep_blank_values=True))  # in a quarter of the time of Django's
    check_once(request.GET)
    return request.GET.dict()


def _question(asked: Any, place: str) -> Question:
    """Return one question.

    Raises:
        Refused: ``invalid``, ``unknown_parameter``.
    """
    if not isinstance(asked, dict):
        raise _malformed(_("A question is an object."), place)
    if unknown := asked.keys() - NAMES:
        raise _unknown(f"{place}.{min(unknown)}".strip("."))
    try:
        return Question(_id(asked["principal"]), _id(asked["role"]), _id(asked["scope"]))
    except (KeyError, ValueError) as error:
        text = _("Name the ids of a principal, a role and a scope.")
        raise _malformed(text, place) from error


def _id(value: Any) -> str:
    if not is_id(value):
        raise ValueError
    return value.lower()


def _questions(request: HttpRequest) -> list[Question]:
    if request.GET:
        raise _unknown(min(request.GET))
    if request.content_type != "application/json":
        raise not_json()
    check_length(request)
    try:
        asked = loads(request.body)
    except RequestDataTooBig as error:
        raise Refused(_("The body is too large."), "too_large", status=413) from error
    except (ValueError, RecursionError) as error:
        raise _malformed(_("The body must be JSON.")) from error
    if not isinstance(asked, dict) or set(asked) != {"questions"} or not isinstance(asked["questions"], list):
        raise _malformed(_("The body has one field: questions."))
    if not 1 <= len(asked["questions"]) <= MOST_QUESTIONS:
        raise _malformed(_("From 1 to %(limit)d questions.") % {"limit": MOST_QUESTIONS})
    return [_question(each, f"questions.{number}") for number, each in enumerate(asked["questions"])]


def _unknown(field: str) -> Refused:
    return Refused(_("There is no such parameter here."), "unknown_parameter", status=400, field=field)


def _malformed(text: str, field: str = "") -> Refused:
    return Refused(text, "invalid", status=400, field=field)


def _answered(request: HttpRequest, questions: list[Question]) -> list[dict[str, Any]]:
    at, text = now(), bearer_of(request)
    key = key_of(text)
    verdict = check(key=key, questions=questions, at=at) if key else None
    address = current().address
    if verdict is None or not _counts(verdict.token, text, at):
        raise Refused(_("Send a valid token: Authorization: Bearer pim_…"), "token_invalid", status=401)
    if not comes_from(address, verdict.token["networks"]):
        raise Refused(_("This token does not count from this address."), "address_refused", status=401)
    note_use(verdict.token["id"], verdict.token["last_used_at"], address=address, at=at)
    _check_may_ask(verdict)
    return [_shown(held) for held in verdict.answers]


def _counts(token: dict[str, Any], text: str, at: datetime) -> bool:
    in_time: bool = token["revoked_at"] is None and token["created_at"] <= at < token["expires_at"]
    return in_time and token["is_active"] and is_same(text, token["digest"])


def _check_may_ask(verdict: Verdict) -> None:
    if Scope.READ not in verdict.token["scopes"].split():
        raise Refused(_("This token lacks the scope “read”."), "scope_missing", status=403)
    if not verdict.may_ask:
        raise Refused(_("There is nothing here, or nothing that you may see."), "not_found", status=404)


def _shown(held: Held | None) -> dict[str, Any]:
    if held is None:
        return {"active": False, "until": None, "via": None, "assignment": None}
    until = held.until.strftime("%Y-%m-%dT%H:%M:%SZ") if held.until else None
    return {"active": True, "until": until, "via": held.via, "assignment": held.assignment}


# --- all that somebody holds ----------------------------------------------------------------------------------


class HoldingOut(serializers.Serializer[Any]):
    assignment = serializers.UUIDField()
    role = RoleSummary()
    scope = ResourceSummary()
    starts_at = Moment()
    until = Moment(allow_null=True)
    via = serializers.ChoiceField(["direct", "activation", "group", "group_activation"])
    group = GroupSummary(allow_null=True)
    justification = serializers.CharField(help_text="Of the request that it came from, as far as you may see it.")


class AccessOut(serializers.Serializer[Any]):
    principal = Summary()
    at = Moment()
    holds = HoldingOut(many=True)


class Access(Door):
    """All that somebody holds in force, and how they came to it."""

    serializer_class = AccessOut

    def get_queryset(self) -> QuerySet[User]:
        return sight.principals(self.request.user)

    @extend_schema(responses=AccessOut)
    def mine(self, request: ApiRequest) -> Response:
        return self._answer(self.actor)

    @extend_schema(responses=AccessOut)
    def of(self, request: ApiRequest, pk: UUID) -> Response:
        """All that a principal holds: for those who may see what everybody holds, and of oneself."""
        sees_all = self.actor.has_perm("assignments.view_activeassignment")
        found = self.get_queryset().filter(pk=pk).first() if sees_all else None
        if pk != self.actor.pk and found is None:
            raise Refused(_("There is nothing here, or nothing that you may see."), "not_found", status=404)
        return self._answer(found or self.actor)

    def _answer(self, user: User) -> Response:
        at = now()
        holdings = active_holdings(user, at)
        keys = [holding.assignment.pk for holding in holdings]
        asked = sight.requests(self.actor).filter(active_assignment__in=keys).order_by("requested_at")
        reasons = {row.active_assignment_id: row.justification for row in asked}
        groups = {holding.group for holding in holdings if holding.group and holding.for_a_time}
        ends: dict[Group | None, datetime | None] = {group: membership_until(user, group, at) for group in groups}
        holds = [_holding(holding, reasons, ends.get(holding.group)) for holding in holdings]
        answer = {"principal": user, "at": at, "holds": holds}
        return Response(AccessOut(answer, context=self.get_serializer_context()).data)


def _holding(holding: Holding, reasons: dict[Any, str], membership_end: datetime | None) -> dict[str, Any]:
    row: Any = holding.assignment
    ends = [end for end in (row.carries_until, membership_end) if end is not None]
    ways = {(False, False): "direct", (True, False): "activation", (False, True): "group"}
    return {
        "assignment": row.pk,
        "role": row.role,
        "scope": row.scope,
        "starts_at": row.starts_at,
        "until": min(ends, default=None),
        "via": ways.get((holding.is_activated, holding.group is not None), "group_activation"),
        "group": holding.group,
        "justification": reasons.get(row.pk, ""),
    }
