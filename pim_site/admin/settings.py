"""The pages of role settings: at the role's resource and at scopes beneath, their versions, and what a change does."""

from typing import Any, NamedTuple, cast
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.contrib.admin.helpers import AdminForm
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern
from django.utils.timezone import now
from django.utils.translation import gettext as _

from accounts.authority import may
from accounts.models import User
from accounts.rules import NotAllowed
from approvals import approvers
from approvals.models import Request
from audit.services import refusal_code
from pim_site.effects import Reach, dead_ends, effects
from roles.models import Resource, Role, RoleSettings
from roles.presets import PRESETS
from roles.services import SETTINGS_FIELDS, remove_settings, save_settings, values_of

from .base import ConsoleAdmin, actor_of, page_of
from .forms import add_refusal
from .settings_form import CompareForm, CopyForm, PersonForm, ScopeForm, SettingsForm, initial_of, settings_fieldsets
from .settings_words import compared, said

# No version has it: a form that does not say which version it began with is refused.
NO_VERSION = UUID(int=0)
# What a form sends besides the settings.
ASIDE = ("csrfmiddlewaretoken", "step")


class Place(NamedTuple):
    """A role at a scope, and the settings that count there: its own, or those of a scope above."""

    role: Role
    scope: Resource
    current: RoleSettings

    @property
    def is_own(self) -> bool:
        return self.current.scope_id == self.scope.pk

    @property
    def is_beneath(self) -> bool:
        return self.scope.pk != self.role.resource_id

    @property
    def versions(self) -> QuerySet[RoleSettings]:
        return RoleSettings.objects.filter(role=self.role, scope=self.scope).order_by("-version")

    @property
    def inherited(self) -> RoleSettings | None:
        """Return what would count here without settings of its own."""
        above = RoleSettings.objects.applying_to(self.role, self.scope).exclude(scope=self.scope)
        return above.select_related("scope").first()

    @property
    def overrides(self) -> QuerySet[RoleSettings]:
        """Return the settings of scopes beneath the role's resource."""
        own = RoleSettings.objects.current().filter(role=self.role).exclude(scope=self.role.resource_id)
        return own.select_related("scope").order_by("scope__label")

    def may_be_changed_by(self, actor: User) -> bool:
        return may(actor, "roles.change_rolesettings", at=RoleSettings(role=self.role, scope=self.scope))

    def url(self, page: str = "settings", **query: Any) -> str:
        asked = ({"scope": self.scope.pk} if self.is_beneath else {}) | query
        return page_of(self.role, page) + (f"?{urlencode(asked)}" if asked else "")


class SettingsPages(ConsoleAdmin):
    """Pages about a role's settings, for the admin of roles."""

    def get_urls(self) -> list[URLPattern]:
        pages = [
            self.page("<uuid:pk>/settings/", "settings", self.settings_view),
            self.page("<uuid:pk>/settings/<int:version>/", "version", self.version_view),
            self.page("<uuid:pk>/settings/compare/", "compare", self.compare_view),
            self.page("<uuid:pk>/settings/remove/", "remove", self.remove_view),
            self.page("<uuid:pk>/settings/copy/", "copy", self.copy_view),
        ]
        return [*pages, *super().get_urls()]

    def settings_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Show the settings that count; a POST is checked and shown with what it does, and saved when that was read."""
        place = self._place(request, pk)
        initial = initial_of(_begun(request, place))
        form = SettingsForm(request.POST if request.method == "POST" else None, initial=initial)
        stale = None
        step = request.POST.get("step", "review")
        may_change = place.may_be_changed_by(actor_of(request))
        if request.method == "POST" and step != "edit" and (form.is_valid() or not may_change):
            try:
                return self._kept(request, place, form, save=step == "save")
            except ValidationError as refusal:
                add_refusal(form, refusal)
                stale = _seen(request, place) if refusal_code(refusal) == "changed_meanwhile" else None
        context = _overview(request, place) | {"form": form, "adminform": _adminform(form), "may_change": may_change}
        if stale:
            lines = compared(values_of(stale), values_of(place.current))
            context["meanwhile"] = [line for line in lines if line.differs]
        return self.shown(request, "admin/role_settings.html", _title(place), row=place.role, **context)

    def _kept(self, request: HttpRequest, place: Place, form: SettingsForm, *, save: bool) -> HttpResponse:
        """Save, or say what saving does. What is refused is refused at either."""
        facts: dict[str, Any] = {"role": place.role, "scope": place.scope, "seen": _seen_id(request)}
        version = save_settings(**facts, actor=actor_of(request), validate_only=not save, **_changes(form))
        if version.pk == place.current.pk:
            messages.info(request, _("Nothing was changed."))
            return redirect(place.url())
        if not save:
            return self._review(request, place, _changes(form))
        text = _("Version %(version)d is in use now at %(scope)s.")
        messages.success(request, text % {"version": version.version, "scope": place.scope})
        return redirect(place.url())

    def _review(self, request: HttpRequest, place: Place, after: dict[str, Any]) -> HttpResponse:
        before, reach = values_of(place.current), Reach(place.role, place.scope, now())
        context: dict[str, Any] = {
            "place": place,
            "lines": [line for line in compared(before, after) if line.differs],
            "effects": effects(reach, before, after),
            "warnings": dead_ends(reach, after),
            "sent": [(name, each) for name, values in request.POST.lists() for each in values if name not in ASIDE],
        }
        return self.shown(
            request, "admin/role_settings_review.html", _("Before it is saved"), row=place.role, **context
        )

    def version_view(self, request: HttpRequest, pk: Any, version: int) -> HttpResponse:
        place = self._place(request, pk)
        shown = get_object_or_404(place.versions, version=version)
        title = _("Settings, version %(version)d") % {"version": version}
        context = {"place": place, "version": shown, "facts": said(values_of(shown))}
        context["restore"] = place.url(version=version)
        return self.shown(request, "admin/role_version.html", title, row=place.role, **context)

    def compare_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Two versions, or this role and another, side by side."""
        place = self._place(request, pk)
        form = CompareForm(request.GET or None, versions=place.versions)
        context: dict[str, Any] = {"place": place, "form": form}
        if form.is_valid():
            left, right = form.sides(place.current)
            lines = compared(values_of(left), values_of(right))
            context |= {"left": left, "right": right, "lines": lines, "differ": any(line.differs for line in lines)}
        return self.shown(request, "admin/role_settings_compare.html", _("Compare settings"), row=place.role, **context)

    def remove_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Take back the settings of a scope; first say what counts there then."""
        place = self._place(request, pk)
        refusal: ValidationError | None = None
        if request.method == "POST":
            try:
                actor, seen = actor_of(request), _seen_id(request)
                left = remove_settings(role=place.role, scope=place.scope, actor=actor, seen=seen)
                messages.success(request, _("What counts at %(above)s counts here again.") % {"above": left.scope})
                return redirect(place.url())
            except ValidationError as error:
                refusal = error
        inherited = place.inherited
        if inherited is None or not place.is_own or not place.may_be_changed_by(actor_of(request)):
            return redirect(place.url())
        before, after = values_of(place.current), values_of(inherited)
        reach = Reach(place.role, place.scope, now())
        context = {"place": place, "inherited": inherited, "refusal": refusal}
        context |= {"lines": [line for line in compared(before, after) if line.differs]}
        context |= {"effects": effects(reach, before, after), "warnings": dead_ends(reach, after)}
        title = _("Remove the settings of this scope")
        return self.shown(request, "admin/role_settings_remove.html", title, row=place.role, **context)

    def copy_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Copy the settings that count here to other roles: first what it does to each, then a result for each."""
        place = self._place(request, pk)
        if not request.user.has_perm("roles.change_rolesettings"):
            raise NotAllowed
        form = CopyForm(request.POST if request.method == "POST" else None, source=place.role)
        context: dict[str, Any] = {"place": place, "form": form}
        if form.is_valid():
            targets = [self._at_home(role) for role in form.cleaned_data["roles"]]
            if request.POST.get("step") == "save":
                context["results"] = [_copied(place, target, actor_of(request)) for target in targets]
            else:
                context["targets"] = [_copying(place, target) for target in targets]
        return self.shown(request, "admin/role_settings_copy.html", _("Copy settings"), row=place.role, **context)

    def _at_home(self, role: Role) -> Place:
        return Place(role, role.resource, RoleSettings.objects.applying_to(role, role.resource)[0])

    def shown(self, *args: Any, **context: Any) -> HttpResponse:
        return super().shown(*args, **{"tab": "settings"} | context)

    def _place(self, request: HttpRequest, pk: Any) -> Place:
        """Return the place that an address names, for those who may see settings."""
        role = cast("Role", self.found(request, str(pk)))
        scope = role.resource
        if wanted := request.GET.get("scope"):
            scope = get_object_or_404(Resource, pk=_uuid(wanted))
        if not role.is_usable_at(scope):
            raise Http404
        seen = RoleSettings(role=role, scope=scope)
        if not may(actor_of(request), "roles.view_rolesettings", "roles.change_rolesettings", at=seen):
            raise NotAllowed
        return Place(role, scope, RoleSettings.objects.applying_to(role, scope).select_related("scope")[0])


def _copying(source: Place, target: Place) -> dict[str, Any]:
    """What a copy changes at a role, and what that does."""
    before, after = values_of(target.current), values_of(source.current)
    reach = Reach(target.role, target.scope, now())
    lines = [line for line in compared(before, after) if line.differs]
    return {"role": target.role, "lines": lines, "effects": effects(reach, before, after) + dead_ends(reach, after)}


def _copied(source: Place, target: Place, actor: User) -> dict[str, Any]:
    """Copy to one role; a refusal stops none of the others."""
    try:
        saved = save_settings(role=target.role, scope=target.scope, actor=actor, **values_of(source.current))
    except ValidationError as refusal:
        return {"row": target.role, "state": "refused", "text": " ".join(refusal.messages)}
    if saved.pk == target.current.pk:
        return {"row": target.role, "state": "success", "text": _("It said the same already.")}
    return {"row": target.role, "state": "success", "text": _("Version %(version)d.") % {"version": saved.version}}


def _title(place: Place) -> str:
    return _("Settings at %(scope)s") % {"scope": place.scope} if place.is_beneath else _("Settings")


def _overview(request: HttpRequest, place: Place) -> dict[str, Any]:
    """What the page of settings shows besides the form."""
    values, inherited, at = values_of(place.current), place.inherited, now()
    return {
        "place": place,
        "facts": said(values),
        "inherited": inherited,
        "lines": compared(values, values_of(inherited)) if inherited and place.is_own else [],
        "versions": place.versions,
        "warnings": dead_ends(Reach(place.role, place.scope, at), values),
        "presets": [(place.url(preset=key), preset) for key, preset in PRESETS.items()],
        "scope_form": ScopeForm(),
        "compare": place.url("compare"),
        "remove": place.url("remove"),
        "copy": place.url("copy"),
        **_who_could_approve(request, place),
    }


def _who_could_approve(request: HttpRequest, place: Place) -> dict[str, Any]:
    form = PersonForm(request.GET if "person" in request.GET else None)
    if not form.is_valid():
        return {"person_form": form}
    person: User = form.cleaned_data["person"]
    asking = Request(role=place.role, scope=place.scope, user=person, requester=person)
    at = now()
    able = [(stage, list(approvers.voices(asking, stage, at))) for stage in approvers.stages_in_use(asking)]
    return {"person_form": form, "person": person, "able": able}


def _begun(request: HttpRequest, place: Place) -> dict[str, Any]:
    """What the form begins with: what counts, a preset over it, or an earlier version."""
    values = values_of(place.current)
    if preset := PRESETS.get(request.GET.get("preset", "")):
        return values | preset.values
    version = request.GET.get("version", "")
    if version.isascii() and version.isdigit() and len(version) < 9:
        return values_of(get_object_or_404(place.versions, version=version))
    return values


def _changes(form: SettingsForm) -> dict[str, Any]:
    return {name: form.cleaned_data[name] for name in SETTINGS_FIELDS} if form.is_valid() else {}


def _seen(request: HttpRequest, place: Place) -> RoleSettings | None:
    """Return the version that the form began with, which another has superseded."""
    return RoleSettings.objects.filter(role=place.role, pk=_seen_id(request)).first()


def _seen_id(request: HttpRequest) -> UUID:
    return _uuid(request.POST.get("seen", ""))


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return NO_VERSION


def _adminform(form: SettingsForm) -> AdminForm:
    return AdminForm(form, settings_fieldsets(), {})
