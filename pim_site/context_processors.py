"""What every page shows beside its own content."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject
from django.utils.timezone import get_current_timezone_name, now

from accounts.models import User
from approvals.models import Request, count_awaiting
from reviews.progress import waiting_for as reviews_waiting_for


def site(request: HttpRequest) -> dict[str, Any]:
    """Return the site's name, whether this is the demo, the zone in use, and what the navigation counts."""
    return {
        "site_name": settings.OTP_TOTP_ISSUER,
        "demo": settings.DEMO,
        "zone_name": get_current_timezone_name(),
        "nav": SimpleLazyObject(lambda: _navigation(request)),
    }


def _navigation(request: HttpRequest) -> dict[str, Any]:
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"approvals_waiting": 0, "reviews_waiting": 0, "console": False}
    return {
        "approvals_waiting": _waiting_for(user),
        "reviews_waiting": reviews_waiting_for(user, now()),
        "console": user.is_staff,
    }


def _waiting_for(user: User) -> int:
    """How many requests wait for this person. That some wait at all is asked first: it is the far cheaper question."""
    undecided = (Request.Status.PENDING_APPROVAL, Request.Status.PENDING_ADMIN_DECISION)
    if not Request.objects.filter(status__in=undecided).exists():
        return 0
    return count_awaiting(user, now()) + Request.objects.awaiting_administrator(user, now()).count()
