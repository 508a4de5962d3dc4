"""The events in the console: to look at, never to change, whoever looks."""

from collections.abc import Iterable
from typing import Any, ClassVar, cast

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import truncatechars
from django.utils import dateformat, timezone
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from audit.models import Event
from audit.services import OPERATIONS


class CappedPaginator(Paginator):  # type: ignore[type-arg]  # generic in the stubs only
    """Counts up to a bound, because counting all of a table that only grows takes longer with every day."""

    LIMIT = 10_000

    @cached_property
    def count(self) -> int:
        events = cast("QuerySet[Event]", self.object_list)
        return events[: self.LIMIT].count()


class ActionFilter(admin.SimpleListFilter):
    """By the actions that the code knows; asking the table for them would read all of it."""

    title = _("action")
    parameter_name = "action"
    template = "audit/action_filter.html"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [(action, action) for action in sorted({*OPERATIONS, *filter(None, [self.value()])})]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Event]) -> QuerySet[Event]:
        return queryset.filter(action=self.value()) if self.value() else queryset


class WhenFilter(admin.DateFieldListFilter):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = _("when")


def stacked(*lines: str) -> SafeString:
    """Return what belongs together below each other, so that a row fits on a screen."""
    return format_html_join("", "<div>{}</div>", ((line,) for line in lines if line))


@admin.register(Event)
class EventAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    list_display = ("moment", "what", "who", "about", "where", "why", "approved_by")
    list_filter: ClassVar[tuple[Any, ...]] = ("outcome", ("at", WhenFilter), ActionFilter)
    search_fields = (
        "actor_label",
        "subject_label",
        "target_label",
        "role_label",
        "scope_label",
        "ticket",
        "=correlation_id",
    )
    sortable_by = ("moment",)
    list_per_page = 50
    list_max_show_all = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = CappedPaginator
    actions = None
    fields = ("canonical",)
    change_form_template = "audit/event_detail.html"

    @admin.display(description=_("at"), ordering="at")
    def moment(self, event: Event) -> str:
        """Breaks between its day and its time only."""
        return dateformat.format(timezone.localtime(event.at), "j\xa0M\xa0Y, H:i:s\xa0T")

    @admin.display(description=_("action and outcome"))
    def what(self, event: Event) -> SafeString:
        tone = "refused" if event.is_refused else "ok"
        outcome = format_html('<span class="pim-dot pim-dot--{}">{}</span>', tone, event.get_outcome_display())
        return stacked(self.named(event), format_html("{} {}", outcome, event.code))

    def named(self, event: Event) -> str | SafeString:
        """Return what an action is called: its code, for whoever knows no words for it."""
        return event.action

    @admin.display(description=_("actor, signed in with"))
    def who(self, event: Event) -> SafeString:
        return stacked(event.actor_label, event.via)

    @admin.display(description=_("subject"))
    def about(self, event: Event) -> str:
        return event.subject_label

    @admin.display(description=_("role and scope"))
    def where(self, event: Event) -> SafeString:
        return stacked(event.role_label, event.scope_label)

    @admin.display(description=_("reason and ticket"))
    def why(self, event: Event) -> SafeString:
        return stacked(truncatechars(" ".join(event.justification.split()), 80), event.ticket)

    @admin.display(description=_("approved by"))
    def approved_by(self, event: Event) -> str:
        return ", ".join(event.approvers)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Event | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Event | None = None) -> bool:
        return False
