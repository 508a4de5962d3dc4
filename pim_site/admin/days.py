"""Lists narrowed to some days, as the figures of the dashboard and the links of a mail ask for them."""

from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.timezone import localdate
from django.utils.translation import gettext_lazy

from accounts.days import days_text, span_of

LATELY: tuple[tuple[int, Promise], ...] = (
    (1, gettext_lazy("Today")),
    (7, gettext_lazy("Last 7 days")),
    (30, gettext_lazy("Last 30 days")),
)


class DaysFilter(admin.SimpleListFilter):
    """Narrows to what has a moment within some days; those of an address may be any."""

    column: ClassVar[str]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        today = localdate()
        return [(days_text(today - timedelta(days=days - 1), today), words) for days, words in LATELY]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        chosen = self.value()
        if chosen is None:
            return queryset
        span = span_of(chosen)
        return self.within(queryset, *span) if span else queryset.none()

    def within(self, queryset: Any, since: datetime, until: datetime) -> Any:
        return queryset.filter(**{f"{self.column}__gte": since, f"{self.column}__lt": until})
