"""Requests: what was asked, by whom, and what became of it. Deciding stays on the approvers' own page."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from approvals.models import Request
from approvals.services import cancel
from assignments.models import ActiveAssignment
from pim_site.templatetags.pim import dot, duration, moment, ticket

from .base import Act, Button, ConsoleAdmin, Section, link, page_of
from .days import DaysFilter

WITHIN = gettext_lazy("Done within it")

# Fields that only some requests have, and the column that says so.
OPTIONAL = {
    "length": "duration",
    "ticket_shown": "ticket",
    "proved_with": "proved_with",
    "to_decide": "expires_at",
    "settled": "settled_at",
    "failure_code": "failure_code",
    "eligible": "eligible_assignment",
    "active": "active_assignment",
}


def status_dot(request: Request) -> SafeString:
    if request.is_overdue(now()):
        return dot("timed_out")
    return dot(request.status, str(request.get_status_display()).capitalize())


def request_row(row: Request) -> list[Any]:
    """Return the cells of a request in a table below something else."""
    return [link(row, row.reference), row.role, row.get_action_display(), moment(row.requested_at), status_dot(row)]


def within_links(request: HttpRequest, row: ActiveAssignment | None) -> list[Button]:
    """Return the way to what was done while an activation was in force, for those who may read the audit."""
    readable = row is not None and row.is_activated and request.user.has_perm("audit.view_event")
    return [Button(WITHIN, page_of(row, "events"))] if row and readable else []


def what_canceling_does(row: Request) -> Iterator[str]:
    names = {"user": row.holder, "role": row.role, "scope": row.scope}
    yield _("The request of %(user)s for %(role)s at %(scope)s is closed; nobody can approve it any more.") % names
    yield _("%(user)s is told by mail, and so are the approvers who were asked.") % names


class AskedFilter(DaysFilter):
    title = gettext_lazy("asked")
    parameter_name = "asked"
    column = "requested_at"


class GivesFilter(admin.SimpleListFilter):
    title = gettext_lazy("kind of assignment")
    parameter_name = "gives"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("eligible", _("Eligible")), ("active", _("Active"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() not in ("eligible", "active"):
            return queryset
        return queryset.filter(active_assignment__isnull=self.value() == "eligible")


@admin.register(Request)
class RequestAdmin(ConsoleAdmin):
    list_display = ["reference", "holder_name", "role", "scope", "action_label", "status_shown", "asked", "decided_by"]
    list_filter = ["status", AskedFilter, "action", GivesFilter, "role"]
    narrowed_by = ("user", "group")
    list_select_related = ["user", "group", "role", "scope", "eligible_assignment", "active_assignment"]
    search_fields = ["user__display_name", "user__username", "group__name", "role__name", "ticket"]
    search_help_text = gettext_lazy("Person, role or ticket number")
    fields = [
        "reference",
        "status_shown",
        "action_label",
        "holder",
        "asked_by",
        "of_role",
        "scope",
        "length",
        "wanted",
        "justification",
        "ticket_shown",
        "proved_with",
        "asked",
        "to_decide",
        "settled",
        "failure_code",
        "eligible",
        "active",
        "asked_under",
    ]
    acts = (
        Act(
            slug="cancel",
            label=gettext_lazy("Cancel request"),
            permissions=("approvals.cancel_request",),
            offered=lambda row, at: row.is_cancelable,
            says=what_canceling_does,
            does=lambda row, **facts: cancel(request=row, **facts),
            done=lambda row: _("%(reference)s is canceled.") % {"reference": row.reference},
            danger=True,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Request]:
        return (
            super()
            .get_queryset(request)
            .prefetch_related("decisions__person", "decisions__on_behalf_of", "decisions__repeats")
        )

    def get_fields(self, request: HttpRequest, obj: Request | None = None) -> Any:
        """Leave out what this request does not have."""
        missing = {name for name, column in OPTIONAL.items() if not getattr(obj, column, None)}
        return [name for name in self.fields if name not in missing]

    def links(self, request: HttpRequest, row: Request) -> list[Button]:
        opened = Button(_("Open the request"), reverse("approvals:request-detail", args=[row.pk]))
        return [opened, *within_links(request, row.active_assignment)]

    def sections(self, request: HttpRequest, row: Request) -> list[Section]:
        heads = [_("Person"), _("Verdict"), _("Reason"), _("Decided")]
        decisions = [
            [each.who, dot(each.verdict), each.justification, moment(each.decided_at)] for each in row.decisions.all()
        ]
        return [Section(_("Decisions"), heads, decisions)]

    @admin.display(description=gettext_lazy("reference"))
    def reference(self, row: Request) -> str:
        return row.reference

    @admin.display(description=gettext_lazy("for"), ordering="user__display_name")
    def holder(self, row: Request) -> SafeString:
        return link(row.holder)

    @admin.display(description=gettext_lazy("for"), ordering="user__display_name")
    def holder_name(self, row: Request) -> str:
        return str(row.holder)

    @admin.display(description=gettext_lazy("asked by"))
    def asked_by(self, row: Request) -> SafeString | str:
        return link(row.requester) if row.requester else _("the system")

    @admin.display(description=gettext_lazy("role"))
    def of_role(self, row: Request) -> SafeString:
        return link(row.role)

    @admin.display(description=gettext_lazy("action"), ordering="action")
    def action_label(self, row: Request) -> str:
        return str(row.get_action_display())

    @admin.display(description=gettext_lazy("status"), ordering="status")
    def status_shown(self, row: Request) -> SafeString:
        return status_dot(row)

    @admin.display(description=gettext_lazy("asked"), ordering="requested_at")
    def asked(self, row: Request) -> SafeString:
        return moment(row.requested_at)

    @admin.display(description=gettext_lazy("decided by"))
    def decided_by(self, row: Request) -> str:
        return ", ".join(decision.who for decision in row.decisions.all())

    @admin.display(description=gettext_lazy("for how long"))
    def length(self, row: Request) -> str:
        return duration(row.duration)

    @admin.display(description=gettext_lazy("wanted"))
    def wanted(self, row: Request) -> str:
        start = moment(row.starts_at) if row.starts_at else _("at once")
        return _("%(start)s until %(end)s") % {"start": start, "end": moment(row.ends_at)} if row.ends_at else start

    @admin.display(description=gettext_lazy("to be decided by"))
    def to_decide(self, row: Request) -> SafeString:
        return moment(row.expires_at)

    @admin.display(description=gettext_lazy("settled"))
    def settled(self, row: Request) -> SafeString:
        return moment(row.settled_at)

    @admin.display(description=gettext_lazy("ticket"))
    def ticket_shown(self, row: Request) -> SafeString:
        return ticket(row)

    @admin.display(description=gettext_lazy("eligible assignment"))
    def eligible(self, row: Request) -> SafeString | str:
        return link(row.eligible_assignment) if row.eligible_assignment else ""

    @admin.display(description=gettext_lazy("active assignment"))
    def active(self, row: Request) -> SafeString | str:
        return link(row.active_assignment) if row.active_assignment else ""

    @admin.display(description=gettext_lazy("settings asked under"))
    def asked_under(self, row: Request) -> str:
        return str(row.settings)
