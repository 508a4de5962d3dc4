"""What happened and what was said: audit events, and the mails to oneself."""

from typing import Any

import django_filters
from django.db.models import QuerySet
from rest_framework import serializers

from accounts.models import User
from accounts.tokens import Scope
from audit.models import Entry, Event
from notifications.models import Message

from .base import Rows
from .fields import Moment
from .lists import MomentFilter, RowFilter


class EventOut(serializers.ModelSerializer[Event]):
    at = Moment()
    number = serializers.IntegerField(
        source="entry.n",
        allow_null=True,
        read_only=True,
        help_text="Its place in the log, as `audit_proof --event` takes it; null until it is given, within seconds.",
    )
    hash = serializers.SerializerMethodField(help_text="RFC 6962's hash of its record, in hexadecimal digits.")
    facts = serializers.SerializerMethodField(help_text="The whole record, as it was written.")

    class Meta:
        model = Event
        fields = [
            *("id", "number", "hash", "at", "action", "outcome", "code"),
            *("actor_id", "actor_label", "subject_id", "subject_label", "role_id", "scope_id"),
            *("request_id", "target_type", "target_id", "ticket", "facts"),
        ]
        read_only_fields = fields

    def get_hash(self, event: Event) -> str | None:
        entry: Entry | None = getattr(event, "entry", None)
        return bytes(entry.leaf).hex() if entry else None

    def get_facts(self, event: Event) -> dict[str, Any]:
        return event.facts


class EventFilter(RowFilter):
    after = MomentFilter("at", lookup_expr="gte")
    before = MomentFilter("at", lookup_expr="lt")
    actor = django_filters.UUIDFilter("actor_id")
    subject = django_filters.UUIDFilter("subject_id")
    role = django_filters.UUIDFilter("role_id")
    scope = django_filters.UUIDFilter("scope_id")
    request = django_filters.UUIDFilter("request_id")
    action = django_filters.CharFilter(max_length=64)
    target_id = django_filters.CharFilter(max_length=64)
    ticket = django_filters.CharFilter(max_length=200)

    class Meta:
        model = Event
        fields = ["action", "outcome", "target_id", "ticket"]


class AuditEvents(Rows):
    """All events with the right to see them, otherwise those that one caused or that happened to one."""

    serializer_class = EventOut
    filterset_class = EventFilter
    ordering_fields = ["at"]
    ordering = ["-at", "-pk"]
    scopes = {"list": Scope.AUDIT, "retrieve": Scope.AUDIT}

    def rows(self, user: User) -> QuerySet[Event]:
        return Event.objects.visible_to(user).select_related("entry")


class NotificationOut(serializers.ModelSerializer[Message]):
    created_at = Moment()
    sent_at = Moment(allow_null=True)

    class Meta:
        model = Message
        fields = ["id", "kind", "about_id", "state", "subject", "created_at", "sent_at"]
        read_only_fields = fields


class NotificationFilter(RowFilter):
    class Meta:
        model = Message
        fields = ["kind", "state"]


class Notifications(Rows):
    """The mails to oneself."""

    serializer_class = NotificationOut
    filterset_class = NotificationFilter
    ordering_fields = ["created_at"]
    ordering = ["-created_at", "pk"]

    def rows(self, user: User) -> QuerySet[Message]:
        return Message.objects.filter(user_id=self.request.user.pk)
