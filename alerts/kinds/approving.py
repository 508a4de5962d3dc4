"""Approvals that nobody can give, and those that say nothing."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice

from django.db.models import Count, F
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from alerts.models import MOST
from alerts.registry import Finding, Repair, Severity, Threshold, alert
from approvals import services, unanswerable
from approvals.models import Decision, Request


def _what_canceling_does(request: Request) -> Iterator[str]:
    facts = {"request": request, "holder": request.holder}
    yield _("%(request)s is canceled, and %(holder)s is told so by mail.") % facts
    yield _("They can ask again, once the settings name somebody who can decide.")


def _cancel(request: Request, *, actor: User, justification: str) -> None:
    services.cancel(request=request, actor=actor, justification=justification)


@alert(
    "unanswerable_requests",
    severity=Severity.MEDIUM,
    title=gettext_lazy("Requests that nobody can answer"),
    why=gettext_lazy("Somebody waits for a yes or no that cannot come: all who could say it have left, or have."),
    advice=gettext_lazy("Name other approvers in the settings of the role: they can decide it at once."),
    sentence=gettext_lazy("%(holder)s waits for %(role)s at %(scope)s since %(asked_at)s, and nobody can decide it."),
    repair=Repair(
        gettext_lazy("Cancel the request"), _what_canceling_does, _cancel, fits=lambda request: request.is_pending
    ),
)
def unanswerable_requests(at: datetime) -> Iterator[Finding]:
    for row in unanswerable.requests(at):
        facts = {"holder": str(row.holder), "role": str(row.role), "scope": str(row.scope)}
        yield Finding(str(row.pk), row, facts | {"asked_at": row.requested_at})


@alert(
    "unanswerable_settings",
    severity=Severity.MEDIUM,
    title=gettext_lazy("Approvals that nobody could give"),
    why=gettext_lazy(
        "Approvers left since the settings were saved. Whoever asks for the role waits until their time is over, and "
        "takes another way."
    ),
    advice=gettext_lazy("Name other approvers in the settings, or leave it to the administrators by naming nobody."),
    sentence=gettext_lazy("%(role)s at %(scope)s: %(cause)s"),
)
def unanswerable_settings(at: datetime) -> Iterator[Finding]:
    """Who should decide is for people to say: there is no repair in one click."""
    for row, cause in unanswerable.settings():
        yield Finding(str(row.pk), row, {"role": str(row.role), "scope": str(row.scope), "cause": cause})


@alert(
    "mutual_approvals",
    severity=Severity.MEDIUM,
    title=gettext_lazy("Approving each other"),
    why=gettext_lazy("Two people who say yes to each other in turn are one pair of eyes, and not two."),
    advice=gettext_lazy("Ask what they looked at, and let somebody else decide about one of them."),
    sentence=gettext_lazy(
        "%(first)s and %(second)s approved each other's requests, %(there)s and %(back)s times within %(days)s days."
    ),
    thresholds=(
        Threshold("count", gettext_lazy("From so many approvals each way on"), default=3, low=1, high=100),
        Threshold("days", gettext_lazy("within so many days"), default=30, low=1, high=365),
    ),
)
def mutual_approvals(at: datetime, *, count: int, days: int) -> Iterator[Finding]:
    """Whoever pressed the button counts, also in the name of another."""
    said = Decision.objects.filter(verdict=Decision.Verdict.APPROVED, person__isnull=False, request__user__isnull=False)
    said = said.filter(decided_at__gt=at - timedelta(days=days), decided_at__lte=at).order_by()
    pairs = said.values_list("person", "request__user").annotate(times=Count("pk")).filter(times__gte=count)
    times = {(one, other): number for one, other, number in pairs.exclude(person=F("request__user"))}
    both = sorted(pair for pair in times if pair[0] < pair[1] and pair[::-1] in times)
    people = User.objects.in_bulk({person for pair in both[: MOST + 1] for person in pair})
    for one, other in islice(both, MOST + 1):
        facts = {"first": str(people[one]), "second": str(people[other]), "days": days}
        facts |= {"there": times[one, other], "back": times[other, one]}
        yield Finding(f"{one}:{other}", people[one], facts)
