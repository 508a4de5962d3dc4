"""The form of role settings."""

import re
from dataclasses import asdict
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from django.utils.functional import lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from assignments.models import EligibleAssignment
from roles.hooks import Hook
from roles.mails import USED, WITHOUT_ADDRESSES, Cell, default_notifications
from roles.models import (
    DAYS_OFFERED,
    HALF_HOUR,
    LONGEST_EMERGENCY,
    LONGEST_MAXIMUM,
    SHORTEST_MAXIMUM,
    Resource,
    Role,
    RoleSettings,
)
from roles.rules import LONGEST_REPEAT
from roles.services import PLAIN_FIELDS
from roles.tickets import LONGEST_LINK, LONGEST_PATTERN

from .stages import HOUR, StagesForm, fields_of, initial_of_stages
from .widgets import DurationSelect, SeveralChosen, autocomplete, tick

LONGEST_ACTIVATIONS = [
    HALF_HOUR * steps for steps in range(SHORTEST_MAXIMUM // HALF_HOUR, LONGEST_MAXIMUM // HALF_HOUR + 1)
]
# A page about more roles is not read any more.
MOST_COPIES = 50
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


DAYS = [(days, lazy(lambda days: _("%(days)d days") % {"days": days}, str)(days)) for days in DAYS_OFFERED]


def _days(label: Any, help_text: Any, initial: int) -> forms.TypedChoiceField:
    return forms.TypedChoiceField(coerce=int, choices=DAYS, label=label, help_text=help_text, initial=initial)


class SettingsForm(StagesForm):  # type: ignore[misc, valid-type]  # made from the fields of its stages
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
        help_text=gettext_lazy(
            "Asked afresh at each activation, even if the person has just signed in. Codes can be lured out of people; "
            "passkeys cannot. Example: a passkey for a role that gives out other roles. Holders need one beforehand."
        ),
    )
    justification_required = tick(
        gettext_lazy("Ask for a reason"),
        gettext_lazy("Example: “Restore the customer table after the failed release”."),
        True,
    )
    ticket_required = tick(
        gettext_lazy("Ask for a ticket"),
        gettext_lazy("The number of a case in another system. Example: CHG-1042."),
        False,
    )
    ticket_pattern = forms.CharField(
        label=gettext_lazy("Pattern of ticket numbers (optional)"),
        required=False,
        max_length=LONGEST_PATTERN,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text=gettext_lazy("A number that does not look so is refused. Example: CHG-\\d{4,7}|INC\\d+"),
    )
    ticket_link = forms.CharField(
        label=gettext_lazy("Address of tickets (optional)"),
        required=False,
        max_length=LONGEST_LINK,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text=gettext_lazy(
            "Makes each ticket a link, with its number for {ticket}. Example: https://tickets.example.org/{ticket}"
        ),
    )
    approval_required = tick(
        gettext_lazy("Ask for approval"),
        gettext_lazy("The role begins only after others have said yes, in one stage or in several; never who asks."),
        False,
    )
    extends_past_longest = tick(
        gettext_lazy("Extensions may go past the longest duration"),
        gettext_lazy(
            "In its last 15 minutes a person can extend an activation. No: all of it together lasts at most the "
            "longest duration. Yes: each extension may last as long again."
        ),
        False,
    )
    decision_mfa_required = tick(
        gettext_lazy("Ask approvers for a code"),
        gettext_lazy("A one-time code or passkey of whoever decides; one for several that are decided together."),
        False,
    )
    auto_approve_within_hours = forms.IntegerField(
        label=gettext_lazy("Repeat an approval within"),
        required=False,
        min_value=0,
        max_value=LONGEST_REPEAT,
        initial=0,
        help_text=gettext_lazy(
            "Hours in which the same person gets the role at the same scope again, for no longer, without a new "
            "decision. A denial ends it. 0: never. Example: 8 for a working day."
        ),
    )
    hook = forms.ModelChoiceField(
        Hook.objects.all(),
        label=gettext_lazy("Ask a hook first (optional)"),
        required=False,
        empty_label=gettext_lazy("none"),
        help_text=gettext_lazy(
            "Another system that is asked before people are: it may deny, leave it to them, or approve for all of "
            "them. Example: an inventory that knows who is on call."
        ),
    )
    hook_unanswered = forms.ChoiceField(
        label=gettext_lazy("If the hook does not answer"),
        choices=RoleSettings.Unanswered.choices,
        initial=RoleSettings.Unanswered.DENY,
        help_text=gettext_lazy(
            "After five attempts in about five minutes. People are asked then even where the role asks for no approval."
        ),
    )
    emergency_allowed = tick(
        gettext_lazy("Allow emergency access"),
        gettext_lazy(
            "Whoever is eligible may take the role at once, without approval, hook or ticket. All administrators and "
            "the further addresses below are told, and each use is reviewed by somebody else within 7 days. "
            "People for emergencies may do so with every role."
        ),
        False,
    )
    emergency_duration = DurationSelect(
        [HALF_HOUR * steps for steps in range(1, LONGEST_EMERGENCY // HALF_HOUR + 1)],
        label=gettext_lazy("Length of emergency access"),
        initial=HOUR,
        help_text=gettext_lazy("Always just that long. Example: 1 h."),
    )
    permanent_eligible_allowed = tick(
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
    permanent_active_allowed = tick(
        gettext_lazy("Allow permanent active assignments"),
        gettext_lazy("Standing access, with nothing to activate. Example: for a service account only."),
        True,
    )
    active_max_days = _days(
        gettext_lazy("Longest active assignment"),
        gettext_lazy("Counts where permanent ones are not allowed. Example: 30 days for the length of a project."),
        180,
    )
    assign_active_mfa_required = tick(
        gettext_lazy("Ask the administrator for a code"),
        gettext_lazy("A one-time code of whoever assigns the role as active."),
        False,
    )
    assign_active_justification_required = tick(
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

    def clean_auto_approve_within_hours(self) -> int:
        return self.cleaned_data["auto_approve_within_hours"] or 0


SETTINGS_FIELDSETS = (
    (
        gettext_lazy("To activate"),
        [
            "activation_max_duration",
            "extends_past_longest",
            "activation_authentication",
            "justification_required",
            "ticket_required",
            "ticket_pattern",
            "ticket_link",
        ],
        (),
    ),
    (
        gettext_lazy("Approval"),
        ["approval_required", *fields_of(1), "decision_mfa_required", "auto_approve_within_hours"],
        (),
    ),
    (gettext_lazy("Before people are asked"), ["hook", "hook_unanswered"], ()),
    (gettext_lazy("In an emergency"), ["emergency_allowed", "emergency_duration"], ()),
    (gettext_lazy("Approval: second stage"), fields_of(2), ("collapse",)),
    (gettext_lazy("Approval: third stage"), fields_of(3), ("collapse",)),
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
        (),
    ),
    (gettext_lazy("Mail"), ["notifications"], ()),
)


def settings_fieldsets() -> list[tuple[Any, dict[str, Any]]]:
    return [(name, {"fields": names, "classes": classes}) for name, names, classes in SETTINGS_FIELDSETS]


def initial_of(values: dict[str, Any]) -> dict[str, Any]:
    """Return what a form of these settings begins with.

    Args:
        values: as of `roles.services.values_of`.
    """
    return {name: values[name] for name in PLAIN_FIELDS} | initial_of_stages(values["stages"])


class ScopeForm(forms.Form):
    """Which scope beneath the role's resource gets settings of its own."""

    scope = forms.ModelChoiceField(
        Resource.objects.all(),
        label=gettext_lazy("Scope"),
        widget=autocomplete(RoleSettings, "scope"),
        help_text=gettext_lazy("Something beneath the role's resource. Example: /Finance/Payroll"),
    )


class PersonForm(forms.Form):
    """For whom one wants to know who could approve."""

    person = forms.ModelChoiceField(
        User.objects.people(), label=gettext_lazy("Person"), widget=autocomplete(EligibleAssignment, "user")
    )


class CopyForm(forms.Form):
    """Which roles get the settings of another."""

    roles = forms.ModelMultipleChoiceField(
        Role.objects.select_related("resource"),
        label=gettext_lazy("Roles"),
        widget=SeveralChosen(EligibleAssignment._meta.get_field("role"), admin.site),
        help_text=gettext_lazy("At most 50 at once. Scopes with settings of their own keep them."),
    )

    def __init__(self, *args: Any, source: Role, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.source = source

    def clean_roles(self) -> Any:
        roles = self.cleaned_data["roles"]
        if len(roles) > MOST_COPIES or self.source in roles:
            raise ValidationError(_("Choose up to 50 other roles."), code="invalid_choice")
        return roles


class CompareForm(forms.Form):
    """Two versions of one place, or another role."""

    left = forms.ModelChoiceField(RoleSettings.objects.none(), label=gettext_lazy("Version"), required=False)
    right = forms.ModelChoiceField(RoleSettings.objects.none(), label=gettext_lazy("with version"), required=False)
    role = forms.ModelChoiceField(
        Role.objects.select_related("resource"),
        label=gettext_lazy("or with another role"),
        required=False,
        widget=autocomplete(EligibleAssignment, "role"),
    )

    def __init__(self, *args: Any, versions: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("left", "right"):
            field: Any = self.fields[name]
            field.queryset, field.to_field_name = versions, "version"
            field.label_from_instance = lambda row: _("Version %(version)d") % {"version": row.version}

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if not values.get("role") and not (values.get("left") and values.get("right")) and not self.errors:
            raise ValidationError(_("Choose two versions, or another role."), code="incomplete")
        return values

    def sides(self, current: RoleSettings) -> tuple[RoleSettings, RoleSettings]:
        """Return what to compare: the chosen version, or the current one, with the other or with the other role's."""
        values = self.cleaned_data
        if role := values["role"]:
            return values["left"] or current, RoleSettings.objects.applying_to(role, role.resource)[0]
        return values["left"], values["right"]
