"""Resources, roles, and the settings that each role is used under."""

from typing import Any, ClassVar
from uuid import UUID

import django_filters
from django.contrib.auth.models import Permission
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from accounts.rules import fingerprint
from accounts.tokens import Scope
from approvals.services import delete_resource, delete_role, move_resource
from roles.mails import AUDIENCES, EVENTS, LEVELS, MOST_ADDRESSES
from roles.models import ApprovalStage, Resource, Role, RoleSettings
from roles.services import (
    PLAIN_FIELDS,
    create_resource,
    create_role,
    remove_settings,
    resource_facts,
    role_facts,
    save_settings,
    update_resource,
    update_role,
)
from roles.stages import GROUPS, MOST_STAGES, PEOPLE, StageTerms

from . import sight
from .base import Rows
from .fields import Input, Length, Moment, Named, Reference, Text
from .lists import RowFilter, YesNo
from .principals import justification_of
from .problems import Refused
from .schema import CHANGES, JUSTIFIED

# --- resources ------------------------------------------------------------------------------------------------


class ResourceSummary(serializers.ModelSerializer[Resource]):
    class Meta:
        model = Resource
        fields = ["id", "kind", "name", "label"]


class ResourceOut(serializers.ModelSerializer[Resource]):
    parent = Reference(ResourceSummary, allow_null=True)

    class Meta:
        model = Resource
        fields = ["id", "parent", "kind", "name", "description", "label"]
        read_only_fields = fields


class ResourceIn(Input):
    name = Text(max_length=150)
    kind = serializers.ChoiceField(Resource.Kind.choices, required=False)
    description = Text(required=False, allow_blank=True)


class NewResourceIn(ResourceIn):
    parent = Named(sight.resources)


class MoveIn(Input):
    parent = Named(sight.resources)
    justification = Text()


class ResourceFilter(RowFilter):
    parent = django_filters.UUIDFilter()

    class Meta:
        model = Resource
        fields = ["kind", "name", "parent"]


class Resources(Rows):
    """The tree of resources; without the right to see all, where one holds or can activate something."""

    serializer_class = ResourceOut
    filterset_class = ResourceFilter
    ordering_fields = ["label", "name"]
    ordering = ["label", "pk"]
    scopes = dict.fromkeys(CHANGES, Scope.CONFIGURE)
    parameters: ClassVar[dict[str, set[str]]] = {"destroy": {"justification"}}

    def rows(self, user: User) -> QuerySet[Resource]:
        return sight.resources(user)

    def tag(self, row: Resource) -> str:
        return fingerprint(resource_facts(row))

    @extend_schema(request=NewResourceIn, responses={201: ResourceOut})
    def create(self, request: Request) -> Response:
        return self.answer(create_resource(actor=self.actor, **self.read(NewResourceIn)), 201)

    @extend_schema(request=ResourceIn, responses=ResourceOut)
    def partial_update(self, request: Request, pk: UUID) -> Response:
        row = self.found(pk)
        wanted = {"name": row.name, "kind": row.kind, "description": row.description}
        wanted |= self.read(ResourceIn, some=True)
        return self.answer(update_resource(resource=row, actor=self.actor, seen=self.seen(), **wanted))

    @extend_schema(request=MoveIn, responses=ResourceOut)
    def move(self, request: Request, pk: UUID) -> Response:
        return self.answer(move_resource(resource=self.found(pk), actor=self.actor, **self.read(MoveIn)))

    @extend_schema(parameters=JUSTIFIED, responses={204: None})
    def destroy(self, request: Request, pk: UUID) -> Response:
        delete_resource(resource=self.found(pk), actor=self.actor, justification=justification_of(request))
        return Response(status=204)


# --- roles ----------------------------------------------------------------------------------------------------


class RoleSummary(serializers.ModelSerializer[Role]):
    class Meta:
        model = Role
        fields = ["id", "name", "is_privileged"]


class RoleOut(serializers.ModelSerializer[Role]):
    resource = Reference(ResourceSummary)
    built_in_key = serializers.CharField(allow_null=True)
    group_part = serializers.CharField(help_text="`member` or `owner` of a governed group; empty for other roles.")
    permissions = serializers.SerializerMethodField()

    class Meta:
        model = Role
        fields = [
            *("id", "resource", "name", "description", "is_privileged", "built_in_key", "group_part"),
            *("owns_resource", "permissions"),
        ]
        read_only_fields = fields

    def get_permissions(self, role: Role) -> list[str]:
        return sorted(f"{each.content_type.app_label}.{each.codename}" for each in role.permissions.all())


class RoleIn(Input):
    name = Text(max_length=150)
    description = Text(required=False, allow_blank=True)
    is_privileged = serializers.BooleanField(required=False)
    owns_resource = serializers.BooleanField(required=False)
    permissions = serializers.ListField(child=Text(max_length=120), required=False, max_length=100)

    def validate_permissions(self, names: list[str]) -> list[Permission]:
        return [permission_called(name) for name in names]


class NewRoleIn(RoleIn):
    resource = Named(sight.resources)


def permission_called(name: str) -> Permission:
    app_label, _dot, codename = name.partition(".")
    rows = Permission.objects.select_related("content_type").filter(content_type__app_label=app_label)
    found = rows.filter(codename=codename).first()
    if found is None:
        raise Refused(_("There is no such right: %(name)s.") % {"name": name}, "not_found", field="permissions")
    return found


class RoleFilter(RowFilter):
    resource = django_filters.UUIDFilter()

    class Meta:
        model = Role
        fields = ["name", "resource", "is_privileged", "owns_resource"]


class Roles(Rows):
    """Roles; without the right to see all, those that one holds, can activate or owns."""

    serializer_class = RoleOut
    filterset_class = RoleFilter
    ordering_fields = ["name"]
    ordering = ["name", "pk"]
    scopes = dict.fromkeys(CHANGES, Scope.CONFIGURE)
    parameters: ClassVar[dict[str, set[str]]] = {"destroy": {"justification"}}

    def rows(self, user: User) -> QuerySet[Role]:
        return sight.roles(user)

    def tag(self, row: Role) -> str:
        return fingerprint(role_facts(row))

    @extend_schema(request=NewRoleIn, responses={201: RoleOut})
    def create(self, request: Request) -> Response:
        return self.answer(create_role(actor=self.actor, **self.read(NewRoleIn)), 201)

    @extend_schema(request=RoleIn, responses=RoleOut)
    def partial_update(self, request: Request, pk: UUID) -> Response:
        row = self.found(pk)
        wanted = {name: getattr(row, name) for name in ("name", "description", "is_privileged")}
        wanted |= self.read(RoleIn, some=True)
        update_role(role=row, actor=self.actor, seen=self.seen(), **wanted)
        return self.answer(self.found(pk))

    @extend_schema(parameters=JUSTIFIED, responses={204: None})
    def destroy(self, request: Request, pk: UUID) -> Response:
        delete_role(role=self.found(pk), actor=self.actor, justification=justification_of(request))
        return Response(status=204)


# --- settings -------------------------------------------------------------------------------------------------


class StageOut(serializers.ModelSerializer[ApprovalStage]):
    timeout = Length()
    escalates_after = Length(allow_null=True)

    class Meta:
        model = ApprovalStage
        fields = ["asks_manager", "quorum", "one_from_each_group", "timeout", "escalates_after", *PEOPLE, *GROUPS]
        read_only_fields = fields


class StageIn(Input):
    asks_manager = serializers.BooleanField(default=False)
    quorum = serializers.IntegerField(default=1, min_value=1, max_value=100)
    one_from_each_group = serializers.BooleanField(default=False)
    timeout = Length(required=False)
    escalates_after = Length(required=False, allow_null=True)
    approvers = serializers.ListField(child=Named(sight.principals_to_name), default=list, max_length=100)
    approver_groups = serializers.ListField(child=Named(sight.groups_to_name), default=list, max_length=100)
    escalation_approvers = serializers.ListField(child=Named(sight.principals_to_name), default=list, max_length=100)
    escalation_groups = serializers.ListField(child=Named(sight.groups_to_name), default=list, max_length=100)

    def validate(self, attrs: dict[str, Any]) -> StageTerms:
        return StageTerms(**attrs | {name: tuple(attrs[name]) for name in (*PEOPLE, *GROUPS)})


class CellIn(Input):
    default = serializers.BooleanField()
    also = serializers.ListField(child=Text(max_length=254), max_length=MOST_ADDRESSES)
    level = serializers.ChoiceField([(level, level) for level in LEVELS])


def _of_each(names: tuple[str, ...], title: str, field: type[serializers.Serializer[Any]]) -> type[Input]:
    """Return a serializer with one field of this kind for each name."""
    return type(title, (Input,), {name: field() for name in names})


EventCellsIn = _of_each(AUDIENCES, "EventCells", CellIn)
NotificationsIn = _of_each(EVENTS, "Notifications", EventCellsIn)


class SettingsOut(serializers.ModelSerializer[RoleSettings]):
    role = Reference(RoleSummary)
    scope = Reference(ResourceSummary)
    created_at = Moment()
    superseded_at = Moment(allow_null=True)
    activation_max_duration = Length()
    emergency_duration = Length()
    notifications = NotificationsIn()
    stages = StageOut(many=True)

    class Meta:
        model = RoleSettings
        fields = [
            *("id", "role", "scope", "version", "changed_by_label", "created_at", "superseded_at"),
            *PLAIN_FIELDS,
            "stages",
        ]
        read_only_fields = fields


class SettingsIn(Input):
    activation_max_duration = Length(required=False)
    activation_authentication = serializers.ChoiceField(RoleSettings.Authentication.choices, required=False)
    justification_required = serializers.BooleanField(required=False)
    ticket_required = serializers.BooleanField(required=False)
    ticket_pattern = Text(max_length=200, required=False, allow_blank=True)
    ticket_link = Text(max_length=400, required=False, allow_blank=True)
    approval_required = serializers.BooleanField(required=False)
    decision_mfa_required = serializers.BooleanField(required=False)
    auto_approve_within_hours = serializers.IntegerField(required=False, min_value=0, max_value=10_000)
    permanent_eligible_allowed = serializers.BooleanField(required=False)
    eligible_max_days = serializers.IntegerField(required=False, min_value=1, max_value=10_000)
    permanent_active_allowed = serializers.BooleanField(required=False)
    active_max_days = serializers.IntegerField(required=False, min_value=1, max_value=10_000)
    assign_active_mfa_required = serializers.BooleanField(required=False)
    assign_active_justification_required = serializers.BooleanField(required=False)
    notifications = NotificationsIn(required=False)
    hook = Named(sight.hooks, required=False, allow_null=True)
    hook_unanswered = serializers.ChoiceField(RoleSettings.Unanswered.choices, required=False)
    emergency_allowed = serializers.BooleanField(required=False)
    emergency_duration = Length(required=False)
    extends_past_longest = serializers.BooleanField(required=False)
    stages = serializers.ListField(child=StageIn(), required=False, min_length=1, max_length=MOST_STAGES)


class NewSettingsIn(SettingsIn):
    role = Named(sight.roles)
    scope = Named(sight.resources)


class SettingsFilter(RowFilter):
    role = django_filters.UUIDFilter()
    scope = django_filters.UUIDFilter()
    hook = django_filters.UUIDFilter()
    in_use = YesNo("superseded_at", lookup_expr="isnull")

    class Meta:
        model = RoleSettings
        fields = ["role", "scope", "hook", "in_use"]


class Settings(Rows):
    """Versions of role settings. A version never changes: editing the one in use puts the next one in use."""

    serializer_class = SettingsOut
    filterset_class = SettingsFilter
    ordering_fields = ["created_at", "version"]
    ordering = ["-created_at", "pk"]
    scopes = dict.fromkeys(CHANGES, Scope.CONFIGURE)

    def rows(self, user: User) -> QuerySet[RoleSettings]:
        return sight.settings(user)

    def tag(self, row: RoleSettings) -> str:
        return row.pk.hex

    @extend_schema(request=NewSettingsIn, responses={201: SettingsOut})
    def create(self, request: Request) -> Response:
        """Give a scope beneath the role's resource settings of its own."""
        made = save_settings(actor=self.actor, **self.read(NewSettingsIn))
        return self.answer(self.found(made.pk), 201)

    @extend_schema(request=SettingsIn, responses=SettingsOut)
    def partial_update(self, request: Request, pk: UUID) -> Response:
        """Put the next version in use; the answer is that version."""
        row, changes = self.found(pk), self.read(SettingsIn, some=True)
        facts: dict[str, Any] = {"role": row.role, "scope": row.scope, "actor": self.actor}
        made = save_settings(**facts, seen=self._seen(row), **changes)
        return self.answer(self.found(made.pk))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: UUID) -> Response:
        """Take back the own settings of a scope; what counts above counts there again."""
        row = self.found(pk)
        remove_settings(role=row.role, scope=row.scope, actor=self.actor, seen=self._seen(row))
        return Response(status=204)

    def _seen(self, row: RoleSettings) -> UUID | None:
        seen = self.seen()
        if seen and seen != row.pk.hex:
            raise Refused(_("Somebody has changed this meanwhile. Look at it anew."), "changed_meanwhile", status=412)
        return row.pk if seen else None
