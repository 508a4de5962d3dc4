"""Emergency access: a role at once, without approval, and what somebody else found about it."""

from typing import Any
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request as ApiRequest
from rest_framework.response import Response

from accounts.models import User
from accounts.tokens import Scope
from approvals import services
from approvals.models import EmergencyUse, Request

from . import sight
from .asking import InEmergency, carry_out
from .base import Rows
from .fields import Input, Length, Moment, Reference, Text, once_known
from .lists import RowFilter, YesNo
from .principals import Summary
from .roles import ResourceSummary, RoleSummary


class RequestSummary(serializers.ModelSerializer[Request]):
    reference = serializers.CharField()

    class Meta:
        model = Request
        fields = ["id", "reference", "action", "status"]


class EmergencyUseOut(serializers.ModelSerializer[EmergencyUse]):
    principal = Reference(Summary, source="user")
    request = Reference(RequestSummary)
    role = Reference(RoleSummary, source="request.role")
    scope = Reference(ResourceSummary, source="request.scope")
    active_assignment = serializers.UUIDField(source="request.active_assignment_id", allow_null=True)
    duration = Length(source="request.duration", help_text="How long the role was given for: it cannot be extended.")
    justification = serializers.CharField(source="request.justification")
    proved_with = serializers.CharField(source="request.proved_with")
    used_at = Moment()
    review_by = Moment()
    reviewed_by = Reference(Summary, allow_null=True)
    reviewed_at = Moment(allow_null=True)
    finding = once_known(EmergencyUse.Finding)

    class Meta:
        model = EmergencyUse
        fields = [
            *("id", "principal", "request", "role", "scope", "active_assignment", "duration", "justification"),
            *("proved_with", "is_drill", "used_at", "review_by", "reviewed_by", "reviewed_at", "finding", "comment"),
        ]
        read_only_fields = fields


class ReviewIn(Input):
    finding = serializers.ChoiceField(EmergencyUse.Finding.choices)
    justification = Text(help_text="What was looked at, and what comes of it.")


class EmergencyUseFilter(RowFilter):
    principal = django_filters.UUIDFilter("user")
    request = django_filters.UUIDFilter()
    role = django_filters.UUIDFilter("request__role")
    reviewed = YesNo("reviewed_at", lookup_expr="isnull", exclude=True)

    class Meta:
        model = EmergencyUse
        fields = ["principal", "request", "role", "is_drill", "reviewed", "finding"]


class EmergencyUses(Rows):
    """Uses of emergency access: one's own, and all of them with the right to see them."""

    serializer_class = EmergencyUseOut
    filterset_class = EmergencyUseFilter
    ordering_fields = ["used_at", "review_by"]
    ordering = ["-used_at", "pk"]
    scopes = {"create": Scope.ACTIVATE, "review": Scope.REVIEW}

    def rows(self, user: User) -> QuerySet[EmergencyUse]:
        return sight.emergency_uses(user)

    @extend_schema(
        request=InEmergency,
        responses={
            201: OpenApiResponse(EmergencyUseOut, "The role is there, and all administrators are told."),
            200: OpenApiResponse(EmergencyUseOut, "It could be done (`validate_only`). Nothing was stored."),
        },
    )
    def create(self, request: ApiRequest) -> Response:
        """Take a role at once, for the fixed time of its settings, without approval, hook or ticket.

        All administrators are told, and somebody else reviews it.
        """
        asked = self.read(InEmergency)
        made: Any = carry_out(InEmergency, self, dict(asked))
        return self.answer(made.emergency, 200 if asked["validate_only"] else 201)

    @extend_schema(request=ReviewIn, responses=EmergencyUseOut)
    def review(self, request: ApiRequest, pk: UUID) -> Response:
        """Say once and for all what a use of somebody else was."""
        facts = self.read(ReviewIn)
        services.review_emergency(use=self.found(pk), actor=self.actor, **facts)
        return self.answer(self.found(pk))
