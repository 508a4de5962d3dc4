"""What a value in the file may be, how it is read, and how it is written: a scalar, a list, or a mapping of these."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from audit.canonical import clean

from .document import Fault


class Entry(dict[str, Any]):
    """The keys of a mapping in the file, and the lines that they stand on."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}


class Unreadable(Exception):
    """A value is not what its key says. The text says what it should be."""


@dataclass(frozen=True)
class Scalar:
    """One value.

    Args:
        parse: makes it of its text; raises Unreadable.
        write: gives a value that YAML writes as that text.
    """

    parse: Callable[[str], Any]
    write: Callable[[Any], Any] = lambda value: value

    def read(self, node: Node, faults: list[Fault]) -> Any:
        line = node.start_mark.line + 1
        if not isinstance(node, ScalarNode):
            faults.append(Fault(line, _("One value is expected here.")))
            return None
        try:
            return self.parse(node.value)
        except Unreadable as error:
            faults.append(Fault(line, str(error)))
            return None


@dataclass(frozen=True)
class Many:
    """A list. `ordered` keeps the order of the file; otherwise it is sorted, and each stands in it once."""

    of: "Scalar | Shape"
    ordered: bool = False

    def read(self, node: Node, faults: list[Fault]) -> list[Any]:
        line = node.start_mark.line + 1
        if isinstance(node, ScalarNode) and not node.value:
            return []
        if not isinstance(node, SequenceNode):
            faults.append(Fault(line, _("A list is expected here: each element on a line of its own, after a dash.")))
            return []
        found = len(faults)
        values = [self.of.read(each, faults) for each in node.value]
        if self.ordered or len(faults) > found:
            return values
        seen = set()
        for value, each in zip(values, node.value, strict=True):
            if value in seen:
                faults.append(Fault(each.start_mark.line + 1, _("“%(value)s” is named twice.") % {"value": value}))
            seen.add(value)
        return sorted(values)

    def write(self, values: Iterable[Any]) -> list[Any]:
        return [self.of.write(value) for value in values]


REQUIRED: Any = object()


@dataclass(frozen=True)
class Key:
    """A key of a mapping.

    Args:
        of: what its value is.
        default: what it means to leave it out; with REQUIRED it must be there.
        always: it is written even where it has its default.
    """

    of: "Scalar | Many | Shape"
    default: Any = REQUIRED
    always: bool = False

    def written(self, value: Any, default: Any) -> Any:
        if isinstance(self.of, Shape) and default is not REQUIRED:
            return self.of.write(value, default)
        return self.of.write(value)


@dataclass(frozen=True)
class Shape:
    """A mapping with known keys."""

    keys: dict[str, Key] = field(default_factory=dict)

    @property
    def defaults(self) -> dict[str, Any]:
        return {name: key.default for name, key in self.keys.items() if key.default is not REQUIRED}

    def read(self, node: Node, faults: list[Fault]) -> Entry:
        entry = Entry(node.start_mark.line + 1)
        if isinstance(node, ScalarNode) and not node.value:
            node = MappingNode("", [], node.start_mark)
        if not isinstance(node, MappingNode):
            faults.append(Fault(entry.line, _("Keys with values are expected here.")))
            return entry
        for name_node, value_node in node.value:
            self._read_key(entry, name_node, value_node, faults)
        faults += [Fault(entry.line, _("“%(key)s” is missing.") % {"key": name}) for name in self.missing(entry)]
        return entry

    def _read_key(self, entry: Entry, name_node: Node, value_node: Node, faults: list[Fault]) -> None:
        name, line = name_node.value, name_node.start_mark.line + 1
        key = self.keys.get(name) if isinstance(name, str) else None
        if key is None:
            known = ", ".join(self.keys)
            faults.append(
                Fault(line, _("“%(key)s” is no key here. Known are: %(known)s.") % {"key": name, "known": known})
            )
        elif name in entry:
            faults.append(Fault(line, _("“%(key)s” stands here twice.") % {"key": name}))
        else:
            entry[name], entry.lines[name] = key.of.read(value_node, faults), line

    def missing(self, entry: Mapping[str, Any]) -> list[str]:
        return [name for name, key in self.keys.items() if key.default is REQUIRED and name not in entry]

    def complete(self, entry: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the values of all keys: those of `entry`, and for what it leaves out, of `defaults`."""
        defaults = self.defaults if defaults is None else defaults
        return {name: self._completed(name, entry, defaults) for name in self.keys}

    def _completed(self, name: str, entry: Mapping[str, Any], defaults: Mapping[str, Any]) -> Any:
        of = self.keys[name].of
        if name not in entry:
            return defaults.get(name)
        if isinstance(of, Many) and isinstance(of.of, Shape):
            return [of.of.complete(each) for each in entry[name]]
        return of.complete(entry[name], defaults.get(name)) if isinstance(of, Shape) else entry[name]

    def write(self, values: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return what the file says of `values`: all that does not go without saying."""
        defaults = self.defaults if defaults is None else defaults
        written = {}
        for name, key in self.keys.items():
            value, default = values[name], defaults.get(name, REQUIRED)
            if key.always or value != default:
                written[name] = key.written(value, default)
        return written


def _text(text: str) -> str:
    if clean(text) != text:
        raise Unreadable(_("This text has characters that cannot be stored."))
    return text


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise Unreadable(_("Write true or false."))
    return text == "true"


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", text):
        raise Unreadable(_("A whole number is expected here."))
    return int(text)


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text).replace(microsecond=0)
        if moment.tzinfo:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        example = "2030-01-31 18:00:00+00:00"
        raise Unreadable(_("Write date, time and zone. Example: %(example)s") % {"example": example}) from error
    words = _(
        "The zone is missing. Write %(moment)s+00:00 if UTC is meant, or %(moment)s+01:00 if it is one hour ahead."
    )
    raise Unreadable(words % {"moment": moment})


UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1), "s": timedelta(seconds=1)}
_LENGTH = re.compile("".join(rf"(?:(?P<{unit}>[0-9]{{1,4}}){unit})?" for unit in UNITS))


def _length(text: str) -> timedelta:
    found = _LENGTH.fullmatch(text)
    if not text or not found:
        raise Unreadable(_("Write a length of time. Examples: 8h, 30m, 1h30m, 2d"))
    return sum((int(number) * UNITS[unit] for unit, number in found.groupdict("0").items()), timedelta(0))


def _written_length(length: timedelta | None) -> str:
    if length is None:
        return "none"
    seconds, parts = int(length.total_seconds()), []
    for unit in ("h", "m", "s"):
        count, seconds = divmod(seconds, int(UNITS[unit].total_seconds()))
        parts.append(f"{count}{unit}" if count else "")
    return "".join(parts) or "0m"


TEXT = Scalar(_text)
TRUTH = Scalar(_truth)
NUMBER = Scalar(_number)
MOMENT = Scalar(_moment)
LENGTH = Scalar(_length, _written_length)
LENGTH_OR_NONE = Scalar(lambda text: None if text == "none" else _length(text), _written_length)
NAMES = Many(TEXT)
