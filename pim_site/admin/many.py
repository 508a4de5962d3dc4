"""One act on several rows or holders: each by itself, after one proof for all that ask for one."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model
from django.http import HttpRequest

from accounts.forms import CodeForm
from accounts.sessions import prove_each

from .forms import Refusal


class Outcome(NamedTuple):
    """What became of one: what the service returned, or why it refused."""

    thing: Any
    made: Any = None
    refusal: Refusal | None = None


def carry_out_each(
    request: HttpRequest,
    form: forms.Form,
    things: Sequence[Model],
    does: Callable[..., Any],
    intent: Callable[..., str] | None = None,
) -> list[Outcome]:
    """Do to each thing what the form asks for. What is sure to be refused uses up no code.

    Args:
        does: calls the service with the thing, what the form asks for and, where a proof is asked, `proof` and
            `session`; with `validate_only`, to know whether it can be done.
        intent: what a proof is to be made for, from the same; needed where the form asks for a code.

    Raises:
        StepUpRefused, passkeys.Asked: nothing was done yet.
    """
    asked = form.asked if isinstance(form, CodeForm) else form.cleaned_data
    if intent is None or not isinstance(form, CodeForm) or "passkey" not in form.fields:
        return [_outcome(does, thing, **asked) for thing in things]
    outcomes = {thing.pk: _outcome(does, thing, validate_only=True, **asked) for thing in things}
    able = [each.thing for each in outcomes.values() if not each.refusal]
    intents = [intent(thing, **asked) for thing in able]
    proofs = prove_each(request, form.user, form.factor, intents) if able else []
    session = request.session["binding"]
    for thing, proof in zip(able, proofs, strict=True):
        outcomes[thing.pk] = _outcome(does, thing, proof=proof, session=session, **asked)
    return list(outcomes.values())


def _outcome(does: Callable[..., Any], thing: Model, **facts: Any) -> Outcome:
    try:
        return Outcome(thing, does(thing, **facts))
    except (ValidationError, PermissionDenied) as refusal:
        return Outcome(thing, refusal=refusal)
