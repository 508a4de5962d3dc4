"""Access reviews: their series, each review with what it found, and what is answered."""

from typing import Any
from uuid import UUID

import django_filters
from django.db.models import Q, QuerySet
from django.http.response import HttpResponseBase
from django.utils.timezone import now
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from accounts.tokens import Scope
from reviews import services
from reviews.models import Answer, Instance, Item
from reviews.progress import nobody_asked, progress, progress_by_reviewer
from reviews.rules import MOST_AT_ONCE
from reviews.views import file_of

from . import sight
from .base import Rows
from .fields import Id, Input, Moment, Named, Reference, Text, once_known
from .lists import RowFilter, YesNo
from .principals import GroupSummary, JustificationIn, Summary
from .requests import Nothing
from .review_series import DefinitionSummary
from .roles import ResourceSummary, RoleSummary

RUNS = ("stop", "clear", "remind", "reassign", "apply")


class ReviewOut(serializers.ModelSerializer[Instance]):
    definition = Reference(DefinitionSummary)
    planned_at = Moment()
    began_at = Moment()
    stage_ends_at = Moment(allow_null=True)
    ends_at = Moment()
    ended_at = Moment(allow_null=True)
    applied_at = Moment(allow_null=True)

    class Meta:
        model = Instance
        fields = [
            *("id", "definition", "number", "state", "planned_at", "began_at", "stage", "stage_ends_at", "ends_at"),
            *("ended_at", "was_stopped", "applied_at"),
        ]
        read_only_fields = fields


class ReviewSummary(serializers.ModelSerializer[Instance]):
    class Meta:
        model = Instance
        fields = ["id", "number", "state"]


class ReviewerOut(serializers.Serializer[Any]):
    reviewer = serializers.UUIDField()
    asked = serializers.IntegerField()
    answered = serializers.IntegerField()


class ProgressOut(serializers.Serializer[Any]):
    asked = serializers.IntegerField()
    answered = serializers.IntegerField()
    nobody_asked = serializers.IntegerField(help_text="Accesses for which there is no reviewer.")
    reviewers = ReviewerOut(many=True)


class ReassignIn(Input):
    reviewer = Named(sight.principals_to_name)
    to = Named(sight.principals_to_name)
    justification = Text()


class ReviewFilter(RowFilter):
    definition = django_filters.UUIDFilter()

    class Meta:
        model = Instance
        fields = ["definition", "state"]


class Reviews(Rows):
    """Reviews of a series: those in which one is asked, those whose results are one's to read, or all of them."""

    serializer_class = ReviewOut
    filterset_class = ReviewFilter
    ordering_fields = ["began_at"]
    ordering = ["-began_at", "pk"]
    scopes = dict.fromkeys(RUNS, Scope.REVIEW)

    def rows(self, user: User) -> QuerySet[Instance]:
        return sight.reviews(user)

    def with_results(self, pk: UUID) -> Instance:
        """Return the review, if its results are the asker's to read; reviewers see what they are asked."""
        open_to = Instance.objects.open_to(self.actor, now()).described()
        return self.found(pk, open_to)  # type: ignore[no-any-return]

    @extend_schema(responses=ProgressOut)
    def progress(self, request: Request, pk: UUID) -> Response:
        """How far each reviewer of the present stage is."""
        review = self.with_results(pk)
        far, people = progress(review), progress_by_reviewer(review)
        each = [{"reviewer": str(who.pk), "asked": its.asked, "answered": its.answered} for who, its in people]
        lost = nobody_asked(review)
        return Response({"asked": far.asked, "answered": far.answered, "nobody_asked": lost, "reviewers": each})

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR})
    def results(self, request: Request, pk: UUID) -> HttpResponseBase:
        """What came of each access, as a table."""
        return file_of(self.with_results(pk), "csv")

    @extend_schema(responses={(200, "application/jsonl"): OpenApiTypes.STR})
    def evidence(self, request: Request, pk: UUID) -> HttpResponseBase:
        """JSON Lines: the review with its terms, then each access: who was asked, all answers, its audit events."""
        return file_of(self.with_results(pk), "jsonl")

    @extend_schema(request=JustificationIn, responses=ReviewOut)
    def stop(self, request: Request, pk: UUID) -> Response:
        """End it before its time. Answers stand; of what nobody answered, nothing comes."""
        facts = self.read(JustificationIn)
        return self.answer(services.stop(instance=self.found(pk), actor=self.actor, **facts))

    @extend_schema(request=JustificationIn, responses=ReviewOut)
    def clear(self, request: Request, pk: UUID) -> Response:
        """Take back all answers, also of earlier stages; the reviewers of the present one are asked anew."""
        facts = self.read(JustificationIn)
        services.clear(instance=self.found(pk), actor=self.actor, **facts)
        return self.answer(self.found(pk))

    @extend_schema(request=Nothing, responses=ReviewOut)
    def remind(self, request: Request, pk: UUID) -> Response:
        """Tell those who have not answered once more."""
        self.read(Nothing)
        services.remind(instance=self.found(pk), actor=self.actor)
        return self.answer(self.found(pk))

    @extend_schema(request=ReassignIn, responses=ReviewOut)
    def reassign(self, request: Request, pk: UUID) -> Response:
        """Ask somebody else what a reviewer has not answered."""
        review, facts = self.found(pk), self.read(ReassignIn)
        services.reassign(instance=review, actor=self.actor, **facts)
        return self.answer(self.found(pk))

    @extend_schema(request=JustificationIn, responses=ReviewOut)
    def apply(self, request: Request, pk: UUID) -> Response:
        """Have what is not needed taken away, or tried again: a result for each stands at its item."""
        facts = self.read(JustificationIn)
        return self.answer(services.request_application(instance=self.found(pk), actor=self.actor, **facts))


# --- what was found, and what is said of it -------------------------------------------------------------------


class ItemOut(serializers.ModelSerializer[Item]):
    review = Reference(ReviewSummary, source="instance")
    principal = Reference(Summary, source="user")
    role = Reference(RoleSummary, allow_null=True)
    scope = Reference(ResourceSummary, allow_null=True)
    group = Reference(GroupSummary, allow_null=True)
    decided_by = Reference(Summary, allow_null=True)
    gives = serializers.SerializerMethodField(help_text="What the group has, of a membership.")
    since = Moment(allow_null=True)
    until = Moment(allow_null=True)
    last_used_at = Moment(allow_null=True)
    last_sign_in_at = Moment(allow_null=True)
    decided_at = Moment(allow_null=True)
    applied_at = Moment(allow_null=True)
    verdict_stage = serializers.IntegerField(help_text="The last stage in which something was said of it; 0: none.")
    cause = once_known(Item.Cause)
    outcome = once_known(Item.Outcome)
    result = once_known(Item.Result)

    class Meta:
        model = Item
        fields = [
            *("id", "review", "kind", "principal", "role", "scope", "group", "gives", "is_privileged", "since"),
            *("until", "last_used_at", "last_sign_in_at", "recommendation", "cause", "verdict", "verdict_stage"),
            *("decided_by", "decided_at", "justification", "outcome", "result", "result_code", "applied_at"),
        ]
        read_only_fields = fields

    def get_gives(self, item: Item) -> list[str]:
        return item.gives.splitlines()


class ItemSummary(serializers.ModelSerializer[Item]):
    class Meta:
        model = Item
        fields = ["id", "kind", "verdict", "outcome", "result"]


class ItemFilter(RowFilter):
    review = django_filters.UUIDFilter("instance")
    principal = django_filters.UUIDFilter("user")
    role = django_filters.UUIDFilter()
    scope = django_filters.UUIDFilter()
    group = django_filters.UUIDFilter()
    waiting = YesNo(method="of_asker", help_text="What you are asked in an open review and have not answered yet.")

    class Meta:
        model = Item
        fields = ["review", "kind", "principal", "verdict", "recommendation", "outcome", "result", "is_privileged"]

    def of_asker(self, rows: QuerySet[Item], name: str, wanted: bool) -> QuerySet[Item]:
        waiting = Q(pk__in=Item.objects.waiting_for(self.request.user, now()).values("pk"))
        return rows.filter(waiting if wanted else ~waiting)


class AnswerIn(Input):
    verdict = serializers.ChoiceField([each for each in Item.Verdict.choices if each[0] != services.answering.NOTHING])
    justification = Text(required=False, allow_blank=True, default="")


class Items(Rows):
    """Accesses under review, worst first: what one is or was asked about, and all of those whose results one reads."""

    serializer_class = ItemOut
    filterset_class = ItemFilter
    ordering_fields = ["since"]
    ordering = ["-weight", "pk"]
    scopes = dict.fromkeys(("decide", "undo"), Scope.REVIEW)

    def rows(self, user: User) -> QuerySet[Item]:
        return sight.review_items(user)

    @extend_schema(request=AnswerIn, responses=ItemOut)
    def decide(self, request: Request, pk: UUID) -> Response:
        """Say whether it is still needed; until the stage ends the last keep or remove counts."""
        item, said = self.found(pk), self.read(AnswerIn)
        services.answer(instance=item.instance, items=[item.pk], actor=self.actor, **said)
        return self.answer(self.found(pk))

    @extend_schema(request=Nothing, responses=ItemOut)
    def undo(self, request: Request, pk: UUID) -> Response:
        """Take back what one answered oneself in this stage."""
        item = self.found(pk)
        self.read(Nothing)
        services.retract(instance=item.instance, items=[item.pk], actor=self.actor)
        return self.answer(self.found(pk))


class ReviewDecisionOut(serializers.ModelSerializer[Answer]):
    item = Reference(ItemSummary)
    person = Reference(Summary, allow_null=True)
    at = Moment(source="answered_at")

    class Meta:
        model = Answer
        fields = ["id", "item", "person", "stage", "verdict", "justification", "at"]
        read_only_fields = fields


class AnswersIn(AnswerIn):
    review = Named(sight.reviews)
    items = serializers.ListField(child=Id(), min_length=1, max_length=MOST_AT_ONCE)


class AnsweredOut(serializers.Serializer[Any]):
    items = ItemOut(many=True)


class DecisionFilter(RowFilter):
    review = django_filters.UUIDFilter("item__instance")
    item = django_filters.UUIDFilter()
    person = django_filters.UUIDFilter()

    class Meta:
        model = Answer
        fields = ["review", "item", "person", "verdict"]


class Decisions(Rows):
    """Every answer, also those that were changed or taken back since; an item says which one counts."""

    serializer_class = ReviewDecisionOut
    filterset_class = DecisionFilter
    ordering_fields = ["answered_at"]
    ordering = ["-answered_at", "pk"]
    scopes = {"create": Scope.REVIEW}

    def rows(self, user: User) -> QuerySet[Answer]:
        return sight.review_decisions(user)

    @extend_schema(request=AnswersIn, responses={200: AnsweredOut})
    def create(self, request: Request) -> Response:
        """Answer several accesses of a review alike, all or none; privileged ones are answered one by one."""
        said = self.read(AnswersIn)
        review, keys = said.pop("review"), said.pop("items")
        services.answer(instance=review, items=keys, actor=self.actor, **said)
        rows = sight.review_items(self.actor).filter(pk__in=keys).order_by(*Items.ordering)
        context = self.get_serializer_context()
        return Response({"items": ItemOut(rows, many=True, context=context).data})
