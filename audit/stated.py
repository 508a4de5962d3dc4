"""What the audit says last of a group, a role or a person: what is in the tables is compared with it.

So it is said again before it goes into an archive: a thing of which no event tells was made past this site.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from django.apps import apps
from django.db.models import Max, Q

from audit.models import PAGE, Entry, Event
from audit.services import record


class _Stated(NamedTuple):
    """The events that say what a thing is from then on; `names` is what such an event calls it, beside its target."""

    noun: str
    names: str = ""
    kept: Q = Q()

    @property
    def actions(self) -> list[str]:
        return [f"{self.noun}.{verb}" for verb in ("created", "updated", "deleted", "restated")]


# Of people only those are compared who are there for emergencies.
_STATED = {
    "accounts.group": _Stated("group"),
    "roles.role": _Stated("role", "role"),
    "accounts.user": _Stated("person", "subject", Q(canonical__contains='"is_emergency_access":true')),
}


def last_stated(kind: str, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return what things of a kind ("accounts.group") are by the last event of each, by key; nothing where it has none.

    Takes some thousand keys at most.
    """
    return {key: event.facts["after"] or {} for key, event in _newest(kind, keys).items()}


def restate(first: int, last: int) -> None:
    """Record anew what the events with these numbers say, as far as nothing newer was said of the same thing."""
    for kind, stated in _STATED.items():
        going = Event.objects.filter(stated.kept, entry__n__gte=first, entry__n__lte=last, action__in=stated.actions)
        keys = list(going.filter(target_type=kind).order_by().values_list("target_id", flat=True).distinct())
        for start in range(0, len(keys), PAGE):
            _restate(kind, stated, keys[start : start + PAGE], last)


def _restate(kind: str, stated: _Stated, keys: list[str], last: int) -> None:
    newest = _newest(kind, keys)
    going = set(Entry.objects.filter(event__in=newest.values(), n__lte=last).values_list("event_id", flat=True))
    things = apps.get_model(kind)._base_manager.in_bulk(list(newest))
    for pk, thing in things.items():
        event = newest[str(pk)]
        if event.pk in going and event.facts["after"]:
            named: dict[str, Any] = {stated.names: thing} if stated.names else {}
            record(f"{stated.noun}.restated", actor=None, target=thing, after=event.facts["after"], **named)


def _newest(kind: str, keys: Iterable[str]) -> dict[str, Event]:
    events = Event.objects.filter(target_type=kind, target_id__in=list(keys), action__in=_STATED[kind].actions)
    events = events.filter(outcome=Event.Outcome.SUCCESS)
    last = events.order_by().values("target_id").annotate(last=Max("pk")).values("last")
    return {event.target_id: event for event in Event.objects.filter(pk__in=last)}
