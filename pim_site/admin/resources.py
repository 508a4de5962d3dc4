"""The tree of resources."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.models import User
from approvals import services
from assignments.ownership import owned_scopes, owns_a_place, within
from roles.models import Resource, Role
from roles.services import create_resource, update_resource

from .base import Act, Section, ServiceAdmin, actor_of, link, list_of
from .forms import MoveForm, NotedReasonForm, ServiceForm

SHOWN = 20


class ResourceForm(ServiceForm):
    class Meta:
        help_texts = {
            "name": gettext_lazy("Unique beneath its parent. Example: Payroll"),
            "kind": gettext_lazy("Example: application for a program, other for a server or a database."),
            "description": gettext_lazy("What it is, and who answers for it."),
        }


def what_moving_does(resource: Resource) -> Iterator[str]:
    yield _("%(resource)s goes to the place that you choose.") % {"resource": resource}
    if beneath := Resource.objects.filter(path__startswith=resource.path).count() - 1:
        text = ngettext(
            "%(count)d resource that is beneath it goes with it.",
            "%(count)d resources that are beneath it go with it.",
            beneath,
        )
        yield text % {"count": beneath}
    yield _("Roles, settings and assignments at it and beneath go with it.")
    yield _(
        "It comes under the owners, and the settings of roles from above, of the new place, and leaves the old ones."
    )
    yield _(
        "It is refused while something that is held or waits there comes from above and would not reach it any more."
    )


def what_deleting_does(row: Resource | Role) -> list[str]:
    return [_("%(name)s was never used. It leaves all lists for good; the audit keeps what it was.") % {"name": row}]


def what_keeps(uses: Iterable[services.Use]) -> list[str]:
    """Return what points at something, and so keeps it from being deleted; nothing where it can go."""
    lines = services.in_words(uses)
    advice = _("What is over stays for the history, and this with it. Rename or describe it instead.")
    return [*lines, advice] if lines else []


@admin.register(Resource)
class ResourceAdmin(ServiceAdmin):
    form = ResourceForm
    list_display = ["place", "kind", "description"]
    list_filter = ["kind"]
    search_fields = ["label", "name"]
    autocomplete_fields = ["parent"]
    fields = ["parent", "name", "kind", "description"]
    ordering = ["label"]
    acts = (
        Act(
            slug="move",
            label=gettext_lazy("Move"),
            permissions=("roles.change_resource",),
            offered=lambda resource, at: resource.parent_id is not None,
            says=what_moving_does,
            does=lambda resource, **facts: services.move_resource(resource=resource, **facts),
            done=lambda resource: _("%(name)s was moved.") % {"name": resource.name},
            form=MoveForm,
        ),
        Act(
            slug="drop",
            label=gettext_lazy("Delete"),
            permissions=("roles.change_resource",),
            offered=lambda resource, at: resource.parent_id is not None,
            says=what_deleting_does,
            hindered=lambda resource: what_keeps(services.uses_of_resource(resource)),
            does=lambda resource, **facts: services.delete_resource(resource=resource, **facts),
            done=lambda resource: _("%(name)s is deleted.") % {"name": resource},
            form=NotedReasonForm,
            danger=True,
            is_the_end=True,
        ),
    )

    @admin.display(description=gettext_lazy("Resource"), ordering="label")
    def place(self, resource: Resource) -> str:
        return str(resource)

    def owned(self, user: User) -> Q:
        return within(owned_scopes(user, now()), "path")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) or owns_a_place(actor_of(request), now())

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
