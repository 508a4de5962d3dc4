"""API tokens of oneself, and for whoever may issue them those of service accounts."""

from typing import Any
from uuid import UUID

import django_filters
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.timezone import now
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services
from accounts.models import ApiToken, User
from accounts.services.tokens import ISSUES, OVERLAP
from accounts.tokens import MOST_NETWORKS, Scope, key_of

from .base import Rows
from .fields import Coded, Length, Moment, Named, Reference, Text
from .lists import RowFilter, YesNo
from .principals import Summary


def owners(user: User) -> QuerySet[User]:
    """Return whom `user` may make tokens for."""
    rows = User.objects.filter(pk=user.pk, kind=User.Kind.PERSON)
    return rows | User.objects.filter(kind=User.Kind.SERVICE) if user.has_perm(ISSUES) else rows


class TokenOut(serializers.ModelSerializer[ApiToken]):
    principal = Reference(Summary, source="user")
    scopes = serializers.SerializerMethodField()
    networks = serializers.SerializerMethodField()
    created_at = Moment()
    expires_at = Moment()
    revoked_at = Moment(allow_null=True)
    last_used_at = Moment(allow_null=True)
    is_this = serializers.SerializerMethodField(help_text="Is it the token that asks?")

    class Meta:
        model = ApiToken
        fields = [
            *("id", "principal", "name", "key", "scopes", "networks", "created_at", "expires_at", "revoked_at"),
            *("last_used_at", "last_address", "is_this"),
        ]
        read_only_fields = fields

    @extend_schema_field(serializers.ListField(child=serializers.ChoiceField(Scope.values)))
    def get_scopes(self, token: ApiToken) -> list[str]:
        return token.scopes.split()

    def get_networks(self, token: ApiToken) -> list[str]:
        return token.networks.split()

    def get_is_this(self, token: ApiToken) -> bool:
        return bool(token == self.context["request"].auth)


class NewTokenOut(TokenOut):
    token = serializers.CharField(read_only=True, help_text="Shown only now.")

    class Meta(TokenOut.Meta):
        fields = [*TokenOut.Meta.fields, "token"]


class TokenIn(Coded):
    principal = Named(owners, required=False)
    name = Text(max_length=100)
    scopes = serializers.ListField(child=serializers.ChoiceField(Scope.choices), min_length=1, max_length=7)
    lifetime = Length()
    networks = serializers.ListField(child=Text(max_length=60), default=list, max_length=MOST_NETWORKS)


class RotateIn(Coded):
    overlap = Length(required=False)


class TokenFilter(RowFilter):
    principal = django_filters.UUIDFilter("user")
    open = YesNo(method="still_open")

    class Meta:
        model = ApiToken
        fields = ["principal", "open"]

    @extend_schema_field({"type": "boolean"})
    def still_open(self, rows: Any, name: str, wanted: bool) -> Any:
        is_open = Exists(ApiToken.objects.open(now()).filter(pk=OuterRef("pk")))
        return rows.filter(is_open if wanted else ~is_open)


class Tokens(Rows):
    """API tokens. A new one is shown once; a code proves who makes it, and it can do no more than the one that asks."""

    serializer_class = TokenOut
    filterset_class = TokenFilter
    ordering_fields = ["created_at"]
    ordering = ["-created_at", "pk"]
    scopes = {"create": "", "rotate": "", "destroy": ""}

    def rows(self, user: User) -> QuerySet[ApiToken]:
        return ApiToken.objects.visible_to(user).select_related("user")

    @extend_schema(request=TokenIn, responses={201: NewTokenOut})
    def create(self, request: Request) -> Response:
        asked = self.read(TokenIn)
        code, user = asked.pop("code"), asked.pop("principal", self.actor)
        self._check_no_more(asked["scopes"])
        services.create_token(user=user, actor=self.actor, validate_only=True, **asked)
        proof = self.prove(code, "token.created", **services.token_facts(user=user, **asked))
        text = services.create_token(user=user, actor=self.actor, proof=proof, session=self.session, **asked)
        return self._shown(text)

    @extend_schema(request=RotateIn, responses={201: NewTokenOut})
    def rotate(self, request: Request, pk: UUID) -> Response:
        """Replace a token; the former one goes on for a day, or as long as `overlap` says."""
        asked, token = self.read(RotateIn), self.found(pk)
        code, overlap = asked.pop("code"), asked.pop("overlap", OVERLAP)
        self._check_no_more(token.scopes.split())
        services.rotate_token(token=token, actor=self.actor, validate_only=True, overlap=overlap)
        proof = self.prove(code, "token.rotated", token=token.pk, overlap=overlap)
        text = services.rotate_token(token=token, actor=self.actor, proof=proof, session=self.session, overlap=overlap)
        return self._shown(text)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: UUID) -> Response:
        """Revoke a token at once."""
        services.revoke_token(token=self.found(pk), actor=self.actor)
        return Response(status=204)

    def _check_no_more(self, scopes: list[str]) -> None:
        token = self.request.auth
        if isinstance(token, ApiToken) and set(scopes) - token.scope_set:
            raise PermissionDenied(_("A token makes none that may do more than itself."), "scope_missing")

    def _shown(self, text: str) -> Response:
        made = self.get_queryset().get(key=key_of(text))
        context = self.get_serializer_context()
        return Response(TokenOut(made, context=context).data | {"token": text}, status=201)
