"""The pages on which people look back at what they did, and what was done about them."""

from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils.timezone import now
from django.views.decorators.http import require_safe

from accounts.sessions import SignedInRequest
from assignments.models import ActiveAssignment
from audit.exporting import csv_lines
from audit.models import Archive, Event

from .filters import EventFilter
from .history import COLUMNS
from .looking_back import PAGE, Year, lines_of, within_context


@require_safe
def history(request: SignedInRequest) -> HttpResponseBase:
    found = EventFilter(request.GET, queryset=Event.objects.about(request.user), request=request)
    if request.GET.get("format") == "csv":
        lines = csv_lines(found.qs.iterator(chunk_size=500), COLUMNS)
        headers = {"Content-Disposition": 'attachment; filename="history.csv"'}
        return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)
    page = Paginator(found.qs, PAGE).get_page(request.GET.get("page"))
    rows, archive = lines_of(page.object_list), Archive.objects.first()
    context = {"form": found.form, "page_obj": page, "rows": rows, "archive": archive}
    return render(request, "approvals/history.html", context)


@require_safe
def year(request: SignedInRequest) -> HttpResponse:
    shown = Year.asked(request.user, request.GET)
    return render(request, "approvals/year.html", shown.context(request.GET.get("page")))


@require_safe
def active_events(request: SignedInRequest, pk: UUID) -> HttpResponse:
    """Show what somebody did while their own activation was in force."""
    mine = ActiveAssignment.objects.activated().filter(user=request.user).described()
    context = within_context(get_object_or_404(mine, pk=pk), now(), request.GET.get("page"))
    return render(request, "approvals/active_events.html", context)
