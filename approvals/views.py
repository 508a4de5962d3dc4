"""The pages of everyday work: ask for a role, give it back, decide what others ask for, look back."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.links import link
from accounts.models import User
from accounts.rules import intent_digest
from accounts.sessions import SignedInRequest, prove
from assignments.calendar import calendar_of
from assignments.models import ActiveAssignment, EligibleAssignment
from assignments.rules import allows_emergency
from roles import services as roles
from roles.models import Delegation, Resource, RoleSettings

from . import services
from .filters import RequestFilter
from .forms import ActivationForm, DecisionForm, DelegationForm, RowForm, place
from .models import Decision, Request
from .outlook import outlook
from .rules import activation_facts, check_text, decision_facts
from .terms_forms import GrantForm
from .timeline import timeline

PAGE = 25


# --- asking ---------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def eligible_activate(request: SignedInRequest, pk: UUID) -> HttpResponse:
    at = now()
    eligible = get_object_or_404(EligibleAssignment.objects.reaching(request.user, at).described(), pk=pk)
    settings = _settings_within(eligible)
    form = _activation_form(request, eligible, settings)
    if request.method == "POST" and form.is_valid():
        try:
            made = _activated(request, form)
        except ValidationError as refusal:
            place(form, refusal)
        else:
            return redirect("approvals:request-detail", made.pk)
    context = {
        "form": form,
        "eligible": eligible,
        "settings": settings[0],
        "emergency": allows_emergency(settings[0], request.user),
        **_in_the_way(eligible, request.user, at),
    }
    return render(request, "approvals/eligible_activate.html", context)


def _settings_within(eligible: EligibleAssignment) -> list[RoleSettings]:
    """Return the settings that count at the eligibility's scope, then those that differ beneath it."""
    role, scope = eligible.role, eligible.scope
    here = RoleSettings.objects.applying_to_each([(role, scope)])[role.pk, scope.pk]
    beneath = RoleSettings.objects.current().filter(role=role, scope__path__startswith=scope.path)
    return [here, *beneath.exclude(pk=here.pk)]


def _activation_form(
    request: SignedInRequest, eligible: EligibleAssignment, settings: list[RoleSettings]
) -> ActivationForm:
    own = Request.objects.filter(user=request.user, role=eligible.role, action=Request.Action.SELF_ACTIVATE)
    before = own.filter(scope=eligible.scope)
    return ActivationForm(
        request.POST if request.method == "POST" else None,
        user=request.user,
        eligible=eligible,
        settings=settings,
        scopes=Resource.objects.filter(path__startswith=eligible.scope.path),
        last=before.first(),
    )


def _activated(request: SignedInRequest, form: ActivationForm) -> Request:
    """Check all but the code first: a code that is used up for a request that could not be taken is lost."""
    asked: dict[str, Any] = {"eligible": form.eligible, **form.asked}
    proof = None
    settings = services.activate(actor=request.user, validate_only=True, **asked).settings
    if settings.mfa_required:
        intent = intent_digest("activation.requested", **activation_facts(**asked))
        strict = settings.phishing_resistant_required
        proof = prove(request, request.user, form.factor, intent, phishing_resistant=strict)
    return services.activate(actor=request.user, proof=proof, session=request.session["binding"], **asked)


def _in_the_way(eligible: EligibleAssignment, user: User, at: datetime) -> dict[str, Any]:
    """What the page says instead of a form that could only be refused, or above it where a place beneath is left."""
    held = ActiveAssignment.objects.lasting(at).reaching(user, at)
    active = held.filter(role=eligible.role, scope=eligible.scope)
    pending = Request.objects.undecided().filter(user=user, eligible_assignment=eligible, expires_at__gt=at)
    return {
        "state": eligible.state(at),
        "active": active.first(),
        "pending": pending.first(),
    }


@require_POST
def active_end(request: SignedInRequest, pk: UUID) -> HttpResponse:
    active = get_object_or_404(ActiveAssignment.objects.of(request.user).activated().described(), pk=pk)
    try:
        services.deactivate(active=active, actor=request.user)
    except ValidationError as refusal:
        messages.error(request, " ".join(refusal.messages))
    else:
        text = _("%(role)s at %(scope)s has ended. You do not hold it any more.")
        messages.success(request, text % {"role": active.role, "scope": active.scope})
    return redirect("home")


@require_safe
def active_calendar(request: SignedInRequest, pk: UUID) -> HttpResponse:
    """The activation as a file that a calendar takes in."""
    active = get_object_or_404(ActiveAssignment.objects.reaching(request.user, now()).described(), pk=pk)
    headers = {"Content-Disposition": 'attachment; filename="activation.ics"'}
    text = calendar_of(active, url=link("home"))
    return HttpResponse(text, content_type="text/calendar; charset=utf-8", headers=headers)


# --- requests -------------------------------------------------------------------------------------------------


@require_safe
def request_list(request: SignedInRequest) -> HttpResponse:
    own = Request.objects.filter(user=request.user).described()
    found = RequestFilter(request.GET, queryset=own, request=request)
    page = Paginator(found.qs, PAGE).get_page(request.GET.get("page"))
    at = now()
    rows = [(row, row.state(at)) for row in page]
    again = {row.pk for row in page if row.can_be_asked_again(at)}
    context = {"form": found.form, "page_obj": page, "rows": rows, "again": again}
    return render(request, "approvals/request_list.html", context)


@require_safe
def request_detail(request: SignedInRequest, pk: UUID) -> HttpResponse:
    return request_page(request, visible_request(request, pk))


def visible_request(request: SignedInRequest, pk: UUID) -> Request:
    return get_object_or_404(Request.objects.visible_to(request.user, now()).described(), pk=pk)


def request_page(
    request: SignedInRequest, found: Request, form: DecisionForm | None = None, grant_form: GrantForm | None = None
) -> HttpResponse:
    user, at = request.user, now()
    own, state = found.user_id == user.pk, found.state(at)
    waits = state == Request.Status.PENDING_APPROVAL
    awaiting = Request.objects.awaiting(user, at)
    decides = awaiting.filter(pk=found.pk).exists()
    grants = Request.objects.awaiting_administrator(user, at).filter(pk=found.pk).exists()
    if grants and grant_form is None:
        grant_form = GrantForm(found=found, actor=user)
    context = {
        "found": found,
        "grants": grants,
        "grant_form": grant_form,
        "state": state,
        "own": own,
        "approvers": list(found.approvers(at)) if waits else [],
        "steps": timeline(found, at=at),
        "decides": decides,
        "form": form or DecisionForm(request=found),
        "row_form": _row_form(request, only=found) if decides else None,
        "outlook": outlook(found, at) if waits else None,
        "looking": found.looked_at_by(at),
        "earlier": _earlier(found, at) if decides else [],
        "cancels": own and found.is_cancelable and not found.is_overdue(at),
        "ends": own and state == "active" and found.is_activation,
        "again": own and found.can_be_asked_again(at),
        "waiting": awaiting.exclude(pk=found.pk).first(),
    }
    return render(request, "approvals/request_detail.html", context)


def _earlier(found: Request, at: datetime) -> list[tuple[Request, str]]:
    """The requester's last activations of this role, as an approver wants to know them."""
    same = Request.objects.filter(user=found.user, role=found.role, action=Request.Action.SELF_ACTIVATE)
    granted = same.filter(active_assignment__isnull=False).exclude(pk=found.pk).described()
    return [(row, row.state(at)) for row in granted[:5]]


@require_POST
def request_cancel(request: SignedInRequest, pk: UUID) -> HttpResponse:
    found = visible_request(request, pk)
    try:
        services.cancel(request=found, actor=request.user)
    except ValidationError as refusal:
        messages.error(request, " ".join(refusal.messages))
    else:
        messages.success(request, _("The request for %(role)s is canceled.") % {"role": found.role})
    return redirect("approvals:request-detail", pk)


# --- deciding -------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def approval_list(request: SignedInRequest) -> HttpResponse:
    """What waits for the person; on POST, decide those that were chosen, each by itself."""
    form = _row_form(request, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            _decide_row(request, form)
        except ValidationError as refusal:
            place(form, refusal)
        else:
            return redirect("approvals:approval-list")
    waiting, at = form.fields["requests"].queryset, now()  # type: ignore[attr-defined]
    page = Paginator(waiting.order_by("expires_at"), PAGE).get_page(request.GET.get("page"))
    rows = [(row, row.looked_at_by(at)) for row in page]
    decided = Decision.objects.filter(person=request.user).described().order_by("-decided_at")[:10]
    extensions = Request.objects.awaiting_administrator(request.user, at).described().order_by("requested_at")
    context = {"page_obj": page, "rows": rows, "extensions": extensions, "decided": decided, "form": form}
    return render(request, "approvals/approval_list.html", context)


def _row_form(request: SignedInRequest, data: Any = None, only: Request | None = None) -> RowForm:
    """Return the form for all that waits for the person, or for one request."""
    waiting = Request.objects.awaiting(request.user, now()).described()
    asked = waiting.filter(pk=only.pk) if only else waiting
    return RowForm(data, user=request.user, waiting=waiting, asks_code=asked.asking_proof().exists())


def _decide_row(request: SignedInRequest, form: RowForm) -> None:
    """Decide each request by itself, with one proof for all; say what became of each."""
    chosen, verdict = list(form.cleaned_data["requests"]), form.cleaned_data["verdict"]
    check_text(form.cleaned_data["justification"], required=True)  # a code for what cannot be taken is lost
    decide = services.approve if verdict == Decision.Verdict.APPROVED else services.deny
    facts: dict[str, Any] = {"justification": form.cleaned_data["justification"], "proved_for": chosen}
    if Request.objects.filter(pk__in=[row.pk for row in chosen]).asking_proof().exists():
        intent = intent_digest("request.decided", **decision_facts(chosen, verdict))
        facts |= {"proof": prove(request, request.user, form.factor, intent)}
    for row in chosen:
        try:
            decided = decide(request=row, actor=request.user, session=request.session["binding"], **facts)
        except (ValidationError, PermissionDenied) as refusal:
            messages.error(request, f"{row}: {' '.join(getattr(refusal, 'messages', [str(refusal)]))}")
        else:
            messages.success(request, _decided_words(decided))


def _decided_words(row: Request) -> str:
    if row.is_pending:
        return _("%(request)s: noted. More people must approve.") % {"request": row}
    return _("%(request)s: %(status)s.") % {"request": row, "status": row.get_status_display()}


@require_POST
def request_claim(request: SignedInRequest, pk: UUID) -> HttpResponse:
    return _marked(request, pk, services.claim, _("The other approvers see for some minutes that you are looking."))


@require_POST
def request_release(request: SignedInRequest, pk: UUID) -> HttpResponse:
    return _marked(request, pk, services.release, _("Another approver may look at it now."))


def _marked(request: SignedInRequest, pk: UUID, mark: Callable[..., Any], words: str) -> HttpResponse:
    found = visible_request(request, pk)
    try:
        mark(request=found, actor=request.user)
    except ValidationError as refusal:
        messages.error(request, " ".join(refusal.messages))
    else:
        messages.success(request, words)
    return redirect("approvals:request-detail", pk)


@require_POST
def request_approve(request: SignedInRequest, pk: UUID) -> HttpResponse:
    def approve(**decision: Any) -> Request:
        return services.approve(duration=form.cleaned_data["duration"], **decision)

    found = visible_request(request, pk)
    form = DecisionForm(request.POST, request=found)
    return _decided(request, found, form, approve)


@require_POST
def request_deny(request: SignedInRequest, pk: UUID) -> HttpResponse:
    found = visible_request(request, pk)
    return _decided(request, found, DecisionForm(request.POST, request=found), services.deny)


def _decided(
    request: SignedInRequest, found: Request, form: DecisionForm, decide: Callable[..., Request]
) -> HttpResponse:
    if form.is_valid():
        try:
            found = decide(request=found, actor=request.user, justification=form.cleaned_data["justification"])
        except ValidationError as refusal:
            place(form, refusal)
        else:
            if found.is_pending:
                messages.success(request, _("Noted. More people must approve before the role is granted."))
            elif found.status != Request.Status.FAILED:
                messages.success(request, _("Decided. %(user)s is told by mail.") % {"user": found.holder})
            return redirect("approvals:request-detail", found.pk)
    return request_page(request, visible_request(request, found.pk), form)


# --- delegating -----------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def delegation_list(request: SignedInRequest) -> HttpResponse:
    form = DelegationForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        terms = dict(form.cleaned_data)
        try:
            made = roles.delegate_decisions(actor=request.user, delegate=terms.pop("colleague"), **terms)
        except ValidationError as refusal:
            place(form, refusal)
        else:
            text = _("%(delegate)s may decide in your place. Both of you are told by mail.")
            messages.success(request, text % {"delegate": made.delegate})
            return redirect("approvals:delegation-list")
    at, mine = now(), Delegation.objects.concerning(request.user)
    rows = [(row, row.state(at)) for row in mine.select_related("delegator", "delegate")[:PAGE]]
    return render(request, "approvals/delegation_list.html", {"form": form, "rows": rows})


@require_POST
def delegation_end(request: SignedInRequest, pk: int) -> HttpResponse:
    found = get_object_or_404(Delegation.objects.concerning(request.user), pk=pk)
    try:
        roles.end_delegation(delegation=found, actor=request.user)
    except ValidationError as refusal:
        messages.error(request, " ".join(refusal.messages))
    else:
        messages.success(request, _("The delegation has ended. Both of you are told by mail."))
    return redirect("approvals:delegation-list")
