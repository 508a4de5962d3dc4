"""What a person signs in with: apps, passkeys, recovery codes, the password. Each change needs a fresh proof."""

import json
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth import logout, update_session_auth_hash
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import factors, services, sessions
from accounts.forms import (
    AppForm,
    CodeForm,
    PasskeyForm,
    PasskeyNameForm,
    PasskeyRenameForm,
    PasswordForm,
    apps_of,
    passkeys_of,
)
from accounts.models import ApiToken, BrowserSession, Passkey, RecoveryCode, StepUpProof, TotpDevice
from accounts.qr import new_key_shown
from accounts.rules import intent_digest
from accounts.sessions import SignedInRequest

from .parts import key_of, posted


@require_safe
def security(request: SignedInRequest) -> HttpResponse:
    codes = RecoveryCode.objects.filter(device__user=request.user)
    apps, passkeys = apps_of(request.user), passkeys_of(request.user)
    page = {
        "apps": apps,
        "passkeys": passkeys,
        "can_remove": len(apps) + len(passkeys) > 1,
        "codes_left": codes.filter(used_at=None).count(),
        "codes": codes.count(),
        "browsers": BrowserSession.objects.open(now()).of(request.user),
        "here": factors.digest(request.session["binding"]),
        "tokens": ApiToken.objects.open(now()).filter(user=request.user),
    }
    return render(request, "accounts/security.html", page)


@require_POST
def session_end(request: SignedInRequest, pk: UUID) -> HttpResponse:
    browser = get_object_or_404(BrowserSession.objects.of(request.user), pk=pk)
    services.end_session(actor=request.user, browser=browser)
    messages.success(request, _("Signed out: %(browser)s.") % {"browser": browser})
    return redirect("accounts:security")


@require_POST
def sessions_end(request: SignedInRequest) -> HttpResponse:
    """Sign out everywhere, here too."""
    services.end_sessions(actor=request.user)
    logout(request)
    messages.success(request, _("You are signed out everywhere."))
    return redirect("accounts:sign-in")


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
def passkey_add(request: SignedInRequest) -> HttpResponse:
    """Ask for a name and a proof; then show the page on which the browser makes the passkey."""
    form = PasskeyNameForm(**_form_arguments(request))
    return posted(request, form, _ask_new_passkey) or render(request, "accounts/passkey_add.html", {"form": form})


def _ask_new_passkey(request: SignedInRequest, form: PasskeyNameForm) -> HttpResponse:
    name = form.cleaned_data["name"]
    proof = _prove(request, form, "passkey.added", name=name)
    options = services.new_passkey_options(user=request.user, session=request.session["binding"], proof=proof)
    page = {"form": PasskeyForm(initial={"name": name, "proof": proof.pk}), "options": json.dumps(options)}
    return render(request, "accounts/passkey_create.html", page)


@sensitive_post_parameters()
@require_POST
def passkey_create(request: SignedInRequest) -> HttpResponse:
    form = PasskeyForm(request.POST)
    if answer := posted(request, form, _add_passkey):
        return answer
    messages.error(request, " ".join(map(str, form.non_field_errors())) or _("The browser made no passkey. Try again."))
    return redirect("accounts:passkey-add")


def _add_passkey(request: SignedInRequest, form: PasskeyForm) -> HttpResponse:
    new = {"name": form.cleaned_data["name"], "answer": form.cleaned_data["passkey"]}
    proof = StepUpProof.objects.filter(pk=form.cleaned_data["proof"]).first()
    passkey = services.add_passkey(actor=request.user, proof=proof, session=request.session["binding"], **new)
    messages.success(request, _("The passkey “%(name)s” was added.") % {"name": passkey.name})
    return redirect("accounts:security")


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def passkey_rename(request: SignedInRequest, pk: int) -> HttpResponse:
    passkey = get_object_or_404(passkeys_of(request.user), pk=pk)
    form = PasskeyRenameForm(**_form_arguments(request), initial={"name": passkey.name})
    page = {"form": form, "passkey": passkey}
    return posted(request, form, partial(_rename_passkey, passkey)) or render(
        request, "accounts/passkey_rename.html", page
    )


def _rename_passkey(passkey: Passkey, request: SignedInRequest, form: PasskeyRenameForm) -> HttpResponse:
    name = form.cleaned_data["name"]
    proof = _prove(request, form, "passkey.renamed", factor=passkey.persistent_id, name=name)
    row = services.rename_passkey(
        actor=request.user, passkey=passkey, name=name, proof=proof, session=request.session["binding"]
    )
    messages.success(request, _("The passkey is called “%(name)s” now.") % {"name": row.name})
    return redirect("accounts:security")


def app_remove(request: SignedInRequest, pk: int) -> HttpResponse:
    return _factor_remove(request, get_object_or_404(apps_of(request.user), pk=pk))


def passkey_remove(request: SignedInRequest, pk: int) -> HttpResponse:
    return _factor_remove(request, get_object_or_404(passkeys_of(request.user), pk=pk))


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def _factor_remove(request: SignedInRequest, factor: TotpDevice | Passkey) -> HttpResponse:
    # Who takes an app away has often lost it.
    others = apps_of(request.user).exclude(pk=factor.pk) if isinstance(factor, TotpDevice) else apps_of(request.user)
    form = CodeForm(**_form_arguments(request), initial={"app": others.first()})
    is_last = apps_of(request.user).count() + passkeys_of(request.user).count() == 1
    page = {"form": form, "factor": factor, "is_last": is_last, "is_app": isinstance(factor, TotpDevice)}
    removed = posted(request, form, partial(_remove_factor, factor))
    return removed or render(request, "accounts/factor_remove.html", page)


def _remove_factor(factor: TotpDevice | Passkey, request: SignedInRequest, form: CodeForm) -> HttpResponse:
    proof = _prove(request, form, "factor.removed", factor=factor.persistent_id)
    services.remove_factor(actor=request.user, factor=factor, proof=proof, session=request.session["binding"])
    messages.success(
        request, _("“%(name)s” was removed. Sessions signed in with it have ended.") % {"name": factor.name}
    )
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
