"""The outbox: mail to everybody, what became of it, and why something did not go."""

from datetime import datetime
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from accounts.tokens import Scope
from notifications.models import Message
from pim_site.services import requeue_message

from . import sight
from .base import Rows
from .fields import Moment
from .lists import MomentFilter, RowFilter
from .requests import Nothing
from .schema import CHANGES


class MessageOut(serializers.ModelSerializer[Message]):
    principal = serializers.UUIDField(source="user_id", allow_null=True, help_text="Null of an address of nobody here.")
    created_at = Moment()
    next_attempt_at = serializers.SerializerMethodField(help_text="Null of what is not to be sent any more.")
    last_error = serializers.CharField(help_text="Why the last attempt failed; empty if none did.", allow_blank=True)
    sent_at = Moment(allow_null=True)

    class Meta:
        model = Message
        fields = [
            *("id", "kind", "principal", "to_address", "to_name", "about_id", "state", "subject", "created_at"),
            *("attempts", "next_attempt_at", "last_error", "sent_at"),
        ]
        read_only_fields = fields

    @extend_schema_field(Moment(allow_null=True))
    def get_next_attempt_at(self, message: Message) -> str | None:
        at: datetime = message.next_attempt_at
        return Moment().to_representation(at) if message.is_open else None


class MessageFilter(RowFilter):
    principal = django_filters.UUIDFilter("user_id")
    to_address = django_filters.CharFilter(max_length=254)
    after = MomentFilter("created_at", lookup_expr="gte")
    before = MomentFilter("created_at", lookup_expr="lt")

    class Meta:
        model = Message
        fields = ["kind", "state", "principal", "to_address", "after", "before"]


class Outbox(Rows):
    """Mail to everybody, with the right to see it. What it says is read by whom it is to, and in the console."""

    serializer_class = MessageOut
    filterset_class = MessageFilter
    ordering_fields = ["created_at"]
    ordering = ["-created_at", "pk"]
    scopes = dict.fromkeys(CHANGES, Scope.CONFIGURE)

    def rows(self, user: User) -> QuerySet[Message]:
        return sight.messages(user)

    @extend_schema(request=Nothing, responses=MessageOut)
    def send_again(self, request: Request, pk: UUID) -> Response:
        """Queue what was given up, with all its attempts."""
        self.read(Nothing)
        requeue_message(message=self.found(pk), actor=self.actor)
        return self.answer(self.found(pk))
