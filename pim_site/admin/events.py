"""The events: found by who, what, when and why, and taken out as files."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import make_aware
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from accounts.models import User
from accounts.rules import NotAllowed
from approvals.history import ACTIONS
from approvals.looking_back import activated_at
from assignments.models import ActiveAssignment
from audit.admin import EventAdmin as StockEventAdmin
from audit.admin import stacked
from audit.exporting import csv_of, json_of
from audit.models import Archive, Event, Look, Reader
from pim_site.siem.standing import Standing, cause_of, standings
from pim_site.templatetags.pim import moment, toned
from roles.models import Resource, Role

from .base import Button, ConsoleAdmin, Section, actor_of, link, page_of

admin.site.unregister(Event)

# So many people, roles or resources are looked for by their ids; of more, none are: to leave some out would be wrong.
MOST_NAMED = 1_000


class Day(forms.DateField):
    """A day that has one before and one after it in every time zone; Python's calendar ends."""

    widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    default_validators = [MinValueValidator(date(1970, 1, 2)), MaxValueValidator(date(9998, 12, 31))]


class Moment(forms.DateTimeField):
    """A moment that a link of the list names, which exists in every time zone."""

    widget = forms.HiddenInput
    default_validators = [
        MinValueValidator(datetime(1970, 1, 2, tzinfo=UTC)),
        MaxValueValidator(datetime(9998, 12, 31, tzinfo=UTC)),
    ]


class FactsForm(forms.Form):
    """What an event is looked for by. Names are looked up first, so that the large table is asked by its indexes."""

    since = Day(label=gettext_lazy("From"), required=False)
    until = Day(label=gettext_lazy("To, included"), required=False)
    person = forms.CharField(label=gettext_lazy("Person"), required=False, max_length=200)
    role = forms.CharField(label=gettext_lazy("Role"), required=False, max_length=200)
    resource = forms.CharField(label=gettext_lazy("Resource"), required=False, max_length=200)
    ticket = forms.CharField(label=gettext_lazy("Ticket"), required=False, max_length=200)
    request = forms.UUIDField(label=gettext_lazy("Id of the request"), required=False)
    before = Moment(label=gettext_lazy("Before"), required=False)

    def clean_person(self) -> list[UUID] | None:
        text = self.cleaned_data["person"]
        named = Q(username__icontains=text) | Q(display_name__icontains=text) | Q(email__icontains=text)
        return _keys(text, User.objects.filter(named), "person", "subject")

    def clean_role(self) -> list[UUID] | None:
        text = self.cleaned_data["role"]
        return _keys(text, Role.objects.filter(name__icontains=text), "role", "role")

    def clean_resource(self) -> list[UUID] | None:
        text = self.cleaned_data["resource"]
        return _keys(text, Resource.objects.filter(label__icontains=text), "resource", "scope")

    def narrow(self, events: QuerySet[Event]) -> QuerySet[Event]:
        """Return the events that the form describes: of what is filled in wrongly, none."""
        if not self.is_valid():
            return events.none()
        for name, value in self.cleaned_data.items():
            if value not in (None, ""):
                events = events.filter(NARROWED[name](value))
        return events


def _keys(text: str, present: QuerySet[Any], noun: str, column: str) -> list[UUID] | None:
    """Return the ids of what is called so, or was: by the events that tell how a thing is called. None of no text.

    Raises ValidationError of more than `MOST_NAMED`.
    """
    if not text:
        return None
    naming = [f"{noun}.{verb}" for verb in ("created", "updated", "moved", "deleted", "restated")]
    past = Event.objects.filter(
        action__in=naming, **{f"{column}_label__icontains": text, f"{column}_id__isnull": False}
    )
    keys = present.order_by().values_list("pk").union(past.order_by().values_list(f"{column}_id"))
    found = [key for (key,) in keys[: MOST_NAMED + 1]]
    if len(found) > MOST_NAMED:
        raise forms.ValidationError(
            _("More than %(most)s have this in their name. Type more of it.") % {"most": MOST_NAMED}
        )
    return found


NARROWED: dict[str, Callable[[Any], Q]] = {
    "since": lambda day: Q(at__gte=make_aware(datetime.combine(day, time()))),
    "until": lambda day: Q(at__lt=make_aware(datetime.combine(day + timedelta(days=1), time()))),
    "person": lambda keys: Q(actor_id__in=keys) | Q(subject_id__in=keys),
    "role": lambda keys: Q(role_id__in=keys),
    "resource": lambda keys: Q(scope_id__in=keys),
    "ticket": lambda text: Q(ticket=text),
    "request": lambda key: Q(request_id=key),
    "before": lambda at: Q(at__lt=at),
}


class FactsFilter(admin.ListFilter):
    """One form with several fields, where the stock filters are lists of links."""

    title = gettext_lazy("Who, what, when")
    template = "audit/facts_filter.html"
    parameter_name = "person"  # one of several; `narrowed_by` has them all

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        said = {name: params.pop(name) for name in NARROWED if name in params}
        self.form = FactsForm({name: values[-1] for name, values in said.items()}, auto_id="facts_%s")
        self.others: list[tuple[str, str]] = []
        self.from_the_newest = ""

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return list(NARROWED)

    def choices(self, changelist: Any) -> Iterator[Any]:
        """No links; what else the list is narrowed by goes on with the form."""
        self.others = [(name, value) for name, value in changelist.params.items() if name not in NARROWED]
        self.from_the_newest = changelist.get_query_string(remove=["before"])
        return iter(())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Event]) -> QuerySet[Event]:
        return self.form.narrow(queryset)


def _events_link(active: ActiveAssignment) -> SafeString:
    return format_html('<a href="{}">{}</a>', page_of(active, "events"), _("done within it"))


FILES: dict[str, tuple[str, Callable[[QuerySet[Event]], Iterator[bytes]]]] = {
    "csv": ("text/csv; charset=utf-8", csv_of),
    "jsonl": ("application/jsonl; charset=utf-8", json_of),
}


@admin.register(Event)
class EventAdmin(ConsoleAdmin, StockEventAdmin):
    change_form_template = StockEventAdmin.change_form_template
    change_list_template = "audit/event_list.html"
    narrowed_by = (
        *("target_type", "target_id", "subject_id", "actor_id", "request_id", "correlation_id"),
        *NARROWED,
    )
    list_filter = (FactsFilter, *StockEventAdmin.list_filter)
    # So many events are looked through for words at once: half a second, however many there are.
    searched = 100_000

    def named(self, event: Event) -> SafeString:
        words = ACTIONS.get(event.action, "")
        return stacked(str(words), format_html('<span class="pim-quiet">{}</span>', event.action))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context["named"] = self.named(kwargs["obj"])
        return super().render_change_form(request, context, *args, **kwargs)

    def sections(self, request: HttpRequest, row: Event) -> list[Section]:
        """Show what its actor had activated then, each with the way to all that was done meanwhile."""
        if row.actor_id is None or not actor_of(request).has_perm("assignments.view_activeassignment"):
            return []
        heads = [_("Role"), _("Scope"), _("Start"), _("End"), _("Events")]
        rows = [
            [link(each, each.role), each.scope, moment(each.starts_at), moment(each.over_at), _events_link(each)]
            for each in activated_at(row.actor_id, row.at, row.at)
        ]
        return [Section(_("Activated by its actor then"), heads, rows)] if rows else []

    def get_urls(self) -> list[URLPattern]:
        files = [self.page(f"export.{kind}", f"export_{kind}", self.export_view, kind=kind) for kind in FILES]
        streams = self.page("destinations/", "destinations", self.destinations_view)
        return [*files, streams, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        shown = {"archive": Archive.objects.first(), "look": Look.objects.exclude(ended_at=None).first()}
        return super().changelist_view(request, shown | (extra_context or {}))

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Event], search_term: str) -> Any:
        """Look for words in the newest of these events alone, as no index finds them; `searched_from` says since when.

        The list leads on to those before.
        """
        if not search_term.strip():
            return queryset, False
        moments = queryset.order_by("-at", "-pk").values_list("at", flat=True)
        edges = list(moments[self.searched - 1 : self.searched + 1])
        edge = edges[0] if len(edges) > 1 else None
        narrowed = queryset.filter(at__gte=edge) if edge else queryset
        found, is_doubled = super().get_search_results(request, narrowed, search_term)
        found.searched_from = edge
        return found, is_doubled

    def list_buttons(self, request: HttpRequest) -> list[Button]:
        streams = Button(_("Where they are sent"), reverse("admin:audit_event_destinations"))
        if not actor_of(request).has_perm("audit.export_event"):
            return [streams]
        words = {"csv": _("CSV of these"), "jsonl": _("JSON Lines of these")}
        query = request.GET.urlencode()
        files = [Button(words[kind], f"{reverse(f'admin:audit_event_export_{kind}')}?{query}") for kind in FILES]
        return [*files, streams]

    @method_decorator(require_safe)
    def export_view(self, request: HttpRequest, kind: str) -> HttpResponseBase:
        """Send all events that the list would show, however many; of what is asked for wrongly, the list says why."""
        if not (self.has_view_permission(request) and actor_of(request).has_perm("audit.export_event")):
            raise NotAllowed
        listed = self.get_changelist_instance(request)
        if not all(spec.form.is_valid() for spec in listed.filter_specs if isinstance(spec, FactsFilter)):
            return HttpResponseRedirect(f"{reverse('admin:audit_event_changelist')}?{request.GET.urlencode()}")
        content_type, written = FILES[kind]
        headers = {"Content-Disposition": f'attachment; filename="audit.{kind}"'}
        return StreamingHttpResponse(written(listed.queryset), content_type=content_type, headers=headers)

    @method_decorator(require_safe)
    def destinations_view(self, request: HttpRequest) -> HttpResponse:
        """Show how far the systems are that are sent every event."""
        if not self.has_view_permission(request):
            raise NotAllowed
        found = standings()
        return self.shown(
            request,
            "admin/destinations.html",
            gettext_lazy("Where events are sent"),
            sections=[_destinations(found)] if found else [],
            failing=sum(each.is_failing for each in found),
        )


def _destinations(found: list[Standing]) -> Section:
    heads = [_("Destination"), _("State"), _("Events behind"), _("Last number taken"), _("Last taken")]
    return Section(_("Destinations"), heads, [_destination(each) for each in found])


def _destination(each: Standing) -> list[Any]:
    if each.reader is None:
        return [each.name, toned("scheduled", _("Not begun yet")), "", "", ""]
    taken = [each.reader.n, moment(each.reader.taken_at)] if each.reader.taken_at else ["", _("nothing yet")]
    return [each.name, _state(each, each.reader), each.behind, *taken]


def _state(each: Standing, reader: Reader) -> SafeString:
    if not each.is_failing:
        done = toned("ok", _("Has taken all")) if reader.taken_at else toned("scheduled", _("Waits for the next event"))
        return toned("waiting", _("Catching up")) if each.behind else done
    times = {"since": moment(reader.failing_since), "next": moment(reader.next_attempt_at)}
    said = format_html(_("Since {since}; tried again {next}."), **times)
    code, cause = reader.last_outcome.partition(":")[0], cause_of(reader.last_outcome)
    parts = (toned("failed", _("Failing")), said, cause, code)
    return format_html('{} <p class="pim-quiet">{}</p><p class="pim-quiet">{} <code>{}</code></p>', *parts)
