"""What the reviewer's page sends: which accesses, and what is said of them."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from .models import Item

# As they stand on the page, from left to right.
VERDICTS = (Item.Verdict.APPROVED, Item.Verdict.DENIED, Item.Verdict.DONT_KNOW)


class KeysField(forms.TypedMultipleChoiceField):
    """Keys of rows; which rows they are is for the service to say."""

    def __init__(self, **kwargs: Any) -> None:
        key = forms.UUIDField().clean
        super().__init__(coerce=key, **kwargs)

    def valid_value(self, value: str) -> bool:
        try:
            forms.UUIDField().clean(value)
        except ValidationError:
            return False
        return True


class ItemsForm(forms.Form):
    items = KeysField(error_messages={"required": _("Tick what you want to answer.")})


class AnswerForm(ItemsForm):
    verdict = forms.ChoiceField(
        choices=[(each.value, each.label) for each in VERDICTS],
        error_messages={"required": _("Say whether it is kept or removed.")},
    )
    justification = forms.CharField(required=False, max_length=2000)
