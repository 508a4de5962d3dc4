"""Resources, roles, and the settings that each role is used under."""

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.core.exceptions import ValidationError
from django.db.models import Count, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from accounts.rules import NotAllowed
from approvals import services
from approvals.history import called
from assignments.models import ActiveAssignment, EligibleAssignment
from assignments.ownership import owned_groups, owned_scopes, owns_a_place, within
from audit.admin import CappedPaginator
from audit.models import Event
from pim_site.templatetags.pim import dot, moment
from roles.builtin import OUR_APPS
from roles.models import Role
from roles.presets import PRESETS
from roles.services import create_role, update_role

from .assignments import assign_links, assignment_row
from .base import Act, Button, Section, ServiceAdmin, actor_of, link, list_of
from .forms import NotedReasonForm, ServiceForm
from .resources import what_deleting_does, what_keeps
from .settings import SettingsPages
from .settings_form import SettingsForm, settings_fieldsets

SHOWN = 20
EVENTS_SHOWN = 50
EVENT_HEADS: list[Any] = [
    gettext_lazy("When"),
    gettext_lazy("What"),
    gettext_lazy("By"),
    gettext_lazy("About"),
    gettext_lazy("Scope"),
    gettext_lazy("Outcome"),
]


class RoleForm(ServiceForm):
    class Meta:
        help_texts = {
            "resource": gettext_lazy(
                "The role can be held there and beneath. It stays there. Example: /Finance/Ledger"
            ),
            "name": gettext_lazy("Unique on its resource. Example: Database Operator"),
            "description": gettext_lazy("What its holder can do, in a sentence."),
        }


class NewRoleForm(SettingsForm, RoleForm):
    """A role together with its first settings."""


class PermissionField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # generic in the stubs only
    def clean(self, value: Any) -> Any:
        """Compare with what is offered before a database is asked, which fails at a key of too many figures."""
        offered = set(map(str, self.queryset.values_list("pk", flat=True)))  # type: ignore[union-attr]
        if not offered.issuperset(value or ()):
            raise ValidationError(_("Select rights from the list."), code="invalid_choice")
        return super().clean(value)

    def label_from_instance(self, permission: Any) -> str:
        return f"{permission.content_type.name} · {_(permission.name)}".capitalize()


def holders(model: Any) -> Coalesce:
    """Count who has a role in force, for each role of a list."""
    held = model.objects.in_force(now()).filter(role=OuterRef("pk")).order_by()
    counted = held.values("role").annotate(count=Count("pk")).values("count")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


def count_link(model: Any, role: Role, count: int) -> SafeString:
    url = list_of(model, role__id__exact=role.pk, state="active")
    return format_html('<a href="{}">{}</a>', url, count)


@admin.register(Role)
class RoleAdmin(SettingsPages, ServiceAdmin):
    form = RoleForm
    change_form_template = "admin/role_record.html"
    list_display = ["name", "resource", "is_privileged", "built_in", "eligible", "active"]
    list_filter = ["is_privileged"]
    narrowed_by = ("resource",)
    list_select_related = ["resource"]
    search_fields = ["name", "description", "resource__label"]
    autocomplete_fields = ["resource"]
    acts = (
        Act(
            slug="drop",
            label=gettext_lazy("Delete"),
            permissions=("roles.change_role",),
            offered=lambda role, at: not role.is_needed,
            says=what_deleting_does,
            hindered=lambda role: what_keeps(services.uses_of_role(role)),
            does=lambda role, **facts: services.delete_role(role=role, **facts),
            done=lambda role: _("%(name)s is deleted.") % {"name": role},
            form=NotedReasonForm,
            danger=True,
            is_the_end=True,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Role]:
        counts = {"eligible_count": holders(EligibleAssignment), "active_count": holders(ActiveAssignment)}
        return cast("QuerySet[Role]", super().get_queryset(request).select_related("resource").annotate(**counts))

    def owned(self, user: User) -> Q:
        """Roles of what they own, and those from above that can be held there."""
        scopes = owned_scopes(user, now())
        above = {path for scope in scopes for path in scope.lineage}
        groups = Q(resource__group__in=owned_groups(user, now()))
        return within(scopes, "resource__path") | Q(resource__path__in=above) | groups

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) or owns_a_place(actor_of(request), now())

    @admin.display(description=gettext_lazy("built in"), boolean=True)
    def built_in(self, role: Role) -> bool:
        return role.is_built_in

    @admin.display(description=gettext_lazy("eligible"), ordering="eligible_count")
    def eligible(self, role: Any) -> SafeString:
        return count_link(EligibleAssignment, role, role.eligible_count)

    @admin.display(description=gettext_lazy("active"), ordering="active_count")
    def active(self, role: Any) -> SafeString:
        return count_link(ActiveAssignment, role, role.active_count)

    @admin.display(description=gettext_lazy("rights in this site"))
    def rights(self, role: Role) -> str:
        names = [str(_(permission.name)) for permission in role.permissions.all()]
        return "; ".join(names) or _("none: it counts in another system")

    def get_fieldsets(self, request: HttpRequest, obj: Role | None = None) -> Any:
        fields = ["resource", "name", "description", "is_privileged", "owns_resource"]
        if obj is None:
            rights = (
                _("Rights in this site"),
                {
                    "fields": ["permissions"],
                    "classes": ["collapse"],
                    "description": _("For a role of the organisation itself only."),
                },
            )
            return [(None, {"fields": fields}), *settings_fieldsets(), rights]
        if obj.resource.parent_id is not None:  # what it would give, it could never give
            return [(None, {"fields": fields})]
        editable = self.has_change_permission(request, obj) and not obj.is_built_in
        return [(None, {"fields": [*fields, "permissions" if editable else "rights"]})]

    def get_readonly_fields(self, request: HttpRequest, obj: Role | None = None) -> list[str]:
        if obj is None:
            return []
        fixed = ["name", "is_privileged", "owns_resource"] if obj.is_built_in or obj.group_part else []
        return ["resource", "rights", *fixed]

    def get_form(self, request: HttpRequest, obj: Role | None = None, change: bool = False, **kwargs: Any) -> Any:
        form = NewRoleForm if obj is None else RoleForm
        return super().get_form(request, obj, change=change, **kwargs | {"form": form})

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "permissions":
            offered = Permission.objects.filter(content_type__app_label__in=OUR_APPS).select_related("content_type")
            kwargs |= {"queryset": offered, "form_class": PermissionField, "widget": forms.CheckboxSelectMultiple}
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def create(self, actor: User, values: dict[str, Any]) -> Role:
        return create_role(actor=actor, **values)

    def update(self, row: Role, actor: User, values: dict[str, Any]) -> Role:
        """What the form does not ask for stays: the name and weight of a built-in role."""
        kept: dict[str, Any] = {"name": row.name, "description": row.description, "is_privileged": row.is_privileged}
        return update_role(role=row, actor=actor, **kept | values)

    def links(self, request: HttpRequest, row: Role) -> list[Button]:
        return assign_links(request, ["eligible", "active"], role=row.pk)

    def sections(self, request: HttpRequest, row: Role) -> list[Section]:
        at = now()
        eligible, active = self.seen(request, EligibleAssignment), self.seen(request, ActiveAssignment)
        shown = [
            (_("Eligible"), eligible.lasting(at)),
            (_("Active"), active.lasting(at)),
            (_("Expired eligible assignments"), eligible.over(at)),
            (_("Expired active assignments"), active.over(at)),
        ]
        return [holder_section(title, rows, row) for title, rows in shown if not rows.query.is_empty()]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Begin with our defaults, or with a preset over them."""
        preset = PRESETS.get(request.GET.get("preset", ""))
        return dict(preset.values) if preset else {}

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        presets = [] if kwargs.get("obj") else [(f"?preset={key}", preset) for key, preset in PRESETS.items()]
        context |= {"presets": presets, "tab": "assignments", "row": kwargs.get("obj")}
        return super().render_change_form(request, context, *args, **kwargs)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show what happened to the role, its settings and who holds it."""
        role = self.found(request, object_id)
        if not request.user.has_perm("audit.view_event"):
            raise NotAllowed
        events = Event.objects.filter(Q(role_id=role.pk) | Q(target_type="roles.role", target_id=str(role.pk)))
        page = CappedPaginator(events.order_by("-id"), EVENTS_SHOWN).get_page(request.GET.get("page"))
        section = Section(_("What happened"), EVENT_HEADS, [event_row(event) for event in page])
        context = {"page_obj": page, "section": section, "tab": "history"}
        return self.shown(request, "admin/role_history.html", _("History"), row=role, **context)


def event_row(event: Event) -> list[Any]:
    """Return the cells of an event in the history of a role."""
    what = link(event, called(event.action))
    outcome = dot(event.outcome, event.code or None)
    return [moment(event.at), what, event.actor_label, event.subject_label, event.scope_label, outcome]


def holder_section(title: str, rows: Any, role: Role) -> Section:
    heads = [_("Holder"), _("Scope"), _("Start"), _("End"), _("State")]
    cells = [assignment_row(row, row.holder) for row in rows.filter(role=role).described()[:SHOWN]]
    return Section(title, heads, cells, list_of(rows.model, role__id__exact=role.pk))
