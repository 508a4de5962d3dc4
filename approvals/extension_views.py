"""The pages on which what ends is asked for again, and on which administrators answer."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from accounts.rules import intent_digest
from accounts.sessions import SignedInRequest, prove
from assignments.models import ActiveAssignment, AnyAssignment
from assignments.rules import SHORTEST, can_extend, can_prolong, can_renew, latest_end
from roles.models import RoleSettings

from . import services
from .forms import MINUTE, ProlongForm, place
from .models import Request
from .rules import LONGEST_TEXT
from .services.extending import grant_facts
from .services.prolonging import prolong_facts
from .terms_forms import GrantForm
from .views import request_page, visible_request


class AskForm(forms.Form):
    justification = forms.CharField(
        label=gettext_lazy("Reason"),
        required=False,  # for the service to refuse
        help_text=gettext_lazy("Say what you need it for, and until when. Example: “On call until the end of June”."),
        widget=forms.Textarea(attrs={"rows": 3, "maxlength": LONGEST_TEXT, "required": True}),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def assignment_extend(request: SignedInRequest, pk: UUID, model: type[AnyAssignment]) -> HttpResponse:
    """Ask for more time, or to have again what has run out: whichever it is time for."""
    at = now()
    row = get_object_or_404(model.objects.reaching(request.user, at).described(), pk=pk)
    if isinstance(row, ActiveAssignment) and row.is_activated:
        return _activation_extend(request, row, at)
    renews = can_renew(row, at=at)
    form = AskForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        ask = services.self_renew if renews else services.self_extend
        try:
            made = ask(assignment=row, actor=request.user, **form.cleaned_data)
        except ValidationError as refusal:
            place(form, refusal)
        else:
            return redirect("approvals:request-detail", made.pk)
    context = {
        "form": form,
        "row": row,
        "renews": renews,
        "own": row.user_id == request.user.pk,
        "open": renews or can_extend(row, at=at),
        "replaced": renews and row.is_replaced(at),
        "moved": not row.role.is_usable_at(row.scope),
        "pending": Request.objects.extending(row).filter(user=request.user).first(),
    }
    return render(request, "approvals/assignment_extend.html", context)


def _activation_extend(request: SignedInRequest, row: ActiveAssignment, at: datetime) -> HttpResponse:
    """Ask to keep what one has activated for longer."""
    assert row.eligible_assignment  # noqa: S101 (an activation has one)
    assert row.ends_at  # noqa: S101 (and always ends)
    settings = RoleSettings.objects.applying_to_each([(row.role, row.scope)])[row.role_id, row.scope_id]
    room = max(latest_end(row, settings, at=at) - row.ends_at, timedelta(0)) // MINUTE * MINUTE
    form = ProlongForm(
        request.POST if request.method == "POST" else None,
        user=request.user,
        eligible=row.eligible_assignment,
        settings=settings,
        room=room,
        last=row.requests.filter(user=request.user).first(),
    )
    if form.is_valid():
        try:
            made = _prolonged(request, row, form)
        except ValidationError as refusal:
            place(form, refusal)
        else:
            return redirect("approvals:request-detail", made.pk)
    pending = Request.objects.undecided().filter(user=request.user, eligible_assignment=row.eligible_assignment)
    context = {"form": form, "row": row, "settings": settings, "has_room": room >= SHORTEST}
    context |= {"open": can_prolong(row, at=at), "pending": pending.filter(expires_at__gt=at).first()}
    return render(request, "approvals/activation_extend.html", context)


def _prolonged(request: SignedInRequest, row: ActiveAssignment, form: ProlongForm) -> Request:
    """Check all but the code first, as for an activation."""
    asked: dict[str, Any] = {"active": row, **form.asked}
    proof, settings = None, services.extend_activation(actor=request.user, validate_only=True, **asked).settings
    if settings.mfa_required:
        intent = intent_digest("activation_extension.requested", **prolong_facts(**asked))
        strict = settings.phishing_resistant_required
        proof = prove(request, request.user, form.factor, intent, phishing_resistant=strict)
    return services.extend_activation(actor=request.user, proof=proof, session=request.session["binding"], **asked)


@require_POST
def extension_grant(request: SignedInRequest, pk: UUID) -> HttpResponse:
    found = _extension(request, pk)
    form = GrantForm(request.POST, found=found, actor=request.user)
    if form.is_valid():
        try:
            services.grant_extension(request=found, actor=request.user, **_decision(request, found, form))
        except ValidationError as refusal:
            place(form, refusal)
        else:
            return _answered(request, found)
    return request_page(request, visible_request(request, pk), grant_form=form)


def _decision(request: SignedInRequest, found: Request, form: GrantForm) -> dict[str, Any]:
    """Return what is decided, with a proof where one is asked. What is sure to be refused uses up no code."""
    decided = form.asked
    if "passkey" not in form.fields or decided["eligible"]:
        return decided
    services.grant_extension(request=found, actor=request.user, validate_only=True, **decided)
    intent = intent_digest("extension.granted", **grant_facts(found, **{"starts_at": None} | decided))
    return decided | {
        "proof": prove(request, request.user, form.factor, intent),
        "session": request.session["binding"],
    }


@require_POST
def extension_deny(request: SignedInRequest, pk: UUID) -> HttpResponse:
    found = _extension(request, pk)
    justification = request.POST.get("justification", "")
    try:
        services.deny_extension(request=found, actor=request.user, justification=justification)
    except ValidationError as refusal:
        messages.error(request, " ".join(refusal.messages))
        return redirect("approvals:request-detail", pk)
    return _answered(request, found)


def _extension(request: SignedInRequest, pk: UUID) -> Request:
    found = visible_request(request, pk)
    if found.action not in (Request.Action.SELF_EXTEND, Request.Action.SELF_RENEW):
        raise Http404
    return found


def _answered(request: SignedInRequest, found: Request) -> HttpResponse:
    messages.success(request, _("Decided. %(user)s is told by mail.") % {"user": found.holder})
    return redirect("approvals:request-detail", found.pk)
