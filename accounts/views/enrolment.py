"""The page behind an enrolment link: a password and the first factor."""

from functools import partial

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from accounts import services
from accounts.forms import EnrolmentForm
from accounts.qr import new_key_shown
from accounts.rules import EnrolmentRefused

from .parts import key_of, posted


@login_not_required
@sensitive_variables("ticket")
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def enrol(request: HttpRequest, ticket: str) -> HttpResponse:
    """Show whom the link is for and take their new password and factor; a link that is over says so, with 404."""
    try:
        person = services.open_ticket(ticket).user
    except EnrolmentRefused as refusal:
        return render(request, "accounts/enrolment_refused.html", {"refusal": refusal.message}, status=404)
    form, key = EnrolmentForm(request.POST or None, user=person), key_of(request)
    page = {"form": form, "person": person, "key": new_key_shown(key, account=person.username)}
    return posted(request, form, partial(_enrol, ticket, key)) or render(request, "accounts/enrolment_form.html", page)


@sensitive_variables()
def _enrol(ticket: str, key: str, request: HttpRequest, form: EnrolmentForm) -> HttpResponse:
    typed = form.cleaned_data
    codes = services.enrol(secret=ticket, password=typed["password"], encrypted_key=key, code=typed["new_code"])
    return render(request, "accounts/enrolment_done.html", {"codes": codes})
