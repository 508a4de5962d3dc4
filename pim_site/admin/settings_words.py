"""What settings say, in words for people."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from pim_site.templatetags.pim import duration
from roles.hooks import Hook
from roles.mails import USED, Cell
from roles.models import RoleSettings
from roles.stages import StageTerms, described

from .settings_form import AUDIENCES, EVENTS, LEVELS, SETTINGS_FIELDSETS, SettingsForm
from .stages import STAGES

Values = dict[str, Any]
# Where a fact is called otherwise than the field of the form, which says that it may stay empty.
LABELS = {
    "ticket_pattern": gettext_lazy("Pattern of ticket numbers"),
    "ticket_link": gettext_lazy("Address of tickets"),
    "hook": gettext_lazy("Ask a hook first"),
}


class Line(NamedTuple):
    """One setting on two sides."""

    label: Any
    left: str
    right: str

    @property
    def differs(self) -> bool:
        return self.left != self.right


def said(values: Values) -> list[tuple[Any, str]]:
    """Return what these values say, as pairs of label and words, in the order of the form."""
    lines: list[tuple[Any, str]] = []
    for _title, names, _classes in SETTINGS_FIELDSETS:
        lines += [(_label(name), _word(name, values[name])) for name in names if name in values]
        if "approval_required" in names:
            lines += [(_stage(number), _of_stage(values["stages"], number)) for number in STAGES]
    return lines


def compared(left: Values, right: Values) -> list[Line]:
    return [Line(label, word, other) for (label, word), (_label, other) in zip(said(left), said(right), strict=True)]


def _label(name: str) -> Any:
    return LABELS.get(name, SettingsForm.base_fields[name].label)


def _stage(number: int) -> str:
    return _("Approval: stage %(number)d") % {"number": number}


def _of_stage(stages: list[StageTerms], number: int) -> str:
    return described(stages[number - 1]) if number <= len(stages) else _("none")


def _word(name: str, value: Any) -> str:
    if name == "notifications":
        return _mail(value)
    if name == "activation_authentication":
        return str(RoleSettings.Authentication(value).label)
    if name == "hook_unanswered":
        return str(RoleSettings.Unanswered(value).label)
    if value is None or isinstance(value, Hook):
        return str(value or _("none"))
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, str):
        return value or _("none")
    if isinstance(value, timedelta):
        return duration(value)
    if name == "auto_approve_within_hours":
        return duration(timedelta(hours=value)) if value else _("never")
    return ngettext("%(count)d day", "%(count)d days", value) % {"count": value}


def _mail(cells: dict[str, dict[str, Any]]) -> str:
    return " ".join(
        _("%(event)s: %(told)s.") % {"event": label, "told": "; ".join(_told(event, cells[event]))}
        for event, label in EVENTS.items()
    )


def _told(event: str, row: dict[str, Any]) -> Iterator[str]:
    """Say for each kind of recipients of an event who is told, and of what."""
    for audience, word in AUDIENCES.items():
        if (event, audience) in USED:
            cell = Cell(**row[audience])
            people = [_("told") if cell.default else _("not told"), *cell.also]
            yield f"{word} {', '.join(people)}" + (f" ({LEVELS[cell.level]})" if cell.level != "all" else "")
