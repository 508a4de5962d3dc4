from django.http import HttpResponse
from django.shortcuts import render
from django.utils.timezone import now
from django.views.decorators.http import require_safe

from accounts.sessions import SignedInRequest

from .home import overview


@require_safe
def home(request: SignedInRequest) -> HttpResponse:
    words = request.GET.get("q", "").replace("\0", "").strip()  # PostgreSQL takes no NUL in a text
    return render(request, "home.html", {"words": words, **overview(request.user, words=words, at=now())})


@require_safe
def no_console(request: SignedInRequest) -> HttpResponse:
    """Where the console sends people who have no right in it now."""
    return render(request, "no_console.html", status=403)
