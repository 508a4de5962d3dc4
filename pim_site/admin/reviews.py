"""Access reviews: what runs, how far it is, and what came of it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import URLPattern, reverse
from django.utils.safestring import SafeString
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.models import User
from pim_site.templatetags.pim import day, dot, moment
from reviews import services
from reviews.models import Answer, Definition, Instance, Item, Stage
from reviews.progress import nobody_asked, progress, progress_by_reviewer
from reviews.results import counts_of, results_of
from reviews.views import file_of

from .base import Act, Button, ConsoleAdmin, Section, link, list_of, page_of
from .forms import NotedReasonForm
from .widgets import autocomplete

SHOWN = 20


class ReassignForm(NotedReasonForm):
    """Whose questions go to whom, and why."""

    reviewer = forms.ModelChoiceField(User.objects.none(), label=gettext_lazy("Instead of"), empty_label=None)
    to = forms.ModelChoiceField(
        User.objects.enabled().people(), label=gettext_lazy("Ask"), widget=autocomplete(Stage, "people")
    )
    field_order = ("reviewer", "to", "justification")

    def __init__(self, data: Any = None, *, row: Instance, actor: User) -> None:
        super().__init__(data)
        asked = [person.pk for person, far in progress_by_reviewer(row) if far.left]
        self.fields["reviewer"].queryset = User.objects.filter(pk__in=asked)  # type: ignore[attr-defined]


def what_reminding_does(review: Instance) -> Iterator[str]:
    late = [person for person, far in progress_by_reviewer(review) if far.left]
    text = ngettext("%(count)d reviewer is told by mail:", "%(count)d reviewers are told by mail:", len(late))
    names = ", ".join(map(str, late[:SHOWN]))
    yield f"{text % {'count': len(late)}} {names}{' …' if len(late) > SHOWN else ''}"


def what_reassigning_does(review: Instance) -> Iterator[str]:
    yield _("What the one has not answered in this stage is asked of the other.")
    if review.definition.mails:
        yield _("The other is told by mail.")
    yield _("What concerns the other's own access stays where it is.")


def what_stopping_does(review: Instance) -> Iterator[str]:
    yield _("The review ends at once and for good. Nobody can answer any more.")
    yield _("What was answered counts. About what nobody answered, nothing is changed.")
    yield _("Nothing is removed by itself: apply the results when you have looked at them.")


def what_clearing_does(review: Instance) -> Iterator[str]:
    count = review.items.exclude(verdict=Item.Verdict.NOT_REVIEWED).count()
    text = ngettext("%(count)d answer is taken back.", "%(count)d answers are taken back.", count)
    yield text % {"count": count}
    yield _("The reviewers of the present stage are asked anew about everything, in the time that is left.")
    if review.definition.mails:
        yield _("They are told by mail.")
    if review.stage > 1:
        yield _("What earlier stages answered is taken back too, and its reviewers are not asked again.")


def what_applying_does(review: Instance) -> Iterator[str]:
    left = review.items.left()
    text = ngettext("%(count)d access is removed.", "%(count)d accesses are removed.", left.count())
    yield text % {"count": left.count()}
    for item in left.described().worst_first()[:SHOWN]:
        yield str(item)
    yield _("Emergency people and the last administrators keep what they have; the results say so.")


def _is_open(review: Instance, at: datetime) -> bool:
    return review.is_open(at)


def _can_apply(review: Instance, at: datetime) -> bool:
    return review.can_be_applied()


RUNS = ("reviews.run_instance",)


@admin.register(Instance)
class InstanceAdmin(ConsoleAdmin):
    list_display = ["name", "state_dot", "stage", "began", "ends"]
    list_filter = ["state"]
    narrowed_by = ("definition",)
    search_fields = ["definition__name"]
    list_select_related = ["definition"]
    fields = ["series", "state_dot", "planned", "began", "ends", "how_far", "counts", "results"]
    acts = (
        Act(
            slug="remind",
            label=gettext_lazy("Remind"),
            permissions=RUNS,
            offered=_is_open,
            says=what_reminding_does,
            does=lambda review, **facts: services.remind(instance=review, **facts),
            done=lambda review: _("The reviewers who have not answered are reminded."),
            form=forms.Form,
        ),
        Act(
            slug="reassign",
            label=gettext_lazy("Ask somebody else"),
            permissions=RUNS,
            offered=_is_open,
            says=what_reassigning_does,
            does=lambda review, **facts: services.reassign(instance=review, **facts),
            done=lambda review: _("Somebody else is asked now, and told by mail."),
            form=ReassignForm,
            asks_of_row=True,
        ),
        Act(
            slug="apply",
            label=gettext_lazy("Apply the results"),
            permissions=RUNS,
            offered=_can_apply,
            says=what_applying_does,
            does=lambda review, **facts: services.request_application(instance=review, **facts),
            done=lambda review: _("The results are being applied. Reload this page to see how each went."),
            form=NotedReasonForm,
            danger=True,
        ),
        Act(
            slug="clear",
            label=gettext_lazy("Clear the answers"),
            permissions=RUNS,
            offered=_is_open,
            says=what_clearing_does,
            does=lambda review, **facts: services.clear(instance=review, **facts),
            done=lambda review: _("All answers are taken back."),
            form=NotedReasonForm,
            danger=True,
        ),
        Act(
            slug="stop",
            label=gettext_lazy("Stop"),
            permissions=RUNS,
            offered=lambda review, at: review.state in services.defining.RUNNING,
            says=what_stopping_does,
            does=lambda review, **facts: services.stop(instance=review, **facts),
            done=lambda review: _("The review has ended."),
            form=NotedReasonForm,
            danger=True,
        ),
    )

    def owned(self, user: User) -> Q:
        return Q(definition__in=Definition.objects.owned_by(user, now()).values("pk"))

    def get_urls(self) -> list[URLPattern]:
        files = [
            self.page("<path:object_id>/csv/", "csv", self.file_view, kind="csv"),
            self.page("<path:object_id>/evidence/", "evidence", self.file_view, kind="jsonl"),
        ]
        return [*files, *super().get_urls()]

    def file_view(self, request: HttpRequest, object_id: str, kind: str) -> HttpResponseBase:
        return file_of(self.found(request, object_id), kind)

    def links(self, request: HttpRequest, row: Instance) -> list[Button]:
        return [
            Button(_("Results as CSV"), page_of(row, "csv")),
            Button(_("Evidence"), page_of(row, "evidence")),
        ]

    def sections(self, request: HttpRequest, row: Instance) -> list[Section]:
        reviewers = [_reviewers_of(row)] if row.is_open(now()) else []
        return [*reviewers, _items_of(row)]

    @admin.display(description=gettext_lazy("Review"), ordering="definition__name")
    def name(self, review: Instance) -> str:
        return str(review)

    @admin.display(description=gettext_lazy("Series"))
    def series(self, review: Instance) -> SafeString:
        return link(review.definition)

    @admin.display(description=gettext_lazy("State"), ordering="state")
    def state_dot(self, review: Instance) -> SafeString:
        word = review.get_state_display()
        return dot(review.state, _("%(state)s, stopped") % {"state": word} if review.was_stopped else word)

    @admin.display(description=gettext_lazy("Planned for"))
    def planned(self, review: Instance) -> SafeString:
        return moment(review.planned_at)

    @admin.display(description=gettext_lazy("Began"), ordering="began_at")
    def began(self, review: Instance) -> SafeString:
        return moment(review.began_at)

    @admin.display(description=gettext_lazy("Ends"), ordering="ends_at")
    def ends(self, review: Instance) -> SafeString:
        return moment(review.ended_at or review.ends_at)

    @admin.display(description=gettext_lazy("Answered"))
    def how_far(self, review: Instance) -> str:
        far = progress(review)
        text = _("%(answered)d of %(asked)d") % {"answered": far.answered, "asked": far.asked}
        stages = len(review.definition.stages.all())
        if stages > 1 and review.stage:
            text = _("%(text)s in stage %(stage)d of %(stages)d") % {
                "text": text,
                "stage": review.stage,
                "stages": stages,
            }
        lost = nobody_asked(review) if review.is_open(now()) else 0
        return text + (_("; about %(count)d nobody is asked") % {"count": lost} if lost else "")

    @admin.display(description=gettext_lazy("Outcome"))
    def counts(self, review: Instance) -> str:
        if review.ended_at is None:
            return "–"
        return ", ".join(f"{outcome.label}: {number}" for outcome, number in counts_of(review).items())

    @admin.display(description=gettext_lazy("What came of removals"))
    def results(self, review: Instance) -> str:
        return ", ".join(f"{result.label}: {number}" for result, number in results_of(review).items()) or "–"


def _reviewers_of(review: Instance) -> Section:
    heads = [_("Reviewer"), _("Answered"), _("Of"), _("Account")]
    found = progress_by_reviewer(review)
    rows: list[list[Any]] = [
        [link(person), far.answered, far.asked, _("enabled") if person.is_active else dot("disabled")]
        for person, far in found[:SHOWN]
    ]
    more = reverse("reviews:review-results", args=[review.pk]) if len(found) > SHOWN else ""
    return Section(_("Reviewers"), heads, rows, more)


def _items_of(review: Instance) -> Section:
    heads = [_("Person"), _("Access"), _("Recommended"), _("Answer"), _("By"), _("Outcome")]
    rows = [_item_row(item) for item in review.items.described().worst_first()[:SHOWN]]
    return Section(_("Access"), heads, rows, list_of(Item, instance__id__exact=review.pk))


def _item_row(item: Item) -> list[Any]:
    return [
        link(item, item.user),
        item.access,
        item.get_recommendation_display(),
        dot(item.verdict, item.get_verdict_display()),
        str(item.decided_by or "–"),
        _came_of(item),
    ]


def _came_of(item: Item) -> str:
    if not item.result:
        return str(item.get_outcome_display()) or "–"
    return dot(item.result, ": ".join(filter(None, [item.get_result_display(), item.result_cause])))


@admin.register(Item)
class ItemAdmin(ConsoleAdmin):
    list_display = ["user", "access", "kind", "recommendation", "verdict", "decided_by", "outcome", "result"]
    list_filter = ["verdict", "outcome", "result", "is_privileged"]
    narrowed_by = ("instance",)
    search_fields = ["user__display_name", "user__username", "role__name", "group__name"]
    list_select_related = ["user", "role", "scope", "group", "decided_by"]
    fields = [
        *("review", "user", "access", "kind", "gives", "is_privileged", "from_day", "until_day", "used", "signed_in"),
        *("recommendation", "cause", "verdict", "decided_by", "justification", "outcome", "result", "cause_of_result"),
    ]

    def owned(self, user: User) -> Q:
        return Q(instance__definition__in=Definition.objects.owned_by(user, now()).values("pk"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Item]:
        rows = super().get_queryset(request)
        return rows.select_related("instance__definition", "user", "role", "scope", "group", "decided_by")

    @admin.display(description=gettext_lazy("Review"))
    def review(self, item: Item) -> SafeString:
        return link(item.instance)

    @admin.display(description=gettext_lazy("Access"))
    def access(self, item: Item) -> str:
        return item.access

    @admin.display(description=gettext_lazy("Why not removed"))
    def cause_of_result(self, item: Item) -> str:
        return f"{item.result_cause} ({item.result_code})" if item.result_code else "–"

    @admin.display(description=gettext_lazy("Since"))
    def from_day(self, item: Item) -> SafeString:
        return day(item.since)

    @admin.display(description=gettext_lazy("Until"))
    def until_day(self, item: Item) -> SafeString:
        return day(item.until)

    @admin.display(description=gettext_lazy("Last used"))
    def used(self, item: Item) -> str:
        return moment(item.last_used_at) or _("never, as far as is known")

    @admin.display(description=gettext_lazy("Last sign-in"))
    def signed_in(self, item: Item) -> str:
        if item.instance.definition.of_owners:
            return "–"
        return moment(item.last_sign_in_at) or _("never")

    def sections(self, request: HttpRequest, row: Item) -> list[Section]:
        answers = Answer.objects.filter(item=row).select_related("person")
        heads = [_("When"), _("Who"), _("Stage"), _("Answer"), _("Reason")]
        rows = [
            [
                moment(each.answered_at),
                str(each.person or "–"),
                each.stage,
                each.get_verdict_display(),
                each.justification,
            ]
            for each in answers
        ]
        asked = row.asked.select_related("person").order_by("stage", "person__display_name")
        people: list[list[Any]] = [[str(each.person), each.stage] for each in asked]
        return [Section(_("Answers"), heads, rows), Section(_("Who is asked"), [_("Person"), _("Stage")], people)]
