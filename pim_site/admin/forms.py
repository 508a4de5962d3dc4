"""The forms of the console that are more than the fields of one table."""

from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils.timezone import get_current_timezone_name, localtime, now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from accounts.forms import CodeForm
from accounts.models import Group, User
from assignments.models import EligibleAssignment
from assignments.rules import AssignmentRefused
from roles.models import Resource, Role, RoleSettings
from roles.rules import check_scope

from .widgets import autocomplete

Refusal = ValidationError | PermissionDenied


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


class ProvedReasonForm(CodeForm, ReasonForm):
    """A reason, and a fresh proof of whoever gives it."""


class ServiceForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """A form whose change was refused shows the refusal as an error of its own."""

    refusal: ClassVar[Refusal | None] = None

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if self.refusal:
            add_refusal(self, self.refusal)
        return cleaned


class TargetForm(forms.Form):
    """The first step of an assignment: who, what and where."""

    user = forms.ModelChoiceField(
        User.objects.enabled(),
        label=gettext_lazy("Holder"),
        required=False,
        widget=autocomplete(EligibleAssignment, "user"),
        help_text=gettext_lazy("Type a part of the name, the username or the e-mail address."),
    )
    group = forms.ModelChoiceField(
        Group.objects.all(),
        label=gettext_lazy("or a group"),
        required=False,
        widget=autocomplete(EligibleAssignment, "group"),
        help_text=gettext_lazy("Each enabled member gets it, or activates it for themselves."),
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
        """Return `holder`, `role` and `scope`."""
        values = super().clean() or {}
        holders = [values.pop("user", None), values.pop("group", None)]
        values["holder"] = holders[0] or holders[1]
        if all(holders) or not (any(holders) or {"user", "group"} & set(self.errors)):
            self.add_error("user", _("Choose a person or a group."))
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
