"""A file as its entries, complete and each with its line."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from .contents import IDENTITY, ORGANISATION, SECTIONS, VERSION, completed
from .document import Fault, FileRefused, nodes_of
from .shapes import Entry


@dataclass(frozen=True)
class Row:
    """One entry: its values, and where it stands. What it says nothing of stays, or has its default."""

    values: dict[str, Any]
    line: int

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def of(self, *keys: str) -> tuple[Any, ...]:
        return tuple(self.values.get(key, "") for key in keys)


@dataclass(frozen=True)
class Document:
    """The entries of each section that the file has."""

    sections: dict[str, list[Row]] = field(default_factory=dict)

    def rows(self, section: str) -> list[Row]:
        return self.sections.get(section, [])


def read(content: bytes) -> Document:
    """Return what a file says.

    Raises:
        FileRefused: with all that is wrong in it, each with its line.
    """
    node = nodes_of(content)
    if node is None:
        raise FileRefused([Fault(0, _("The file is empty."))])
    faults: list[Fault] = []
    file = ORGANISATION.read(node, faults)
    if not faults and file["version"] != VERSION:
        line = file.lines["version"]
        faults.append(Fault(line, _("This is version %(version)d of the format.") % {"version": VERSION}))
    if faults:
        raise FileRefused(faults)
    sections = {name: [_row(name, entry) for entry in file[name] or []] for name in SECTIONS if name in file}
    if faults := [fault for name, rows in sections.items() for fault in doubled(name, rows)]:
        raise FileRefused(faults)
    return Document(sections)


def _row(section: str, entry: Entry) -> Row:
    return Row(completed(section, entry), entry.line)


def doubled(section: str, rows: list[Row]) -> Iterator[Fault]:
    """Yield a fault for each row that is about the same as one before it."""
    first: dict[tuple[Any, ...], int] = {}
    for row in rows:
        key = row.of(*IDENTITY[section])
        if key in first:
            yield Fault(row.line, _("This is said in line %(line)d already.") % {"line": first[key]})
        first.setdefault(key, row.line)
