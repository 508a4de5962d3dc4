"""What the audit says last of an assignment, group, role, its settings or a person: the tables are compared with it.

So it is said again before it goes into an archive: a thing of which no event tells was made past this site.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID

from django.apps import apps
from django.db.models import Max, Q, QuerySet

from audit.models import PAGE, Entry, Event
from audit.services import record_again


class Stated(NamedTuple):
    """The actions of the events that say what a thing is from then on.

    Attributes:
        made: without one of these the others are not believed: what was made past this site can be changed here.
        ended: after one of these there is no such thing.
        restated: what one of `made` or `changed` said, said again; it counts as one of `made`.
        kept: of which events there is a need to say it again.
    """

    made: tuple[str, ...]
    restated: str
    changed: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()
    kept: Q = Q()

    @property
    def making(self) -> tuple[str, ...]:
        return (*self.made, self.restated)

    @property
    def lasting(self) -> tuple[str, ...]:
        return (*self.making, *self.changed)

    @property
    def actions(self) -> tuple[str, ...]:
        return (*self.lasting, *self.ended)


_CHANGED = ("assignment.updated", "assignment.extended")
_ENDED = ("assignment.canceled", "assignment.deactivated", "assignment.expired", "assignment.removed")

STATED = {
    "accounts.group": Stated(("group.created", "group.updated"), "group.restated", ended=("group.deleted",)),
    "roles.role": Stated(("role.created", "role.updated"), "role.restated", ended=("role.deleted",)),
    # Of people only those are compared who are there for emergencies.
    "accounts.user": Stated(
        ("person.created", "person.updated"),
        "person.restated",
        kept=Q(canonical__contains='"is_emergency_access":true'),
    ),
    "assignments.eligibleassignment": Stated(
        ("eligible.assigned",), "assignment.restated", _CHANGED, ("eligible.expired", "eligible.removed")
    ),
    "assignments.activeassignment": Stated(
        ("active.assigned", "assignment.activated"), "assignment.restated", _CHANGED, _ENDED
    ),
}
# Of settings, the last counts at its place, whichever version it is about: others are there no more.
SETTINGS = ("settings.changed", "settings.restated", "settings.removed")


def last_stated(kind: str, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return what things of a kind ("accounts.group") are by the last event of each, by key; nothing where it has none.

    Takes some thousand keys at most.
    """
    last = _events(kind, keys).values("target_id").annotate(last=Max("pk")).values("last")
    return {event.target_id: event.facts["after"] or {} for event in Event.objects.filter(pk__in=last)}


def restate(first: int, last: int) -> None:
    """Record anew what the events with these numbers say, as far as nothing newer was said of the same thing."""
    for kind, stated in STATED.items():
        going = Event.objects.filter(stated.kept, entry__n__gte=first, entry__n__lte=last, action__in=stated.lasting)
        keys = list(going.filter(target_type=kind).order_by().values_list("target_id", flat=True).distinct())
        for start in range(0, len(keys), PAGE):
            record_again(_going(kind, keys[start : start + PAGE], last), stated.restated)
    _restate_settings(last)


def newest_settings() -> dict[tuple[UUID, UUID], int]:
    """Return the key of the last event about the settings of each role at each scope, by their ids."""
    events = Event.objects.filter(action__in=SETTINGS, outcome=Event.Outcome.SUCCESS).order_by()
    newest = events.values("role_id", "scope_id").annotate(last=Max("pk"))
    named = newest.values_list("role_id", "scope_id", "last")
    return {(role, scope): pk for role, scope, pk in named if role and scope}


def _restate_settings(last: int) -> None:
    """The last one at each place alone: what was superseded is not to come back."""
    keys = list(newest_settings().values())
    for start in range(0, len(keys), PAGE):
        page = keys[start : start + PAGE]
        gone = Entry.objects.filter(event__in=page, n__lte=last).values_list("event_id", flat=True)
        going = Event.objects.filter(pk__in=list(gone)).exclude(action="settings.removed")
        events = {event.target_id: event for event in going}
        present = apps.get_model("roles.rolesettings")._base_manager.in_bulk(list(events))
        record_again([events[str(pk)] for pk in present], "settings.restated")


def _going(kind: str, keys: list[str], last: int) -> Iterator[Event]:
    """Yield the newest event of each thing that there is, where no other is left that says that it was made."""
    making, newest = _believed(kind, keys)
    left = Entry.objects.filter(event__in=making.values(), n__lte=last).values_list("event_id", flat=True)
    gone = set(left)
    present = apps.get_model(kind)._base_manager.in_bulk([key for key, pk in making.items() if pk in gone])
    yield from Event.objects.filter(pk__in=[newest[str(pk)] for pk in present]).order_by("pk")


def _believed(kind: str, keys: list[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Return the newest event that makes each thing, and the newest at all, by key.

    Not of what is over, what was never made here, and what later events call somebody else's: that stays unsaid.
    """
    stated, making, newest = STATED[kind], dict[str, int](), dict[str, int]()
    rows = _events(kind, keys).order_by("target_id", "pk")
    named = rows.values_list("target_id", "pk", "action", "subject_id", "role_id", "scope_id")
    for key, events in groupby(named, key=lambda row: row[0]):
        _keys, pks, actions, *about = zip(*events, strict=True)
        made = [pk for pk, action in zip(pks, actions, strict=True) if action in stated.making]
        if made and actions[-1] not in stated.ended and len(set(zip(*about, strict=True))) == 1:
            making[key], newest[key] = made[-1], pks[-1]
    return making, newest


def _events(kind: str, keys: Iterable[str]) -> QuerySet[Event]:
    events = Event.objects.filter(target_type=kind, target_id__in=list(keys), action__in=STATED[kind].actions)
    return events.filter(outcome=Event.Outcome.SUCCESS).order_by()
