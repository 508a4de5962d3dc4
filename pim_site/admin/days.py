"""Lists narrowed to some days, as the figures of the dashboard and the links of a mail ask for them."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.timezone import localdate
from django.utils.translation import gettext as _
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


class OpenFilter(admin.EmptyFieldListFilter):
    """Says in words what it means that a moment is still empty, and that it is not."""

    words: ClassVar[tuple[Promise, Promise]]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        for word, choice in zip((_("All"), *self.words), super().choices(changelist), strict=True):
            yield {**choice, "display": word}
