"""What several of these pages do alike."""

from collections.abc import Callable
from typing import TypeVar

from cryptography.fernet import InvalidToken
from django.core.exceptions import ValidationError
from django.forms import Form
from django.http import HttpRequest, HttpResponse

from accounts import factors
from accounts.rules import EnrolmentRefused, StepUpRefused

R = TypeVar("R", bound=HttpRequest)
F = TypeVar("F", bound=Form)


def posted(request: R, form: F, act: Callable[[R, F], HttpResponse]) -> HttpResponse | None:
    """Return the answer of `act` to a valid form; None if there is none, with what was refused noted on the form."""
    if request.method != "POST" or not form.is_valid():
        return None
    try:
        return act(request, form)
    except ValidationError as refusal:
        field = _field_of(refusal)
        form.add_error(field if field in form.fields else None, refusal)
        return None


def _field_of(refusal: ValidationError) -> str | None:
    """Where two codes stand on one page, say which of them was wrong."""
    if isinstance(refusal, StepUpRefused):
        return "code"
    return "new_code" if isinstance(refusal, EnrolmentRefused) and refusal.code == "mfa_invalid" else None


def key_of(request: HttpRequest) -> str:
    """Return the encrypted key that this page was shown with, or a fresh one where there is none of ours.

    It travels through the page, because showing a page writes nothing; whoever reads it cannot decrypt it.
    """
    key = request.POST.get("key", "")
    try:
        factors.shown_key(key)
    except (InvalidToken, ValueError):
        return factors.new_key()
    return key
