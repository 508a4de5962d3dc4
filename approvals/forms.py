"""What people fill in. Forms parse; whether it may be is for the services to say, and `place` shows what they said."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.timezone import get_current_timezone_name
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.forms import CodeForm
from accounts.models import User
from assignments.models import EligibleAssignment
from audit.services import refusal_code
from roles.models import Resource, RoleSettings
from roles.rules import LONGEST_DELEGATION
from roles.services import colleague

from .models import Request
from .rules import LONGEST_TEXT, LONGEST_TICKET

MINUTE = timedelta(minutes=1)
PRESETS = tuple(timedelta(minutes=minutes) for minutes in (30, 60, 120, 240, 480))
USUAL = timedelta(hours=1)
OTHER = "other"
LATER = "later"

# Which field a refusal is about. Those that are not here are about the whole.
FIELD_OF = {
    "too_long": "duration",
    "too_short": "duration",
    "schedule_invalid": "start",
    "scope_invalid": "scope",
    "justification_required": "justification",
    "ticket_required": "ticket",
    "ticket_invalid": "ticket",
    "mfa_required": "code",
    "mfa_invalid": "code",
    "mfa_reused": "code",
    "throttled": "code",
    "delegate_invalid": "colleague",
    "already_delegated": "colleague",
    "no_passkey": "code",
    "phishing_resistant_required": "code",
    "passkey_invalid": "code",
    "passkey_expired": "code",
    "passkey_copied": "code",
}


def place(form: forms.Form, refusal: ValidationError) -> None:
    """Show a service's refusal beside the field that it is about."""
    field = FIELD_OF.get(refusal_code(refusal))
    form.add_error(field if field in form.fields else None, refusal)


def spelled(length: timedelta) -> str:
    """A length in hours and minutes: "30 min", "1 h", "1 h 30 min"."""
    hours, minutes = divmod(length // MINUTE, 60)
    parts = [_("%(n)s h") % {"n": hours} if hours else "", _("%(n)s min") % {"n": minutes} if minutes else ""]
    return " ".join(filter(None, parts))


def durations(longest: timedelta, *others: timedelta) -> list[tuple[str, str]]:
    """The lengths on offer up to `longest`, as choices: minutes and words."""
    offered = {length for length in (*PRESETS, longest, *others) if length <= longest}
    return [(str(length // MINUTE), spelled(length)) for length in sorted(offered)]


def _zone() -> str:
    return _("Time in %(zone)s.") % {"zone": get_current_timezone_name()}


class ActivationForm(CodeForm):
    """How long, from when, where and why; and the code that proves it.

    Args:
        settings: those that count at the eligibility's scope, then those of scopes beneath.
        scopes: the eligibility's scope and all beneath it.
        last: the person's last request for this role here.
    """

    code_is_required = False
    duration = forms.ChoiceField(label=gettext_lazy("How long"), widget=forms.RadioSelect)
    hours = forms.IntegerField(label=gettext_lazy("Hours"), required=False, min_value=0, max_value=24)
    minutes = forms.IntegerField(label=gettext_lazy("Minutes"), required=False, min_value=0, max_value=59)
    when = forms.ChoiceField(
        label=gettext_lazy("Start"),
        choices=[("now", gettext_lazy("Now")), (LATER, gettext_lazy("Later"))],
        initial="now",
        widget=forms.RadioSelect,
    )
    start = forms.DateTimeField(
        label=gettext_lazy("Start at"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    scope = forms.ModelChoiceField(
        label=gettext_lazy("Where"), queryset=Resource.objects.none(), required=False, empty_label=None
    )
    justification = forms.CharField(
        label=gettext_lazy("Reason"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "maxlength": LONGEST_TEXT}),
    )
    ticket = forms.CharField(label=gettext_lazy("Ticket number"), required=False, max_length=LONGEST_TICKET)
    ticket_system = forms.CharField(
        label=gettext_lazy("Ticket system (optional)"), required=False, max_length=LONGEST_TICKET
    )

    def __init__(
        self,
        *args: Any,
        user: User,
        eligible: EligibleAssignment,
        settings: Sequence[RoleSettings],
        scopes: Any,
        last: Request | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, user=user, **kwargs)
        self.eligible = eligible
        self._offer_durations(max(row.activation_max_duration for row in settings), last.duration if last else None)
        self.fields["justification"].initial = last.justification if last else ""
        self.fields["start"].help_text = _zone()
        self._offer_scopes(scopes)
        self._ask(settings)

    def _offer_durations(self, longest: timedelta, last: timedelta | None) -> None:
        usual = min(last or USUAL, longest)
        field = self.fields["duration"]
        field.choices = [*durations(longest, usual), (OTHER, _("Other"))]  # type: ignore[attr-defined]
        field.initial = str(usual // MINUTE)

    def _offer_scopes(self, scopes: Any) -> None:
        field = self.fields["scope"]
        field.queryset, field.initial = scopes, self.eligible.scope  # type: ignore[attr-defined]
        if len(scopes) < 2:
            del self.fields["scope"]

    def _ask(self, settings: Sequence[RoleSettings]) -> None:
        """Demand in the browser what the settings at the eligibility's scope ask for, and offer what others may."""
        here = settings[0]
        needed = {"justification": here.justification_required, "ticket": here.ticket_required}
        for name, required in needed.items():
            if required:
                self.fields[name].widget.attrs["required"] = True
            else:
                self.fields[name].label = _("%(field)s (optional)") % {"field": self.fields[name].label}
        if here.ticket_pattern:
            text = _("Numbers look like this: %(pattern)s")
            self.fields["ticket"].help_text = text % {"pattern": here.ticket_pattern}
        if all(row.phishing_resistant_required for row in settings):
            self.ask_passkey_alone()
        elif here.mfa_required:
            self.fields["code"].widget.attrs["required"] = not self.has_passkey
        elif not any(row.mfa_required for row in settings):
            self.ask_no_code()

    def clean(self) -> dict[str, Any]:
        self._demand("duration", OTHER, ("hours", "minutes"), _("Say how many hours and minutes."))
        self._demand("when", LATER, ("start",), _("Say when it should start, or choose now."))
        return self.cleaned_data

    def _demand(self, choice: str, chosen: str, fields: tuple[str, ...], text: str) -> None:
        """Refuse a choice whose own fields were all left empty."""
        if self.cleaned_data.get(choice) != chosen or any(self.errors.get(name) for name in fields):
            return
        if not any(self.cleaned_data.get(name) for name in fields):
            self.add_error(fields[0], text)

    @property
    def asked(self) -> dict[str, Any]:
        """What `services.activate` takes and a proof is bound to."""
        cleaned = self.cleaned_data
        return {
            "scope": cleaned.get("scope") or self.eligible.scope,
            "duration": self._length(),
            "starts_at": cleaned["start"] if cleaned["when"] == LATER else None,
            "justification": cleaned["justification"],
            "ticket": cleaned["ticket"],
            "ticket_system": cleaned["ticket_system"],
        }

    def _length(self) -> timedelta:
        cleaned = self.cleaned_data
        if cleaned["duration"] == OTHER:
            return timedelta(hours=cleaned["hours"] or 0, minutes=cleaned["minutes"] or 0)
        return timedelta(minutes=int(cleaned["duration"]))


class ProlongForm(ActivationForm):
    """How much longer, why, and the code that proves it."""

    def __init__(self, *args: Any, room: timedelta, settings: RoleSettings, **kwargs: Any) -> None:
        super().__init__(*args, settings=[settings], scopes=Resource.objects.none(), **kwargs)
        for name in ("hours", "minutes", "when", "start"):
            del self.fields[name]
        field = self.fields["duration"]
        field.label = _("How much longer")
        field.choices = durations(room, room)  # type: ignore[attr-defined]
        field.initial = str(min(USUAL, room) // MINUTE)

    def clean(self) -> dict[str, Any]:
        return self.cleaned_data

    @property
    def asked(self) -> dict[str, Any]:
        names = ("justification", "ticket", "ticket_system")
        return {"duration": self._length()} | {name: self.cleaned_data[name] for name in names}


class EmergencyForm(CodeForm):
    """Why, whether it is practised, and the code that proves who asks.

    Args:
        settings: what is asked for in an emergency.
    """

    code_is_required = False
    justification = forms.CharField(
        label=gettext_lazy("Reason"),
        required=False,  # for the service to refuse
        help_text=gettext_lazy("All administrators read it at once. Example: “Payments are down, nobody approves”."),
        widget=forms.Textarea(attrs={"rows": 3, "maxlength": LONGEST_TEXT, "required": True}),
    )
    drill = forms.BooleanField(
        label=gettext_lazy("This is a drill"),
        required=False,
        help_text=gettext_lazy("Told and reviewed alike, and marked so."),
    )

    def __init__(self, *args: Any, user: User, settings: RoleSettings, **kwargs: Any) -> None:
        super().__init__(*args, user=user, **kwargs)
        if settings.phishing_resistant_required:
            self.ask_passkey_alone()
        elif not settings.mfa_required:
            self.ask_no_code()


class DecisionForm(forms.Form):
    """Yes or no is the button; here is why, and for how long at most."""

    justification = forms.CharField(
        label=gettext_lazy("Reason"),
        required=False,  # for the service to refuse
        help_text=gettext_lazy("The requester reads it, and it is kept with the request."),
        widget=forms.Textarea(attrs={"rows": 3, "maxlength": LONGEST_TEXT, "required": True}),
    )
    duration = forms.TypedChoiceField(
        label=gettext_lazy("If you approve, for"),
        required=False,
        coerce=lambda minutes: timedelta(minutes=int(minutes)),
    )

    def __init__(self, *args: Any, request: Request, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        asked = request.duration or timedelta(0)
        shorter = [choice for choice in durations(asked) if choice[0] != str(asked // MINUTE)]
        as_asked = ("", _("%(duration)s, as asked") % {"duration": spelled(asked)})
        self.fields["duration"].choices = [as_asked, *reversed(shorter)]  # type: ignore[attr-defined]
        self.fields["duration"].empty_value = None  # type: ignore[attr-defined]


class RowForm(CodeForm):
    """One verdict and one reason for a row of requests; and the code, where one of them asks for it."""

    code_is_required = False
    requests = forms.ModelMultipleChoiceField(
        Request.objects.none(),
        label=gettext_lazy("Requests"),
        error_messages={
            "required": gettext_lazy("Choose the requests that you decide."),
            "invalid_choice": gettext_lazy("One of these requests does not wait for you any more. Choose anew."),
        },
    )
    verdict = forms.ChoiceField(
        label=gettext_lazy("Your decision"),
        choices=[("approved", gettext_lazy("Approve")), ("denied", gettext_lazy("Deny"))],
        widget=forms.RadioSelect,
    )
    justification = forms.CharField(
        label=gettext_lazy("Reason"),
        help_text=gettext_lazy("The requester reads it, and it is kept with each request."),
        widget=forms.Textarea(attrs={"rows": 3, "maxlength": LONGEST_TEXT}),
    )

    def __init__(self, data: Any, *, user: User, waiting: "QuerySet[Request]", asks_code: bool) -> None:
        super().__init__(data, user=user)
        self.fields["requests"].queryset = waiting  # type: ignore[attr-defined]
        if not asks_code:
            self.ask_no_code()
        self.order_fields(["requests", "verdict", "justification", "app", "code"])


class DelegationForm(forms.Form):
    """Who decides in one's place, and from when to when."""

    colleague = forms.CharField(
        label=gettext_lazy("Colleague"),
        max_length=254,
        help_text=gettext_lazy("Username or e-mail address. Example: dina.wave"),
        widget=forms.TextInput(attrs={"autocapitalize": "none", "autocomplete": "off", "spellcheck": "false"}),
    )
    starts_at = forms.DateTimeField(
        label=gettext_lazy("Start (optional)"), required=False, widget=forms.DateTimeInput({"type": "datetime-local"})
    )
    ends_at = forms.DateTimeField(label=gettext_lazy("End"), widget=forms.DateTimeInput({"type": "datetime-local"}))
    justification = forms.CharField(
        label=gettext_lazy("Reason (optional)"),
        required=False,
        max_length=LONGEST_TEXT,
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["starts_at"].help_text = _("Empty: now. %(zone)s") % {"zone": _zone()}
        self.fields["ends_at"].help_text = _("At most %(days)d days later.") % {"days": LONGEST_DELEGATION.days}

    def clean_colleague(self) -> User:
        return colleague(self.cleaned_data["colleague"])
