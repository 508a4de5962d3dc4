"""What administrators fill in about an assignment: its dates, and why."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django import forms
from django.utils.timezone import get_current_timezone_name, localtime, now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from accounts.forms import CodeForm
from accounts.models import User
from assignments.models import AnyAssignment
from roles.models import RoleSettings

from .models import Request

KINDS = {
    "eligible": gettext_lazy("Eligible, to be activated when needed"),
    "active": gettext_lazy("Active all the time"),
}


class MomentInput(forms.DateTimeInput):
    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%dT%H:%M")


class EndForm(forms.Form):
    """Until when, and why."""

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

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if values.pop("lasting", "until") == "permanent":
            values["ends_at"] = None
        elif not values.get("ends_at") and "ends_at" not in self.errors:
            self.add_error("ends_at", _("Say until when."))
        return values


class EndEachForm(EndForm, CodeForm):
    """The same end for several assignments, and one proof for all if the settings of any ask for it."""

    code_is_required = False

    def __init__(self, data: Any = None, *, rows: Iterable[AnyAssignment], actor: User) -> None:
        super().__init__(data, user=actor)
        places = {(row.role, row.scope) for row in rows if row.noun == "active"}
        settings = (RoleSettings.objects.shown_for(role, scope) for role, scope in places)
        if not any(each.assign_active_mfa_required for each in settings):
            self.ask_no_code()


class TermsForm(EndForm, CodeForm):
    """From when, for how long and why, as far as the role's settings leave it open."""

    code_is_required = False
    field_order: tuple[str, ...] = ("starts_at", "lasting", "ends_at", "justification")
    starts_at = forms.DateTimeField(label=gettext_lazy("Start (optional)"), required=False, widget=MomentInput())

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

    def keep_terms(self) -> None:
        """Carry on what was filled in already; only a proof is asked, if any."""
        for name in set(TermsForm.field_order) & self.fields.keys():
            self.fields[name].widget = self.fields[name].hidden_widget()

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


class DatesForm(TermsForm):
    """Other dates for an assignment that there is."""

    def __init__(self, data: Any = None, *, row: AnyAssignment, actor: User) -> None:
        settings = RoleSettings.objects.shown_for(row.role, row.scope)
        super().__init__(data, settings=settings, kind=row.noun, user=actor)
        reason = self.fields["justification"]
        reason.required, reason.label = True, _("Reason")
        self._offer_as_long_again(row)
        self._keep_start(row)

    def _offer_as_long_again(self, row: AnyAssignment) -> None:
        """Propose the length that was enough so far, where that is less than the longest."""
        if row.ends_at:
            end = self.fields["ends_at"]
            again = localtime(max(row.ends_at, now()) + (row.ends_at - row.starts_at)).replace(second=0)
            end.initial = min(end.initial, again)

    def _keep_start(self, row: AnyAssignment) -> None:
        """What has begun keeps its start; what is yet to begin, or is made anew, may have another."""
        state = row.state(now())
        if state == "active":
            del self.fields["starts_at"]
        elif state == "scheduled":
            self.fields["starts_at"].help_text = _("Empty: as it is.")


class UpdateForm(DatesForm):
    """Begins with the dates that there are."""

    def __init__(self, data: Any = None, *, row: AnyAssignment, actor: User) -> None:
        super().__init__(data, row=row, actor=actor)
        if row.ends_at:
            self.fields["ends_at"].initial = localtime(row.ends_at)
        elif "lasting" in self.fields:
            self.fields["lasting"].initial = "permanent"


class ExtendForm(DatesForm):
    """A later end; the start stays, come what may."""

    def _keep_start(self, row: AnyAssignment) -> None:
        del self.fields["starts_at"]


class GrantForm(DatesForm):
    """What an administrator makes of an extension or renewal that somebody asked for."""

    kind = forms.ChoiceField(label=gettext_lazy("As"), choices=list(KINDS.items()), widget=forms.RadioSelect)
    field_order = ("kind", *TermsForm.field_order)

    def __init__(self, data: Any = None, *, found: Request, actor: User) -> None:
        assert found.assignment is not None  # noqa: S101 (what waits for an administrator is about one)
        super().__init__(data, row=found.assignment, actor=actor)
        self.fields["kind"].initial = found.assignment.noun
        self.fields["justification"].help_text = _("The requester reads it, and it is kept with the request.")

    @property
    def asked(self) -> dict[str, Any]:
        asked = super().asked
        return asked | {"eligible": asked.pop("kind") == "eligible"}
