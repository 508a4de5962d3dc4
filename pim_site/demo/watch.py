"""The demo's alerts: administrators who come by, one who does not, and a finding that somebody let be."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from alerts.models import Alert, Incident
from alerts.services import dismiss, scan

from .history import Act, signed_in

if TYPE_CHECKING:
    from .seed import Cast

# Who signed in, and how many days ago; whoever is missing and has a privileged role, has not been seen since the start.
CAME = (("ines.shoal", 9), ("milo.drift", 4), ("role_admin", 2), ("global_admin", 1))
WATCHED = "permanent_active"
LET_BE = ("Ines Shoal", 5, 30, "Stands in for Gloria until the second administrator is back; CHG-1198.")


def acts(cast: "Cast", today: datetime) -> Iterator[Act]:
    for person, days in CAME:
        yield Act(today - timedelta(days=days), partial(come, cast, person))
    _name, days, _until, _reason = LET_BE
    seen = today - timedelta(days=days)
    yield Act(seen, look, by_worker=True)
    yield Act(seen + timedelta(hours=2), partial(let_be, cast))


def come(cast: "Cast", person: str) -> None:
    signed_in(cast.people[person])


def look() -> None:
    scan(alert=Alert.objects.get(key=WATCHED), actor=None)


def let_be(cast: "Cast") -> None:
    name, _days, days, reason = LET_BE
    found = next(each for each in Incident.objects.filter(alert=WATCHED) if name in each.words)
    until = found.raised_at + timedelta(days=days)
    dismiss(incident=found, actor=cast.boss, until=until, justification=reason)
