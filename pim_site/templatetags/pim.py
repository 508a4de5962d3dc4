"""Words for times and states, the same on every page and in every mail. A builtin of all templates.

Times are aware datetimes and are shown in the active zone, which is always named. ``None`` gives an empty text.
"""

from datetime import datetime, timedelta
from typing import Any, Protocol

from django import template
from django.contrib.admin.views.main import ChangeList
from django.utils import dateformat, timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from roles.lengths import DAY, MINUTE, in_words


class Ticketed(Protocol):
    """What names a ticket: a request."""

    @property
    def ticket_text(self) -> str: ...
    @property
    def ticket_url(self) -> str: ...


register = template.Library()


@register.simple_tag(takes_context=True)
def page_address(context: template.Context, number: int, name: str) -> str:
    """Return the query of this page with another page of the list whose place in it has that name."""
    query = context["request"].GET.copy()
    query[name] = str(number)
    return f"?{query.urlencode()}"


@register.simple_tag
def narrowings(listed: ChangeList) -> dict[str, Any]:
    """What a list of the console is narrowed by, and the way to all of it, by a filter or by the link that led there.

    `is_wrong` says that a form of its filters must be corrected.
    """
    forms = [spec.form for spec in listed.filter_specs if hasattr(spec, "form")]
    words = [
        f"{capfirst(str(spec.title))}: {choice['display']}"
        for spec in listed.filter_specs
        for choice in list(spec.choices(listed))[1:]  # the first one is everything
        if choice["selected"]
    ]
    words += [f"{field.label}: {field.value()}" for form in forms for field in form.visible_fields() if field.value()]
    asked = listed.get_filters_params()
    everything = listed.get_query_string(remove=asked) if asked else ""
    return {"by": words, "everything": everything, "is_wrong": any(form.errors for form in forms)}


# What a stored state looks like (the end of a ``pim-dot--…`` class) and what it is called.
STATES: dict[str, tuple[str, Promise]] = {
    "active": ("active", gettext_lazy("Active")),
    "provisioned": ("active", gettext_lazy("Active")),
    "pending_hook": ("waiting", gettext_lazy("Waiting for a check")),
    "pending_approval": ("waiting", gettext_lazy("Waiting for approval")),
    "pending_admin_decision": ("waiting", gettext_lazy("Waiting for an administrator")),
    "waiting": ("waiting", gettext_lazy("Waiting")),
    "queued": ("waiting", gettext_lazy("Waiting")),
    "held": ("scheduled", gettext_lazy("Held for the digest")),
    "scheduled": ("scheduled", gettext_lazy("Scheduled")),
    "eligible": ("scheduled", gettext_lazy("Eligible")),
    "ending": ("ending", gettext_lazy("Ending")),
    "ended": ("ended", gettext_lazy("Ended")),
    "expired": ("ended", gettext_lazy("Expired")),
    "revoked": ("ended", gettext_lazy("Ended")),
    "removed": ("ended", gettext_lazy("Removed")),
    "canceled": ("ended", gettext_lazy("Canceled")),
    "timed_out": ("ended", gettext_lazy("Timed out")),
    "suppressed": ("ended", gettext_lazy("Not needed")),
    "gathered": ("ended", gettext_lazy("In a digest")),
    "approved": ("ok", gettext_lazy("Approved")),
    "success": ("ok", gettext_lazy("Done")),
    "sent": ("ok", gettext_lazy("Sent")),
    "ok": ("ok", gettext_lazy("In order")),
    "denied": ("refused", gettext_lazy("Denied")),
    "refused": ("refused", gettext_lazy("Refused")),
    "disabled": ("refused", gettext_lazy("Disabled")),
    "failed": ("failed", gettext_lazy("Failed")),
    "starting": ("scheduled", gettext_lazy("Starting")),
    "in_progress": ("active", gettext_lazy("In progress")),
    "completed": ("waiting", gettext_lazy("Completed")),
    "applying": ("waiting", gettext_lazy("Applying")),
    "applied": ("ok", gettext_lazy("Applied")),
    "dont_know": ("ended", gettext_lazy("Don't know")),
    "not_reviewed": ("waiting", gettext_lazy("Not reviewed")),
    "new": ("waiting", gettext_lazy("Still to be done")),
    "gone": ("ended", gettext_lazy("Gone already")),
    "protected": ("refused", gettext_lazy("Protected")),
    "by_hand": ("waiting", gettext_lazy("To be done by hand")),
}


@register.filter
def moment(value: datetime | None) -> SafeString:
    """A ``<time>`` element: ``today 18:40 CET`` or ``21 Nov 2026, 18:40 CET``; the full text is its title."""
    if value is None:
        return SafeString("")
    full = moment_text(value)
    return format_html('<time datetime="{}" title="{}">{}</time>', _machine(value), full, _today(value) or full)


@register.filter
def day(value: datetime | None) -> SafeString:
    """A ``<time>`` element for narrow columns: the day alone, ``21 Nov 2026``, but the time too for today."""
    if value is None:
        return SafeString("")
    short = _today(value) or dateformat.format(timezone.localtime(value), pgettext("date", "j M Y"))
    return format_html('<time datetime="{}" title="{}">{}</time>', _machine(value), moment_text(value), short)


@register.filter
def moment_text(value: datetime | None) -> str:
    """The full moment as plain text, ``21 Nov 2026, 18:40 CET``. For mails, which are read on another day."""
    if value is None:
        return ""
    local = timezone.localtime(value)
    return f"{dateformat.format(local, pgettext('date and time', 'j M Y, H:i'))} {zone_name(local)}"


@register.filter
def until(value: datetime | None) -> str:
    """How far away a moment is: ``in 42 min``, ``in 7 h 58 min``, ``in 12 d``, ``3 h ago``."""
    if value is None:
        return ""
    seconds = (value - timezone.now()).total_seconds()
    if abs(seconds) < MINUTE:
        return _("in less than a minute") if seconds > 0 else _("just now")
    if seconds > 0:
        return _("in %(span)s") % {"span": _left(seconds)}
    return _("%(span)s ago") % {"span": in_words(-seconds, units=1)}


@register.filter
def countdown(value: datetime | None) -> SafeString:
    """A ``<time>`` that the script keeps counting; without the script it holds the time that was left."""
    if value is None:
        return SafeString("")
    return format_html(
        '<time class="pim-countdown" datetime="{0}" data-ends="{0}" title="{1}">{2}</time>',
        _machine(value),
        moment_text(value),
        _remaining((value - timezone.now()).total_seconds()),
    )


@register.filter
def duration(value: timedelta | float | None) -> str:
    """A length of time, given as a timedelta or in seconds: ``1 h 30 min``, ``24 h``, ``2 d``."""
    if value is None:
        return ""
    return in_words(value.total_seconds() if isinstance(value, timedelta) else value)


@register.filter
def dot(state: str, label: str | Promise | None = None) -> SafeString:
    """A state as dot and word. ``label`` replaces the usual word; an unknown state is shown as it is written."""
    tone, word = STATES.get(str(state), ("ended", str(state)))
    return toned(tone, label or word)


def toned(tone: str, text: str | Promise) -> SafeString:
    """A dot and words, for states that have words of their own at each place."""
    return format_html('<span class="pim-dot pim-dot--{}">{}</span>', tone, capfirst(str(text)))


@register.filter
def ticket(row: Ticketed) -> SafeString:
    """The ticket of a request, as a link where the settings know the address of such tickets."""
    if not row.ticket_url:
        return format_html("{}", row.ticket_text)
    return format_html('<a href="{}" rel="noreferrer">{}</a>', row.ticket_url, row.ticket_text)


def zone_name(local: datetime) -> str:
    """The zone of an aware datetime: ``CET``, or ``UTC-03:00`` where the zone has a number for a name."""
    name = local.tzname() or "UTC"
    return f"UTC{local.isoformat()[-6:]}" if name[0] in "+-" else name


def _machine(value: datetime) -> str:
    return value.astimezone(timezone.get_default_timezone()).isoformat(timespec="seconds")


def _today(value: datetime) -> str:
    local = timezone.localtime(value)
    if local.date() != timezone.localdate():
        return ""
    clock = dateformat.format(local, pgettext("time of day", "H:i"))
    return _("today %(time)s") % {"time": f"{clock} {zone_name(local)}"}


def _remaining(seconds: float) -> str:
    if seconds <= 0:
        return _("ended")
    if seconds < MINUTE:
        return _("less than a minute left")
    return _("%(span)s left") % {"span": _left(seconds)}


def _left(seconds: float) -> str:
    """Two units while minutes matter, one from a day on."""
    return in_words(seconds, units=2 if seconds < DAY else 1)
