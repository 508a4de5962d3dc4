"""What the dashboard shows, as far as somebody may see it. Every number leads to the list of what it counts."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial

from django.utils import dateformat
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from accounts.days import days_text
from approvals.models import Request
from assignments.models import ActiveAssignment, EligibleAssignment
from assignments.rules import EXTEND_WINDOW
from pim_site.pages import list_of, page_of
from pim_site.templatetags.pim import duration, moment
from reviews.models import Instance
from reviews.progress import progress_each

from . import figures
from .charts import Cell, Row, Series, Table, Trend, shares
from .period import Period

# So many roles have a colour of their own; the others share one.
COLOURED = 5
LISTED = 10
# So many of the first panels are on the first page of the console too.
AT_A_GLANCE = 2
ACTIVE, ELIGIBLE = "assignments.view_activeassignment", "assignments.view_eligibleassignment"


@dataclass(frozen=True)
class Panel:
    """A card: a drawing with its table, or a table alone. Without any, `empty` says that there was nothing.

    Attributes:
        lead: the figure in a sentence.
        more: the lists of all that it counts, with their words.
    """

    key: str
    title: str
    lead: str
    trend: Trend | None = None
    table: Table | None = None
    empty: str = ""
    more: tuple[Cell, ...] = ()


def panels(held: set[str], period: Period) -> list[Panel]:
    """Return the panels that somebody with these permissions may see."""
    return [make(period) for needs, make in PANELS if needs <= held]


def glance(held: set[str], period: Period) -> list[Panel]:
    """Return those of the panels that the first page of the console shows."""
    return [make(period) for needs, make in PANELS[:AT_A_GLANCE] if needs <= held]


def activations(period: Period) -> Panel:
    roles = figures.most_activated(period, COLOURED)
    found = figures.activated_by_role(period, roles)
    series = [Series(role.name, [found.get((bucket, role.pk), 0) for bucket in period.buckets]) for role in roles]
    if any(which is None for _bucket, which in found):
        series.append(Series(_("other roles"), [found.get((bucket, None), 0) for bucket in period.buckets]))
    number = sum(found.values())
    return Panel(
        key="activations",
        title=_("Activations"),
        lead=ngettext("%(n)d activation began.", "%(n)d activations began.", number) % {"n": number},
        trend=_trend(period, series, lambda days: _active(began=days)) if series else None,
        empty=_("Nobody activated a role in this time."),
        more=_all(_active(began=days_text(period.first, period.today))),
    )


def most_used(period: Period) -> Panel:
    roles = figures.most_activated(period, LISTED)
    days = days_text(period.first, period.today)
    rows = [
        Row(Cell(str(role), page_of(role)), [Cell(str(number), _active(began=days, role=role.pk))], share)
        for (role, number), share in zip(roles.items(), shares(list(roles.values())), strict=True)
    ]
    return Panel(
        key="most-used",
        title=_("Most activated roles"),
        lead=_("By how often they were activated in this time."),
        table=Table([_("Role"), _("Activations")], rows) if rows else None,
        empty=_("Nobody activated a role in this time."),
    )


def most_held(period: Period) -> Panel:
    found = figures.most_held(period.at, LISTED)
    rows = [
        Row(
            Cell(str(role), page_of(role)),
            [
                Cell(str(eligible), list_of(EligibleAssignment, state="active", role__id__exact=role.pk)),
                Cell(str(standing), _active(state="active", how="assigned", role=role.pk)),
            ],
            share,
        )
        for (role, eligible, standing), share in zip(found, shares([each[1] + each[2] for each in found]), strict=True)
    ]
    return Panel(
        key="most-held",
        title=_("Most held roles"),
        lead=_("By assignments in force now. Standing ones need no activation. A group counts once."),
        table=Table([_("Role"), _("Eligible"), _("Standing")], rows) if rows else None,
        empty=_("Nobody holds a role."),
    )


def split(period: Period) -> Panel:
    eligible, active = figures.eligible_split(period.at), figures.active_split(period.at)
    lines = [
        (_("Eligible"), eligible, list_of(EligibleAssignment, state="active")),
        (_("Active: activated"), active["activated"], _active(state="active", how="activated")),
        (_("Active: assigned until a day"), active["ending"], _active(state="active", how="assigned", ends="some")),
        (_("Active: assigned permanently"), active["permanent"], _active(state="active", how="assigned", ends="never")),
    ]
    parts = shares([each.people + each.groups for _name, each, _url in lines])
    rows = [
        Row(Cell(name, url), [Cell(str(each.people)), Cell(str(each.groups))], share)
        for (name, each, url), share in zip(lines, parts, strict=True)
    ]
    standing = sum(active[kind].people + active[kind].groups for kind in ("ending", "permanent"))
    return Panel(
        key="split",
        title=_("Eligible and active"),
        lead=ngettext(
            "%(n)d assignment in force without anybody having activated it.",
            "%(n)d assignments in force without anybody having activated them.",
            standing,
        )
        % {"n": standing},
        table=Table([_("Assignments in force now"), _("Of people"), _("Of groups")], rows),
    )


def approval_times(period: Period) -> Panel:
    medians = figures.answered_in(period)
    overall = medians.pop(None, None)
    seconds = [medians.get(bucket, timedelta()).total_seconds() for bucket in period.buckets]
    series = [Series("", seconds)]
    return Panel(
        key="approvals",
        title=_("Time to an answer"),
        lead=_("Half of all requests that people answered had their last answer within %(time)s.")
        % {"time": duration(overall) or _("less than a minute")}
        if overall is not None
        else "",
        trend=_trend(period, series, lambda days: list_of(Request, asked=days), _length)
        if overall is not None
        else None,
        empty=_("No request of this time was answered by people."),
        more=_all(list_of(Request, asked=days_text(period.first, period.today))),
    )


def standing(period: Period) -> Panel:
    found = figures.standing_privileged(period)
    rows = {"how": "assigned", "privileged": "yes"}
    return Panel(
        key="standing",
        title=_("Standing privileged access"),
        lead=_("In force without activation, of roles that are privileged today: %(before)d at first, %(now)d now.")
        % {"before": found[period.first], "now": found[period.buckets[-1]]},
        trend=_trend(period, [Series("", list(found.values()))], lambda days: _active(**rows, stood=days))
        if any(found.values())
        else None,
        empty=_("No privileged role was held without activation in this time."),
        more=_all(_active(**rows, state="active")),
    )


def ending(period: Period) -> Panel:
    found = figures.ending_soon(period)
    days = [period.today + timedelta(days=number) for number in range(EXTEND_WINDOW.days + 1)]
    series = [
        Series(name, [found[kind].get(day, 0) for day in days], [lists(ends=days_text(day, day)) for day in days])
        for kind, (name, lists) in _kinds().items()
    ]
    number = sum(sum(each.values()) for each in found.values())
    return Panel(
        key="ending",
        title=_("Ending soon"),
        lead=ngettext(
            "%(n)d assignment ends within %(days)d days.", "%(n)d assignments end within %(days)d days.", number
        )
        % {"n": number, "days": EXTEND_WINDOW.days},
        trend=Trend(_("Day"), [_short(day) for day in days], [""] * len(days), series) if number else None,
        empty=_("Nothing that was assigned ends in these days."),
        more=tuple(Cell(name, lists(ends="soon")) for name, lists in _kinds().values()),
    )


def _kinds() -> dict[str, tuple[str, Callable[..., str]]]:
    return {
        "eligible": (_("eligible"), partial(list_of, EligibleAssignment)),
        "active": (_("active without activation"), partial(_active, how="assigned")),
    }


def review_progress(period: Period) -> Panel:
    open_ones = Instance.objects.filter(state=Instance.State.IN_PROGRESS).described().order_by("stage_ends_at")[:LISTED]
    found = progress_each(list(open_ones))
    rows = [
        Row(
            Cell(str(review), page_of(review)),
            [Cell(_("%(n)d of %(all)d") % {"n": each.answered, "all": each.asked}), Cell(moment(review.stage_ends_at))],
            each.percent,
        )
        for review, each in found.items()
    ]
    return Panel(
        key="reviews",
        title=_("Access reviews in progress"),
        lead=_("How many accesses have an answer."),
        table=Table([_("Review"), _("Answered"), _("Ends")], rows) if rows else None,
        empty=_("No access review is open."),
        more=_all(list_of(Instance, state__exact="in_progress")),
    )


PANELS: list[tuple[set[str], Callable[[Period], Panel]]] = [
    ({ACTIVE}, activations),
    ({ACTIVE}, standing),
    ({ACTIVE}, most_used),
    ({ACTIVE, ELIGIBLE}, most_held),
    ({ACTIVE, ELIGIBLE}, split),
    ({ACTIVE, ELIGIBLE}, ending),
    ({"approvals.view_request"}, approval_times),
    ({"reviews.view_instance"}, review_progress),
]


def _trend(
    period: Period,
    series: list[Series],
    url: Callable[[str], str],
    says: Callable[[float], str] = "{:g}".format,
) -> Trend:
    ends = [(bucket, min(period.last_of(bucket), period.today)) for bucket in period.buckets]
    head = _("Day") if period.unit == "day" else _("Week from")
    label = _short if period.unit == "day" else _long
    return Trend(head, [label(each[0]) for each in ends], [url(days_text(*each)) for each in ends], series, says)


def _all(url: str) -> tuple[Cell, ...]:
    return (Cell(_("Show the list"), url),)


def _active(**query: object) -> str:
    if "role" in query:
        query["role__id__exact"] = query.pop("role")
    return list_of(ActiveAssignment, **query)


def _short(day: date) -> str:
    return dateformat.format(day, pgettext("day of a month", "j M"))


def _long(day: date) -> str:
    return dateformat.format(day, pgettext("date", "j M Y"))


def _length(seconds: float) -> str:
    return duration(seconds) if seconds else "–"
