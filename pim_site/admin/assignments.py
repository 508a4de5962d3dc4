"""Eligible and active assignments: who may hold what, who holds it now, and the way to make and end them."""

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, reverse
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from accounts.authority import may
from accounts.days import span_of
from accounts.models import Group, User
from accounts.rules import NotAllowed, StepUpRefused, intent_digest
from approvals import services
from approvals.looking_back import within_context
from approvals.models import Request, RequestQuerySet
from approvals.services.assigning import assign_facts, require_assigner
from approvals.terms_forms import TermsForm
from assignments.models import ActiveAssignment, Assignment, EligibleAssignment
from assignments.ownership import ASSIGNS, OWNS, owned_groups, owned_scopes, within
from assignments.rules import EXTEND_WINDOW, Terms
from audit.services import refusal_code
from pim_site.templatetags.pim import day, dot, moment
from pim_site.weekly import made_permanent
from roles.models import RoleSettings

from .assignment_acts import ACTIVE_ACTS, ELIGIBLE_ACTS, who_is_told
from .base import Button, ConsoleAdmin, Section, actor_of, link, list_of, messages_of, page_of
from .days import DaysFilter
from .forms import MOST_HOLDERS, TargetForm, add_refusal
from .imports import ImportsRows
from .insights import InsightFilter
from .many import Outcome, carry_out_each
from .requests import WITHIN, request_row, within_links

WORDS = {"active": gettext_lazy("In force"), "scheduled": gettext_lazy("Scheduled"), "ended": gettext_lazy("Ended")}


def _intent(place: dict[str, Any], holder: User | Group, **terms: Any) -> str:
    """Return what a proof for an active assignment is made for."""
    return intent_digest("active.assigned", **assign_facts(Terms(holder=holder, **place, **terms)))


def state_dot(row: Assignment) -> SafeString:
    state = row.state(now())
    if state == "ended" and row.end_reason:
        return dot(state, _("Ended: %(why)s") % {"why": row.get_end_reason_display()})
    if not row.holder_is_enabled:
        return dot(state, _("Holder is disabled"))
    return dot(state, WORDS[state])


def end_day_of(row: Assignment) -> SafeString | str:
    return day(row.ended_at or row.ends_at) or _("permanent")


def assignment_row(row: Assignment, first: Any) -> list[Any]:
    """Return the cells of a row in a table below something else."""
    return [link(row, first), row.scope, day(row.starts_at), end_day_of(row), state_dot(row)]


class StateFilter(admin.SimpleListFilter):
    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(WORDS.items())

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        at = now()
        if self.value() == "active":
            return queryset.in_force(at)
        if self.value() == "scheduled":
            return queryset.scheduled(at)
        if self.value() == "ended":
            return queryset.ended(at)
        return queryset


class EndsSoonFilter(admin.SimpleListFilter):
    title = gettext_lazy("end")
    parameter_name = "ends"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        soon = _("Within %(days)d days") % {"days": EXTEND_WINDOW.days}
        return [("soon", soon), ("some", _("On some day")), ("never", _("Permanent"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        at, chosen = now(), self.value()
        if chosen is None:
            return queryset
        if chosen == "soon":
            return queryset.in_force(at).filter(ends_at__lte=at + EXTEND_WINDOW)
        if chosen in ("some", "never"):
            return queryset.open().filter(ends_at__isnull=chosen == "never")
        span = span_of(chosen)
        return queryset.in_force(at).filter(ends_at__gte=span[0], ends_at__lt=span[1]) if span else queryset


class OriginFilter(admin.SimpleListFilter):
    title = gettext_lazy("how")
    parameter_name = "how"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("activated", _("Activated")), ("assigned", _("Assigned"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "activated":
            return queryset.activated()
        return queryset.assigned() if self.value() == "assigned" else queryset


class BeganFilter(DaysFilter):
    """Activations by the days on which they began."""

    title = gettext_lazy("activated")
    parameter_name = "began"

    def within(self, queryset: Any, since: datetime, until: datetime) -> Any:
        return queryset.activated_between(since, min(until, now()))


class StoodFilter(DaysFilter):
    """By whether they stood at the end of the days; of days that are not over, now."""

    title = gettext_lazy("standing at the end of")
    parameter_name = "stood"

    def within(self, queryset: Any, since: datetime, until: datetime) -> Any:
        at = min(until, now())
        standing = [Q(**{name: None}) | Q(**{f"{name}__gte": at}) for name in ("ended_at", "ends_at")]
        return queryset.filter(*standing, starts_at__lt=at)


class MadePermanentFilter(DaysFilter):
    title = gettext_lazy("made permanent")
    parameter_name = "made_permanent"

    def within(self, queryset: Any, since: datetime, until: datetime) -> Any:
        return queryset.filter(pk__in=made_permanent(since, until).values("active_assignment"))


class PrivilegedFilter(admin.SimpleListFilter):
    title = gettext_lazy("privileged role")
    parameter_name = "privileged"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Yes")), ("no", _("No"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(role__is_privileged=self.value() == "yes") if self.value() else queryset


def assign_links(request: HttpRequest, kinds: Iterable[str], **query: Any) -> list[Button]:
    """Return the buttons to the pages on which roles are given, with what is known filled in."""
    buttons = []
    for page in (EligibleAdmin, ActiveAdmin):
        if page.kind in kinds and may(actor_of(request), OWNS, *page.assign_permissions):
            url = reverse(f"admin:assignments_{page.kind}assignment_assign")
            buttons.append(Button(page.assign_label, f"{url}?{urlencode(query)}" if query else url))
    return buttons


class AssignsMany(ConsoleAdmin):
    """A list of people or groups, several of whom can be assigned a role. `holds` is what the form calls them."""

    holds: ClassVar[str]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions, user = super().get_actions(request), actor_of(request)
        for page in (EligibleAdmin, ActiveAdmin):
            if may(user, OWNS, *page.assign_permissions):
                name = f"assign-{page.kind}"
                actions[name] = (partial(_to_assign, kind=page.kind), name, str(page.assign_label))
        return actions


def _to_assign(pages: AssignsMany, request: HttpRequest, rows: Any, *, kind: str) -> HttpResponse:
    """Go to the form on which these are assigned a role."""
    chosen = [(pages.holds, str(row.pk)) for row in rows[: MOST_HOLDERS + 1]]
    return redirect(f"{reverse(f'admin:assignments_{kind}assignment_assign')}?{urlencode(chosen)}")


class AssignmentAdmin(ConsoleAdmin):
    """What both kinds share: a read-only list, and a guided form in two steps: who, what and where; then how long."""

    kind: ClassVar[str]
    assign_permissions: ClassVar[tuple[str, ...]]
    assign_label: ClassVar[Promise]
    assigned_words: ClassVar[Promise]

    list_select_related = ["user", "group", "role", "scope"]
    narrowed_by: ClassVar[tuple[str, ...]] = ("user", "group")
    search_fields = ["user__display_name", "user__username", "user__email", "group__name", "role__name", "scope__label"]
    search_help_text = gettext_lazy("Holder, role or scope")
    ordering = ["-starts_at"]

    @admin.display(description=gettext_lazy("holder"), ordering="user__display_name")
    def holder(self, row: Assignment) -> SafeString:
        if row.user and row.user.is_emergency_access:
            return format_html('{} <span class="pim-chip">{}</span>', link(row.holder), _("emergency access"))
        return link(row.holder)

    @admin.display(description=gettext_lazy("holder"), ordering="user__display_name")
    def holder_name(self, row: Assignment) -> SafeString | str:
        if row.user and row.user.is_emergency_access:
            return format_html('{} <span class="pim-chip">{}</span>', row.holder, _("emergency access"))
        return str(row.holder)

    @admin.display(description=gettext_lazy("role"), ordering="role__name")
    def of_role(self, row: Assignment) -> SafeString:
        return link(row.role)

    @admin.display(description=gettext_lazy("start"))
    def start(self, row: Assignment) -> SafeString:
        return moment(row.starts_at)

    @admin.display(description=gettext_lazy("end"))
    def end(self, row: Assignment) -> SafeString | str:
        return moment(row.ended_at or row.ends_at) or _("permanent")

    @admin.display(description=gettext_lazy("start"), ordering="starts_at")
    def start_day(self, row: Assignment) -> SafeString:
        return day(row.starts_at)

    @admin.display(description=gettext_lazy("end"), ordering="ends_at")
    def end_day(self, row: Assignment) -> SafeString | str:
        return end_day_of(row)

    @admin.display(description=gettext_lazy("state"))
    def state_word(self, row: Assignment) -> SafeString:
        """The word alone: the list has no room for the reason."""
        state = row.state(now())
        if row.end_reason == Assignment.EndReason.CANCELED:
            return dot("canceled")
        return dot(state, WORDS[state])

    @admin.display(description=gettext_lazy("state"))
    def state(self, row: Assignment) -> SafeString:
        return state_dot(row)

    def get_urls(self) -> list[URLPattern]:
        return [self.page("assign/", "assign", self.assign_view), *super().get_urls()]

    def owned(self, user: User) -> Q:
        at = now()
        its_two = ~Q(role__group_part="") & Q(role__resource__group__in=owned_groups(user, at))
        return within(owned_scopes(user, at), "scope__path") | its_two

    def list_buttons(self, request: HttpRequest) -> list[Button]:
        return [button._replace(style="primary") for button in assign_links(request, [self.kind])]

    def request_section(self, request: HttpRequest, rows: RequestQuerySet) -> list[Section]:
        if not request.user.has_perm("approvals.view_request"):
            return []
        heads = [_("Request"), _("Role"), _("What"), _("Asked"), _("Status")]
        return [Section(_("Requests"), heads, [request_row(row) for row in rows.described()[:10]])]

    def assign_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for holder, role and scope in the address, then for the terms that the role's settings leave open."""
        user = actor_of(request)
        if not may(user, OWNS, *self.assign_permissions):
            raise NotAllowed
        chosen = "role" in request.GET and {"user", "group"} & set(request.GET)
        known = request.GET.dict() | {name: request.GET.getlist(name) for name in ("user", "group")}
        target = TargetForm(request.GET if chosen else None, initial=known)
        if not target.is_valid():
            return self.shown(request, "admin/assign_target.html", self.assign_label, form=target)
        place = {name: target.cleaned_data[name] for name in ("role", "scope")}
        if not may(user, *self.assign_permissions, at=EligibleAssignment(**place)):
            raise NotAllowed
        # Said before the terms are filled in; terms that are sent all the same are refused, which the audit notes.
        if request.method == "GET" and not self._may_give(user, place):
            target.add_error("role", _("Your roles in force do not let you assign a privileged role."))
            return self.shown(request, "admin/assign_target.html", self.assign_label, form=target)
        return self._terms_view(request, target.cleaned_data["holders"], place)

    def _may_give(self, user: User, place: dict[str, Any]) -> bool:
        try:
            require_assigner(user, **place, eligible=self.kind == "eligible")
        except NotAllowed:
            return False
        return True

    def _terms_view(self, request: HttpRequest, holders: list[User | Group], place: dict[str, Any]) -> HttpResponse:
        settings = RoleSettings.objects.applying_to(place["role"], place["scope"])[0]
        data, user = request.POST if request.method == "POST" else None, actor_of(request)
        form = TermsForm(data, settings=settings, kind=self.kind, user=user)
        context: dict[str, Any] = {"settings": settings, "kind": self.kind, "holders": holders, "place": place}
        context["told"] = [who_is_told(holder) for holder in holders]
        work: dict[str, Callable[..., Any]] = {
            "does": self._assigner(request, place),
            "intent": partial(_intent, place),
        }
        if len(holders) > 1:
            return self._several_view(request, form, holders, work, context)
        if form.is_valid():
            try:
                [outcome] = carry_out_each(request, form, holders, **work)
            except StepUpRefused as refusal:
                add_refusal(form, refusal)
            else:
                if not outcome.refusal:
                    return self._assigned(request, outcome.made.eligible_assignment or outcome.made.active_assignment)
                add_refusal(form, outcome.refusal)
        return self.shown(request, "admin/assign_terms.html", self.assign_label, form=form, **context)

    def _several_view(
        self,
        request: HttpRequest,
        form: TermsForm,
        holders: list[User | Group],
        work: dict[str, Callable[..., Any]],
        context: dict[str, Any],
    ) -> HttpResponse:
        """Ask for the terms; say what would become of each; then take a proof, if one is needed, and assign to each."""
        sure = form.is_valid() and "confirmed" in request.POST
        if not form.is_bound or form.errors.keys() & {*TermsForm.field_order}:
            form.ask_no_code()
            return self.shown(request, "admin/assign_terms.html", self.assign_label, form=form, **context)
        if sure:
            try:
                outcomes = carry_out_each(request, form, holders, **work)
            except StepUpRefused as refusal:
                add_refusal(form, refusal)
                sure = False
        if not sure:
            outcomes = carry_out_each(request, form, holders, partial(work["does"], validate_only=True))
            form.keep_terms()
        context |= {"sure": sure, "results": [self._told_of(each, context["place"], sure) for each in outcomes]}
        return self.shown(request, "admin/assign_terms.html", self.assign_label, form=form, **context)

    def _assigner(self, request: HttpRequest, place: dict[str, Any]) -> Callable[..., Request]:
        """Return what assigns to a holder."""
        assign: Any = services.assign_eligible if self.kind == "eligible" else services.assign_active
        return lambda holder, **facts: assign(holder=holder, actor=actor_of(request), **place, **facts)

    def _told_of(self, each: Outcome, place: dict[str, Any], sure: bool) -> dict[str, Any]:
        if each.refusal:
            text = f"{' '.join(messages_of(each.refusal))} ({refusal_code(each.refusal)})"
            return {"row": each.thing, "state": "refused", "text": text}
        done = self.assigned_words % {"user": each.thing, "role": place["role"]}
        return {
            "row": each.thing,
            "state": "success" if sure else "ok",
            "text": done if sure else _("Can be assigned."),
        }

    def _assigned(self, request: HttpRequest, row: Assignment) -> HttpResponse:
        messages.success(request, self.assigned_words % {"user": row.holder, "role": row.role})
        return redirect(page_of(row))


@admin.register(EligibleAssignment)
class EligibleAdmin(ImportsRows, AssignmentAdmin):
    imports = "eligible"
    kind = "eligible"
    assign_permissions = ASSIGNS["eligible"]
    assign_label = gettext_lazy("Assign eligible")
    assigned_words = gettext_lazy("%(user)s is made eligible for %(role)s.")
    list_display = ["holder_name", "of_role", "scope", "state_word", "start_day", "end_day"]
    list_filter = [StateFilter, EndsSoonFilter, "role"]
    fields = ["holder", "of_role", "scope", "start", "end", "state"]
    acts = ELIGIBLE_ACTS

    def sections(self, request: HttpRequest, row: EligibleAssignment) -> list[Section]:
        heads = [_("Activation"), _("Scope"), _("Start"), _("End"), _("State")]
        rows = row.activations.described()[:10]
        activations = [assignment_row(active, _("activated")) for active in rows]
        more = list_of(ActiveAssignment, eligible_assignment__id__exact=row.pk)
        may = request.user.has_perm("assignments.view_activeassignment")
        shown = [Section(_("Activations"), heads, activations, more)] if may else []
        return [*shown, *self.request_section(request, Request.objects.filter(eligible_assignment=row))]


@admin.register(ActiveAssignment)
class ActiveAdmin(ImportsRows, AssignmentAdmin):
    imports = "active"
    kind = "active"
    assign_permissions = ASSIGNS["active"]
    assign_label = gettext_lazy("Assign active")
    assigned_words = gettext_lazy("%(user)s is assigned %(role)s.")
    list_display = ["holder_name", "of_role", "scope", "state_word", "how", "start_day", "end_day"]
    list_select_related = [*AssignmentAdmin.list_select_related, "eligible_assignment"]
    list_filter = [
        *(StateFilter, OriginFilter, BeganFilter, EndsSoonFilter, MadePermanentFilter, StoodFilter),
        *(PrivilegedFilter, InsightFilter, "role"),
    ]
    narrowed_by = ("user", "group", "eligible_assignment")
    fields = ["holder", "of_role", "scope", "origin", "start", "end", "state"]
    acts = ACTIVE_ACTS

    def links(self, request: HttpRequest, row: ActiveAssignment) -> list[Button]:
        return within_links(request, row)

    def get_urls(self) -> list[URLPattern]:
        return [self.page("<path:object_id>/events/", "events", self.events_view), *super().get_urls()]

    @method_decorator(require_safe)
    def events_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what the holder did while an activation was in force."""
        row = self.found(request, object_id)
        if not request.user.has_perm("audit.view_event"):
            raise NotAllowed
        if not row.is_activated:
            raise Http404
        context = within_context(row, now(), request.GET.get("page"))
        return self.shown(request, "admin/within.html", WITHIN, row=row, **context)

    @admin.display(description=gettext_lazy("how"))
    def how(self, row: ActiveAssignment) -> str:
        return _("activated") if row.is_activated else _("assigned")

    @admin.display(description=gettext_lazy("activated from"))
    def origin(self, row: ActiveAssignment) -> SafeString | str:
        return link(row.eligible_assignment) if row.eligible_assignment else _("nothing: it was assigned as active")

    def sections(self, request: HttpRequest, row: ActiveAssignment) -> list[Section]:
        return self.request_section(request, Request.objects.filter(active_assignment=row))
