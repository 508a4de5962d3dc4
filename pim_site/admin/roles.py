"""Resources, roles, and the settings that each role is used under."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import AdminForm
from django.contrib.auth.models import Permission
from django.core.exceptions import ValidationError
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.models import User
from accounts.rules import NotAllowed
from assignments.models import ActiveAssignment, EligibleAssignment
from pim_site.templatetags.pim import duration
from roles.builtin import OUR_APPS
from roles.mails import USED
from roles.models import Role, RoleSettings
from roles.services import (
    PLAIN_FIELDS,
    SETTINGS_FIELDS,
    create_role,
    save_settings,
    stages_of,
    update_role,
)
from roles.stages import described

from .assignments import assign_links, assignment_row
from .base import Button, Section, ServiceAdmin, actor_of, list_of, page_of
from .forms import ServiceForm, add_refusal
from .settings_form import AUDIENCES, EVENTS, LEVELS, SETTINGS_FIELDSETS, SettingsForm, initial_of

SHOWN = 20


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
class RoleAdmin(ServiceAdmin):
    form = RoleForm
    list_display = ["name", "resource", "is_privileged", "built_in", "eligible", "active"]
    list_filter = ["is_privileged"]
    narrowed_by = ("resource",)
    list_select_related = ["resource"]
    search_fields = ["name", "description", "resource__label"]
    autocomplete_fields = ["resource"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Role]:
        counts = {"eligible_count": holders(EligibleAssignment), "active_count": holders(ActiveAssignment)}
        return cast("QuerySet[Role]", super().get_queryset(request).select_related("resource").annotate(**counts))

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
        fields = ["resource", "name", "description", "is_privileged"]
        if obj is None:
            settings = settings_fieldsets()
            rights = (_("Rights in this site"), {"fields": ["permissions"], "classes": ["collapse"]})
            return [(None, {"fields": fields}), *settings, rights]
        editable = self.has_change_permission(request, obj) and not obj.is_built_in
        return [(None, {"fields": [*fields, "permissions" if editable else "rights"]})]

    def get_readonly_fields(self, request: HttpRequest, obj: Role | None = None) -> list[str]:
        if obj is None:
            return []
        return ["resource", "rights", *(["name", "is_privileged"] if obj.is_built_in else [])]

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
        settings = [Button(_("Settings"), page_of(row, "settings"))] if may_see_settings(request) else []
        return [*settings, *assign_links(request, ["eligible", "active"], role=row.pk)]

    def sections(self, request: HttpRequest, row: Role) -> list[Section]:
        may, at = request.user.has_perm, now()
        shown = [
            (_("Eligible"), EligibleAssignment.objects.lasting(at), "assignments.view_eligibleassignment"),
            (_("Active"), ActiveAssignment.objects.lasting(at), "assignments.view_activeassignment"),
        ]
        return [holder_section(title, rows, row) for title, rows, permission in shown if may(permission)]

    # --- settings -------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        pages = [
            self.page("<uuid:pk>/settings/", "settings", self.settings_view),
            self.page("<uuid:pk>/settings/<int:version>/", "version", self.version_view),
        ]
        return [*pages, *super().get_urls()]

    def settings_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Show the settings in use and their history; with the right to, save a new version."""
        role = self._found_with_settings(request, pk)
        current = RoleSettings.objects.applying_to(role, role.resource)[0]
        form = SettingsForm(request.POST if request.method == "POST" else None, initial=initial_of(current))
        may_change = request.user.has_perm("roles.change_rolesettings")
        if request.method == "POST" and (not may_change or form.is_valid()):
            try:
                saved = save_settings(role=role, scope=role.resource, actor=actor_of(request), **_changes(form))
                return self._saved(request, role, current, saved)
            except ValidationError as refusal:
                add_refusal(form, refusal)
        context = {"current": current, "may_change": may_change, "facts": facts_of(current), "form": form}
        context |= {"adminform": _adminform(form), "versions": _versions(role)}
        return self.shown(request, "admin/role_settings.html", _("Settings"), row=role, **context)

    def _saved(self, request: HttpRequest, role: Role, before: RoleSettings, after: RoleSettings) -> HttpResponse:
        if after.pk == before.pk:
            messages.info(request, _("Nothing was changed."))
        else:
            text = _("Version %(version)d is in use now. Requests that wait keep to whichever version is stricter.")
            messages.success(request, text % {"version": after.version})
        return redirect(page_of(role, "settings"))

    def version_view(self, request: HttpRequest, pk: Any, version: int) -> HttpResponse:
        role = self._found_with_settings(request, pk)
        shown = _versions(role).filter(version=version).first()
        if shown is None:
            raise Http404
        title = _("Settings, version %(version)d") % {"version": version}
        return self.shown(request, "admin/role_version.html", title, row=role, version=shown, facts=facts_of(shown))

    def _found_with_settings(self, request: HttpRequest, pk: Any) -> Role:
        if not may_see_settings(request):
            raise NotAllowed
        return cast("Role", self.found(request, str(pk)))


def may_see_settings(request: HttpRequest) -> bool:
    return request.user.has_perm("roles.view_rolesettings") or request.user.has_perm("roles.change_rolesettings")


def holder_section(title: str, rows: Any, role: Role) -> Section:
    heads = [_("Holder"), _("Scope"), _("Start"), _("End"), _("State")]
    cells = [assignment_row(row, row.holder) for row in rows.filter(role=role).described()[:SHOWN]]
    return Section(title, heads, cells, list_of(rows.model, role__id__exact=role.pk))


def _changes(form: SettingsForm) -> dict[str, Any]:
    return {name: form.cleaned_data[name] for name in SETTINGS_FIELDS} if form.is_valid() else {}


def _versions(role: Role) -> QuerySet[RoleSettings]:
    return RoleSettings.objects.filter(role=role, scope=role.resource).order_by("-version")


def _adminform(form: SettingsForm) -> AdminForm:
    return AdminForm(form, settings_fieldsets(), {})


def settings_fieldsets() -> list[tuple[Any, dict[str, Any]]]:
    return [(name, {"fields": names, "classes": classes}) for name, names, classes in SETTINGS_FIELDSETS]


def facts_of(version: RoleSettings) -> list[tuple[Any, Any]]:
    """Return what a version says, as pairs of words for people."""
    facts: list[tuple[Any, Any]] = []
    for _title, names, _classes in SETTINGS_FIELDSETS:
        plain = [name for name in names if name in PLAIN_FIELDS]
        facts += [(SettingsForm.base_fields[name].label, _shown(version, name)) for name in plain]
        if "approval_required" in names:
            facts += _stages_shown(version)
    return facts


def _stages_shown(version: RoleSettings) -> list[tuple[Any, Any]]:
    return [
        (_("Approval: stage %(number)d") % {"number": number}, described(terms))
        for number, terms in enumerate(stages_of(version), start=1)
    ]


def _shown(version: RoleSettings, name: str) -> Any:
    value = getattr(version, name)
    if name == "notifications":
        return _shown_mail(version)
    if name == "activation_authentication":
        return version.get_activation_authentication_display()
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, str):
        return value or _("none")
    if isinstance(value, timedelta):
        return duration(value)
    return ngettext("%(count)d day", "%(count)d days", value) % {"count": value}


def _shown_mail(version: RoleSettings) -> str:
    return " ".join(
        _("%(event)s: %(told)s.") % {"event": label, "told": "; ".join(_told(version, event))}
        for event, label in EVENTS.items()
    )


def _told(version: RoleSettings, event: str) -> Iterator[str]:
    """Say for each kind of recipients of an event who is told, and of what."""
    for audience, word in AUDIENCES.items():
        if (event, audience) in USED:
            cell = version.cell(event, audience)
            people = [_("told") if cell.default else _("not told"), *cell.also]
            yield f"{word} {', '.join(people)}" + (f" ({LEVELS[cell.level]})" if cell.level != "all" else "")
