"""What people say about the stages of an approval, and whether enough of them can, or did, say yes. Pure."""

from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from .lengths import in_words
from .models import ApprovalStage

if TYPE_CHECKING:
    from accounts.models import Group, User

MOST_STAGES = 3
MOST_APPROVALS = 10
TIMEOUT_RANGE = (timedelta(minutes=5), timedelta(days=14))


@dataclass(frozen=True, kw_only=True)
class StageTerms:
    """A stage as somebody wants it; `ApprovalStage` keeps it. The order in the settings is its number."""

    approvers: "tuple[User, ...]" = ()
    approver_groups: "tuple[Group, ...]" = ()
    asks_manager: bool = False
    quorum: int = 1
    one_from_each_group: bool = False
    timeout: timedelta = timedelta(hours=24)
    escalates_after: timedelta | None = None
    escalation_approvers: "tuple[User, ...]" = ()
    escalation_groups: "tuple[Group, ...]" = ()

    @property
    def names_nobody(self) -> bool:
        return not (self.approvers or self.approver_groups or self.asks_manager)

    @property
    def groups(self) -> "set[Group]":
        return {*self.approver_groups, *self.escalation_groups}


PLAIN = ("asks_manager", "quorum", "one_from_each_group", "timeout", "escalates_after")
PEOPLE = ("approvers", "escalation_approvers")
GROUPS = ("approver_groups", "escalation_groups")


def terms_of(stage: ApprovalStage) -> StageTerms:
    """Return what a stored stage says. Four queries, unless it was fetched with what it names."""
    values: dict[str, Any] = {name: getattr(stage, name) for name in PLAIN}
    values |= {name: tuple(getattr(stage, name).all()) for name in (*PEOPLE, *GROUPS)}
    return StageTerms(**values)


def stage_facts(terms: StageTerms) -> dict[str, Any]:
    """Return what a stage says, in plain values that can be compared, shown and kept."""
    facts: dict[str, Any] = {name: getattr(terms, name) for name in PLAIN}
    facts |= {name: sorted(person.username for person in getattr(terms, name)) for name in PEOPLE}
    return facts | {name: sorted(group.name for group in getattr(terms, name)) for name in GROUPS}


def seats(quorum: int, everybody: Collection[Hashable], groups: Sequence[Collection[Hashable]]) -> list[set[Hashable]]:
    """Return a seat for each approval that a stage needs: those who could take it.

    Args:
        quorum: how many must approve.
        everybody: who may decide in this stage.
        groups: the members of each group that must be heard; empty where any of `everybody` will do.
    """
    able = set(everybody)
    free = max(0, quorum - len(groups))
    return [*(able.intersection(group) for group in groups), *(able for _seat in range(free))]


def filled(seats: Sequence[Collection[Hashable]]) -> int:
    """Return how many seats can be taken at once, each by another person.

    Augmenting paths (Kuhn 1955): whoever sits moves on where that lets one more sit.
    """
    taken: dict[Hashable, int] = {}

    def seat(number: int, tried: set[Hashable]) -> bool:
        for person in seats[number]:
            if person in tried:
                continue
            tried.add(person)
            if person not in taken or seat(taken[person], tried):
                taken[person] = number
                return True
        return False

    return sum(seat(number, set()) for number in range(len(seats)))


def reachable(seats: Sequence[set[Hashable]], *, before: Collection[Hashable], passed: int) -> bool:
    """Could these seats be filled whoever has decided before? Hall's condition, with those lost who are heard already.

    Args:
        before: who may decide in an earlier stage.
        passed: how many of them will have decided by then.
    """

    def left(some: Sequence[set[Hashable]]) -> int:
        able = set().union(*some)
        return len(able) - min(passed, len(able.intersection(before)))

    subsets = (some for size in range(1, len(seats) + 1) for some in combinations(seats, size))
    return all(left(some) >= len(some) for some in subsets)


def described(terms: StageTerms) -> str:
    """Return a stage in words for people who read settings."""
    names = [*map(str, terms.approver_groups), *map(str, terms.approvers)]
    names += [_("the requester's manager")] if terms.asks_manager else []
    parts = [", ".join(names) or _("the administrators")]
    if terms.quorum > 1:
        parts.append(_("%(count)d must approve") % {"count": terms.quorum})
    if terms.one_from_each_group:
        parts.append(_("one from each group"))
    parts.append(_("within %(time)s") % {"time": in_words(terms.timeout.total_seconds())})
    if terms.escalates_after:
        others = ", ".join(map(str, (*terms.escalation_groups, *terms.escalation_approvers)))
        time = in_words(terms.escalates_after.total_seconds())
        parts.append(_("after %(time)s also %(others)s") % {"time": time, "others": others})
    return "; ".join(parts)


def everybody_named(stages: Iterable[StageTerms]) -> "set[User]":
    """The people, not the groups, that these stages name."""
    return {person for terms in stages for person in (*terms.approvers, *terms.escalation_approvers)}
