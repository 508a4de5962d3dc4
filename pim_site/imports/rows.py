"""CSV as entries: what a file may be, and what is said of one that is not."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from accounts.rules import NotAllowed
from assignments.ownership import ASSIGNS
from pim_site.ascode.contents import SECTIONS
from pim_site.ascode.document import Fault, FileRefused
from pim_site.ascode.reading import Document, Row, doubled
from pim_site.ascode.shapes import REQUIRED, Many, Unreadable

MOST_ROWS = 50_000
LARGEST_FILE = 10 * 1024 * 1024  # bytes
BETWEEN_NAMES = ";"
# More changes than this say nothing to a reader; all of them are carried out.
SHOWN = 500

# The columns of each kind; those of an entry that the console has acts for (enabling, emergency access) are left out.
COLUMNS = {
    "people": ("username", "name", "email", "kind", "manager", "time_zone"),
    "groups": ("name", "description", "protected", "owners", "members"),
    "eligible": ("role", "resource", "scope", "user", "group", "starts_at", "ends_at"),
    "active": ("role", "resource", "scope", "user", "group", "starts_at", "ends_at"),
}
# Any of these, everywhere, opens the way to a file of the kind; each of its rows is judged by itself.
PERMISSIONS = {"people": ("accounts.add_user",), "groups": ("accounts.add_group",), **ASSIGNS}
EXAMPLES = {
    "people": [
        ["mara.lindt", "Mara Lindt", "mara.lindt@example.org", "person", "", "Europe/Berlin"],
        ["otto.lindt", "Otto Lindt", "otto.lindt@example.org", "person", "mara.lindt", ""],
        ["nightly-report", "Nightly report", "nightly-report@example.org", "service", "", ""],
    ],
    "groups": [["On call", "Takes the telephone at night", "false", "mara.lindt", "mara.lindt;otto.lindt"]],
    "eligible": [
        ["Ledger Reader", "/Finance/Ledger", "", "mara.lindt", "", "", "2030-01-31 18:00:00+00:00"],
        ["Ledger Reader", "/Finance/Ledger", "", "", "On call", "", ""],
    ],
    "active": [["Report Publisher", "/Finance/Ledger", "", "nightly-report", "", "", "2030-01-31 18:00:00+00:00"]],
}
TERMS = gettext_lazy(
    "The scope is left empty for the role's own resource, the start for now, the end for a permanent assignment. "
    "Start and end are written with their zone: 2030-01-31 18:00:00+00:00 is 18:00 in UTC."
)
HELP = {
    "people": gettext_lazy(
        "An empty cell leaves what is there, or takes the default. Managers may stand in the same file."
    ),
    "groups": gettext_lazy("Owners and members are usernames with ; between them: all of them, not only the new ones."),
    "eligible": TERMS,
    "active": TERMS,
}


def may_import(user: User, kind: str) -> bool:
    return any(user.has_perm(permission) for permission in PERMISSIONS[kind])


def check_import(user: User, kind: str) -> None:
    """Raises NotAllowed: they may do nothing that a file of this kind says."""
    if not may_import(user, kind):
        raise NotAllowed


def example(kind: str) -> str:
    """Return a file of this kind to begin with."""
    text = io.StringIO()
    csv.writer(text).writerows([COLUMNS[kind], *EXAMPLES[kind]])
    return text.getvalue()


def read(kind: str, content: bytes) -> Document:
    """Return the rows of a CSV file, UTF-8 with or without its mark, as entries of the section `kind`.

    Raises:
        FileRefused: with all that is wrong in it, each with its line.
    """
    faults: list[Fault] = []
    try:
        rows = list(_rows(kind, _text(content), faults))
    except csv.Error as error:
        raise FileRefused([Fault(0, _("This is not CSV: %(error)s.") % {"error": error})]) from error
    faults += doubled(kind, rows)
    if faults:
        raise FileRefused(sorted(faults))
    if not rows:
        raise FileRefused([Fault(0, _("The file has no rows beneath its heads."))])
    return Document({kind: rows})


def _text(content: bytes) -> str:
    if len(content) > LARGEST_FILE:
        limit = LARGEST_FILE // 1024 // 1024
        raise FileRefused([Fault(0, _("The file is larger than %(limit)d MB.") % {"limit": limit})])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FileRefused([Fault(line, _("This is not UTF-8. Save the file in that encoding."))]) from error


def _rows(kind: str, text: str, faults: list[Fault]) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    heads = [head.strip() for head in next(reader, [])]
    _check_heads(kind, heads)
    count = 0
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        count += 1
        if count > MOST_ROWS:
            limit = _("A file has at most %(limit)d rows. Divide it.") % {"limit": MOST_ROWS}
            raise FileRefused([Fault(reader.line_num, limit)])
        if len(cells) == len(heads):
            yield _row(kind, dict(zip(heads, cells, strict=True)), reader.line_num, faults)
        else:
            numbers = {"count": len(cells), "heads": len(heads)}
            text = _("This row has %(count)d cells, and there are %(heads)d heads.") % numbers
            faults.append(Fault(reader.line_num, text))


def _check_heads(kind: str, heads: list[str]) -> None:
    known, keys = COLUMNS[kind], SECTIONS[kind].keys
    needed = [name for name in known if keys[name].default is REQUIRED]
    wrong = [head for head in heads if head not in known or heads.count(head) > 1]
    missing = [name for name in needed if name not in heads]
    if wrong or missing:
        text = _("The heads of the columns are wrong. Known are: %(known)s. Needed are: %(needed)s.")
        raise FileRefused([Fault(1, text % {"known": ", ".join(known), "needed": ", ".join(needed)})])


def _row(kind: str, cells: dict[str, str], line: int, faults: list[Fault]) -> Row:
    """Return what the cells say; an empty one says nothing."""
    values: dict[str, Any] = {}
    for name, key in SECTIONS[kind].keys.items():
        cell = cells.get(name, "").strip()
        try:
            if cell:
                values[name] = _parsed(key.of, cell)
            elif key.default is REQUIRED:
                raise Unreadable(_("The cell is empty."))
        except Unreadable as error:
            faults.append(Fault(line, f"{name}: {error}"))
    return Row(values, line)


def _parsed(of: Any, cell: str) -> Any:
    if isinstance(of, Many):
        return sorted({of.of.parse(name.strip()) for name in cell.split(BETWEEN_NAMES) if name.strip()})  # type: ignore[union-attr]
    return of.parse(cell)
