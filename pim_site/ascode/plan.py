"""What putting a file in force does, in words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from .contents import IDENTITY, SECTIONS

CREATE, CHANGE, END = "create", "change", "end"
WORDS: dict[str, Promise] = {
    CREATE: gettext_lazy("create"),
    CHANGE: gettext_lazy("change"),
    END: gettext_lazy("end"),
}
NOUNS: dict[str, Promise] = {
    "people": gettext_lazy("person"),
    "groups": gettext_lazy("group"),
    "hooks": gettext_lazy("hook"),
    "resources": gettext_lazy("resource"),
    "roles": gettext_lazy("role"),
    "eligible": gettext_lazy("eligible assignment"),
    "active": gettext_lazy("active assignment"),
}


class Change(NamedTuple):
    """One thing that is created, changed or ended; `line` is 0 where the file does not speak of it."""

    verb: str
    section: str
    name: str
    line: int
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = _("(line %(line)d)") % {"line": self.line} if self.line else _("(not in the file)")
        return "\n".join([f"{self.words} {where}", *(f"    {detail}" for detail in self.details)])

    @property
    def words(self) -> str:
        return f"{WORDS[self.verb]} {NOUNS[self.section]} {self.name}"


@dataclass
class Plan:
    """Everything that a file changes, in the order in which it is done."""

    changes: list[Change] = field(default_factory=list)

    def add(self, verb: str, section: str, name: str, line: int, *details: str) -> None:
        self.changes.append(Change(verb, section, name, line, details))

    @property
    def counts(self) -> dict[str, int]:
        return {verb: sum(change.verb == verb for change in self.changes) for verb in WORDS}

    @property
    def summary(self) -> str:
        counts = self.counts
        return ", ".join(
            [
                ngettext("%(n)d created", "%(n)d created", counts[CREATE]) % {"n": counts[CREATE]},
                ngettext("%(n)d changed", "%(n)d changed", counts[CHANGE]) % {"n": counts[CHANGE]},
                ngettext("%(n)d ended", "%(n)d ended", counts[END]) % {"n": counts[END]},
            ]
        )


def name_of(section: str, values: Mapping[str, Any]) -> str:
    """Return what people call an entry."""
    if section in ("eligible", "active"):
        role = f"{values['role']} ({values['scope'] or values['resource']})"
        return _("%(role)s of %(holder)s") % {"role": role, "holder": values["user"] or values["group"]}
    if section == "roles":
        return f"{values['name']} ({values['resource']})"
    return str(values["username" if section == "people" else "path" if section == "resources" else "name"])


def particulars(section: str, values: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is said of something new besides its name: what fits into a line, and is not as it is anyhow."""
    usual = SECTIONS[section].defaults
    for key, value in values.items():
        if key not in IDENTITY[section] and not isinstance(value, Mapping | list) and value != usual.get(key):
            yield f"{key}: {_shown(value)}"


def differences(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield a sentence for each value that is not the same, mappings within taken apart."""
    for key in after:
        old, new = before.get(key), after[key]
        if old == new:
            continue
        if isinstance(new, Mapping) and isinstance(old, Mapping):
            yield from differences(old, new, f"{prefix}{key}.")
        elif isinstance(new, list) and isinstance(old, list):
            yield f"{prefix}{key}: {'; '.join(_list_differences(old, new))}"
        else:
            yield f"{prefix}{key}: {_shown(old)} → {_shown(new)}"


def _list_differences(old: list[Any], new: list[Any]) -> Iterator[str]:
    if added := [_shown(each) for each in new if each not in old]:
        yield _("added %(what)s") % {"what": ", ".join(added)}
    if removed := [_shown(each) for each in old if each not in new]:
        yield _("removed %(what)s") % {"what": ", ".join(removed)}


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value.get("scope") or ", ".join(f"{key} {_shown(each)}" for key, each in value.items()))
    if isinstance(value, list):
        return ", ".join(map(_shown, value)) or _("none")
    if isinstance(value, bool):
        return "true" if value else "false"
    return _("none") if value in (None, "") else str(value)
