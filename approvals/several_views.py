"""The pages on which several roles are activated in one act, and on which favourites and sets are kept."""

from collections.abc import Iterable
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import User
from accounts.sessions import SignedInRequest
from assignments.models import EligibleAssignment

from . import services
from .favourites import RoleSet
from .forms import place
from .rules import MOST_AT_ONCE
from .several import Chosen, Result, carry_out, chosen, chosen_rows, rows_of_set, wanted
from .several_forms import SetForm, SeveralForm


@require_http_methods(["GET", "HEAD", "POST"])
def eligible_activate_several(request: SignedInRequest) -> HttpResponse:
    """Show what the roles that were ticked take, or those of a set; on POST, ask for each of them by itself."""
    if request.method == "POST":
        return _activate_several(request)
    at = now()
    role_set = sets_of(request.user).filter(pk__in=_keys([request.GET.get("set", "")])).first()
    if role_set:
        rows, missing = rows_of_set(request.user, role_set, at)
    else:
        rows, missing = chosen_rows(request.user, _keys(request.GET.getlist("eligible")), at), []
    found = chosen(request.user, rows, at)
    found.left_out += missing
    if not found.ready and not found.left_out:
        messages.info(request, _("Tick the roles first that you want to activate together."))
        return redirect("home")
    return _page(request, SeveralForm(user=request.user, rows=found.ready), found, role_set)


def _activate_several(request: SignedInRequest) -> HttpResponse:
    keys = _keys(request.POST.getlist("eligible"))
    rows = chosen_rows(request.user, keys, now())
    form = SeveralForm(request.POST, user=request.user, rows=wanted(request.user, rows))
    if rows and form.is_valid():
        try:
            results = carry_out(request, form)
        except ValidationError as refusal:
            place(form, refusal)
        else:
            if results:
                _say(request, results, missing=len(keys) - len(rows))
                return redirect("home")
    if not rows:
        return redirect("home")
    return _page(request, form, Chosen(list(form.rows)), None)


def _page(request: SignedInRequest, form: SeveralForm, found: Chosen, role_set: RoleSet | None) -> HttpResponse:
    page = {"form": form, "chosen": found, "role_set": role_set, "set_form": SetForm()}
    return render(request, "approvals/eligible_activate_several.html", page)


def _keys(texts: Iterable[str]) -> list[UUID]:
    """Return the keys among what an address or a form named, as many as one act may have."""
    keys = []
    for text in texts:
        try:
            keys.append(UUID(text))
        except ValueError:
            continue
    return list(dict.fromkeys(keys))[:MOST_AT_ONCE]


def _say(request: SignedInRequest, results: list[Result], *, missing: int) -> None:
    """Say what became of each, and how many of all were had: that not all were is nothing unusual."""
    had = sum(each.request is not None for each in results)
    total = len(results) + missing
    if had < total:
        text = _("%(had)d of %(total)d could be had. What became of each is said below.")
        messages.warning(request, text % {"had": had, "total": total})
    for each in results:
        name = f"{each.eligible.role} · {each.eligible.scope}"
        if each.request is None:
            messages.error(request, _("%(role)s: refused. %(why)s") % {"role": name, "why": each.refusal})
        else:
            status = each.request.get_status_display()
            granted = not each.request.is_undecided
            words = _("%(role)s: active now.") if granted else _("%(role)s: %(status)s.")
            (messages.success if granted else messages.info)(request, words % {"role": name, "status": status})
    if missing:
        text = ngettext(
            "One role was left out: you are not eligible for it any more.",
            "%(n)d roles were left out: you are not eligible for them any more.",
            missing,
        )
        messages.error(request, text % {"n": missing})


# --- favourites and sets --------------------------------------------------------------------------------------


def sets_of(user: User) -> QuerySet[RoleSet]:
    return RoleSet.objects.filter(user=user)


@require_POST
def favourite_change(request: SignedInRequest, pk: UUID) -> HttpResponse:
    """Keep a role among one's favourites, or no longer."""
    row = get_object_or_404(EligibleAssignment.objects.reaching(request.user, now()).described(), pk=pk)
    change = services.pin if request.POST.get("pinned") == "yes" else services.unpin
    change(actor=request.user, role=row.role, scope=row.scope)
    return redirect("home")


@require_POST
def set_save(request: SignedInRequest) -> HttpResponse:
    rows = chosen_rows(request.user, _keys(request.POST.getlist("eligible")), now())
    places, form = [(row.role, row.scope) for row in rows], SetForm(request.POST)
    name = form.cleaned_data["name"] if form.is_valid() else ""
    try:
        made = services.save_set(actor=request.user, name=name, places=places)
    except ValidationError as refusal:
        messages.error(request, " ".join(refusal.messages))
    else:
        messages.success(request, _("The set “%(name)s” is kept on this page.") % {"name": made})
    return redirect("home")


@require_http_methods(["GET", "HEAD", "POST"])
def set_change(request: SignedInRequest, pk: UUID) -> HttpResponse:
    found = get_object_or_404(sets_of(request.user), pk=pk)
    form = SetForm(request.POST if request.method == "POST" else None, initial={"name": found.name})
    if form.is_valid():
        try:
            services.rename_set(actor=request.user, role_set=found, name=form.cleaned_data["name"])
        except ValidationError as refusal:
            form.add_error("name", refusal)
        else:
            return redirect("home")
    entries = found.entries.select_related("role", "scope")
    return render(request, "approvals/set_change.html", {"form": form, "role_set": found, "entries": entries})


@require_POST
def set_remove(request: SignedInRequest, pk: UUID) -> HttpResponse:
    found = get_object_or_404(sets_of(request.user), pk=pk)
    services.remove_set(actor=request.user, role_set=found)
    messages.success(request, _("The set “%(name)s” was removed. The roles stay as they are.") % {"name": found})
    return redirect("home")
