"""The console: Django's admin behind our sign-in."""

from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django_otp.admin import OTPAdminSite


class ConsoleSite(OTPAdminSite):
    """Whoever has a right in force and has proved a second factor comes in; there is no second sign-in page."""

    site_header = _("PIM console")
    site_title = _("PIM console")
    index_title = _("Console")
    enable_nav_sidebar = True

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Send strangers to the sign-in page, and people without a right to their own home with a word why."""
        if request.user.is_authenticated:
            return redirect("no-console")
        return redirect_to_login(request.GET.get("next") or reverse("admin:index"))

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseRedirect:
        return redirect("accounts:sign-out")

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseRedirect:
        return redirect("accounts:security")
