"""Who asks: by a token in the header, or by the session of a browser."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from rest_framework import exceptions, permissions
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request as ApiRequest

from accounts.models import ApiToken, User
from accounts.services import recognise
from accounts.tokens import TokenRefused
from pim_site.addresses import client_address

ROOT = "/api/"


def bearer_of(request: HttpRequest) -> str:
    """Return what stands behind "Bearer" in the header; nothing if there is none."""
    scheme, _space, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


class TokenMiddleware:
    """Makes the owner of a token the user of the request, so that the audit knows both. Only beneath the API."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        text = bearer_of(request) if request.path.startswith(ROOT) else ""
        if text:
            try:
                token = recognise(text, address=client_address(request))
            except TokenRefused as refusal:
                request.token_refusal = refusal  # type: ignore[attr-defined]  # for the view to answer
            else:
                request.token, request.user = token, token.user  # type: ignore[attr-defined]
                token.user.remembers_rights = request.method in ("GET", "HEAD")
        return self.get_response(request)


def token_of(request: HttpRequest) -> ApiToken | None:
    return getattr(request, "token", None)


class TokenAuthentication(BaseAuthentication):
    def authenticate(self, request: ApiRequest) -> tuple[User, ApiToken] | None:
        if refusal := getattr(request._request, "token_refusal", None):
            raise exceptions.AuthenticationFailed(" ".join(refusal.messages), refusal.code)
        token = token_of(request._request)
        return (token.user, token) if token else None

    def authenticate_header(self, request: ApiRequest) -> str:
        return f'Bearer realm="{settings.OTP_TOTP_ISSUER}"'


class HasScope(permissions.BasePermission):
    """Somebody is there; and a token is for what is asked. A session may do all that its person may."""

    def has_permission(self, request: ApiRequest, view: object) -> bool:
        if not request.user or not request.user.is_authenticated:
            raise exceptions.NotAuthenticated(_("Send a token: Authorization: Bearer pim_…"))
        require_scope(request, view.scope_needed())  # type: ignore[attr-defined]  # every view of ours has it
        return True


def require_scope(request: ApiRequest, scope: str) -> None:
    """Refuse a token that is not for `scope`; an empty one needs none.

    Raises:
        PermissionDenied: ``scope_missing``.
    """
    token = request.auth
    if scope and isinstance(token, ApiToken) and scope not in token.scope_set:
        text = _("This token is not for this: it lacks the scope “%(scope)s”.") % {"scope": scope}
        raise exceptions.PermissionDenied(text, "scope_missing")


def session_of(request: ApiRequest) -> str:
    """Return the name of the session that a proof is bound to: that of the browser, or the token."""
    token = request.auth
    return f"token {token.pk}" if isinstance(token, ApiToken) else request._request.session["binding"]
