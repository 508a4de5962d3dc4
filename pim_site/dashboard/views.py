"""The page of the dashboard. It changes nothing, and shows nothing that its viewer could not count in the lists."""

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.rules import NotAllowed

from .panels import panels
from .period import LENGTHS, USUAL, Period


def dashboard(site: AdminSite) -> Any:
    """Return the view, in the frame of the console."""

    @require_safe
    def view(request: HttpRequest) -> HttpResponse:
        period = Period(chosen(request.GET.get("days", "")), now())
        shown = panels(request.user.get_all_permissions(), period)
        if not shown:
            raise NotAllowed
        context = {"title": _("Dashboard"), "panels": shown, "lengths": LENGTHS, "period": period}
        return TemplateResponse(request, "admin/dashboard.html", site.each_context(request) | context)

    return view


def chosen(days: str) -> int:
    """Return the number of days that an address asks for; the usual one if it is none of those on offer."""
    return int(days) if days in map(str, LENGTHS) else USUAL
