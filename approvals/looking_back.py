"""What somebody did and what was done about them, by the audit: by month of a year, and within an activation."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from django import forms
from django.core.paginator import Paginator
from django.db.models import Count, DateField, Q
from django.db.models.functions import Trunc
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.days import midnight
from accounts.models import User
from assignments.models import ActiveAssignment
from audit.models import Archive, Event, EventQuerySet

from .history import CAUSES, called
from .models import Request

PAGE = 25
# Before, there was no such site; after, Python's calendar ends in some time zones.
FIRST_YEAR, LAST_YEAR = 1990, 9000
# Nobody activates more roles at once than a page can say.
MOST_AT_ONCE = 50


class Line(NamedTuple):
    """An event in words, and the request that it is about, which knows the ticket's page."""

    event: Event
    what: str | Promise
    cause: str | Promise
    asked: Request | None


def lines_of(events: Iterable[Event]) -> list[Line]:
    """Return events in words; one statement for the requests of all of them."""
    found = Request.objects.select_related("settings").in_bulk([each.request_id for each in events if each.request_id])
    return [
        Line(
            each,
            called(each.action),
            CAUSES.get(each.code, each.code),
            found.get(each.request_id) if each.request_id else None,
        )
        for each in events
    ]


def archive_since(since: datetime) -> Archive | None:
    """Return the newest archive, if some of what happened since then is in it and not here any more."""
    return Archive.objects.filter(newest_at__gte=since).first()


# --- a year ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Deed:
    """A kind of events of somebody's year.

    Attributes:
        by: whether it counts what they did; otherwise what was done about them.
        which: the events among those.
    """

    key: str
    title: Promise
    by: bool
    which: Q

    def of(self, person: User) -> Q:
        return self.which & (Q(actor_id=person.pk) if self.by else Q(subject_id=person.pk))


_DONE = Q(outcome=Event.Outcome.SUCCESS)
DEEDS = (
    Deed("assigned", _("Was assigned"), False, _DONE & Q(action__in=("eligible.assigned", "active.assigned"))),
    Deed("activated", _("Activated"), False, _DONE & Q(action="assignment.activated")),
    Deed("approved", _("Approved"), True, _DONE & Q(action__in=("request.approved", "extension.granted"))),
    Deed("denied", _("Was denied"), False, _DONE & Q(action__in=("request.denied", "extension.denied"))),
    Deed("refused", _("Was refused"), True, Q(outcome=Event.Outcome.REFUSED)),
    Deed("reviewed", _("Reviewed"), True, _DONE & Q(action="review_item.answered")),
    Deed("signed_in", _("Signed in"), True, _DONE & Q(action="session.started")),
)


class YearForm(forms.Form):
    """Which year, and what of it is listed."""

    year = forms.IntegerField(min_value=FIRST_YEAR, max_value=LAST_YEAR)
    month = forms.IntegerField(min_value=1, max_value=12, required=False)
    deed = forms.ChoiceField(choices=[(deed.key, deed.title) for deed in DEEDS], required=False)


class Month(NamedTuple):
    first: date
    counts: list[tuple[Deed, int]]


@dataclass(frozen=True)
class Year:
    """A year of somebody in the active time zone: four statements, and one for the requests that are listed.

    Attributes:
        year, month: a number; no month is the whole year.
        deed: whose events are listed; None: no list.
    """

    person: User
    year: int
    month: int | None = None
    deed: Deed | None = None

    @classmethod
    def asked(cls, person: User, query: Any) -> "Year":
        """Return what an address asks for; the present year where it makes no sense."""
        form = YearForm(query)
        if not form.is_valid():
            return cls(person, timezone.localdate().year)
        deed = next((deed for deed in DEEDS if deed.key == form.cleaned_data["deed"]), None)
        return cls(person, form.cleaned_data["year"], form.cleaned_data["month"], deed)

    @property
    def earlier(self) -> int | None:
        began = timezone.localtime(self.person.created_at).year
        return self.year - 1 if self.year > began else None

    @property
    def later(self) -> int | None:
        return self.year + 1 if self.year < timezone.localdate().year else None

    @property
    def months(self) -> list[Month]:
        """Return how often each deed was done in each month, the first month first; one statement."""
        month = Trunc("at", "month", output_field=DateField())
        numbers = {deed.key: Count("pk", filter=deed.of(self.person)) for deed in DEEDS}
        rows: Any = self._events(None).order_by().annotate(month=month).values("month").annotate(**numbers)
        found: dict[int, dict[str, Any]] = {row["month"].month: row for row in rows}
        return [
            Month(date(self.year, number, 1), [(deed, found.get(number, {}).get(deed.key, 0)) for deed in DEEDS])
            for number in range(1, 13)
        ]

    def page(self, number: Any) -> Any:
        """Return a page of the events of the deed, the newest first."""
        chosen = self._events(self.month).filter(self.deed.of(self.person)) if self.deed else Event.objects.none()
        return Paginator(chosen, PAGE).get_page(number)

    def _events(self, month: int | None) -> EventQuerySet:
        first = date(self.year, month or 1, 1)
        after = date(self.year + (month or 12) // 12, (month or 12) % 12 + 1, 1)
        return Event.objects.about(self.person).filter(at__gte=midnight(first), at__lt=midnight(after))

    def context(self, page: Any) -> dict[str, Any]:
        """Return what the page of a year shows."""
        shown, months = self.page(page), self.months
        totals = [sum(counts) for counts in zip(*([n for _deed, n in month.counts] for month in months), strict=True)]
        return {
            "shown": self,
            "archive": archive_since(midnight(date(self.year, 1, 1))),
            "months": months,
            "totals": list(zip(DEEDS, totals, strict=True)),
            "page_obj": shown,
            "rows": lines_of(shown.object_list),
        }


# --- within an activation -------------------------------------------------------------------------------------


class Done(NamedTuple):
    """An event, and which roles its actor had activated then."""

    line: Line
    roles: list[ActiveAssignment]


def activated_at(person: Any, since: datetime, until: datetime) -> list[ActiveAssignment]:
    """Return the activations of somebody that were in force at some time in [since, until), the first to begin first.

    Args:
        person: a person, or their key.
    """
    mine = ActiveAssignment.objects.activated().filter(user=person, starts_at__lte=until).exclude(ended_at__lte=since)
    rows = mine.filter(Q(ends_at=None) | Q(ends_at__gt=since)).described().order_by("starts_at")
    return [row for row in rows if _runs(row, since, until)][:MOST_AT_ONCE]


def within(active: ActiveAssignment, at: datetime) -> EventQuerySet:
    """Return what its holder did while an activation was in force, up to `at`, the newest first."""
    until = min(filter(None, (active.over_at, at)))
    return Event.objects.filter(actor_id=active.user_id, at__gte=active.starts_at, at__lt=until)


def within_context(active: ActiveAssignment, at: datetime, page: Any) -> dict[str, Any]:
    """Return what the page of the events within an activation shows; the number of statements is constant."""
    until = min(filter(None, (active.over_at, at)))
    overlapping = activated_at(active.user_id, active.starts_at, until)
    shown = Paginator(within(active, at), PAGE).get_page(page)
    lines = lines_of(shown.object_list)
    return {
        "active": active,
        "archive": archive_since(active.starts_at),
        "others": [row for row in overlapping if row.pk != active.pk],
        "page_obj": shown,
        "rows": [
            Done(line, [row for row in overlapping if _runs(row, line.event.at, line.event.at)]) for line in lines
        ],
    }


def _runs(row: ActiveAssignment, since: datetime, until: datetime) -> bool:
    """Was it in force at `since`, or did it begin before `until`?"""
    began = row.starts_at <= since or row.starts_at < until
    return began and (row.over_at is None or row.over_at > since)
