"""The form of a series of access reviews: what, who, when, and what comes of it, on one page without a script."""

from typing import Any

from django import forms
from django.contrib import admin
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import Group, User
from reviews.models import Stage
from reviews.rules import MOST_STAGES, SeriesTerms, StageTerms
from reviews.schedule import LONGEST, MORNING

from .forms import ServiceForm
from .widgets import SeveralChosen, ZoneField, tick

STAGES = range(1, MOST_STAGES + 1)
MANY = ("people", "groups", "fallback", "fallback_groups")


def _choose(model: Any, field: str, label: Any, help_text: Any) -> forms.ModelMultipleChoiceField:  # type: ignore[type-arg]
    rows = User.objects.people() if model is User else Group.objects.all()
    widget = SeveralChosen(Stage._meta.get_field(field), admin.site)
    return forms.ModelMultipleChoiceField(rows, required=False, label=label, widget=widget, help_text=help_text)


def _fields() -> dict[str, forms.Field]:
    """The fields of one stage, by the names that `StageTerms` has for them."""
    return {
        "reviewers": forms.ChoiceField(
            label=gettext_lazy("Who is asked"),
            choices=Stage.Reviewers.choices,
            help_text=gettext_lazy("Nobody is asked about their own access, unless each answers for themselves."),
        ),
        "people": _choose(User, "people", gettext_lazy("Reviewers"), gettext_lazy("Of those who are named here.")),
        "groups": _choose(
            Group,
            "groups",
            gettext_lazy("Reviewer groups"),
            gettext_lazy("Every enabled member is asked. Only protected groups. Example: Finance leads."),
        ),
        "fallback": _choose(
            User,
            "fallback",
            gettext_lazy("Fallback"),
            gettext_lazy("Asked where there is nobody else: no manager, no owner, or only the person themselves."),
        ),
        "fallback_groups": _choose(
            Group,
            "fallback_groups",
            gettext_lazy("Fallback groups"),
            gettext_lazy("The same, with every enabled member. Only protected groups."),
        ),
        "days": forms.IntegerField(
            label=gettext_lazy("Days to answer"),
            min_value=1,
            max_value=max(LONGEST.values()),
            initial=14,
            help_text=gettext_lazy("All stages together end before the next review: 6 days weekly, 27 monthly."),
        ),
        "takes": forms.ChoiceField(
            label=gettext_lazy("What it is asked about"),
            choices=Stage.Takes.choices,
            help_text=gettext_lazy(
                "The keep or remove of the last stage counts; where it says neither, that of the stage before."
            ),
        ),
    }


NAMES = tuple(_fields())


def field_name(number: int, name: str) -> str:
    return f"stage{number}_{name}"


def fields_of(number: int) -> list[str]:
    """The names on the form of all that one stage asks for; the first is always there, and takes everything."""
    if number == 1:
        return [field_name(1, name) for name in NAMES if name != "takes"]
    return [field_name(number, "used"), *(field_name(number, name) for name in NAMES)]


def _all_fields() -> dict[str, forms.Field]:
    fields: dict[str, forms.Field] = {}
    for number in STAGES:
        made = _fields()
        if number == 1:
            made.pop("takes")
        else:
            help_text = gettext_lazy("It begins when the time of the stage before is over.")
            fields[field_name(number, "used")] = tick(gettext_lazy("Use this stage"), help_text, False)
            made["days"].required = made["reviewers"].required = made["takes"].required = False
        fields |= {field_name(number, name): field for name, field in made.items()}
    return fields


class _SeriesForm(ServiceForm):
    """Turns its fields into `terms`, as the services take them."""

    time_zone = ZoneField(help_text=gettext_lazy("Days and times are those of this zone. Example: Europe/Berlin."))

    # Not the widgets of the stock console, which speak of the zone of whoever looks.
    first_on = forms.DateField(
        label=gettext_lazy("First day"),
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        help_text=gettext_lazy(
            "The others follow on the same day, or on the last one of a shorter month. "
            "Later on, a new first day is that of the review to come."
        ),
    )
    begins_at = forms.TimeField(
        label=gettext_lazy("Time of day"),
        initial=MORNING,
        widget=forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
    )
    ends_on = forms.DateField(
        label=gettext_lazy("Last day"),
        required=False,
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        help_text=gettext_lazy("No review begins after this day. Empty: without end."),
    )

    apart = tick(
        gettext_lazy("A review for each role"),
        gettext_lazy(
            "Makes a series for each of the roles above, each with its name. Otherwise all are in one review."
        ),
        False,
    )

    class Meta:
        labels = {"principals": gettext_lazy("Whose access")}
        help_texts = {
            "name": gettext_lazy("Reviewers read it in the mail. Example: Privileged roles, every quarter"),
            "description": gettext_lazy("Why they are asked, in a sentence or two."),
            "covers": gettext_lazy("What this review is about; then fill in just that below."),
            "roles": gettext_lazy("For roles: each with all who hold it, or only those at the resource below."),
            "scope": gettext_lazy("For a resource: all roles held there and beneath. Example: /Finance"),
            "groups": gettext_lazy("For groups: who is a member, or may become one for a time."),
            "principals": gettext_lazy("People and service accounts are reviewed apart."),
            "kinds": gettext_lazy("An activation is never reviewed, but the eligibility that it comes from."),
            "inactive_days": gettext_lazy(
                "Only who has not signed in for so many days, up to 730, of accounts as old. Empty: everybody."
            ),
            "count": gettext_lazy(
                "After so many reviews, all since it was defined, the series ends. Empty: without end."
            ),
            "no_answer": gettext_lazy("What happens to access about which nobody has answered, or nobody knew."),
            "applies_itself": gettext_lazy(
                "Removals begin when the review has ended. Otherwise an administrator looks at the results first."
            ),
            "reason_required": gettext_lazy("Each answer says why, but for “don't know”."),
            "recommends": gettext_lazy("Reviewers see whether it was used lately, and what that speaks for."),
            "look_back_days": gettext_lazy("What was used within so many days counts as used. Example: 30"),
            "mails": gettext_lazy("Reviewers are told when they are asked."),
            "reminds": gettext_lazy("Who has not answered is reminded half-way, and a day before the end."),
            "words": gettext_lazy("Said to reviewers in their mail and on their page."),
            "told": gettext_lazy("Told when a review has ended, besides whoever defined the series."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and not self.instance._state.adding:
            for number, stage in enumerate(self.instance.stages.all(), start=1):
                self.initial = {**self.initial, **_initial_of(number, stage)}

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        used = [number for number in STAGES if number == 1 or values.get(field_name(number, "used"))]
        if used[-1] > len(used):
            self.add_error(field_name(2, "used"), _("Use the second stage before the third."))
        for number in used:
            if values.get(field_name(number, "days")) is None and field_name(number, "days") not in self.errors:
                self.add_error(field_name(number, "days"), _("Say how many days there are to answer."))
        if not self.errors:
            plain = {name: value for name, value in values.items() if not name.startswith(("stage", "apart"))}
            plain |= {name: tuple(plain[name]) for name in ("roles", "groups", "told")}
            values["terms"] = SeriesTerms(**plain, stages=tuple(self._stage(values, number) for number in used))
        return values

    def _stage(self, values: dict[str, Any], number: int) -> StageTerms:
        found = {name: values.get(field_name(number, name)) for name in NAMES}
        found |= {name: tuple(found[name] or ()) for name in MANY}
        return StageTerms(**{name: value for name, value in found.items() if value})


def _initial_of(number: int, stage: Stage) -> dict[str, Any]:
    values = {field_name(number, name): getattr(stage, name) for name in ("reviewers", "days", "takes")}
    values |= {field_name(number, name): [row.pk for row in getattr(stage, name).all()] for name in MANY}
    return values | {field_name(number, "used"): True}


SeriesForm: type[ServiceForm] = type("SeriesForm", (_SeriesForm,), _all_fields())


def _with_apart(fields: list[str]) -> list[str]:
    return [each for name in fields for each in ((name, "apart") if name == "roles" else (name,))]


FIELDSETS: list[Any] = [
    (None, {"fields": ["name", "description"]}),
    (
        gettext_lazy("What is reviewed"),
        {"fields": ["covers", "roles", "scope", "groups", "principals", "kinds", "inactive_days"]},
    ),
    (gettext_lazy("Who is asked"), {"fields": fields_of(1)}),
    (gettext_lazy("Who is asked in a second stage"), {"fields": fields_of(2), "classes": ["collapse"]}),
    (gettext_lazy("Who is asked in a third stage"), {"fields": fields_of(3), "classes": ["collapse"]}),
    (
        gettext_lazy("When"),
        {"fields": ["first_on", "begins_at", "time_zone", "recurrence", "ends_on", "count"]},
    ),
    (
        gettext_lazy("What comes of it"),
        {"fields": ["no_answer", "applies_itself", "reason_required", "recommends", "look_back_days"]},
    ),
    (gettext_lazy("Who is told"), {"fields": ["mails", "reminds", "words", "told"]}),
]


# Later on a series is one.
ADD_FIELDSETS: list[Any] = [
    (title, {**options, "fields": _with_apart(options["fields"])}) for title, options in FIELDSETS
]
