"""What people keep for themselves: favourites, and sets of roles that they activate together."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils.functional import SimpleLazyObject
from django.utils.timezone import now
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from accounts.rules import fingerprint
from accounts.tokens import Scope
from approvals import services
from approvals.favourites import Favourite, RoleSet, RoleSetEntry
from approvals.rules import LONGEST_NAME, MOST_AT_ONCE
from approvals.services.keeping import set_facts
from approvals.several import usable
from assignments.models import EligibleAssignment

from .base import Rows
from .fields import Input, Named, Reference, Text
from .lists import RowFilter
from .roles import ResourceSummary, RoleSummary


def reaching(user: User) -> QuerySet[EligibleAssignment]:
    """Return what `user` may activate, or may again: only of that the pages let one keep anything."""
    return EligibleAssignment.objects.reaching(user, now()).described()


class FavouriteOut(serializers.ModelSerializer[Favourite]):
    role = Reference(RoleSummary)
    scope = Reference(ResourceSummary)

    class Meta:
        model = Favourite
        fields = ["id", "role", "scope"]
        read_only_fields = fields


class FavouriteIn(Input):
    eligible_assignment = Named(reaching)


class FavouriteFilter(RowFilter):
    class Meta:
        model = Favourite
        fields = ["role", "scope"]


class Favourites(Rows):
    """One's favourites: roles that stand first in one's list."""

    serializer_class = FavouriteOut
    filterset_class = FavouriteFilter
    ordering_fields = ["id"]
    ordering = ["id"]
    scopes = {"create": Scope.ACTIVATE, "destroy": Scope.ACTIVATE}

    def rows(self, user: User) -> QuerySet[Favourite]:
        return Favourite.objects.filter(user=user).select_related("role__resource", "scope__parent")

    @extend_schema(request=FavouriteIn, responses={201: FavouriteOut})
    def create(self, request: Request) -> Response:
        """Keep the role of an eligible assignment, at its scope, among them."""
        row = self.read(FavouriteIn)["eligible_assignment"]
        services.pin(actor=self.actor, role=row.role, scope=row.scope)
        return self.answer(self.rows(self.actor).get(role=row.role, scope=row.scope), 201)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: int) -> Response:
        row = self.found(pk)
        services.unpin(actor=self.actor, role=row.role, scope=row.scope)
        return Response(status=204)


class EntryOut(serializers.Serializer[Any]):
    role = serializers.UUIDField()
    scope = serializers.UUIDField()
    eligible_assignment = serializers.UUIDField(allow_null=True, help_text="What one may activate of it now, if any.")


class RoleSetOut(serializers.ModelSerializer[RoleSet]):
    entries = serializers.SerializerMethodField()

    class Meta:
        model = RoleSet
        fields = ["id", "name", "entries"]
        read_only_fields = fields

    @extend_schema_field(EntryOut(many=True))
    def get_entries(self, row: RoleSet) -> list[dict[str, str | None]]:
        return [self._entry(each) for each in row.entries.all()]

    def _entry(self, entry: RoleSetEntry) -> dict[str, str | None]:
        eligible = self.context["usable"].get((entry.role_id, entry.scope_id))
        key = str(eligible.pk) if eligible else None
        return {"role": str(entry.role_id), "scope": str(entry.scope_id), "eligible_assignment": key}


class RoleSetNameIn(Input):
    name = Text(max_length=LONGEST_NAME)


class RoleSetIn(RoleSetNameIn):
    eligible_assignments = serializers.ListField(child=Named(reaching), min_length=1, max_length=MOST_AT_ONCE)


class RoleSetFilter(RowFilter):
    class Meta:
        model = RoleSet
        fields = ["name"]


class RoleSets(Rows):
    """One's sets: roles that one activates together, under a name (`requests/several` activates them)."""

    serializer_class = RoleSetOut
    filterset_class = RoleSetFilter
    ordering_fields = ["name"]
    ordering = ["name", "pk"]
    scopes = dict.fromkeys(("create", "partial_update", "destroy"), Scope.ACTIVATE)

    def rows(self, user: User) -> QuerySet[RoleSet]:
        return RoleSet.objects.filter(user=user).prefetch_related("entries__role", "entries__scope")

    def get_serializer_context(self) -> dict[str, Any]:
        return super().get_serializer_context() | {"usable": SimpleLazyObject(self._usable)}

    def _usable(self) -> Any:
        return usable(self.actor, RoleSetEntry.objects.filter(role_set__user=self.actor).values("role"), now())

    def tag(self, row: RoleSet) -> str:
        return fingerprint(set_facts(row))

    @extend_schema(request=RoleSetIn, responses={201: RoleSetOut})
    def create(self, request: Request) -> Response:
        """Keep roles under a name; under one that there is already, these take the place of those."""
        said = self.read(RoleSetIn)
        places = [(row.role, row.scope) for row in said["eligible_assignments"]]
        made = services.save_set(actor=self.actor, name=said["name"], places=places)
        return self.answer(self.found(made.pk), 201)

    @extend_schema(request=RoleSetNameIn, responses=RoleSetOut)
    def partial_update(self, request: Request, pk: UUID) -> Response:
        """Give it another name."""
        row, said = self.found(pk), self.read(RoleSetNameIn, some=True)
        services.rename_set(actor=self.actor, role_set=row, seen=self.seen(), name=said.get("name", row.name))
        return self.answer(self.found(pk))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: UUID) -> Response:
        """Forget it. The roles stay as they are."""
        services.remove_set(actor=self.actor, role_set=self.found(pk))
        return Response(status=204)
