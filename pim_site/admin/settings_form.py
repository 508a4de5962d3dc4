"""The form of role settings."""

import re
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django import forms
from django.template.loader import render_to_string
from django.utils.functional import lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import Group, User
from pim_site.templatetags.pim import duration
from roles.mails import USED, WITHOUT_ADDRESSES, Cell, default_notifications
from roles.models import DAYS_OFFERED, HALF_HOUR, LONGEST_MAXIMUM, SHORTEST_MAXIMUM, RoleSettings
from roles.services import SETTINGS_FIELDS
from roles.tickets import LONGEST_LINK, LONGEST_PATTERN

from .forms import autocomplete

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LONGEST_ACTIVATIONS = [
    HALF_HOUR * steps for steps in range(SHORTEST_MAXIMUM // HALF_HOUR, LONGEST_MAXIMUM // HALF_HOUR + 1)
]
TIMES_TO_DECIDE = [HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, DAY, 2 * DAY, 3 * DAY, 7 * DAY, 14 * DAY]
EVENTS = {
    "eligible_assigned": gettext_lazy("Somebody is made eligible"),
    "active_assigned": gettext_lazy("Somebody is assigned as active"),
    "activated": gettext_lazy("Somebody activates"),
}
LEVELS = {
    "all": gettext_lazy("all mails"),
    "critical": gettext_lazy("critical only"),
    "none": gettext_lazy("no mails"),
}
AUDIENCES = {
    "admin": gettext_lazy("Administrators"),
    "requestor": gettext_lazy("The holder"),
    "approver": gettext_lazy("Approvers"),
}


class NotificationGrid(forms.Widget):
    """Three events by three kinds of recipients, each with who is told and of what; the value is what settings keep."""

    use_fieldset = True

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> Any:
        rows = [
            (label, [self._cell(name, event, each, value[event][each]) for each in AUDIENCES])
            for event, label in EVENTS.items()
        ]
        return render_to_string("admin/notification_grid.html", {"rows": rows, "levels": LEVELS})

    def _cell(self, name: str, event: str, each: str, cell: dict[str, Any]) -> dict[str, Any]:
        return cell | {
            "name": f"{name}_{event}_{each}",
            "word": AUDIENCES[each],
            "also": ", ".join(cell["also"]),
            "is_used": (event, each) in USED,
            "takes_addresses": (event, each) not in WITHOUT_ADDRESSES,
        }

    def value_from_datadict(self, data: Any, files: Any, name: str) -> dict[str, dict[str, Any]]:
        return {event: {each: self._told(data, name, event, each) for each in AUDIENCES} for event in EVENTS}

    def _told(self, data: Any, name: str, event: str, each: str) -> dict[str, Any]:
        if (event, each) not in USED:  # nothing is asked where no mail is sent
            return asdict(Cell())
        box = f"{name}_{event}_{each}"
        also = re.split(r"[\s,;]+", data.get(f"{box}_also", ""))
        return {"default": box in data, "also": list(filter(None, also)), "level": data.get(f"{box}_level", "all")}

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return False


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
        self.choices = [(int(length.total_seconds()), duration(length)) for length in lengths]

    def prepare_value(self, value: Any) -> Any:
        return int(value.total_seconds()) if isinstance(value, timedelta) else value


DAYS = [(days, lazy(lambda days: _("%(days)d days") % {"days": days}, str)(days)) for days in DAYS_OFFERED]


def _days(label: Any, help_text: Any, initial: int) -> forms.TypedChoiceField:
    return forms.TypedChoiceField(coerce=int, choices=DAYS, label=label, help_text=help_text, initial=initial)


def _tick(label: Any, help_text: Any, initial: bool) -> forms.BooleanField:
    return forms.BooleanField(label=label, help_text=help_text, initial=initial, required=False)


class SettingsForm(forms.Form):
    """What a role is used under. Defaults are those of a new role."""

    activation_max_duration = DurationSelect(
        LONGEST_ACTIVATIONS,
        label=gettext_lazy("Longest activation"),
        initial=8 * HOUR,
        help_text=gettext_lazy(
            "Nobody can ask for more at once. Example: 1 h for a role that can delete data, 8 h for a working day."
        ),
    )
    activation_authentication = forms.ChoiceField(
        label=gettext_lazy("Proof on activation"),
        choices=RoleSettings.Authentication.choices,
        initial=RoleSettings.Authentication.MFA,
        help_text=gettext_lazy("A fresh one-time code at each activation, even if the person has just signed in."),
    )
    justification_required = _tick(
        gettext_lazy("Ask for a reason"),
        gettext_lazy("Example: “Restore the customer table after the failed release”."),
        True,
    )
    ticket_required = _tick(
        gettext_lazy("Ask for a ticket"),
        gettext_lazy("The number of a case in another system. Example: CHG-1042."),
        False,
    )
    ticket_pattern = forms.CharField(
        label=gettext_lazy("Pattern of ticket numbers (optional)"),
        required=False,
        max_length=LONGEST_PATTERN,
        help_text=gettext_lazy("A number that does not look so is refused. Example: CHG-\\d{4,7}|INC\\d+"),
    )
    ticket_link = forms.CharField(
        label=gettext_lazy("Address of tickets (optional)"),
        required=False,
        max_length=LONGEST_LINK,
        help_text=gettext_lazy(
            "Makes each ticket a link, with its number for {ticket}. Example: https://tickets.example.org/{ticket}"
        ),
    )
    approval_required = _tick(
        gettext_lazy("Ask for approval"),
        gettext_lazy("The role begins only after one approver has said yes; never the person who asks."),
        False,
    )
    approvers = forms.ModelMultipleChoiceField(
        User.objects.people(),
        required=False,
        label=gettext_lazy("Approvers"),
        widget=autocomplete(RoleSettings, "approvers", multiple=True),
        help_text=gettext_lazy(
            "Any one of them decides. With nobody named, the holders of Privileged Role Administrator and of "
            "Global Administrator do."
        ),
    )
    approver_groups = forms.ModelMultipleChoiceField(
        Group.objects.all(),
        required=False,
        label=gettext_lazy("Approver groups"),
        widget=autocomplete(RoleSettings, "approver_groups", multiple=True),
        help_text=gettext_lazy("Every enabled member can decide. Only protected groups. Example: Database on-call."),
    )
    approval_timeout = DurationSelect(
        TIMES_TO_DECIDE,
        label=gettext_lazy("Time to decide"),
        initial=DAY,
        help_text=gettext_lazy("A request that nobody has decided by then closes by itself, and the person is told."),
    )
    permanent_eligible_allowed = _tick(
        gettext_lazy("Allow permanent eligible assignments"),
        gettext_lazy("Example: yes for a role of daily work, no for one that nobody should keep unseen."),
        True,
    )
    eligible_max_days = _days(
        gettext_lazy("Longest eligible assignment"),
        gettext_lazy(
            "Counts where permanent ones are not allowed. Example: 365 days, so that each is looked at once a year."
        ),
        365,
    )
    permanent_active_allowed = _tick(
        gettext_lazy("Allow permanent active assignments"),
        gettext_lazy("Standing access, with nothing to activate. Example: for a service account only."),
        True,
    )
    active_max_days = _days(
        gettext_lazy("Longest active assignment"),
        gettext_lazy("Counts where permanent ones are not allowed. Example: 30 days for the length of a project."),
        180,
    )
    assign_active_mfa_required = _tick(
        gettext_lazy("Ask the administrator for a code"),
        gettext_lazy("A one-time code of whoever assigns the role as active."),
        False,
    )
    assign_active_justification_required = _tick(
        gettext_lazy("Ask the administrator for a reason"),
        gettext_lazy("When the role is assigned as active. Example: “Project Atlas until June”."),
        True,
    )
    notifications = forms.Field(
        label=gettext_lazy("Who is told by mail"),
        widget=NotificationGrid(),
        required=False,
        initial=default_notifications,
        help_text=gettext_lazy(
            "Administrators are the holders in force of Privileged Role Administrator and Global Administrator. "
            "Further addresses are told as well, or instead where the box is not ticked. Example: soc@example.org. "
            "Critical are mails on which the recipient must act."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            if isinstance(field, DurationSelect):
                field.offer(*filter(None, [self.initial.get(name)]))


SETTINGS_FIELDSETS = (
    (
        gettext_lazy("To activate"),
        [
            "activation_max_duration",
            "activation_authentication",
            "justification_required",
            "ticket_required",
            "ticket_pattern",
            "ticket_link",
        ],
    ),
    (gettext_lazy("Approval"), ["approval_required", "approvers", "approver_groups", "approval_timeout"]),
    (
        gettext_lazy("Assignments"),
        [
            "permanent_eligible_allowed",
            "eligible_max_days",
            "permanent_active_allowed",
            "active_max_days",
            "assign_active_mfa_required",
            "assign_active_justification_required",
        ],
    ),
    (gettext_lazy("Mail"), ["notifications"]),
)


def initial_of(settings: RoleSettings) -> dict[str, Any]:
    """Return what a form of these settings begins with."""
    values = {name: getattr(settings, name) for name in SETTINGS_FIELDS}
    return values | {name: list(values[name].all()) for name in ("approvers", "approver_groups")}
