"""The forms of the console that are more than the fields of one table."""

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.forms import CodeForm
from accounts.models import Group, User
from assignments.models import Assignment, EligibleAssignment
from assignments.rules import AssignmentRefused
from roles.models import Resource, Role
from roles.rules import check_scope

from .widgets import autocomplete

Refusal = ValidationError | PermissionDenied
# They stand in the address of the page, and web servers take no longer one.
MOST_HOLDERS = 50


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


class NotedReasonForm(ReasonForm):
    """A reason of which nobody is told by mail."""

    def __init__(self, data: Any = None) -> None:
        super().__init__(data)
        self.fields["justification"].help_text = _("Kept in the audit. Example: “Made by mistake, CHG-1187”.")


class MoveForm(NotedReasonForm):
    """Where something is to be from now on."""

    parent = forms.ModelChoiceField(
        Resource.objects.all(),
        label=gettext_lazy("New place"),
        widget=autocomplete(Resource, "parent"),
        help_text=gettext_lazy("What it will be beneath. Example: /Finance"),
    )
    field_order = ("parent", "justification")


class ProvedReasonForm(CodeForm, ReasonForm):
    """A reason, and a fresh proof of whoever gives it."""


class RemovalForm(ReasonForm):
    """Why; and, of an emergency-access account, that it is meant. Among many others there is no way to mean it."""

    def __init__(self, data: Any = None, *, row: Assignment | None, actor: User) -> None:
        super().__init__(data)
        holder = row.holder if row else None
        if isinstance(holder, User) and holder.is_emergency_access:
            label = _("This is an emergency-access account. I mean just this account.")
            self.fields["emergency"] = forms.BooleanField(label=label)


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

    user = forms.ModelMultipleChoiceField(
        User.objects.enabled(),
        label=gettext_lazy("Holders"),
        required=False,
        widget=autocomplete(EligibleAssignment, "user", multiple=True),
        help_text=gettext_lazy("One or several. Type a part of the name, the username or the e-mail address."),
    )
    group = forms.ModelMultipleChoiceField(
        Group.objects.all(),
        label=gettext_lazy("or groups"),
        required=False,
        widget=autocomplete(EligibleAssignment, "group", multiple=True),
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
        """Return `holders`, `role` and `scope`."""
        values = super().clean() or {}
        values["holders"] = [*(values.pop("user", None) or ()), *(values.pop("group", None) or ())]
        if not (values["holders"] or {"user", "group"} & set(self.errors)):
            self.add_error("user", _("Choose a person or a group."))
        if len(values["holders"]) > MOST_HOLDERS:
            limit = {"limit": MOST_HOLDERS}
            self.add_error("user", _("Choose at most %(limit)d at once; import a CSV file for more.") % limit)
        if role := values.get("role"):
            values["scope"] = values.get("scope") or role.resource
            try:
                check_scope(role, values["scope"], refusal=AssignmentRefused)
            except ValidationError as refusal:
                self.add_error("scope", refusal)
        return values
