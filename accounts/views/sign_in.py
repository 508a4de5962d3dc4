"""Signing in, with a password and then a code, and out."""

from functools import partial

from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts import services, sessions
from accounts.forms import CodeForm, SignInForm, apps_of
from accounts.models import RecoveryCode, User
from accounts.rules import intent_digest
from audit.context import current

from .parts import posted


@login_not_required
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return HttpResponseRedirect(sessions.next_path(request))
    form = SignInForm(request.POST or None)
    return posted(request, form, _check_password) or render(request, "accounts/sign_in.html", {"form": form})


def _check_password(request: HttpRequest, form: SignInForm) -> HttpResponse:
    user = services.check_password(**form.cleaned_data, address=current().address)
    sessions.begin(request, user)
    return redirect("accounts:sign-in-code")


@login_not_required
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in_code(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return redirect("home")
    user = sessions.pending_user(request)
    if user is None:
        messages.warning(request, _("Sign in from the beginning: there was too long a pause."))
        return redirect("accounts:sign-in")
    has_app, codes_left = apps_of(user).exists(), _recovery_codes_left(user)
    form = CodeForm(request.POST or None, user=user, letters="recovery" in request.GET or not has_app)
    form.fields["code"].widget.attrs["autofocus"] = True
    has_factor = has_app or codes_left or form.has_passkey
    page = {"form": form, "person": user, "has_app": has_app, "codes_left": codes_left, "has_factor": has_factor}
    return posted(request, form, partial(_prove, user)) or render(request, "accounts/sign_in_code.html", page)


def _prove(user: User, request: HttpRequest, form: CodeForm) -> HttpResponse:
    binding, intent = request.session["binding"], intent_digest("session.started")
    proof = services.prove(user=user, session=binding, intent=intent, **form.factor)
    path = sessions.complete(request, user, proof=proof)
    if proof.method == "recovery":
        left = _recovery_codes_left(user)
        messages.warning(request, _("That recovery code is used up. Codes left: %(left)d.") % {"left": left})
    return HttpResponseRedirect(path)


def _recovery_codes_left(user: User) -> int:
    return RecoveryCode.objects.filter(device__user=user, used_at=None).count()


@login_not_required
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        services.sign_out(user=request.user, session=request.session.get("binding", ""))
        logout(request)
    messages.success(request, _("You are signed out."))
    return redirect("accounts:sign-in")
