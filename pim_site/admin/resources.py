"""The tree of resources."""

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from assignments.ownership import owned_scopes, within
from roles.models import Resource, Role
from roles.services import create_resource, update_resource

from .base import Section, ServiceAdmin, actor_of, link, list_of
from .forms import ServiceForm

SHOWN = 20


class ResourceForm(ServiceForm):
    class Meta:
        help_texts = {
            "name": gettext_lazy("Unique beneath its parent. Example: Payroll"),
            "kind": gettext_lazy("Example: application for a program, other for a server or a database."),
            "description": gettext_lazy("What it is, and who answers for it."),
        }


@admin.register(Resource)
class ResourceAdmin(ServiceAdmin):
    form = ResourceForm
    list_display = ["label", "kind", "description"]
    list_filter = ["kind"]
    search_fields = ["label", "name"]
    autocomplete_fields = ["parent"]
    fields = ["parent", "name", "kind", "description"]
    ordering = ["label"]

    def owned(self, user: User) -> Q:
        return within(owned_scopes(user, now()), "path")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) or owned_scopes(actor_of(request), now()).exists()

    def get_readonly_fields(self, request: HttpRequest, obj: Resource | None = None) -> list[str]:
        if obj is None:
            return []
        return ["parent"] if obj.parent_id else ["parent", "kind"]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Everything new is beneath something, and the organisation is there already."""
        field: Any = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "parent":
            field.required = True
            field.help_text = _("What it belongs to. Example: /Finance")
        if db_field.name == "kind":
            field.choices = [pair for pair in field.choices if pair[0] != Resource.Kind.ORGANISATION]
        return field

    def create(self, actor: User, values: dict[str, Any]) -> Resource:
        return create_resource(actor=actor, **values)

    def update(self, row: Resource, actor: User, values: dict[str, Any]) -> Resource:
        return update_resource(resource=row, actor=actor, **{"kind": row.kind} | values)

    def sections(self, request: HttpRequest, row: Resource) -> list[Section]:
        roles = Role.objects.filter(resource=row)
        rows = [[link(role), _("yes") if role.is_privileged else _("no"), role.description] for role in roles[:SHOWN]]
        heads = [_("Role"), _("Privileged"), _("Description")]
        return [Section(_("Roles defined here"), heads, rows, list_of(Role, resource__id__exact=row.pk))]
