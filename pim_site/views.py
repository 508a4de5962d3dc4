import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template import loader
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.views import defaults
from django.views.decorators.http import require_safe

from accounts.sessions import SignedInRequest

from .api.authentication import ROOT
from .api.problems import problem_response
from .home import overview

RETRY_AFTER = "10"  # seconds


@require_safe
def home(request: SignedInRequest) -> HttpResponse:
    words = request.GET.get("q", "").replace("\0", "").strip()  # PostgreSQL takes no NUL in a text
    return render(request, "home.html", {"words": words, **overview(request.user, words=words, at=now())})


@require_safe
def no_console(request: SignedInRequest) -> HttpResponse:
    """Where the console sends people who have no right in it now."""
    return render(request, "no_console.html", status=403)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer what failed by our own fault; of the fault itself only the log tells, by the id of the request.

    A database that is away or busy is back soon: 503 has programs and proxies try again, which 500 has not.
    """
    if isinstance(sys.exc_info()[1], (OperationalError, InterfaceError)):
        return unavailable(request)
    if not request.path.startswith(ROOT):
        return defaults.server_error(request)
    text = _("Something went wrong here. Whoever runs this site finds it by the id of the request.")
    return problem_response(500, "server_error", text)


def unavailable(request: HttpRequest) -> HttpResponse:
    headers = {"Retry-After": RETRY_AFTER}
    if not request.path.startswith(ROOT):
        return HttpResponse(loader.get_template("503.html").render(), status=503, headers=headers)
    text = _("The database does not answer, or is busy. Try again in a moment.")
    return problem_response(503, "unavailable", text, headers=headers)
