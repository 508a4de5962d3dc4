"""Uses of emergency access, to be reviewed by somebody else than who used it."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from approvals.models import EmergencyUse
from approvals.services import review_emergency
from pim_site.templatetags.pim import moment

from .base import Act, Button, ConsoleAdmin, page_of
from .days import OpenFilter


class ReviewForm(forms.Form):
    """What a use was, and why one thinks so."""

    finding = forms.ChoiceField(
        label=gettext_lazy("Finding"), choices=EmergencyUse.Finding.choices, widget=forms.RadioSelect
    )
    justification = forms.CharField(
        label=gettext_lazy("What you looked at, and what comes of it"),
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("Kept in the audit. Example: “Read the log of the server with the team; INC-4471”."),
    )


def what_reviewing_does(use: EmergencyUse) -> Iterator[str]:
    yield _("%(user)s took %(role)s without approval. Their reason: “%(reason)s”") % {
        "user": use.user,
        "role": use.request.role,
        "reason": use.request.justification,
    }
    yield _("You say once and for all whether it had to be. It leaves the dashboard.")


class ReviewedFilter(OpenFilter):
    words = (gettext_lazy("To be reviewed"), gettext_lazy("Reviewed"))


@admin.register(EmergencyUse)
class EmergencyUseAdmin(ConsoleAdmin):
    list_display = ["user", "of_role", "drill", "used", "to_review", "reviewed_by", "finding"]
    list_filter = ["is_drill", "finding", ("reviewed_at", ReviewedFilter)]
    narrowed_by = ("reviewed_at", "review_by")
    search_fields = ["user__display_name", "user__username", "request__role__name"]
    list_select_related = ["user", "request__role", "reviewed_by"]
    fields = [
        "user",
        "of_role",
        "reason",
        "drill",
        "used",
        "to_review",
        "reviewed_by",
        "reviewed",
        "finding",
        "comment",
    ]
    acts = (
        Act(
            slug="review",
            label=gettext_lazy("Review"),
            permissions=("approvals.review_emergency",),
            offered=lambda use, at: use.reviewed_at is None,
            says=what_reviewing_does,
            does=lambda use, **facts: review_emergency(use=use, **facts),
            done=lambda use: _("%(use)s is reviewed.") % {"use": use},
            form=ReviewForm,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[EmergencyUse]:
        rows = super().get_queryset(request).select_related("user", "reviewed_by")
        return rows.select_related("request__role", "request__scope", "request__user")

    @admin.display(description=gettext_lazy("Role"), ordering="request__role__name")
    def of_role(self, use: EmergencyUse) -> str:
        return f"{use.request.role} · {use.request.scope}"

    @admin.display(description=gettext_lazy("Reason"))
    def reason(self, use: EmergencyUse) -> str:
        return use.request.justification

    @admin.display(description=gettext_lazy("Drill"), ordering="is_drill")
    def drill(self, use: EmergencyUse) -> str:
        return _("yes") if use.is_drill else _("no")

    @admin.display(description=gettext_lazy("Used"), ordering="used_at")
    def used(self, use: EmergencyUse) -> SafeString:
        return moment(use.used_at)

    @admin.display(description=gettext_lazy("To be reviewed by"), ordering="review_by")
    def to_review(self, use: EmergencyUse) -> SafeString:
        return moment(use.review_by)

    @admin.display(description=gettext_lazy("Reviewed"))
    def reviewed(self, use: EmergencyUse) -> str:
        return moment(use.reviewed_at) or "–"

    def links(self, request: HttpRequest, row: Any) -> list[Button]:
        return [Button(_("Open the request"), page_of(row.request))]
