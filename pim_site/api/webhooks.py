"""Webhook subscriptions, and what became of the messages to them."""

from uuid import UUID

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from accounts.rules import fingerprint
from accounts.tokens import Scope
from webhooks import services
from webhooks.kinds import Kind
from webhooks.models import Attempt, Delivery, Subscription

from . import sight
from .base import Rows
from .fields import Input, Moment, Named, Reference, Text
from .lists import RowFilter
from .principals import JustificationIn, Summary
from .requests import Nothing
from .schema import CHANGES

KINDS = serializers.ListField(child=serializers.ChoiceField(Kind.choices))


class SubscriptionSummary(serializers.ModelSerializer[Subscription]):
    class Meta:
        model = Subscription
        fields = ["id", "name", "url"]


class SubscriptionOut(serializers.ModelSerializer[Subscription]):
    owner = Reference(Summary)
    kinds = serializers.SerializerMethodField()
    has_secret = serializers.SerializerMethodField(help_text="Without one nothing is sent: see `renew_secret`.")
    created_at = Moment()
    since = Moment()
    failing_since = Moment(allow_null=True)

    class Meta:
        model = Subscription
        fields = [
            *("id", "name", "url", "kinds", "owner", "is_enabled", "has_secret", "created_at", "since"),
            "failing_since",
        ]
        read_only_fields = fields

    @extend_schema_field(KINDS)
    def get_kinds(self, row: Subscription) -> list[str]:
        return row.kinds.split()

    def get_has_secret(self, row: Subscription) -> bool:
        return bool(row.secret)


class NewSecretOut(SubscriptionOut):
    secret = serializers.CharField(read_only=True, help_text="Shown only now.")

    class Meta(SubscriptionOut.Meta):
        fields = [*SubscriptionOut.Meta.fields, "secret"]


class SubscriptionIn(Input):
    name = Text(max_length=100)
    url = Text(max_length=500)
    kinds = serializers.ListField(child=serializers.ChoiceField(Kind.choices), min_length=1, max_length=20)
    owner = Named(sight.principals, required=False)


class SubscriptionFilter(RowFilter):
    owner = django_filters.UUIDFilter()

    class Meta:
        model = Subscription
        fields = ["name", "is_enabled", "owner"]


class Subscriptions(Rows):
    """Who is told of what happens, by signed messages. A new one is sent nothing before it has a secret."""

    serializer_class = SubscriptionOut
    filterset_class = SubscriptionFilter
    ordering_fields = ["name", "created_at"]
    ordering = ["name", "pk"]
    scopes = dict.fromkeys(CHANGES, Scope.CONFIGURE)

    def rows(self, user: User) -> QuerySet[Subscription]:
        return sight.subscriptions(user)

    def tag(self, row: Subscription) -> str:
        return fingerprint(services.subscription_facts(row))

    @extend_schema(request=SubscriptionIn, responses={201: SubscriptionOut})
    def create(self, request: Request) -> Response:
        """Subscribe to what happens from now on; whoever asks is the owner if none is named."""
        asked = {"owner": self.actor} | self.read(SubscriptionIn)
        return self.answer(services.subscribe(actor=self.actor, **asked), 201)

    @extend_schema(request=SubscriptionIn, responses=SubscriptionOut)
    def partial_update(self, request: Request, pk: UUID) -> Response:
        row = self.found(pk)
        wanted = {"name": row.name, "url": row.url, "kinds": row.kinds.split(), "owner": row.owner}
        wanted |= self.read(SubscriptionIn, some=True)
        changed = services.update_subscription(subscription=row, actor=self.actor, seen=self.seen(), **wanted)
        return self.answer(changed)

    @extend_schema(request=JustificationIn, responses=SubscriptionOut)
    def disable(self, request: Request, pk: UUID) -> Response:
        """Send it nothing more. What happens meanwhile it is not told afterwards."""
        facts = self.read(JustificationIn)
        return self.answer(services.disable_subscription(subscription=self.found(pk), actor=self.actor, **facts))

    @extend_schema(request=JustificationIn, responses=SubscriptionOut)
    def enable(self, request: Request, pk: UUID) -> Response:
        """Send it what still waits, and what happens from now on."""
        facts = self.read(JustificationIn)
        return self.answer(services.enable_subscription(subscription=self.found(pk), actor=self.actor, **facts))

    @extend_schema(request=Nothing, responses=NewSecretOut)
    def renew_secret(self, request: Request, pk: UUID) -> Response:
        """Make a secret and show it this one time; the one before signs too for a day."""
        self.read(Nothing)
        secret = services.renew_subscription_secret(subscription=self.found(pk), actor=self.actor)
        context = self.get_serializer_context()
        return Response(SubscriptionOut(self.found(pk), context=context).data | {"secret": secret})


class AttemptOut(serializers.ModelSerializer[Attempt]):
    at = Moment()

    class Meta:
        model = Attempt
        fields = ["at", "outcome", "milliseconds"]
        read_only_fields = fields


class DeliveryOut(serializers.ModelSerializer[Delivery]):
    subscription = Reference(SubscriptionSummary)
    webhook_id = serializers.CharField(source="notice.message_id", read_only=True)
    kind = serializers.ChoiceField(Kind.choices, source="notice.kind", read_only=True)
    at = Moment(source="notice.at", help_text="When it happened.")
    audit_event = serializers.IntegerField(source="notice.event_id", read_only=True)
    next_attempt_at = Moment()
    settled_at = Moment(allow_null=True)
    log = AttemptOut(many=True, read_only=True)

    class Meta:
        model = Delivery
        fields = [
            *("id", "subscription", "webhook_id", "kind", "at", "audit_event", "state", "attempts"),
            *("next_attempt_at", "last_outcome", "settled_at", "log"),
        ]
        read_only_fields = fields


class DeliveryFilter(RowFilter):
    subscription = django_filters.UUIDFilter()
    kind = django_filters.ChoiceFilter("notice__kind", choices=Kind.choices)

    class Meta:
        model = Delivery
        fields = ["subscription", "state"]


class Deliveries(Rows):
    """Messages to subscriptions, each with its attempts."""

    serializer_class = DeliveryOut
    filterset_class = DeliveryFilter
    ordering_fields = ["next_attempt_at"]
    ordering = ["-next_attempt_at", "pk"]
    scopes = dict.fromkeys(CHANGES, Scope.CONFIGURE)

    def rows(self, user: User) -> QuerySet[Delivery]:
        return sight.deliveries(user)

    @extend_schema(request=Nothing, responses=DeliveryOut)
    def send_again(self, request: Request, pk: UUID) -> Response:
        """Send what was given up, or delivered, once more, with the same `webhook-id`."""
        self.read(Nothing)
        services.send_again(delivery=self.found(pk), actor=self.actor)
        return self.answer(self.found(pk))
