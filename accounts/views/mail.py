"""Which mail comes at once, and which once a day."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts import services
from accounts.forms import MailForm
from accounts.sessions import SignedInRequest


@require_http_methods(["GET", "HEAD", "POST"])
def mail(request: SignedInRequest) -> HttpResponse:
    form = MailForm(request.POST or None, person=request.user)
    if request.method == "POST" and form.is_valid():
        services.choose_digests(actor=request.user, daily_digest=form.daily_digest, weekly_digest=form.weekly_digest)
        messages.success(request, _("Your choice is kept."))
        return redirect("accounts:mail")
    return render(request, "accounts/mail.html", {"form": form})
