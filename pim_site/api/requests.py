"""Requests: every change to who may hold what, asked, taken back and decided."""

from functools import partial
from typing import Any
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from django.utils.timezone import now
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiResponse, PolymorphicProxySerializer, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request as ApiRequest
from rest_framework.response import Response

from accounts.models import User
from accounts.tokens import Scope
from approvals import services
from approvals.models import Decision, HookCall, Request
from approvals.rules import check_text, decision_facts
from approvals.services.extending import grant_facts
from assignments.services import settings_for

from . import sight
from .asking import ASKED, Asked, carry_out
from .assignments import ActiveOut, EligibleOut
from .authentication import require_scope
from .base import Door, Rows
from .fields import Coded, Input, Length, Moment, Named, Reference, Text, once_known
from .lists import MomentFilter, RowFilter
from .principals import GroupSummary, Summary
from .results import STATES, ResultsOut, result_of, state_of
from .roles import ResourceSummary, RoleSummary
from .several import ASKING_SEVERAL, SEVERAL, carry_out_each

MOST_DECISIONS = 50


class DecisionOut(serializers.ModelSerializer[Decision]):
    decided_at = Moment()
    duration = Length(allow_null=True)

    class Meta:
        model = Decision
        fields = ["person", "on_behalf_of", "verdict", "justification", "stage", "duration", "decided_at"]
        read_only_fields = fields


class HookAnswerOut(serializers.ModelSerializer[HookCall]):
    hook = serializers.CharField(source="hook.name", allow_null=True, help_text="The name of who was asked.")
    outcome = once_known(HookCall.Outcome)
    answered_at = Moment()

    class Meta:
        model = HookCall
        fields = ["hook", "outcome", "reasons", "answered_at"]
        read_only_fields = fields


class RequestOut(serializers.ModelSerializer[Request]):
    requester = Reference(Summary, allow_null=True)
    principal = Reference(Summary, source="user", allow_null=True)
    group = Reference(GroupSummary, allow_null=True)
    role = Reference(RoleSummary)
    scope = Reference(ResourceSummary)
    settings = serializers.UUIDField(source="settings_id")
    eligible_assignment = Reference(EligibleOut, allow_null=True)
    active_assignment = Reference(ActiveOut, allow_null=True)
    prolongs = Reference(ActiveOut, allow_null=True)
    starts_at = Moment(allow_null=True)
    ends_at = Moment(allow_null=True)
    duration = Length(allow_null=True)
    requested_at = Moment()
    expires_at = Moment(allow_null=True)
    settled_at = Moment(allow_null=True)
    state = serializers.SerializerMethodField()
    looked_at_by = serializers.SerializerMethodField(help_text="Who has claimed it, for some minutes.")
    reference = serializers.CharField()
    hook_answer = serializers.SerializerMethodField(help_text="What the system said that was asked before people.")
    decisions = serializers.SerializerMethodField()

    class Meta:
        model = Request
        fields = [
            *("id", "reference", "action", "status", "state", "requester", "principal", "group", "role", "scope"),
            *("settings", "eligible_assignment", "active_assignment", "prolongs", "starts_at", "ends_at", "duration"),
            *("justification", "ticket", "ticket_system", "proved_with", "requested_at", "expires_at", "stage"),
            *("looked_at_by", "settled_at", "failure_code", "hook_answer", "decisions"),
        ]
        read_only_fields = fields

    @extend_schema_field(serializers.ChoiceField(STATES))
    def get_state(self, row: Request) -> str:
        return state_of(row, self.context["at"])

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_looked_at_by(self, row: Request) -> str | None:
        person = row.looked_at_by(self.context["at"])
        return str(person.pk) if person else None

    @extend_schema_field(HookAnswerOut(allow_null=True))
    def get_hook_answer(self, row: Request) -> Any:
        call = getattr(row, "hook_call", None) if row.settings.hook_id else None
        return HookAnswerOut(call).data if call and call.outcome else None

    @extend_schema_field(DecisionOut(many=True))
    def get_decisions(self, row: Request) -> Any:
        return [] if row._state.adding else DecisionOut(row.decisions.all(), many=True).data


def shown(rows: QuerySet[Request]) -> QuerySet[Request]:
    """Return them with all that `RequestOut` shows."""
    beside = ("claimed_by", "hook_call__hook", "prolongs__user", "prolongs__eligible_assignment__user")
    return rows.select_related(*beside).prefetch_related("decisions")


class RequestFilter(RowFilter):
    principal = django_filters.UUIDFilter("user")
    requester = django_filters.UUIDFilter()
    role = django_filters.UUIDFilter()
    scope = django_filters.UUIDFilter()
    requested_after = MomentFilter("requested_at", lookup_expr="gte")
    requested_before = MomentFilter("requested_at", lookup_expr="lt")

    class Meta:
        model = Request
        fields = ["status", "action", "principal", "requester", "role", "scope"]


class CancelIn(Input):
    justification = Text(required=False, allow_blank=True, default="")


class DenyIn(Coded):
    justification = Text()
    validate_only = serializers.BooleanField(default=False)


class ApproveIn(DenyIn):
    duration = Length(required=False, allow_null=True)


class GrantIn(Coded):
    justification = Text()
    ends_at = Moment(allow_null=True)
    starts_at = Moment(required=False, allow_null=True)
    type = serializers.ChoiceField([("eligible", "eligible"), ("active", "active")], required=False)
    validate_only = serializers.BooleanField(default=False)


class Nothing(Input):
    """An empty object."""


ASKING = PolymorphicProxySerializer(
    component_name="NewRequest", serializers=ASKED, resource_type_field_name="action", many=False
)


class Requests(Rows):
    """One's own requests, those one may decide or has decided, and all of them with the right to see requests."""

    serializer_class = RequestOut
    filterset_class = RequestFilter
    ordering_fields = ["requested_at"]
    ordering = ["-requested_at", "pk"]
    scopes = {
        "create": "",  # it depends on the action
        "several": "",
        "cancel": Scope.ACTIVATE,
        "approve": Scope.APPROVE,
        "deny": Scope.APPROVE,
        "claim": Scope.APPROVE,
        "release": Scope.APPROVE,
        "grant": Scope.APPROVE,
    }

    def rows(self, user: User) -> QuerySet[Request]:
        return shown(sight.requests(user))

    @extend_schema(
        request=ASKING,
        responses={
            201: OpenApiResponse(RequestOut, "Done, scheduled, or waiting for somebody's decision."),
            200: OpenApiResponse(RequestOut, "It could be done (`validate_only`). Nothing was stored."),
        },
    )
    def create(self, request: ApiRequest) -> Response:
        """Ask for a change. With `validate_only` all is checked but the code, and nothing is stored."""
        kind, asked = self._asked(ASKED)
        made = carry_out(kind, self, dict(asked))
        return self.answer(made, 200 if asked["validate_only"] else 201)

    @extend_schema(request=ASKING_SEVERAL, responses={200: ResultsOut})
    def several(self, request: ApiRequest) -> Response:
        """Ask for several changes of a kind with one reason and one code, each by itself, with a result for each."""
        _kind, asked = self._asked(SEVERAL)
        return Response({"results": carry_out_each(request.data["action"], self, dict(asked))})

    def _asked(self, kinds: dict[str, type[Asked]]) -> tuple[type[Asked], dict[str, Any]]:
        """Return which of `kinds` the body asks for, and what it says but that."""
        kind = kinds.get(str(self.request.data.get("action")))
        if kind is None:
            text = _("One of: %(names)s.") % {"names": ", ".join(kinds)}
            raise serializers.ValidationError({"action": [serializers.ErrorDetail(text, "invalid_choice")]})
        require_scope(self.request, kind.scope_of_token)
        asked = self.read(kind)
        asked.pop("action")
        return kind, asked

    @extend_schema(request=CancelIn, responses=RequestOut)
    def cancel(self, request: ApiRequest, pk: UUID) -> Response:
        """Take back a request that waits or is scheduled: one's own, or another's with the right to, and a reason."""
        return self.answer(services.cancel(request=self.found(pk), actor=self.actor, **self.read(CancelIn)))

    @extend_schema(request=Nothing, responses=RequestOut)
    def claim(self, request: ApiRequest, pk: UUID) -> Response:
        """Say "I am looking", which the other approvers see for some minutes."""
        self.read(Nothing)
        return self.answer(services.claim(request=self.found(pk), actor=self.actor))

    @extend_schema(request=Nothing, responses=RequestOut)
    def release(self, request: ApiRequest, pk: UUID) -> Response:
        """Say that one looks no longer, so that another may."""
        self.read(Nothing)
        return self.answer(services.release(request=self.found(pk), actor=self.actor))

    @extend_schema(request=ApproveIn, responses=RequestOut)
    def approve(self, request: ApiRequest, pk: UUID) -> Response:
        """Say yes to an activation, for as long as asked or shorter."""
        said, row = self.read(ApproveIn), self.found(pk)
        return self.answer(decided(self, [row], Decision.Verdict.APPROVED, said)[0])

    @extend_schema(request=DenyIn, responses=RequestOut)
    def deny(self, request: ApiRequest, pk: UUID) -> Response:
        """Say no to an activation, an extension or a renewal."""
        said, row = self.read(DenyIn), self.found(pk)
        return self.answer(decided(self, [row], Decision.Verdict.DENIED, said)[0])

    @extend_schema(request=GrantIn, responses=RequestOut)
    def grant(self, request: ApiRequest, pk: UUID) -> Response:
        """Say yes to an extension or a renewal, and until when."""
        said, row = self.read(GrantIn), self.found(pk)
        code, kind = said.pop("code", ""), said.pop("type", None)
        asked: dict[str, Any] = {"request": row, "starts_at": None, **said}
        asked["eligible"] = kind == "eligible" if kind else None
        return self.answer(services.grant_extension(actor=self.actor, **asked, **self._grant_proof(row, code, asked)))

    def _grant_proof(self, row: Request, code: str, asked: dict[str, Any]) -> dict[str, Any]:
        eligible = row.active_assignment_id is None if asked["eligible"] is None else asked["eligible"]
        if eligible or asked["validate_only"]:
            return {}
        if not settings_for(row.role, row.scope).assign_active_mfa_required:
            return {}
        services.grant_extension(actor=self.actor, **asked | {"validate_only": True})
        dates = {"starts_at": asked["starts_at"], "ends_at": asked["ends_at"]}
        facts = grant_facts(row, eligible=eligible, justification=asked["justification"], **dates)
        return {"proof": self.prove(code, "extension.granted", **facts), "session": self.session}


def decided(door: Door, rows: list[Request], verdict: str, said: dict[str, Any]) -> list[Request]:
    """Decide each of these requests, which came in one go, with one proof where one of them asks for it."""
    decide, facts = _decision(door, rows, verdict, said)
    return [decide(request=row, actor=door.actor, **facts) for row in rows]


def _decision(door: Door, rows: list[Request], verdict: str, said: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    facts = dict(said)
    code = facts.pop("code", "")
    check_text(facts["justification"], required=True)  # a code for what cannot be taken is lost
    if facts.get("validate_only"):
        return _VERDICTS[verdict], facts
    if Request.objects.filter(pk__in=[row.pk for row in rows]).pending().asking_proof().exists():
        proof = door.prove(code, "request.decided", **decision_facts(rows, verdict))
        facts |= {"proof": proof, "proved_for": rows, "session": door.session}
    return _VERDICTS[verdict], facts


def _deny(*, request: Request, proof: Any = None, proved_for: Any = (), session: str = "", **said: Any) -> Request:
    if request.waits_for_administrator:
        return services.deny_extension(request=request, **said)
    return services.deny(request=request, proof=proof, proved_for=proved_for, session=session, **said)


_VERDICTS: dict[str, Any] = {Decision.Verdict.APPROVED: services.approve, Decision.Verdict.DENIED: _deny}


# --- approvals ------------------------------------------------------------------------------------------------


class DecideIn(Coded):
    requests = serializers.ListField(child=Named(sight.requests), min_length=1, max_length=MOST_DECISIONS)
    verdict = serializers.ChoiceField(Decision.Verdict.choices)
    justification = Text()


class Approvals(Rows):
    """What waits for one's decision: activations for a stage that names one, extensions for administrators."""

    serializer_class = RequestOut
    filterset_class = RequestFilter
    ordering_fields = ["requested_at"]
    ordering = ["requested_at", "pk"]
    scopes = {"create": Scope.APPROVE}

    def rows(self, user: User) -> QuerySet[Request]:
        at = now()
        awaiting = Request.objects.awaiting(user, at).values("pk")
        extensions = Request.objects.awaiting_administrator(user, at).values("pk")
        either = Request.objects.filter(pk__in=awaiting) | Request.objects.filter(pk__in=extensions)
        return shown(either.described())

    @extend_schema(request=DecideIn, responses={200: ResultsOut})
    def create(self, request: ApiRequest) -> Response:
        """Decide several activations with one reason, each by itself, with a result for each.

        Extensions and renewals can be denied so; who grants one says until when (`requests/{id}/grant`).
        """
        said = self.read(DecideIn)
        rows, verdict = list({row.pk: row for row in said.pop("requests")}.values()), said.pop("verdict")
        decide, facts = _decision(self, rows, verdict, said)
        decisions = {row.pk: partial(decide, request=row, actor=self.actor, **facts) for row in rows}
        return Response({"results": [result_of(act, request=str(pk)) for pk, act in decisions.items()]})
