"""Several roles in one act: what was chosen, what of it can be asked for now, and what became of each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.models import StepUpProof, User
from accounts.rules import intent_digest
from accounts.sessions import SignedInRequest, prove_each
from assignments.models import ActiveAssignment, EligibleAssignment
from roles.models import RoleSettings

from . import services
from .favourites import RoleSet
from .models import Request
from .rules import activation_facts
from .several_forms import SeveralForm, Wanted

Place = tuple[UUID, UUID]


@dataclass
class Chosen:
    """What can be asked for now, and what is left out: each with why."""

    ready: list[Wanted] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Result:
    """What became of one of them: a request, or why there is none."""

    eligible: EligibleAssignment
    request: Request | None = None
    refusal: str = ""


def chosen_rows(user: User, keys: Iterable[UUID], at: datetime) -> list[EligibleAssignment]:
    """Return those of the eligibilities that reach the person, in the order of their list."""
    rows = EligibleAssignment.objects.reaching(user, at).described().filter(pk__in=keys)
    return list(rows.order_by("role__name", "scope__label"))


def rows_of_set(user: User, role_set: RoleSet, at: datetime) -> tuple[list[EligibleAssignment], list[tuple[str, str]]]:
    """Return the person's eligibilities for the roles of a set, and the entries for which there is none any more."""
    entries = list(role_set.entries.select_related("role", "scope"))
    found = usable(user, [entry.role_id for entry in entries], at)
    gone = _("You are not eligible for it any more.")
    missing = [(str(entry), gone) for entry in entries if (entry.role_id, entry.scope_id) not in found]
    return [found[place] for entry in entries if (place := (entry.role_id, entry.scope_id)) in found], missing


def usable(user: User, roles: Any, at: datetime) -> dict[Place, EligibleAssignment]:
    """Return the person's eligibilities for `roles` (keys, or a query of them) that have not run out, by place."""
    rows = EligibleAssignment.objects.reaching(user, at).lasting(at).described().filter(role__in=roles)
    return {(row.role_id, row.scope_id): row for row in rows.order_by("-starts_at")}


def chosen(user: User, rows: list[EligibleAssignment], at: datetime) -> Chosen:
    """Tell what can be asked for now from what cannot. The number of queries does not depend on how many there are."""
    why = _obstacles(user, rows, at)
    ready = [row for row in rows if row.pk not in why]
    return Chosen(wanted(user, ready), [(f"{row.role} · {row.scope}", why[row.pk]) for row in rows if row.pk in why])


def wanted(user: User, rows: list[EligibleAssignment]) -> list[Wanted]:
    """Return each with the settings that count for it, and how it was asked for the last time."""
    settings = RoleSettings.objects.applying_to_each([(row.role, row.scope) for row in rows])
    last = last_of(user, rows)
    places = [(row, (row.role_id, row.scope_id)) for row in rows]
    return [Wanted(row, settings[place], last.get(place)) for row, place in places]


def last_of(user: User, rows: Iterable[EligibleAssignment]) -> dict[Place, Request]:
    """Return the person's last request for each role at each scope, where there was one. One query."""
    asked = Request.objects.latest_of(user).filter(role__in={row.role_id for row in rows})
    return {(each.role_id, each.scope_id): each for each in asked}


def _obstacles(user: User, rows: list[EligibleAssignment], at: datetime) -> dict[UUID, str]:
    held = ActiveAssignment.objects.lasting(at).reaching(user, at).values_list("role_id", "scope_id")
    pending = Request.objects.undecided().filter(user=user, expires_at__gt=at)
    active, asked = set(held), set(pending.values_list("role_id", "scope_id"))
    found = {}
    for row in rows:
        if row.state(at) == "scheduled":
            found[row.pk] = _("You are not eligible for it yet.")
        elif row.state(at) != "active":
            found[row.pk] = _("You are not eligible for it any more.")
        elif (row.role_id, row.scope_id) in active:
            found[row.pk] = _("It is active or scheduled already.")
        elif (row.role_id, row.scope_id) in asked:
            found[row.pk] = _("You have asked for it already.")
    return found


def carry_out(request: SignedInRequest, form: SeveralForm) -> list[Result]:
    """Ask for each role by itself, after one proof for all. What is sure to be refused uses up no code.

    Returns:
        What became of each; nothing was done and nothing is returned where the form must be filled in anew.

    Raises:
        StepUpRefused, passkeys.Asked
    """
    asked = {row.eligible.pk: form.asked_for(row) for row in form.rows}
    settings, refusals = _checked(request.user, asked)
    if form.place_each(refusals):
        return []
    proofs = _proofs(request, form, {key: asked[key] for key, each in settings.items() if each.mfa_required}, settings)
    session = request.session["binding"]
    return [
        Result(row.eligible, refusal=_words(refusals[row.eligible.pk]))
        if row.eligible.pk in refusals
        else _asked(
            request.user, row.eligible, proof=proofs.get(row.eligible.pk), session=session, **asked[row.eligible.pk]
        )
        for row in form.rows
    ]


def _checked(user: User, asked: Mapping[UUID, dict[str, Any]]) -> tuple[dict[UUID, RoleSettings], dict[UUID, Any]]:
    """Return the settings under which each could be had, and of the others why not."""
    settings, refusals = {}, {}
    for key, arguments in asked.items():
        try:
            settings[key] = services.activate(actor=user, validate_only=True, **arguments).settings
        except ValidationError as refusal:
            refusals[key] = refusal
    return settings, refusals


def _proofs(
    request: SignedInRequest, form: SeveralForm, asked: dict[UUID, Any], settings: dict[UUID, RoleSettings]
) -> dict[UUID, StepUpProof]:
    """Prove once; return a proof for each role that asks for one. A code will do as long as it will for any of them."""
    if not asked:
        return {}
    intents = [intent_digest("activation.requested", **activation_facts(**each)) for each in asked.values()]
    strict = all(settings[key].phishing_resistant_required for key in asked)
    proofs = prove_each(request, request.user, form.factor, intents, phishing_resistant=strict)
    return dict(zip(asked, proofs, strict=True))


def _asked(user: User, row: EligibleAssignment, **arguments: Any) -> Result:
    try:
        return Result(row, services.activate(actor=user, **arguments))
    except ValidationError as refusal:
        return Result(row, refusal=_words(refusal))


def _words(refusal: ValidationError) -> str:
    return " ".join(refusal.messages)
