"""Settings of roles that were changed past this site: where no approval is asked for, nobody needs to write a role."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from alerts.registry import Finding, Severity, alert
from audit.canonical import plain
from audit.models import Event
from audit.stated import newest_settings
from roles.models import Resource, Role, RoleSettings
from roles.services import stated_facts
from roles.stages import PLAIN, StageTerms, terms_of

from .twice import found_twice

# Versions that are compared at once.
PAGE = 500
_NAMED = [f"stages__{name}" for name in ("approvers", "approver_groups", "escalation_approvers", "escalation_groups")]
_Place = tuple[UUID, UUID]


@alert(
    "settings_outside",
    severity=Severity.HIGH,
    title=_("Settings of a role changed outside PIM"),
    why=_(
        "What it takes to activate or assign this role is not what somebody saved here: an approval, a proof or a "
        "limit may be gone without anybody having been asked."
    ),
    advice=_("Find out who wrote the rows, and save the settings anew as they should be."),
    sentence=_("%(role)s is used at %(scope)s under settings that nobody saved here: %(names)s"),
)
@found_twice
def settings_outside(at: datetime) -> Iterator[Finding]:
    """The last event about a role at a scope must be of the version in use, and say what that says."""
    last = newest_settings()
    yield from sorted((*_differing(last), *_gone(last)), key=lambda finding: finding.key)


def _differing(last: dict[_Place, int]) -> Iterator[Finding]:
    rows = RoleSettings.objects.current().select_related("role", "scope", "hook")
    stored = rows.prefetch_related(*_NAMED).order_by("pk").iterator(PAGE)
    while page := list(islice(stored, PAGE)):
        events = Event.objects.in_bulk([last[_place(row)] for row in page if _place(row) in last])
        for row in page:
            if names := _differs(row, events.get(last.get(_place(row), 0))):
                yield _finding(row.role, row.scope, names)


def _differs(row: RoleSettings, event: Event | None) -> list[str]:
    """Return what of a version in use is not as it was saved; all of it where that version was not the last one."""
    if event is None and not row.role.is_built_in:
        return ["*"]
    if event is not None and (event.target_id != str(row.pk) or event.action == "settings.removed"):
        return ["*"]
    present = stated_facts(row, [terms_of(stage) for stage in row.stages.all()])
    said = (event.facts["after"] or {}) if event else stated_facts(RoleSettings(), [StageTerms()])
    told, stored = _without_names(plain(said)), _without_names(plain(present))
    return sorted(name for name in told.keys() & stored.keys() if told[name] != stored[name])


def _without_names(facts: dict[str, Any]) -> dict[str, Any]:
    """People, groups and hooks can be renamed: of them the keys are compared, in `named`."""
    stages = [{name: stage[name] for name in PLAIN} for stage in facts["stages"]]
    return {name: value for name, value in facts.items() if name != "hook"} | {"stages": stages}


def _gone(last: dict[_Place, int]) -> Iterator[Finding]:
    """Yield where settings were saved and there are none in use: those from above count, which may ask for less."""
    present = set(RoleSettings.objects.current().values_list("role_id", "scope_id"))
    gone = {pk: place for place, pk in last.items() if place not in present}
    for event in Event.objects.filter(pk__in=list(gone)).exclude(action="settings.removed"):
        role_id, scope_id = gone[event.pk]
        role, scope = Role.objects.filter(pk=role_id).first(), Resource.objects.filter(pk=scope_id).first()
        if role and scope:
            yield _finding(role, scope, ["*"])


def _place(row: RoleSettings) -> _Place:
    return row.role_id, row.scope_id


def _finding(role: Role, scope: Resource, names: Iterable[str]) -> Finding:
    return Finding(f"{role.pk}:{scope.pk}", role, {"role": str(role), "scope": str(scope), "names": ", ".join(names)})
