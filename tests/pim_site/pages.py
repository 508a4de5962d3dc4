"""A few pages to look at the middleware from: an open one, one of the site, one of the console."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpResponse, JsonResponse
from django.urls import include, path
from django.utils import timezone

from audit import context
from pim_site import health


@login_not_required
def told(request):
    """What a view sees of what the middleware made."""
    origin = context.current()
    return JsonResponse(
        {
            "id": origin.correlation_id,
            "address": origin.address,
            "via": origin.via,
            "zone": timezone.get_current_timezone_name(),
        }
    )


def page(request):
    return HttpResponse("a page")


urlpatterns = [
    path("", page, name="home"),
    path("told/", told),
    path("cached/", login_not_required(lambda request: HttpResponse(headers={"Cache-Control": "max-age=60"}))),
    path("console/", include(([path("", page, name="index"), path("people/", page)], "admin"))),
    path("sign-in/", include(([path("", login_not_required(page), name="sign-in")], "accounts"))),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
]
