"""The forms of the console that are more than the fields of one table."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteMixin, AutocompleteSelect, AutocompleteSelectMultiple
from django.core.exceptions import PermissionDenied, ValidationError
from django.template.loader import render_to_string
from django.utils.functional import lazy
from django.utils.timezone import get_current_timezone_name, localtime, now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from accounts.forms import CodeForm
from accounts.models import Group, User
from assignments.models import EligibleAssignment
from assignments.rules import AssignmentRefused
from pim_site.templatetags.pim import duration
from roles.models import DAYS_OFFERED, HALF_HOUR, LONGEST_MAXIMUM, SHORTEST_MAXIMUM, Resource, Role, RoleSettings
from roles.rules import check_scope
from roles.services import SETTINGS_FIELDS

Refusal = ValidationError | PermissionDenied

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
AUDIENCES = {
    "admin": gettext_lazy("Administrators"),
    "requestor": gettext_lazy("The holder"),
    "approver": gettext_lazy("Approvers"),
}


def add_refusal(form: forms.BaseForm, refusal: Refusal) -> None:
    """Show a refusal at its field, or above the form where it is about none of them."""
    if isinstance(refusal, PermissionDenied):
        form.add_error(None, str(refusal))
    elif not hasattr(refusal, "error_dict"):
        form.add_error(None, refusal)
    else:
        for name, errors in refusal.error_dict.items():
            form.add_error(name if name in form.fields else None, errors)


class ReasonForm(forms.Form):
    justification = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("Kept in the audit, and told to those concerned. Example: “Left the team, HR-2211”."),
    )


class ServiceForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """A form whose change was refused shows the refusal as an error of its own."""

    refusal: ClassVar[Refusal | None] = None

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if self.refusal:
            add_refusal(self, self.refusal)
        return cleaned


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


class NotificationGrid(forms.Widget):
    """Three events by three kinds of recipients, a tick box each; the value is what the settings keep."""

    use_fieldset = True

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> Any:
        rows = [
            (label, [(self._box(name, event, each), word, value[event][each]) for each, word in AUDIENCES.items()])
            for event, label in EVENTS.items()
        ]
        return render_to_string("admin/notification_grid.html", {"rows": rows, "heads": AUDIENCES.values()})

    def value_from_datadict(self, data: Any, files: Any, name: str) -> dict[str, dict[str, bool]]:
        def ticked(event: str, each: str) -> bool:
            box = self._box(name, event, each)
            return not box or box in data

        return {event: {each: ticked(event, each) for each in AUDIENCES} for event in EVENTS}

    def _box(self, name: str, event: str, each: str) -> str:
        """The name of a box, or nothing where no mail is sent yet: approvers decide activations only."""
        return "" if each == "approver" and event != "activated" else f"{name}_{event}_{each}"

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
        initial={event: dict.fromkeys(AUDIENCES, True) for event in EVENTS},
        help_text=gettext_lazy(
            "Administrators are the holders in force of Privileged Role Administrator and Global Administrator."
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
        ["activation_max_duration", "activation_authentication", "justification_required", "ticket_required"],
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


class TargetForm(forms.Form):
    """The first step of an assignment: who, what and where."""

    user = forms.ModelChoiceField(
        User.objects.enabled(),
        label=gettext_lazy("Holder"),
        widget=autocomplete(EligibleAssignment, "user"),
        help_text=gettext_lazy("Type a part of the name, the username or the e-mail address."),
    )
    role = forms.ModelChoiceField(
        Role.objects.select_related("resource"),
        label=gettext_lazy("Role"),
        widget=autocomplete(EligibleAssignment, "role"),
    )
    scope = forms.ModelChoiceField(
        Resource.objects.all(),
        label=gettext_lazy("Scope (optional)"),
        required=False,
        widget=autocomplete(EligibleAssignment, "scope"),
        help_text=gettext_lazy(
            "Where the role counts: its own resource if left empty, or one beneath. Example: /Finance/Payroll."
        ),
    )

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if role := values.get("role"):
            values["scope"] = values.get("scope") or role.resource
            try:
                check_scope(role, values["scope"], refusal=AssignmentRefused)
            except ValidationError as refusal:
                self.add_error("scope", refusal)
        return values


class MomentInput(forms.DateTimeInput):
    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%dT%H:%M")


class TermsForm(CodeForm):
    """The second step: from when, for how long and why, as far as the role's settings leave it open."""

    code_is_required = False
    starts_at = forms.DateTimeField(label=gettext_lazy("Start (optional)"), required=False, widget=MomentInput())
    lasting = forms.ChoiceField(
        label=gettext_lazy("For how long"),
        choices=[
            ("until", gettext_lazy("Until a date")),
            ("permanent", pgettext_lazy("assignment", "Permanent, until somebody removes it")),
        ],
        widget=forms.RadioSelect,
        initial="until",
    )
    ends_at = forms.DateTimeField(label=gettext_lazy("End"), required=False, widget=MomentInput())
    justification = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("Kept in the audit and told to the holder. Example: “On call from July, HR-2190”."),
    )

    def __init__(self, data: Any, *, settings: RoleSettings, kind: str, user: User) -> None:
        super().__init__(data, user=user)
        active = kind == "active"
        permanent = settings.permanent_active_allowed if active else settings.permanent_eligible_allowed
        days = settings.active_max_days if active else settings.eligible_max_days
        self._offer_times(permanent, days)
        if not (active and settings.assign_active_mfa_required):
            self.ask_no_code()
        if not (active and settings.assign_active_justification_required):
            self.fields["justification"].label = _("Reason (optional)")

    def _offer_times(self, permanent: bool, days: int) -> None:
        zone = get_current_timezone_name()
        self.fields["starts_at"].help_text = _("Empty: now. In the zone %(zone)s.") % {"zone": zone}
        self.fields["ends_at"].initial = localtime(now()).replace(second=0, microsecond=0) + timedelta(days=days)
        if permanent:
            self.fields["ends_at"].help_text = _("Not needed for a permanent one. In the zone %(zone)s.") % {
                "zone": zone
            }
            return
        del self.fields["lasting"]
        limit = _("At most %(days)d days after the start. In the zone %(zone)s.") % {"days": days, "zone": zone}
        self.fields["ends_at"].help_text = limit

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if values.pop("lasting", "until") == "permanent":
            values["ends_at"] = None
        elif not values.get("ends_at") and "ends_at" not in self.errors:
            self.add_error("ends_at", _("Say until when."))
        return values
