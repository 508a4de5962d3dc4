"""Alerts: what is looked for, and what was found."""

from typing import Any
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from django.utils.timezone import now
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from accounts.rules import fingerprint
from accounts.tokens import Scope
from alerts import services
from alerts.models import Alert, Incident
from alerts.registry import Severity

from . import sight
from .authentication import require_scope
from .base import Rows
from .fields import Input, Moment, Reference, Text, once_known
from .lists import RowFilter
from .principals import JustificationIn, Summary
from .requests import Nothing

# By their names, as the audit and the webhooks call them.
SEVERITIES = [each.name.lower() for each in Severity]


@extend_schema_field(serializers.ChoiceField(SEVERITIES))
class SeverityField(serializers.IntegerField):
    def to_representation(self, value: int) -> str:
        return Severity(value).name.lower()


class ThresholdOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    label = serializers.CharField(help_text="What it counts, with its unit.")
    value = serializers.IntegerField()
    default = serializers.IntegerField()
    low = serializers.IntegerField()
    high = serializers.IntegerField()


class AlertSummary(serializers.ModelSerializer[Alert]):
    id = serializers.SlugField(source="key", read_only=True)
    title = serializers.CharField(read_only=True)
    severity = SeverityField(read_only=True)

    class Meta:
        model = Alert
        fields = ["id", "title", "severity"]


class AlertOut(AlertSummary):
    why = serializers.CharField(source="kind.why", read_only=True, help_text="What is bad about it.")
    advice = serializers.CharField(source="kind.advice", read_only=True, help_text="What to do about it.")
    thresholds = serializers.SerializerMethodField()
    active = serializers.IntegerField(read_only=True, help_text="How many incidents are to be looked at.")
    overflows = serializers.BooleanField(read_only=True, help_text="Whether there are more than are listed.")
    scanned_at = Moment(allow_null=True, help_text="The last scan that came to its end.")
    next_scan_at = Moment(allow_null=True, help_text="Null until the worker has seen a new alert for the first time.")
    milliseconds = serializers.IntegerField(read_only=True, help_text="How long the last scan took.")
    failure = serializers.SerializerMethodField(help_text="Why the last scan failed; empty if it did not.")

    class Meta:
        model = Alert
        fields = [
            *("id", "title", "severity", "why", "advice", "is_enabled", "thresholds", "active", "overflows"),
            *("scanned_at", "next_scan_at", "milliseconds", "failure"),
        ]
        read_only_fields = fields

    def get_failure(self, alert: Alert) -> str:
        return alert.cause(now())

    @extend_schema_field(ThresholdOut(many=True))
    def get_thresholds(self, alert: Alert) -> list[dict[str, Any]]:
        kinds, limits = (alert.kind.thresholds if alert.kind else ()), alert.limits
        columns = ("name", "label", "default", "low", "high")
        rows = [{name: getattr(each, name) for name in columns} | {"value": limits[each.name]} for each in kinds]
        return list(ThresholdOut(rows, many=True).data)


class Limits(serializers.DictField):
    """Thresholds by name. The names are those of the alert, which its service knows."""

    child = serializers.IntegerField(min_value=0, max_value=10**6)


class AlertIn(Input):
    is_enabled = serializers.BooleanField(required=False, help_text="Switched off, its open incidents are closed.")
    thresholds = Limits(required=False, help_text="By name; those that are left out stay as they are.")
    justification = Text(required=False, allow_blank=True)


@extend_schema_field({"type": "string", "enum": SEVERITIES})
class SeverityFilter(django_filters.ChoiceFilter):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, choices=[(name, name) for name in SEVERITIES], **kwargs)

    def filter(self, qs: Any, value: Any) -> Any:
        return super().filter(qs, Severity[value.upper()] if value else value)


class AlertFilter(RowFilter):
    severity = SeverityFilter()

    class Meta:
        model = Alert
        fields = ["severity", "is_enabled"]


class Alerts(Rows):
    """What is looked for every quarter of an hour, from which thresholds on, and how the last scan went."""

    serializer_class = AlertOut
    filterset_class = AlertFilter
    ordering_fields = ["severity"]
    ordering = ["-severity", "pk"]
    scopes = dict.fromkeys(("partial_update", "scan"), Scope.CONFIGURE)

    def rows(self, user: User) -> QuerySet[Alert]:
        return sight.alerts(user)

    def tag(self, row: Alert) -> str:
        return fingerprint(services.facts_of(row))

    @extend_schema(request=AlertIn, responses=AlertOut)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Switch it on or off and choose its thresholds; it is scanned anew at once by the worker."""
        row = self.found(pk)
        wanted = {"is_enabled": row.is_enabled, "thresholds": {}} | self.read(AlertIn)
        services.configure(alert=row, actor=self.actor, seen=self.seen(), **wanted)
        return self.answer(self.found(pk))

    @extend_schema(request=Nothing, responses=AlertOut)
    def scan(self, request: Request, pk: str) -> Response:
        """Look now whether it is there."""
        self.read(Nothing)
        services.scan(alert=self.found(pk), actor=self.actor)
        return self.answer(self.found(pk))


class IncidentOut(serializers.ModelSerializer[Incident]):
    alert = Reference(AlertSummary)
    severity = SeverityField(source="alert.severity", read_only=True)
    words = serializers.CharField(read_only=True, help_text="What was found.")
    about_type = serializers.CharField(read_only=True, help_text="What kind of row it is about; empty if about none.")
    first_seen_at = Moment()
    last_seen_at = Moment()
    raised_at = Moment(help_text="Also when a dismissal was over.")
    dismissed_by = Reference(Summary, allow_null=True)
    dismissed_until = Moment(allow_null=True)
    resolved_at = Moment(allow_null=True)
    resolution = once_known(Incident.Resolution)
    repair = serializers.SerializerMethodField(help_text="What its alert can do about it; empty if nothing.")

    class Meta:
        model = Incident
        fields = [
            *("id", "alert", "severity", "state", "words", "about_type", "about_id", "first_seen_at", "last_seen_at"),
            *("raised_at", "dismissed_by", "dismissed_until", "justification", "resolved_at", "resolution", "repair"),
        ]
        read_only_fields = fields

    def get_repair(self, incident: Incident) -> str:
        repair = incident.kind and incident.kind.repair
        return str(repair.label) if repair else ""


class DismissIn(Input):
    until = Moment()
    justification = Text()


class ReopenIn(Input):
    justification = Text(required=False, allow_blank=True)


class IncidentFilter(RowFilter):
    alert = django_filters.CharFilter("alert", max_length=60)
    severity = SeverityFilter("alert__severity")
    about_id = django_filters.CharFilter(max_length=64)

    class Meta:
        model = Incident
        fields = ["alert", "state", "about_id"]


class Incidents(Rows):
    """What was found, from the scan that saw it first to the one that does not see it any more."""

    serializer_class = IncidentOut
    filterset_class = IncidentFilter
    ordering_fields = ["raised_at", "last_seen_at"]
    ordering = ["-raised_at", "pk"]
    scopes = dict.fromkeys(("dismiss", "reopen", "repair"), Scope.CONFIGURE)

    def rows(self, user: User) -> QuerySet[Incident]:
        return sight.incidents(user)

    @extend_schema(request=DismissIn, responses=IncidentOut)
    def dismiss(self, request: Request, pk: UUID) -> Response:
        """Let it be until a day, a year ahead at most; found then still, it comes back."""
        facts = self.read(DismissIn)
        services.dismiss(incident=self.found(pk), actor=self.actor, **facts)
        return self.answer(self.found(pk))

    @extend_schema(request=ReopenIn, responses=IncidentOut)
    def reopen(self, request: Request, pk: UUID) -> Response:
        """Take its dismissal back."""
        facts = self.read(ReopenIn)
        services.reopen(incident=self.found(pk), actor=self.actor, **facts)
        return self.answer(self.found(pk))

    @extend_schema(request=JustificationIn, responses=IncidentOut)
    def repair(self, request: Request, pk: UUID) -> Response:
        """Have done what `repair` says. Takes the scope `assign` as well: most repairs take access away."""
        require_scope(request, Scope.ASSIGN)
        facts = self.read(JustificationIn)
        services.repair(incident=self.found(pk), actor=self.actor, **facts)
        return self.answer(self.found(pk))
