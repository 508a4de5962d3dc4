"""Series of access reviews: what is reviewed, by whom, when, and what comes of it."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from accounts.rules import fingerprint
from accounts.tokens import Scope
from reviews import services
from reviews.models import Definition, Stage
from reviews.rules import MOST_COUNT, MOST_INACTIVE_DAYS, MOST_STAGES, SeriesTerms, StageTerms
from reviews.schedule import LONGEST, Recurrence
from reviews.services.defining import MANY, OF_STAGE, PLAIN

from . import sight
from .base import Rows
from .fields import Day, Input, Moment, Named, Reference, Text, TimeOfDay
from .lists import RowFilter
from .principals import JustificationIn
from .roles import ResourceSummary

MOST_NAMED = 200


def _several(among: Any) -> serializers.ListField:
    return serializers.ListField(child=Named(among), required=False, default=list, max_length=MOST_NAMED)


class SeriesStageOut(serializers.ModelSerializer[Stage]):
    class Meta:
        model = Stage
        fields = ["days", "reviewers", "people", "groups", "fallback", "fallback_groups", "takes"]
        read_only_fields = fields


class SeriesStageIn(Input):
    days = serializers.IntegerField(min_value=1, max_value=max(LONGEST.values()))
    reviewers = serializers.ChoiceField(Stage.Reviewers.choices)
    people = _several(sight.principals_to_name)
    groups = _several(sight.groups_to_name)
    fallback = _several(sight.principals_to_name)
    fallback_groups = _several(sight.groups_to_name)
    takes = serializers.ChoiceField(Stage.Takes.choices, default=Stage.Takes.ALL)

    def validate(self, attrs: dict[str, Any]) -> StageTerms:
        return StageTerms(**attrs | {name: tuple(attrs[name]) for name in OF_STAGE})


class DefinitionSummary(serializers.ModelSerializer[Definition]):
    class Meta:
        model = Definition
        fields = ["id", "name"]


class DefinitionOut(serializers.ModelSerializer[Definition]):
    scope = Reference(ResourceSummary, allow_null=True)
    stages = SeriesStageOut(many=True)
    begins_at = TimeOfDay(read_only=True)
    next_at = Moment(allow_null=True)
    created_at = Moment()
    discontinued_at = Moment(allow_null=True)

    class Meta:
        model = Definition
        fields = [
            *("id", *PLAIN, *MANY, "stages", "of_owners", "next_number", "next_at", "created_at"),
            "discontinued_at",
        ]
        read_only_fields = fields


class DefinitionIn(Input):
    name = Text(max_length=150)
    description = Text(required=False, allow_blank=True)
    covers = serializers.ChoiceField(Definition.Covers.choices, required=False)
    roles = _several(sight.roles)
    groups = _several(sight.groups_to_name)
    scope = Named(sight.resources, required=False, allow_null=True)
    principals = serializers.ChoiceField(User.Kind.choices, required=False)
    kinds = serializers.ChoiceField(Definition.Kinds.choices, required=False)
    inactive_days = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=MOST_INACTIVE_DAYS)
    first_on = Day()
    begins_at = TimeOfDay(required=False)
    time_zone = Text(required=False, max_length=64)
    recurrence = serializers.ChoiceField(Recurrence.choices, required=False)
    ends_on = Day(required=False, allow_null=True)
    count = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=MOST_COUNT)
    no_answer = serializers.ChoiceField(Definition.NoAnswer.choices, required=False)
    applies_itself = serializers.BooleanField(required=False)
    reason_required = serializers.BooleanField(required=False)
    recommends = serializers.BooleanField(required=False)
    look_back_days = serializers.IntegerField(required=False, min_value=1, max_value=MOST_INACTIVE_DAYS)
    mails = serializers.BooleanField(required=False)
    reminds = serializers.BooleanField(required=False)
    words = Text(required=False, allow_blank=True)
    told = _several(sight.principals_to_name)
    stages = serializers.ListField(child=SeriesStageIn(), min_length=1, max_length=MOST_STAGES)


def _terms_in(said: dict[str, Any]) -> dict[str, Any]:
    return said | {name: tuple(said[name]) for name in (*MANY, "stages") if name in said}


class DefinitionsOut(serializers.Serializer[Any]):
    definitions = DefinitionOut(many=True)


class DefinitionFilter(RowFilter):
    class Meta:
        model = Definition
        fields = ["name", "covers", "recurrence", "of_owners"]


class Definitions(Rows):
    """Series of reviews: all with the right to see them, otherwise those of owners of what one owns."""

    serializer_class = DefinitionOut
    filterset_class = DefinitionFilter
    ordering_fields = ["name", "created_at"]
    ordering = ["name", "pk"]
    scopes = dict.fromkeys(("create", "apart", "partial_update", "start", "discontinue"), Scope.REVIEW)

    def rows(self, user: User) -> QuerySet[Definition]:
        return sight.review_definitions(user)

    def tag(self, row: Definition) -> str:
        return fingerprint(services.facts_of(services.terms_of(row)))

    @extend_schema(request=DefinitionIn, responses={201: DefinitionOut})
    def create(self, request: Request) -> Response:
        """Define a series; its first review begins by itself. An owner names the resource whose access is reviewed."""
        made = services.define(actor=self.actor, terms=SeriesTerms(**_terms_in(self.read(DefinitionIn))))
        return self.answer(self.found(made.pk), 201)

    @extend_schema(request=DefinitionIn, responses={201: DefinitionsOut})
    def apart(self, request: Request) -> Response:
        """Define a series for each of the roles that it names, each named after its role, too."""
        terms = SeriesTerms(**_terms_in(self.read(DefinitionIn)))
        made = services.define_each(actor=self.actor, terms=terms)
        rows = self.rows(self.actor).filter(pk__in=[each.pk for each in made]).order_by(*self.ordering)
        context = self.get_serializer_context()
        return Response({"definitions": DefinitionOut(rows, many=True, context=context).data}, status=201)

    @extend_schema(request=DefinitionIn, responses=DefinitionOut)
    def partial_update(self, request: Request, pk: UUID) -> Response:
        """Change it from its next review on; while one is open it stays as it is."""
        row = self.found(pk)
        terms = replace(services.terms_of(row), **_terms_in(self.read(DefinitionIn, some=True)))
        services.change(definition=row, actor=self.actor, terms=terms, seen=self.seen())
        return self.answer(self.found(pk))

    @extend_schema(request=JustificationIn, responses=DefinitionOut)
    def start(self, request: Request, pk: UUID) -> Response:
        """Let the review to come begin now instead of when it is planned."""
        facts = self.read(JustificationIn)
        services.hasten(definition=self.found(pk), actor=self.actor, **facts)
        return self.answer(self.found(pk))

    @extend_schema(request=JustificationIn, responses=DefinitionOut)
    def discontinue(self, request: Request, pk: UUID) -> Response:
        """Let no further review begin. One that is open goes on."""
        facts = self.read(JustificationIn)
        services.discontinue(definition=self.found(pk), actor=self.actor, **facts)
        return self.answer(self.found(pk))
