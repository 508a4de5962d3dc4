"""API tokens of the person who is signed in: made with a fresh proof, shown once, replaced and revoked."""

from functools import partial
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from accounts import services
from accounts.forms import CodeForm, TokenForm, TokenRotateForm
from accounts.models import ApiToken, StepUpProof
from accounts.rules import intent_digest
from accounts.sessions import SignedInRequest, prove

from .parts import posted


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def token_add(request: SignedInRequest) -> HttpResponse:
    form = TokenForm(request.POST or None, user=request.user)
    return posted(request, form, _create) or render(request, "accounts/token_add.html", {"form": form})


@sensitive_variables()
def _create(request: SignedInRequest, form: TokenForm) -> HttpResponse:
    user, asked = request.user, form.asked
    services.create_token(user=user, actor=user, validate_only=True, **asked)
    proof = _prove(request, form, intent_digest("token.created", **services.token_facts(user=user, **asked)))
    made = services.create_token(user=user, actor=user, proof=proof, session=request.session["binding"], **asked)
    return render(request, "accounts/token_shown.html", {"token": made, "name": asked["name"]})


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def token_rotate(request: SignedInRequest, pk: UUID) -> HttpResponse:
    token = _own(request, pk)
    form = TokenRotateForm(request.POST or None, user=request.user)
    page = {"form": form, "token": token}
    return posted(request, form, partial(_rotate, token)) or render(request, "accounts/token_rotate.html", page)


@sensitive_variables()
def _rotate(token: ApiToken, request: SignedInRequest, form: TokenRotateForm) -> HttpResponse:
    user, overlap = request.user, form.asked["overlap"]
    services.rotate_token(token=token, actor=user, overlap=overlap, validate_only=True)
    proof = _prove(request, form, intent_digest("token.rotated", token=token.pk, overlap=overlap))
    facts = {"overlap": overlap, "proof": proof, "session": request.session["binding"]}
    made = services.rotate_token(token=token, actor=user, **facts)
    return render(request, "accounts/token_shown.html", {"token": made, "name": token.name})


@require_http_methods(["GET", "HEAD", "POST"])
def token_revoke(request: SignedInRequest, pk: UUID) -> HttpResponse:
    token = _own(request, pk)
    if request.method != "POST":
        return render(request, "accounts/token_revoke.html", {"token": token})
    services.revoke_token(token=token, actor=request.user)
    messages.success(request, _("“%(name)s” was revoked. Nothing can use it any more.") % {"name": token.name})
    return redirect("accounts:security")


def _own(request: SignedInRequest, pk: UUID) -> ApiToken:
    return get_object_or_404(ApiToken.objects.open(now()).filter(user=request.user).select_related("user"), pk=pk)


def _prove(request: SignedInRequest, form: CodeForm, intent: str) -> StepUpProof:
    return prove(request, request.user, form.factor, intent)
