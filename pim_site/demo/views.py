"""The mail of the demo, readable without sign-in: it reaches nobody, and the demo listens on this machine only."""

import re

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from .mailbox import letter, letters

PAGE = 25
ADDRESS = re.compile(r"(https?://[^\s<>]+)")


@login_not_required
@require_safe
def mail_list(request: HttpRequest) -> HttpResponse:
    address = request.GET.get("to", "").strip()
    page = Paginator(letters(address), PAGE).get_page(request.GET.get("page"))
    return render(request, "demo/mail_list.html", {"page_obj": page, "address": address})


@login_not_required
@require_safe
def mail_detail(request: HttpRequest, name: str) -> HttpResponse:
    found = letter(name)
    if found is None:
        raise Http404(_("There is no such mail."))
    context = {"letter": found, "text": linked(found.part("plain")), "html": found.part("html")}
    return render(request, "demo/mail_detail.html", context)


def linked(text: str) -> SafeString:
    """Return `text` with the addresses of this site as links; any other stays text, for a mail may quote anybody."""
    pieces = ((_link(piece) if piece.startswith(f"{settings.BASE_URL}/") else piece,) for piece in ADDRESS.split(text))
    return format_html_join("", "{}", pieces)


def _link(address: str) -> SafeString:
    return format_html('<a href="{}">{}</a>', address.removeprefix(settings.BASE_URL), address)
