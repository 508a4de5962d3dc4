"""Fields and boxes that several forms of the console use."""

import zoneinfo
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteMixin, AutocompleteSelect, AutocompleteSelectMultiple
from django.core.exceptions import ValidationError
from django.forms.utils import flatatt
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from accounts.models import default_zone
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


class LongSelect(forms.Select):
    """A box to choose one of many. The stock box lays out two templates for each: most of the time of a whole page."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        chosen, attributes = self.format_value(value), self.build_attrs(self.attrs, {**(attrs or {}), "name": name})
        options = ((key, " selected" if str(key) in chosen else "", text) for key, text in self.choices)
        written = format_html_join("\n", '<option value="{}"{}>{}</option>', options)
        return format_html("<select{}>\n{}\n</select>", flatatt(attributes), written)


class ZoneField(forms.TypedChoiceField):
    """A time zone by its name; that of the site until another is chosen."""

    def __init__(self, *, help_text: Any) -> None:
        zones = [(name, name.replace("_", " ")) for name in sorted(zoneinfo.available_timezones())]
        named = {"label": _("Time zone"), "help_text": help_text}
        super().__init__(choices=zones, initial=default_zone, widget=LongSelect, **named)


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
