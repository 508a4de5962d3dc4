"""Principals (people and service accounts) and groups."""

from typing import Any, ClassVar
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Group, User
from accounts.rules import fingerprint
from accounts.services import create_group, group_facts, person_facts
from accounts.tokens import Scope
from assignments.services import create_person, delete_group, disable_person, enable_person, update_group, update_person
from roles.services import govern_group

from . import sight
from .fields import Input, Moment, Named, Reference, Text
from .imports import ImportsRows
from .lists import RowFilter
from .schema import CHANGES, JUSTIFIED


class Summary(serializers.ModelSerializer[User]):
    class Meta:
        model = User
        fields = ["id", "kind", "username", "display_name", "is_active"]


class PrincipalOut(serializers.ModelSerializer[User]):
    manager = Reference(Summary, allow_null=True)
    created_at = Moment()
    last_sign_in_at = Moment(allow_null=True)

    class Meta:
        model = User
        fields = [
            *("id", "kind", "username", "display_name", "email", "manager", "time_zone", "is_active"),
            *("is_emergency_access", "created_at", "last_sign_in_at"),
        ]
        read_only_fields = fields


class PrincipalIn(Input):
    username = Text(max_length=150)
    display_name = Text(max_length=150)
    email = Text(max_length=254)
    manager = Named(sight.principals, required=False, allow_null=True)
    time_zone = Text(max_length=64, required=False)
    is_emergency_access = serializers.BooleanField(required=False)


class NewPrincipalIn(PrincipalIn):
    kind = serializers.ChoiceField(User.Kind.choices, default=User.Kind.PERSON)


class JustificationIn(Input):
    justification = Text()


class PrincipalFilter(RowFilter):
    class Meta:
        model = User
        fields = ["kind", "username", "email", "is_active"]


class Principals(ImportsRows):
    """People and service accounts: all of them with the right to see people, otherwise oneself."""

    imports = "people"
    serializer_class = PrincipalOut
    filterset_class = PrincipalFilter
    ordering_fields = ["display_name", "username", "created_at"]
    ordering = ["display_name", "pk"]
    scopes = dict.fromkeys(CHANGES, Scope.CONFIGURE)

    def rows(self, user: User) -> QuerySet[User]:
        return sight.principals(user)

    def tag(self, row: User) -> str:
        return fingerprint(person_facts(row))

    @extend_schema(request=NewPrincipalIn, responses={201: PrincipalOut})
    def create(self, request: Request) -> Response:
        return self.answer(create_person(actor=self.actor, **self.read(NewPrincipalIn)), 201)

    @extend_schema(request=PrincipalIn, responses=PrincipalOut)
    def partial_update(self, request: Request, pk: UUID) -> Response:
        changes = self.read(PrincipalIn, some=True)
        return self.answer(update_person(user=self.found(pk), actor=self.actor, seen=self.seen(), **changes))

    @extend_schema(request=JustificationIn, responses=PrincipalOut)
    def disable(self, request: Request, pk: UUID) -> Response:
        return self.answer(disable_person(user=self.found(pk), actor=self.actor, **self.read(JustificationIn)))

    @extend_schema(request=JustificationIn, responses=PrincipalOut)
    def enable(self, request: Request, pk: UUID) -> Response:
        return self.answer(enable_person(user=self.found(pk), actor=self.actor, **self.read(JustificationIn)))


class GroupSummary(serializers.ModelSerializer[Group]):
    class Meta:
        model = Group
        fields = ["id", "name"]


class GroupOut(serializers.ModelSerializer[Group]):
    owners = serializers.PrimaryKeyRelatedField(many=True, read_only=True)
    members = serializers.PrimaryKeyRelatedField(many=True, read_only=True)

    class Meta:
        model = Group
        fields = ["id", "name", "description", "is_protected", "owners", "members"]
        read_only_fields = fields


class GroupIn(Input):
    name = Text(max_length=150)
    description = Text(required=False, allow_blank=True)
    is_protected = serializers.BooleanField(required=False)
    owners = serializers.ListField(child=Named(sight.principals_to_name), required=False, max_length=1000)
    members = serializers.ListField(child=Named(sight.principals_to_name), required=False, max_length=5000)


class GovernIn(Input):
    parent = Named(sight.resources, required=False, allow_null=True)


class GroupFilter(RowFilter):
    member = django_filters.UUIDFilter("members")

    class Meta:
        model = Group
        fields = ["name", "is_protected", "member"]


class Groups(ImportsRows):
    """Groups: all of them with the right to see groups, otherwise those that one is in or owns."""

    imports = "groups"
    serializer_class = GroupOut
    filterset_class = GroupFilter
    ordering_fields = ["name"]
    ordering = ["name", "pk"]
    scopes = dict.fromkeys(CHANGES, Scope.CONFIGURE)
    parameters: ClassVar[dict[str, set[str]]] = {"destroy": {"justification"}}

    def rows(self, user: User) -> QuerySet[Group]:
        return sight.groups(user).prefetch_related("owners", "members")

    def tag(self, row: Group) -> str:
        return fingerprint(group_facts(row))

    @extend_schema(request=GroupIn, responses={201: GroupOut})
    def create(self, request: Request) -> Response:
        return self.answer(create_group(actor=self.actor, **self.read(GroupIn)), 201)

    @extend_schema(request=GroupIn, responses=GroupOut)
    def partial_update(self, request: Request, pk: UUID) -> Response:
        group = self.found(pk)
        wanted = group_values(group) | self.read(GroupIn, some=True)
        update_group(group=group, actor=self.actor, seen=self.seen(), **wanted)
        return self.answer(self.found(pk))

    @extend_schema(parameters=JUSTIFIED, responses={204: None})
    def destroy(self, request: Request, pk: UUID) -> Response:
        delete_group(group=self.found(pk), actor=self.actor, justification=justification_of(request))
        return Response(status=204)

    @extend_schema(request=GovernIn, responses=GroupOut)
    def govern(self, request: Request, pk: UUID) -> Response:
        group = self.found(pk)
        govern_group(group=group, actor=self.actor, parent=self.read(GovernIn).get("parent"))
        return self.answer(group)


def group_values(group: Group) -> dict[str, Any]:
    plain = {name: getattr(group, name) for name in ("name", "description", "is_protected")}
    return plain | {"owners": list(group.owners.all()), "members": list(group.members.all())}


def justification_of(request: Request) -> str:
    """Return the reason that a deletion gives in its address, a body being uncertain there."""
    form = JustificationIn(data={"justification": request.query_params.get("justification", "")})
    form.is_valid(raise_exception=True)
    return str(form.validated_data["justification"])
