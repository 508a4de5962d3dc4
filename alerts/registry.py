"""What can be found: kinds of alerts, each with its words, its thresholds, its question and its repair."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from django.conf import settings
from django.db.models import IntegerChoices, Model
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Words = str | Promise


class Severity(IntegerChoices):
    """As in Microsoft Entra PIM (security alerts): act now; may be a violation; could be set better."""

    LOW = 1, _("low")
    MEDIUM = 2, _("medium")
    HIGH = 3, _("high")


@dataclass(frozen=True)
class Threshold:
    """A whole number that administrators choose, from `low` to `high`; `label` says its unit."""

    name: str
    label: Words
    default: int
    low: int
    high: int


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong at the moment of a scan.

    Attributes:
        key: names what it is about, the same at every scan; at most 200 characters.
        about: the row that it is about, whose page it links to and whose person, role and scope the audit names.
        facts: what the sentence of the kind says, by name; names ending in ``_at`` hold aware datetimes.
    """

    key: str
    about: Model | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Repair:
    """What one click can do about a finding.

    Attributes:
        says: the sentences that tell what will happen, from the row that the finding is about.
        does: calls a service with that row, `actor` and `justification`; its refusals are those of the repair.
        fits: can it be done to this row?
    """

    label: Words
    says: Callable[[Any], Iterable[str]]
    does: Callable[..., Any]
    fits: Callable[[Any], bool] = lambda row: True


Scan = Callable[..., Iterable[Finding]]


@dataclass(frozen=True)
class Kind:
    """One kind of alert.

    Attributes:
        title: what lists call it.
        why: what is bad about it.
        advice: what to do about it.
        sentence: says what was found, with the facts of a finding as ``%(name)s``.
        scan: takes `at` and the thresholds by name, yields findings. Where there may be more than `models.MOST` of
            them, in the order of their keys.
    """

    key: str
    severity: Severity
    title: Words
    why: Words
    advice: Words
    sentence: Words
    scan: Scan
    thresholds: tuple[Threshold, ...] = ()
    repair: Repair | None = None


KINDS: dict[str, Kind] = {}
# Modules that could not be loaded, and why.
BROKEN: dict[str, str] = {}


def alert(key: str, **words: Any) -> Callable[[Scan], Scan]:
    """Make a function the scan of a new kind; `words` are the other attributes of `Kind`.

    Raises ValueError when the key is taken.
    """

    def register(scan: Scan) -> Scan:
        if key in KINDS:
            raise ValueError(f"there is an alert {key} already")
        KINDS[key] = Kind(key=key, scan=scan, **words)
        return scan

    return register


def load() -> None:
    """Import the modules of `settings.ALERT_MODULES`. One that fails is left out, and a system check says so."""
    for name in settings.ALERT_MODULES:
        try:
            import_module(name)
        except Exception as error:  # whatever an operator's module may raise
            BROKEN[name] = f"{type(error).__name__}: {error}"
