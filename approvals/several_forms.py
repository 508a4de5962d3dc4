"""What people fill in to activate several roles in one act."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.forms import BoundField
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.forms import CodeForm
from accounts.models import User
from assignments.models import EligibleAssignment
from audit.services import refusal_code
from roles.models import RoleSettings

from .forms import FIELD_OF, MINUTE, USUAL, durations
from .models import Request
from .rules import LONGEST_NAME, LONGEST_TEXT, LONGEST_TICKET


@dataclass(frozen=True)
class Wanted:
    """An eligibility to be used, the settings that count for it, and how it was asked for the last time."""

    eligible: EligibleAssignment
    settings: RoleSettings
    last: Request | None = None


class SeveralForm(CodeForm):
    """One reason and one proof for all, a duration for each, and a ticket for those that ask for one.

    Roles whose tickets look alike share one: an incident has one number.
    """

    code_is_required = False
    justification = forms.CharField(
        label=gettext_lazy("Reason"),
        required=False,
        max_length=LONGEST_TEXT,
        help_text=gettext_lazy("Kept with each of the roles."),
        widget=forms.Textarea(attrs={"rows": 3, "maxlength": LONGEST_TEXT}),
    )

    def __init__(self, *args: Any, user: User, rows: Sequence[Wanted], **kwargs: Any) -> None:
        super().__init__(*args, user=user, **kwargs)
        self.rows = rows
        self.ticket_of: dict[UUID, str] = {}
        for row in rows:
            self.fields[self._duration(row)] = _duration_field(row)
        self._ask_reason()
        self._ask_tickets()
        if not any(row.settings.mfa_required for row in rows):
            self.ask_no_code()
        elif all(row.settings.phishing_resistant_required for row in rows if row.settings.mfa_required):
            self.ask_passkey_alone()
        else:
            self.fields["code"].widget.attrs["required"] = not self.has_passkey

    def _ask_reason(self) -> None:
        field, last = self.fields["justification"], [row.last for row in self.rows if row.last]
        field.initial = max(last, key=lambda each: each.requested_at).justification if last else ""
        if any(row.settings.justification_required for row in self.rows):
            field.widget.attrs["required"] = True
        else:
            field.label = _("Reason (optional)")

    def _ask_tickets(self) -> None:
        asking: dict[str, list[Wanted]] = {}
        for row in self.rows:
            if row.settings.ticket_required:
                asking.setdefault(row.settings.ticket_pattern, []).append(row)
        for number, (pattern, rows) in enumerate(asking.items()):
            name = f"ticket_{number}"
            self.fields[name] = _ticket_field(pattern, rows)
            self.ticket_of |= {row.eligible.pk: name for row in rows}

    @staticmethod
    def _duration(row: Wanted) -> str:
        return f"duration_{row.eligible.pk.hex}"

    @property
    def with_durations(self) -> list[tuple[Wanted, BoundField]]:
        return [(row, self[self._duration(row)]) for row in self.rows]

    @property
    def tickets(self) -> list[BoundField]:
        return [self[name] for name in dict.fromkeys(self.ticket_of.values())]

    @property
    def mixes_passkeys(self) -> bool:
        """Does a code do for some of them, and only a passkey for others?"""
        strict = {row.settings.phishing_resistant_required for row in self.rows if row.settings.mfa_required}
        return len(strict) > 1

    def asked_for(self, row: Wanted) -> dict[str, Any]:
        """Return what `services.activate` takes for one of them."""
        return {
            "eligible": row.eligible,
            "scope": row.eligible.scope,
            "duration": timedelta(minutes=int(self.cleaned_data[self._duration(row)])),
            "starts_at": None,
            "justification": self.cleaned_data["justification"],
            "ticket": self.cleaned_data.get(self.ticket_of.get(row.eligible.pk, ""), ""),
            "ticket_system": "",
        }

    def place_each(self, refusals: Mapping[UUID, ValidationError]) -> bool:
        """Show what can be mended on this page beside its field; return whether there was any such refusal."""
        for row in self.rows:
            refusal = refusals.get(row.eligible.pk)
            field = self._field_of(row, refusal_code(refusal)) if refusal else ""
            if field and field not in self.errors:
                self.add_error(field, refusal)  # type: ignore[arg-type]  # there is one where there is a field
        return bool(self.errors)

    def _field_of(self, row: Wanted, code: str) -> str:
        own = {"duration": self._duration(row), "ticket": self.ticket_of.get(row.eligible.pk, "")}
        return own.get(FIELD_OF.get(code, ""), "justification" if code == "justification_required" else "")


def _duration_field(row: Wanted) -> forms.ChoiceField:
    longest = row.settings.activation_max_duration
    usual = min(row.last.duration if row.last and row.last.duration else USUAL, longest)
    field = forms.ChoiceField(label=_("How long"), choices=durations(longest, usual), initial=str(usual // MINUTE))
    field.widget.attrs["aria-label"] = _("How long: %(role)s") % {"role": row.eligible.role}
    return field


def _ticket_field(pattern: str, rows: list[Wanted]) -> forms.CharField:
    names = ", ".join(str(row.eligible.role) for row in rows)
    label = _("Ticket number for %(roles)s") % {"roles": names}
    shown = _("Numbers look like this: %(pattern)s") % {"pattern": pattern} if pattern else ""
    widget = forms.TextInput(attrs={"required": True})
    return forms.CharField(label=label, help_text=shown, required=False, max_length=LONGEST_TICKET, widget=widget)


class SetForm(forms.Form):
    """The name under which roles are kept together."""

    name = forms.CharField(label=gettext_lazy("Name of the set"), max_length=LONGEST_NAME)
