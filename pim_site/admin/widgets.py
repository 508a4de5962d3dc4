"""Fields and boxes that several forms of the console use."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteMixin, AutocompleteSelect, AutocompleteSelectMultiple
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from pim_site.templatetags.pim import duration


class ShowsKeysOnly(AutocompleteMixin):
    """Shows as chosen only what can be a key: the stock boxes fail at anything else, which the field then refuses."""

    def optgroups(self, name: str, value: Sequence[str], attr: Any = None) -> Any:
        return super().optgroups(name, list(filter(self._is_key, value)), attr)

    def _is_key(self, text: str) -> bool:
        try:
            self.choices.queryset.model._meta.pk.to_python(text)
        except ValidationError:
            return False
        return True


class OneChosen(ShowsKeysOnly, AutocompleteSelect):
    pass


class SeveralChosen(ShowsKeysOnly, AutocompleteSelectMultiple):
    pass


def autocomplete(model: Any, field: str, *, multiple: bool = False) -> OneChosen | SeveralChosen:
    widget = SeveralChosen if multiple else OneChosen
    return widget(model._meta.get_field(field), admin.site)


def _seconds(text: str) -> timedelta:
    return timedelta(seconds=int(text))


class DurationSelect(forms.TypedChoiceField):
    """One of some lengths of time. A length in use that is none of them has to be offered by `offer`."""

    def __init__(self, lengths: list[timedelta], **kwargs: Any) -> None:
        self.lengths = lengths
        super().__init__(coerce=_seconds, **kwargs)
        self.offer()

    def offer(self, *more: timedelta) -> None:
        lengths = sorted({*self.lengths, *more})
        nothing = [] if self.required else [("", _("never"))]
        self.choices = [*nothing, *((int(length.total_seconds()), duration(length)) for length in lengths)]

    def prepare_value(self, value: Any) -> Any:
        return int(value.total_seconds()) if isinstance(value, timedelta) else value


def tick(label: Any, help_text: Any, initial: bool) -> forms.BooleanField:
    return forms.BooleanField(label=label, help_text=help_text, initial=initial, required=False)
