"""Eligible and active assignments. They are read here and changed by requests."""

from typing import Any

import django_filters
from django.db.models import QuerySet
from django.utils.timezone import now
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import User
from accounts.tokens import Scope
from assignments.models import ActiveAssignment, EligibleAssignment

from . import sight
from .fields import Moment, Reference
from .imports import ImportsRows
from .lists import RowFilter, YesNo
from .principals import GroupSummary, Summary
from .roles import ResourceSummary, RoleSummary

STATES = ["scheduled", "active", "ended"]


class AssignmentOut(serializers.ModelSerializer[Any]):
    principal = Reference(Summary, source="user", allow_null=True)
    group = Reference(GroupSummary, allow_null=True)
    role = Reference(RoleSummary)
    scope = Reference(ResourceSummary)
    starts_at = Moment()
    ends_at = Moment(allow_null=True)
    ended_at = Moment(allow_null=True)
    created_at = Moment()
    end_reason = serializers.CharField(help_text="Empty while it has not ended.")
    state = serializers.SerializerMethodField()

    @extend_schema_field(serializers.ChoiceField(STATES))
    def get_state(self, row: Any) -> str:
        return str(row.state(self.context["at"]))


FIELDS = ["id", "principal", "group", "role", "scope", "starts_at", "ends_at", "created_at", "ended_at", "end_reason"]


class EligibleOut(AssignmentOut):
    class Meta:
        model = EligibleAssignment
        fields = [*FIELDS, "state"]
        read_only_fields = fields


class ActiveOut(AssignmentOut):
    eligible_assignment = Reference(EligibleOut, allow_null=True)

    class Meta:
        model = ActiveAssignment
        fields = [*FIELDS, "eligible_assignment", "state"]
        read_only_fields = fields


class AssignmentFilter(RowFilter):
    principal = django_filters.UUIDFilter("user")
    group = django_filters.UUIDFilter()
    role = django_filters.UUIDFilter()
    scope = django_filters.UUIDFilter()
    state = django_filters.ChoiceFilter(choices=[(state, state) for state in STATES], method="in_state")

    def in_state(self, rows: Any, name: str, state: str) -> Any:
        at = now()
        if state == "ended":
            return rows.ended(at)
        return rows.in_force(at) if state == "active" else rows.scheduled(at)


class EligibleFilter(AssignmentFilter):
    class Meta:
        model = EligibleAssignment
        fields = ["principal", "group", "role", "scope", "state"]


class ActiveFilter(AssignmentFilter):
    eligible_assignment = django_filters.UUIDFilter()
    activated = YesNo("eligible_assignment", lookup_expr="isnull", exclude=True)

    class Meta:
        model = ActiveAssignment
        fields = ["principal", "group", "role", "scope", "state", "eligible_assignment", "activated"]


class EligibleAssignments(ImportsRows):
    """What somebody may activate; without the right to see all, what reaches oneself, also through groups."""

    imports = "eligible"
    scopes = {"import_rows": Scope.ASSIGN}
    serializer_class = EligibleOut
    filterset_class = EligibleFilter
    ordering_fields = ["starts_at", "created_at"]
    ordering = ["-starts_at", "pk"]

    def rows(self, user: User) -> QuerySet[EligibleAssignment]:
        return sight.eligible(user)


class ActiveAssignments(ImportsRows):
    """What somebody holds; without the right to see all, what reaches oneself, also through groups."""

    imports = "active"
    scopes = {"import_rows": Scope.ASSIGN}
    serializer_class = ActiveOut
    filterset_class = ActiveFilter
    ordering_fields = ["starts_at", "created_at"]
    ordering = ["-starts_at", "pk"]

    def rows(self, user: User) -> QuerySet[ActiveAssignment]:
        return sight.active(self.request.user)
