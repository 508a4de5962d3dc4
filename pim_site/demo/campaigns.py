"""The demo's access reviews: one that is over, with its results applied, and one in which people are being asked."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from reviews import services
from reviews.models import Instance
from reviews.rules import SeriesTerms, StageTerms
from reviews.tasks import advance_due, apply_due, start_due

from .history import Act

if TYPE_CHECKING:
    from .seed import Cast

SERVERS, FINANCE = "Servers, once", "Finance, every quarter"
# What was answered in the review that is over: about whom, by whom, and why.
ANSWERED = (
    ("bela.rudder", "approved", "ines.shoal", "Patches the gateways."),
    ("carla.hull", "approved", "ines.shoal", "Runs the shop's servers."),
    ("on_call", "approved", "milo.drift", "Needs it at night."),
    ("emma.bow", "denied", "milo.drift", "Deploys only; has never used it."),
)
SERVER_DAYS = (36, 22)  # days ago: begun, over
ASKED_HOURS = 20  # so long ago the other one began


def acts(cast: "Cast", today: datetime) -> Iterator[Act]:
    """Yield what was done in the reviews; what is still to be answered, the people of the demo answer."""
    begun, over = (today - timedelta(days=days) for days in SERVER_DAYS)
    yield Act(begun - timedelta(days=1), partial(define, cast, servers(cast, begun)))
    yield Act(begun, start_due, by_worker=True)
    for number, answer in enumerate(ANSWERED, start=1):
        yield Act(begun + timedelta(days=number), partial(say, cast, SERVERS, *answer))
    yield Act(over + timedelta(minutes=1), advance_due, by_worker=True)
    yield Act(over + timedelta(hours=3), partial(apply, cast))
    yield Act(over + timedelta(hours=3, minutes=1), apply_due, by_worker=True)
    asked = today - timedelta(hours=ASKED_HOURS)
    yield Act(asked - timedelta(days=1), partial(define, cast, finance(cast, asked)))
    yield Act(asked, start_due, by_worker=True)
    reason = "Prepares the bonuses."
    yield Act(
        asked + timedelta(hours=2), partial(say, cast, FINANCE, "nora.foam", "approved", "second_approver", reason)
    )


def beginning(at: datetime) -> dict[str, Any]:
    """The first day and time of a series that begins at this moment."""
    return {"first_on": at.date(), "begins_at": at.time(), "time_zone": "UTC"}


def servers(cast: "Cast", at: datetime) -> SeriesTerms:
    stage = StageTerms(
        days=SERVER_DAYS[0] - SERVER_DAYS[1],
        reviewers="named",
        groups=(cast.groups["Platform leads"],),
        fallback=(cast.people["role_admin"],),
    )
    return SeriesTerms(
        name=SERVERS,
        description="Who still needs root on the servers of IT?",
        roles=(cast.role("Server Administrator"),),
        stages=(stage,),
        **beginning(at),
    )


def finance(cast: "Cast", at: datetime) -> SeriesTerms:
    roles = ("Ledger Reader", "Ledger Database Operator", "Payments Releaser", "Payroll Clerk")
    stage = StageTerms(days=14, reviewers="managers", fallback=(cast.people["role_admin"],))
    return SeriesTerms(
        name=FINANCE,
        description="What your people have in Finance, and whether they still need it.",
        words="If somebody has moved on, remove what belonged to the former work.",
        roles=tuple(map(cast.role, roles)),
        stages=(stage,),
        recurrence="quarterly",
        no_answer="recommendation",
        told=(cast.people["security_reader"],),
        **beginning(at),
    )


def define(cast: "Cast", terms: SeriesTerms) -> None:
    services.define(actor=cast.people["role_admin"], terms=terms)


def review(name: str) -> Instance:
    return Instance.objects.get(definition__name=name)


def say(cast: "Cast", name: str, person: str, verdict: str, reviewer: str, reason: str) -> None:
    """Answer all that is asked of this reviewer about this person, one by one."""
    actor, found = cast.people[reviewer], review(name)
    for item in found.items.asked_of(actor).filter(user=cast.people[person]):
        services.answer(instance=found, items=[item.pk], actor=actor, verdict=verdict, justification=reason)


def apply(cast: "Cast") -> None:
    reason = "Looked at the results with the platform team."
    services.request_application(instance=review(SERVERS), actor=cast.people["role_admin"], justification=reason)
