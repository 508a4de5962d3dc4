"""Hooks: other systems that are asked before people are."""

from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from accounts.rules import fingerprint
from accounts.tokens import Scope
from roles import services
from roles.hooks import Hook

from . import sight
from .base import Rows
from .fields import Input, Moment, Text
from .lists import RowFilter
from .principals import JustificationIn
from .requests import Nothing
from .schema import CHANGES


class HookOut(serializers.ModelSerializer[Hook]):
    has_secret = serializers.SerializerMethodField(help_text="Without one nothing is asked: see `renew_secret`.")
    secret_made_at = Moment(allow_null=True)
    created_at = Moment()
    tested_at = Moment(allow_null=True)
    test_outcome = serializers.CharField(help_text="What came of the last test, such as `http_200`.", read_only=True)

    class Meta:
        model = Hook
        fields = [
            *("id", "name", "url", "is_enabled", "has_secret", "secret_made_at", "created_at", "tested_at"),
            "test_outcome",
        ]
        read_only_fields = fields

    def get_has_secret(self, row: Hook) -> bool:
        return bool(row.secret)


class NewHookSecretOut(HookOut):
    secret = serializers.CharField(read_only=True, help_text="Shown only now.")

    class Meta(HookOut.Meta):
        fields = [*HookOut.Meta.fields, "secret"]


class HookIn(Input):
    name = Text(max_length=100)
    url = Text(max_length=500)


class HookFilter(RowFilter):
    class Meta:
        model = Hook
        fields = ["name", "is_enabled"]


class Hooks(Rows):
    """Systems that role settings name, to be asked before people. A new one is asked nothing before it has a secret."""

    serializer_class = HookOut
    filterset_class = HookFilter
    ordering_fields = ["name", "created_at"]
    ordering = ["name", "pk"]
    scopes = dict.fromkeys((*CHANGES, "test"), Scope.CONFIGURE)

    def rows(self, user: User) -> QuerySet[Hook]:
        return sight.hooks(user)

    def tag(self, row: Hook) -> str:
        return fingerprint(services.hook_facts(row))

    @extend_schema(request=HookIn, responses={201: HookOut})
    def create(self, request: Request) -> Response:
        return self.answer(services.register_hook(actor=self.actor, **self.read(HookIn)), 201)

    @extend_schema(request=HookIn, responses=HookOut)
    def partial_update(self, request: Request, pk: UUID) -> Response:
        row = self.found(pk)
        wanted = services.hook_facts(row) | self.read(HookIn, some=True)
        return self.answer(services.update_hook(hook=row, actor=self.actor, seen=self.seen(), **wanted))

    @extend_schema(request=JustificationIn, responses=HookOut)
    def disable(self, request: Request, pk: UUID) -> Response:
        """Ask it no more: what names it goes on as if it did not answer (`role_settings?hook=`)."""
        facts = self.read(JustificationIn)
        return self.answer(services.disable_hook(hook=self.found(pk), actor=self.actor, **facts))

    @extend_schema(request=JustificationIn, responses=HookOut)
    def enable(self, request: Request, pk: UUID) -> Response:
        """Ask it again."""
        facts = self.read(JustificationIn)
        return self.answer(services.enable_hook(hook=self.found(pk), actor=self.actor, **facts))

    @extend_schema(request=Nothing, responses=NewHookSecretOut)
    def renew_secret(self, request: Request, pk: UUID) -> Response:
        """Make a secret and show it this one time; the one before signs too for a day."""
        self.read(Nothing)
        secret = services.renew_hook_secret(hook=self.found(pk), actor=self.actor)
        context = self.get_serializer_context()
        return Response(HookOut(self.found(pk), context=context).data | {"secret": secret})

    @extend_schema(request=Nothing, responses=HookOut)
    def test(self, request: Request, pk: UUID) -> Response:
        """Send it a signed message of the type `hook.test`, about nobody, and say what came of it (`test_outcome`)."""
        self.read(Nothing)
        services.try_hook(hook=self.found(pk), actor=self.actor)
        return self.answer(self.found(pk))
