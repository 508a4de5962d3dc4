"""Series of access reviews: defined, begun, discontinued, and the calendar of what comes."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, reverse
from django.utils.formats import date_format
from django.utils.timezone import localtime, now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from accounts.rules import NotAllowed
from assignments.ownership import owns_a_place
from pim_site.templatetags.pim import dot, moment, moment_text
from reviews import services
from reviews.coming import Coming, coming
from reviews.models import Definition, Instance, Stage

from .base import Act, Button, Section, ServiceAdmin, actor_of, link, list_of
from .days import OpenFilter
from .forms import NotedReasonForm
from .series_form import ADD_FIELDSETS, FIELDSETS, SeriesForm

SHOWN = 20
YEAR = timedelta(days=366)
COMING = 6


def what_discontinuing_does(series: Definition) -> Iterator[str]:
    yield _("No further review of “%(series)s” begins. What was answered so far stays.") % {"series": series}
    if _is_running(series):
        yield _("The review that is open goes on to its end. Stop it on its own page.")


def what_hastening_does(series: Definition) -> Iterator[str]:
    text = _("The review that was planned for %(when)s begins now, and lasts %(days)d days.")
    yield text % {"when": moment_text(series.next_at), "days": series.days}
    yield _("The reviewers are asked as soon as it has found what is to be reviewed. Later reviews begin as planned.")


def _is_running(series: Definition) -> bool:
    return series.instances.filter(state__in=services.defining.RUNNING).exists()


class NextFilter(OpenFilter):
    words = (gettext_lazy("Nothing planned"), gettext_lazy("Planned"))


@admin.register(Definition)
class DefinitionAdmin(ServiceAdmin):
    form = SeriesForm
    list_display = ["name", "covers", "recurrence", "next", "no_answer", "applies_itself"]
    list_filter = ["recurrence", "covers", ("next_at", NextFilter)]
    search_fields = ["name", "description"]
    ordering = ["next_at", "name"]
    autocomplete_fields = ["roles", "groups", "scope", "told"]
    fieldsets = FIELDSETS
    acts = (
        Act(
            slug="begin",
            label=gettext_lazy("Begin now"),
            permissions=("reviews.change_definition",),
            offered=lambda series, at: bool(series.next_at and series.next_at > at) and not _is_running(series),
            says=what_hastening_does,
            does=lambda series, **facts: services.hasten(definition=series, **facts),
            done=lambda series: _("The review begins within a minute."),
            form=NotedReasonForm,
        ),
        Act(
            slug="discontinue",
            label=gettext_lazy("Discontinue"),
            permissions=("reviews.change_definition",),
            offered=lambda series, at: series.discontinued_at is None,
            says=what_discontinuing_does,
            does=lambda series, **facts: services.discontinue(definition=series, **facts),
            done=lambda series: _("%(series)s is discontinued.") % {"series": series},
            form=NotedReasonForm,
            danger=True,
        ),
    )

    @admin.display(description=gettext_lazy("Next review"), ordering="next_at")
    def next(self, series: Definition) -> str:
        return moment(series.next_at) or "–"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Definition]:
        return super().get_queryset(request).prefetch_related("stages")

    def owned(self, user: User) -> Q:
        return Q(pk__in=Definition.objects.owned_by(user, now()).values("pk"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) or owns_a_place(actor_of(request), now())

    def has_change_permission(self, request: HttpRequest, obj: Definition | None = None) -> bool:
        """What is over, or open at present, is shown and cannot be changed; the service says so as well."""
        if obj and (obj.discontinued_at or _is_running(obj)):
            return False
        return super().has_change_permission(request, obj)

    def get_fieldsets(self, request: HttpRequest, obj: Definition | None = None) -> Any:
        """Shown alone, a series has no fields of stages: these stand in a table beneath."""
        if obj is None or self.has_change_permission(request, obj):
            return FIELDSETS if obj else ADD_FIELDSETS
        return [(title, options) for title, options in FIELDSETS if not str(options["fields"][-1]).startswith("stage")]

    def get_urls(self) -> list[URLPattern]:
        return [self.page("calendar/", "calendar", self.calendar_view), *super().get_urls()]

    def list_buttons(self, request: HttpRequest) -> list[Button]:
        return [Button(_("Calendar"), reverse("admin:reviews_definition_calendar"))]

    def calendar_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise NotAllowed
        series = Definition.objects.filter(pk__in=self.get_queryset(request).values("pk")).coming().described()
        sections = list(_by_month(coming(series, now() + YEAR)))
        return self.shown(request, "admin/review_calendar.html", gettext_lazy("Calendar"), sections=sections)

    def create(self, actor: User, values: dict[str, Any]) -> Definition:
        define = services.define_each if values["apart"] else _define_one
        return define(actor=actor, terms=values["terms"])[0]

    def update(self, row: Definition, actor: User, values: dict[str, Any]) -> Definition:
        return services.change(definition=row, actor=actor, terms=values["terms"])

    def sections(self, request: HttpRequest, row: Definition) -> list[Section]:
        return [_reviews_of(row), _stages_of(row), _coming(row, now())]


def _by_month(rows: list[Coming]) -> Iterator[Section]:
    heads = [_("Begins"), _("Ends"), _("Series"), _("Number")]
    for month, found in groupby(rows, lambda each: date_format(localtime(each.begins), "F Y")):
        cells = [[moment(each.begins), moment(each.ends), link(each.series), each.number] for each in found]
        yield Section(month, heads, cells)


def _define_one(**facts: Any) -> list[Definition]:
    return [services.define(**facts)]


def _reviews_of(series: Definition) -> Section:
    heads = [_("Review"), _("State"), _("Began"), _("Ends")]
    rows = [
        [
            link(each),
            dot(each.state, each.get_state_display()),
            moment(each.began_at),
            moment(each.ended_at or each.ends_at),
        ]
        for each in series.instances.described()[:SHOWN]
    ]
    return Section(_("Reviews"), heads, rows, list_of(Instance, definition__id__exact=series.pk))


def _stages_of(series: Definition) -> Section:
    heads = [_("Stage"), _("Who is asked"), _("Fallback"), _("Days"), _("About")]
    stages = series.stages.prefetch_related(*services.defining.OF_STAGE)
    return Section(_("Stages"), heads, [_stage_row(stage) for stage in stages])


def _stage_row(stage: Stage) -> list[Any]:
    named = ", ".join(map(str, [*stage.groups.all(), *stage.people.all()]))
    who = named if stage.reviewers == Stage.Reviewers.NAMED else stage.get_reviewers_display()
    fallback = ", ".join(map(str, [*stage.fallback_groups.all(), *stage.fallback.all()]))
    return [stage.number, who, fallback or "–", stage.days, stage.get_takes_display()]


def _coming(series: Definition, at: datetime) -> Section:
    """The next beginnings, as far as the series has them."""
    numbers = range(series.next_number, series.next_number + COMING) if series.next_at else []
    begins = [(number, series.plan.begins(number)) for number in numbers]
    rows: list[list[Any]] = [[number, moment(when)] for number, when in begins if when]
    return Section(_("To come"), [_("Number"), _("Begins")], rows)
