"""What every request passes: headers, the limits of a session, where a change came from, the person's time zone."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from django.apps import apps
from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.contrib.sessions import middleware as sessions
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect, resolve_url
from django.urls import resolve, reverse
from django.utils import timezone
from django_otp.middleware import OTPMiddleware
from django_otp.models import Device

from accounts.models import Passkey, RecoveryDevice, TotpDevice
from accounts.passkeys import Asked
from accounts.prepared import Prepared
from accounts.services import is_signed_in, note_use_of
from audit import context

from .addresses import client_address
from .api.authentication import ROOT, token_of

Answer = Callable[[HttpRequest], HttpResponse]

_DEVICES = {
    kind._meta.label_lower: Prepared(lambda key, kind=kind: kind.objects.filter(pk=key).order_by())
    for kind in (TotpDevice, RecoveryDevice, Passkey)
}

HEADERS = {
    "Permissions-Policy": "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), "
    "microphone=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Nothing that a page of this site shows may be read again from a browser's store after sign-out.
    "Cache-Control": "no-store",
}


class HeadersMiddleware:
    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response


class OriginMiddleware:
    """Gives each request an id, and tells the audit whence it came."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        correlation_id = uuid.uuid4().hex
        with context.bind(correlation_id=correlation_id, address=client_address(request), via="anonymous"):
            response = self.get_response(request)
        response.headers["X-Request-ID"] = correlation_id
        return response


class DirectMiddleware:
    """Answers what programs ask all the time by its view alone: what comes after here is for people with a session.

    These views look at none, and let strangers in or know a token themselves; the way there and back costs a third of
    the whole answer (`make bench-access`).
    """

    PATHS = frozenset({"/api/v1/access/check", "/healthz", "/metrics"})

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info not in self.PATHS:
            return self.get_response(request)
        response = view_at(request.path_info)(request)
        response.headers["Content-Length"] = str(len(response.content))
        return response


@cache
def view_at(path: str) -> Answer:
    return resolve(path).func


class SessionMiddleware(sessions.SessionMiddleware):
    def process_request(self, request: HttpRequest) -> None:
        """Ask for no key that cannot be one: PostgreSQL fails at a NUL, which a cookie in quotes can hold."""
        if not request.COOKIES.get(settings.SESSION_COOKIE_NAME, "").isalnum():
            request.COOKIES.pop(settings.SESSION_COOKIE_NAME, None)
        super().process_request(request)


class DeviceMiddleware(OTPMiddleware):
    """Looks up what a session was verified with, as each page does, by a statement that is made once."""

    def _device_from_persistent_id(self, persistent_id: str) -> Device | None:
        name, _, key = persistent_id.partition("/")
        if name not in _DEVICES or not key.isdecimal():
            return None
        return _DEVICES[name].first(apps.get_model(name), int(key))


class SessionLimitsMiddleware:
    """Ends a session that is too old, that was left idle in the console, or that never showed a second factor.

    Reads ``signed_in_at`` and keeps ``used_at`` in the session, both in seconds since the epoch. A session
    without them counts as too old.
    """

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.user.is_authenticated:
            return self.get_response(request)
        at = timezone.now().timestamp()
        if is_over(request, at):
            logout(request)
            return self.get_response(request) if request.path.startswith(ROOT) else to_sign_in(request)
        keep_used(request, at)
        request.user.remembers_rights = request.method in ("GET", "HEAD")
        return self.get_response(request)


def is_over(request: HttpRequest, at: float) -> bool:
    verified = request.user.is_verified()  # type: ignore[union-attr]  # django-otp adds the method
    return not verified or too_old(request, at) or left_idle(request, at) or signed_out_elsewhere(request)


def signed_out_elsewhere(request: HttpRequest) -> bool:
    """Has its person ended it, from this or another browser?"""
    binding = request.session.get("binding", "")
    return not is_signed_in(user=request.user, session=binding, at=timezone.now())


def too_old(request: HttpRequest, at: float) -> bool:
    age: float = at - request.session.get("signed_in_at", 0)
    return age > timedelta(hours=settings.SESSION_HOURS).total_seconds()


def left_idle(request: HttpRequest, at: float) -> bool:
    if not request.path.startswith(reverse("admin:index")):
        return False
    idle: float = at - request.session.get("used_at", request.session.get("signed_in_at", 0))
    return idle > timedelta(minutes=settings.CONSOLE_IDLE_MINUTES).total_seconds()


def keep_used(request: HttpRequest, at: float) -> None:
    """Note the use, at most once a minute: each note is a write to the database."""
    if at - request.session.get("used_at", 0) >= 60:
        request.session["used_at"] = int(at)
        note_use_of(session=request.session.get("binding", ""), at=timezone.now())


def to_sign_in(request: HttpRequest) -> HttpResponseRedirect:
    """To the sign-in page, and back here afterwards where that can be: a form is not sent a second time."""
    if request.method in ("GET", "HEAD"):
        return redirect_to_login(request.get_full_path())
    return redirect(f"{resolve_url(settings.LOGIN_URL)}?unsaved")


class SignInMiddleware(LoginRequiredMiddleware):
    """Closed by default, with the same way to the sign-in page as a session that has ended."""

    def handle_no_permission(self, request: HttpRequest, view_func: Any) -> HttpResponseRedirect:
        return to_sign_in(request)


class AuditContextMiddleware:
    """Tells the audit how the person of this request had signed in."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        origin = context.current()
        with context.bind(correlation_id=origin.correlation_id, address=origin.address, via=signed_in_via(request)):
            return self.get_response(request)


def signed_in_via(request: HttpRequest) -> str:
    if token := token_of(request):
        return f"token pim_{token.key}"
    if not request.user.is_authenticated:
        return "anonymous"
    return f"session {request.session.get('signed_in_with', '')}".strip()


class PasskeyMiddleware:
    """Hands the browser what a passkey is asked, whichever page was about to prove something with one."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        return JsonResponse(exception.options) if isinstance(exception, Asked) else None


class TimeZoneMiddleware:
    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with timezone.override(zone_of(request)):
            return self.get_response(request)


def zone_of(request: HttpRequest) -> ZoneInfo:
    """The person's own zone, or the site's where they have none or one that this machine does not know.

    Programs are answered in UTC.
    """
    if request.path.startswith(ROOT):
        return ZoneInfo("UTC")
    try:
        return ZoneInfo(getattr(request.user, "time_zone", ""))
    except (KeyError, ValueError, OSError):
        return ZoneInfo(settings.DEFAULT_TIME_ZONE)
