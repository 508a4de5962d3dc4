"""What a person signs in with: authenticator apps, recovery codes, the password. Each change needs a fresh code."""

from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe

from accounts import factors, services, sessions
from accounts.forms import AppForm, CodeForm, PasswordForm, apps_of
from accounts.models import RecoveryCode, StepUpProof, TotpDevice
from accounts.qr import new_key_shown
from accounts.rules import intent_digest
from accounts.sessions import SignedInRequest

from .parts import key_of, posted


@require_safe
def security(request: SignedInRequest) -> HttpResponse:
    codes = RecoveryCode.objects.filter(device__user=request.user)
    page = {"apps": apps_of(request.user), "codes_left": codes.filter(used_at=None).count(), "codes": codes.count()}
    return render(request, "accounts/security.html", page)


def _form_arguments(request: SignedInRequest) -> dict[str, Any]:
    """Whoever came in by a recovery code has no app at hand, and will confirm by another one."""
    letters = request.session.get("signed_in_with") == "recovery"
    return {"data": request.POST or None, "user": request.user, "letters": letters}


def _prove(request: SignedInRequest, form: CodeForm, action: str, **facts: Any) -> StepUpProof:
    return sessions.prove(request, request.user, form.factor, intent_digest(action, **facts))


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def app_add(request: SignedInRequest) -> HttpResponse:
    form, key = AppForm(**_form_arguments(request)), key_of(request)
    page = {"form": form, "key": new_key_shown(key, account=request.user.username)}
    return posted(request, form, partial(_add_app, key)) or render(request, "accounts/app_add.html", page)


def _add_app(key: str, request: SignedInRequest, form: AppForm) -> HttpResponse:
    new_app = {"name": form.cleaned_data["name"], "encrypted_key": key, "code": form.cleaned_data["new_code"]}
    # Before the other code is used up: a slip in this one should not cost half a minute of waiting.
    services.check_new_app(encrypted_key=key, code=new_app["code"])
    proof = _prove(request, form, "factor.added", key=factors.digest(key))
    app = services.add_app(actor=request.user, proof=proof, session=request.session["binding"], **new_app)
    messages.success(request, _("“%(name)s” was added. You can sign in with its codes now.") % {"name": app.name})
    return redirect("accounts:security")


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def app_remove(request: SignedInRequest, pk: int) -> HttpResponse:
    app = get_object_or_404(apps_of(request.user), pk=pk)
    # Who takes an app away has often lost it.
    form = CodeForm(**_form_arguments(request), initial={"app": apps_of(request.user).exclude(pk=pk).first()})
    page = {"form": form, "app": app, "is_last": apps_of(request.user).count() == 1}
    return posted(request, form, partial(_remove_app, app)) or render(request, "accounts/app_remove.html", page)


def _remove_app(app: TotpDevice, request: SignedInRequest, form: CodeForm) -> HttpResponse:
    proof = _prove(request, form, "factor.removed", app=app.pk)
    services.remove_app(actor=request.user, app=app, proof=proof, session=request.session["binding"])
    messages.success(request, _("“%(name)s” was removed. Sessions signed in with it have ended.") % {"name": app.name})
    return redirect("accounts:security")


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def recovery_codes_renew(request: SignedInRequest) -> HttpResponse:
    form = CodeForm(**_form_arguments(request))
    return posted(request, form, _renew) or render(request, "accounts/recovery_codes_renew.html", {"form": form})


@sensitive_variables()
def _renew(request: SignedInRequest, form: CodeForm) -> HttpResponse:
    proof = _prove(request, form, "recovery_codes.renewed")
    codes = services.renew_recovery_codes(actor=request.user, proof=proof, session=request.session["binding"])
    return render(request, "accounts/recovery_codes_shown.html", {"codes": codes})


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def password_change(request: SignedInRequest) -> HttpResponse:
    form = PasswordForm(**_form_arguments(request))
    return posted(request, form, _change_password) or render(request, "accounts/password_change.html", {"form": form})


@sensitive_variables()
def _change_password(request: SignedInRequest, form: PasswordForm) -> HttpResponse:
    proof, password = _prove(request, form, "password.changed"), form.cleaned_data["password"]
    services.change_password(actor=request.user, password=password, proof=proof, session=request.session["binding"])
    update_session_auth_hash(request, request.user)
    messages.success(request, _("The password was changed. Your other sessions have ended."))
    return redirect("accounts:security")
