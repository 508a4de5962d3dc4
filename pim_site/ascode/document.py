"""YAML with the number of each line, and nothing in it that could surprise.

Every scalar is read as its text: what it means is said by the key it stands under, not by YAML (where `no` is a truth
value and `1:30` a number). Anchors, aliases and tags are refused, so that a small file is a small document.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from yaml.nodes import Node

LARGEST_FILE = 20 * 1024 * 1024  # bytes
DEEPEST = 12

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Fault(NamedTuple):
    """What is wrong with a line of a file; line 0 is the file as a whole."""

    line: int
    text: str

    def __str__(self) -> str:
        return _("line %(line)d: %(text)s") % self._asdict() if self.line else self.text


class FileRefused(ValidationError):
    """A file was not put in force: nothing of it was. Code: ``file_refused``. `faults` says all that is wrong."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__([str(fault) for fault in faults], code="file_refused")
        for error in self.error_list:
            error.code = "file_refused"
        self.faults = faults


def nodes_of(content: bytes) -> Node | None:
    """Return the document as nodes that know their lines; None for an empty one.

    Raises:
        FileRefused: too large, not UTF-8, not YAML, or with what is not accepted here.
    """
    if len(content) > LARGEST_FILE:
        limit = LARGEST_FILE // 1024 // 1024
        raise FileRefused([Fault(0, _("The file is larger than %(limit)d MB.") % {"limit": limit})])
    try:
        text = content.decode("utf-8-sig")
        if faults := list(_unwanted(text)):
            raise FileRefused(faults)
        node: Node | None = yaml.compose(text, Loader=Loader)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FileRefused([Fault(line, _("This is not UTF-8. Save the file in that encoding."))]) from error
    except yaml.YAMLError as error:
        raise FileRefused([_syntax_fault(error)]) from error
    return node


def _unwanted(text: str) -> Iterator[Fault]:
    """Look at the events before anything is built of them."""
    depth = 0
    for event in yaml.parse(text, Loader=Loader):
        mark: Any = event.start_mark
        line = mark.line + 1
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            yield Fault(line, _("This is nested too deeply."))
            return
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            yield Fault(line, _("Anchors and aliases are not accepted: write it out."))
        elif getattr(event, "tag", None):
            yield Fault(line, _("Tags are not accepted: the key says what a value is."))


def _syntax_fault(error: yaml.YAMLError) -> Fault:
    mark: Any = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or _("a character that cannot be stored")
    return Fault(mark.line + 1 if mark else 0, _("This is not YAML: %(problem)s.") % {"problem": problem})
