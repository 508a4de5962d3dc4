"""The outbox in the console: what waits, what went, and why something did not."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import dateformat, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from notifications.mail import render
from notifications.models import Kind, Message

TONES = {"queued": "waiting", "sending": "waiting", "sent": "ok", "failed": "failed", "held": "scheduled"}


class KindFilter(admin.SimpleListFilter):
    """By the kinds that the code knows; asking the table for them would read all of it."""

    title = _("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(Kind.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Message]) -> QuerySet[Message]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


@admin.register(Message)
class MessageAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    list_display = ("created", "kind_label", "to_address", "state_dot", "attempts", "next_attempt", "last_error")
    list_filter = ("state", KindFilter)
    search_fields = ("to_address", "to_name")
    sortable_by = ("created",)
    list_per_page = 50
    list_max_show_all = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    actions = None
    fields = ("kind_label", "to_address", "state", "attempts", "next_attempt_at", "sent_at", "last_error")
    change_form_template = "notifications/message_detail.html"

    @admin.display(description=_("created"), ordering="created_at")
    def created(self, message: Message) -> str:
        return _moment(message.created_at)

    @admin.display(description=_("kind"))
    def kind_label(self, message: Message) -> str:
        return message.kind_label

    @admin.display(description=_("state"))
    def state_dot(self, message: Message) -> SafeString:
        tone = TONES.get(message.state, "ended")
        return format_html('<span class="pim-dot pim-dot--{}">{}</span>', tone, message.get_state_display())

    @admin.display(description=_("next attempt"), empty_value="")
    def next_attempt(self, message: Message) -> str | None:
        return _moment(message.next_attempt_at) if message.is_open else None

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if message := kwargs.get("obj"):
            context |= _preview(message)
        return super().render_change_form(request, context, *args, **kwargs)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Message | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Message | None = None) -> bool:
        return False


def _moment(at: Any) -> str:
    return dateformat.format(timezone.localtime(at), "j M Y, H:i:s T")


def _preview(message: Message) -> dict[str, Any]:
    """The words, or why there are none."""
    try:
        return {"words": render(message)}
    except Exception as error:  # the same that keeps it from being sent
        return {"cause": f"{type(error).__name__}: {error}"}
