"""The page of emergency access."""

from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.timezone import now
from django.views.decorators.http import require_http_methods

from accounts.rules import intent_digest
from accounts.sessions import SignedInRequest, prove
from assignments.models import EligibleAssignment
from assignments.rules import allows_emergency, in_emergency
from roles.models import RoleSettings

from . import services
from .emergencies import REVIEW_WITHIN
from .forms import EmergencyForm, place
from .models import Request
from .rules import emergency_facts


@require_http_methods(["GET", "HEAD", "POST"])
def eligible_emergency(request: SignedInRequest, pk: UUID) -> HttpResponse:
    eligible = get_object_or_404(EligibleAssignment.objects.reaching(request.user, now()).described(), pk=pk)
    settings = RoleSettings.objects.shown_for(eligible.role, eligible.scope)
    if not allows_emergency(settings, request.user):
        raise Http404
    terms = in_emergency(settings, request.user)
    form = EmergencyForm(request.POST if request.method == "POST" else None, user=request.user, settings=terms)
    if request.method == "POST" and form.is_valid():
        try:
            return redirect("approvals:request-detail", _activated(request, eligible, form, terms).pk)
        except ValidationError as refusal:
            place(form, refusal)
    context = {"form": form, "eligible": eligible, "terms": terms, "review_days": REVIEW_WITHIN.days}
    return render(request, "approvals/eligible_emergency.html", context)


def _activated(
    request: SignedInRequest, eligible: EligibleAssignment, form: EmergencyForm, terms: RoleSettings
) -> Request:
    """Check all but the code first: a code that is used up for what could not be is lost."""
    asked: dict[str, Any] = {"eligible": eligible, **form.asked}
    services.activate_in_emergency(actor=request.user, validate_only=True, **asked)
    proof = None
    if terms.mfa_required:
        intent = intent_digest("emergency.used", **emergency_facts(scope=eligible.scope, **asked))
        strict = terms.phishing_resistant_required
        proof = prove(request, request.user, form.factor, intent, phishing_resistant=strict)
    return services.activate_in_emergency(actor=request.user, proof=proof, session=request.session["binding"], **asked)
