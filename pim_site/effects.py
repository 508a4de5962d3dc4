"""What a change of role settings does to what runs: said before it is saved. Nothing here writes."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User
from approvals.models import Request
from assignments.models import (
    ActiveAssignment,
    ActiveAssignmentQuerySet,
    EligibleAssignment,
    EligibleAssignmentQuerySet,
    administrator_keys,
)
from assignments.rules import check_brought
from roles.models import Resource, Role, RoleSettings
from roles.stages import StageTerms

Values = dict[str, Any]


def governed(role: Role, scope: Resource) -> Q:
    """What has this role where the settings at `scope` count: there and beneath, but for scopes with their own."""
    own = RoleSettings.objects.current().filter(role=role, scope__path__startswith=scope.path).exclude(scope=scope)
    places = Q(scope__path__startswith=scope.path)
    for path in own.values_list("scope__path", flat=True):
        places &= ~Q(scope__path__startswith=path)
    return Q(role=role) & places


@dataclass(frozen=True)
class Reach:
    """What a change of the settings of `role` at `scope` touches at `at`."""

    role: Role
    scope: Resource
    at: datetime

    @property
    def waiting(self) -> QuerySet[Request]:
        return Request.objects.undecided().filter(governed(self.role, self.scope), expires_at__gt=self.at)

    @property
    def eligible(self) -> EligibleAssignmentQuerySet:
        return EligibleAssignment.objects.lasting(self.at).filter(governed(self.role, self.scope))

    @property
    def active(self) -> ActiveAssignmentQuerySet:
        return ActiveAssignment.objects.lasting(self.at).filter(governed(self.role, self.scope))


def effects(reach: Reach, before: Values, after: Values) -> list[str]:
    """Return the sentences that tell what saving `after` in place of `before` does to what runs."""
    changed = {name for name in after if after[name] != before[name]}
    return [*_on_waiting(reach, after, changed), *_on_active(reach, after), *_on_eligible(reach, after)]


def _on_waiting(reach: Reach, after: Values, changed: set[str]) -> Iterator[str]:
    waiting = list(reach.waiting)
    count = len(waiting)
    if not count:
        yield _("No request waits for a decision.")
        return
    yield ngettext(
        "%(count)d request waits. When it is granted, what these settings ask for must hold.",
        "%(count)d requests wait. When they are granted, what these settings ask for must hold.",
        count,
    ) % {"count": count}
    if lacking := [request for request in waiting if _lacks(request, after)]:
        yield ngettext(
            "%(count)d of them lacks what is asked for now, and closes as failed when it is approved: %(names)s.",
            "%(count)d of them lack what is asked for now, and close as failed when they are approved: %(names)s.",
            len(lacking),
        ) % {"count": len(lacking), "names": ", ".join(request.reference for request in lacking[:10])}
    longest = after["activation_max_duration"]
    if shortened := sum(request.duration is not None and request.duration > longest for request in waiting):
        yield ngettext(
            "%(count)d of them asks for longer than allowed now, and is shortened when it is granted.",
            "%(count)d of them ask for longer than allowed now, and are shortened when they are granted.",
            shortened,
        ) % {"count": shortened}
    if "approval_required" in changed and not after["approval_required"]:
        yield _("What waits already still needs a decision.")
    elif "stages" in changed:
        yield _("What waits is decided by those who are named now.")


def _lacks(request: Request, after: Values) -> bool:
    """Would these settings refuse to grant it for what it was asked with?"""
    plain = {name: value for name, value in after.items() if name != "stages"}
    try:
        check_brought(
            RoleSettings(**plain),
            justification=request.justification,
            ticket=request.ticket,
            proved_with=request.proved_with,
        )
    except ValidationError:
        return True
    return False


def _on_active(reach: Reach, after: Values) -> Iterator[str]:
    activated, assigned = reach.active.activated().count(), reach.active.assigned().count()
    if activated:
        yield ngettext(
            "%(count)d activation runs or is scheduled. It is neither ended nor shortened.",
            "%(count)d activations run or are scheduled. None is ended or shortened.",
            activated,
        ) % {"count": activated}
    if assigned:
        yield ngettext(
            "%(count)d active assignment stays as it is.", "%(count)d active assignments stay as they are.", assigned
        ) % {"count": assigned}
    over = _over(reach.active.assigned(), allowed=after["permanent_active_allowed"], days=after["active_max_days"])
    yield from _too_long(over)


def _on_eligible(reach: Reach, after: Values) -> Iterator[str]:
    eligible = reach.eligible.count()
    if not eligible:
        yield _("Nobody is eligible here.")
        return
    yield ngettext(
        "%(count)d eligible assignment stays as it is; the next activation follows the new settings.",
        "%(count)d eligible assignments stay as they are; their next activations follow the new settings.",
        eligible,
    ) % {"count": eligible}
    yield from _too_long(
        _over(reach.eligible, allowed=after["permanent_eligible_allowed"], days=after["eligible_max_days"])
    )


def _over(assignments: QuerySet[Any], *, allowed: bool, days: int) -> int:
    """Count those that could not be made so any more: permanent, or for longer than the limit."""
    if allowed:
        return 0
    longer = Q(ends_at=None) | Q(ends_at__gt=F("starts_at") + timedelta(days=days))
    return assignments.filter(longer).count()


def _too_long(count: int) -> Iterator[str]:
    if count:
        yield ngettext(
            "%(count)d of them is permanent or longer than allowed now. It stays until its end or its removal.",
            "%(count)d of them are permanent or longer than allowed now. They stay until their end or their removal.",
            count,
        ) % {"count": count}


def dead_ends(reach: Reach, after: Values) -> list[str]:
    """Return whose requests nobody could approve under these values, in sentences."""
    if not after["approval_required"]:
        return []
    return [text for terms in after["stages"] if not terms.asks_manager for text in _dead_end(reach, terms)]


def _dead_end(reach: Reach, terms: StageTerms) -> list[str]:
    able = list(_able(terms, reach.at)[: terms.quorum + 1])
    if len(able) < terms.quorum:
        return [_("Too few people can approve at this moment.")]
    if len(able) > terms.quorum:
        return []
    stuck = reach.eligible.filter(user__in=able).select_related("user")
    return [_stuck(reach, holder) for holder in sorted({row.user for row in stuck if row.user}, key=str)]


def _able(terms: StageTerms, at: datetime) -> QuerySet[User]:
    """Return the enabled people who could approve in a stage, each the requests of others."""
    people: QuerySet[User] = User.objects.enabled().people()
    if terms.names_nobody:
        return people.filter(pk__among=administrator_keys(at))
    named = [person.pk for person in (*terms.approvers, *terms.escalation_approvers)]
    return people.filter(Q(pk__in=named) | Q(member_groups__in=terms.groups)).distinct()


def _stuck(reach: Reach, person: User) -> str:
    if reach.eligible.exclude(user=person).exists():
        text = _("Without %(person)s nobody could approve, and %(person)s is eligible: their own requests get stuck.")
    else:
        text = _("Without %(person)s nobody could approve, and only %(person)s is eligible: every request gets stuck.")
    return text % {"person": person}
