"""The part of a settings form that asks for the stages of an approval: all on one page, so no script is needed."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import Group, User
from roles.models import ApprovalStage
from roles.stages import MOST_APPROVALS, MOST_STAGES, StageTerms

from .widgets import DurationSelect, SeveralChosen, tick

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TIMES_TO_DECIDE = [HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, DAY, 2 * DAY, 3 * DAY, 7 * DAY, 14 * DAY]
TIMES_TO_ESCALATE = [HOUR / 4, HOUR / 2, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, DAY, 2 * DAY, 3 * DAY]
STAGES = range(1, MOST_STAGES + 1)


def _choose(model: Any, field: str, label: Any, help_text: Any) -> forms.ModelMultipleChoiceField:  # type: ignore[type-arg]
    rows = User.objects.people() if model is User else Group.objects.all()
    widget = SeveralChosen(ApprovalStage._meta.get_field(field), admin.site)
    return forms.ModelMultipleChoiceField(rows, required=False, label=label, widget=widget, help_text=help_text)


def _fields() -> dict[str, forms.Field]:
    """The fields of one stage, by the names that `StageTerms` has for them."""
    return {
        "approvers": _choose(
            User,
            "approvers",
            gettext_lazy("Approvers"),
            gettext_lazy(
                "With nobody named in a stage, the holders of Privileged Role Administrator and of Global "
                "Administrator decide."
            ),
        ),
        "approver_groups": _choose(
            Group,
            "approver_groups",
            gettext_lazy("Approver groups"),
            gettext_lazy("Every enabled member can decide. Only protected groups. Example: Database on-call."),
        ),
        "asks_manager": tick(
            gettext_lazy("The requester's manager"),
            gettext_lazy("Whoever has none is for the others named here, or else for the administrators."),
            False,
        ),
        "quorum": forms.IntegerField(
            min_value=1,
            max_value=MOST_APPROVALS,
            initial=1,
            label=gettext_lazy("How many must approve"),
            help_text=gettext_lazy("Different people: nobody counts twice, also not in two stages. One no is enough."),
        ),
        "one_from_each_group": tick(
            gettext_lazy("One from each group"),
            gettext_lazy("Each group named above must be among those who approve. Example: Security and Finance."),
            False,
        ),
        "timeout": DurationSelect(
            TIMES_TO_DECIDE,
            label=gettext_lazy("Time to decide"),
            initial=DAY,
            help_text=gettext_lazy(
                "A request that is not decided by then closes by itself, and the person is told. Whoever has not "
                "answered is reminded at half of it."
            ),
        ),
        "escalates_after": DurationSelect(
            TIMES_TO_ESCALATE,
            label=gettext_lazy("Ask others after"),
            required=False,
            empty_value=None,
            help_text=gettext_lazy("If not decided by then, those named next may decide too."),
        ),
        "escalation_approvers": _choose(
            User, "escalation_approvers", gettext_lazy("Then also these people"), gettext_lazy("Example: a deputy.")
        ),
        "escalation_groups": _choose(
            Group, "escalation_groups", gettext_lazy("Then also these groups"), gettext_lazy("Only protected groups.")
        ),
    }


NAMES = tuple(_fields())
MANY = ("approvers", "approver_groups", "escalation_approvers", "escalation_groups")


def field_name(number: int, name: str) -> str:
    return f"stage{number}_{name}"


def fields_of(number: int) -> list[str]:
    """The names on the form of all that one stage asks for; the first is always there."""
    used = [] if number == 1 else [field_name(number, "used")]
    return [*used, *(field_name(number, name) for name in NAMES)]


def _all_fields() -> dict[str, forms.Field]:
    fields: dict[str, forms.Field] = {}
    for number in STAGES:
        if number > 1:
            help_text = gettext_lazy("It begins when enough people have approved in the stage before.")
            fields[field_name(number, "used")] = tick(gettext_lazy("Use this stage"), help_text, False)
        fields |= {field_name(number, name): field for name, field in _fields().items()}
    return fields


class _Stages(forms.Form):
    """Turns its fields into `stages`, as `save_settings` takes them."""

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        used = [number for number in STAGES if number == 1 or values.get(field_name(number, "used"))]
        if used[-1] > len(used):
            self.add_error(field_name(2, "used"), _("Use the second stage before the third."))
        values["stages"] = [self._terms(number) for number in used]
        return {name: value for name, value in values.items() if name not in FIELD_NAMES}

    def _terms(self, number: int) -> StageTerms:
        values = {name: self.cleaned_data.get(field_name(number, name)) for name in NAMES}
        values |= {name: tuple(values[name] or ()) for name in MANY}
        return StageTerms(**{name: value for name, value in values.items() if value is not None})


FIELD_NAMES = frozenset(_all_fields())
StagesForm: type[forms.Form] = type("StagesForm", (_Stages,), _all_fields())


def initial_of_stages(stages: list[StageTerms]) -> dict[str, Any]:
    """Return what the fields of a form of these stages begin with."""
    values: dict[str, Any] = {}
    for number, terms in enumerate(stages, start=1):
        values[field_name(number, "used")] = True
        values |= {field_name(number, name): getattr(terms, name) for name in NAMES}
    return values
