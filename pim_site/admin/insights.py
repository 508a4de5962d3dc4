"""The filter behind the insights on the first page of the console."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.timezone import now
from django.utils.translation import gettext_lazy

from assignments.insights import INSIGHTS


class InsightFilter(admin.SimpleListFilter):
    title = gettext_lazy("standing access")
    parameter_name = "insight"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(insight.key, insight.title) for insight in INSIGHTS]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        chosen = next((insight for insight in INSIGHTS if insight.key == self.value()), None)
        return chosen.of(queryset, now()) if chosen else queryset
