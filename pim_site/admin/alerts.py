"""Alerts: what is looked for, how the last scan went, and what it found."""

from collections.abc import Iterator
from datetime import datetime, time
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import make_aware, now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.rules import fingerprint
from alerts.kinds.outside import OUTSIDE
from alerts.models import MOST, Alert, Incident
from alerts.registry import Severity
from alerts.services import configure, dismiss, facts_of, reopen, repair, scan
from pim_site.templatetags.pim import dot, moment, toned

from .base import Act, ConsoleAdmin, Section, link, list_of
from .days import DaysFilter
from .forms import NotedReasonForm, ReasonForm

SHOWN = 20
TONES = {Severity.HIGH: "failed", Severity.MEDIUM: "waiting", Severity.LOW: "scheduled"}
STATES = {"active": "waiting", "dismissed": "scheduled", "resolved": "ok"}
CHANGES_ALERTS = ("alerts.change_alert",)
CHANGES_INCIDENTS = ("alerts.change_incident",)


def severity_dot(severity: int) -> SafeString:
    return toned(TONES[Severity(severity)], str(Severity(severity).label))


class AlertForm(NotedReasonForm):
    """Whether an alert is looked for, and each of its thresholds."""

    def __init__(self, data: Any = None, *, row: Alert, actor: Any) -> None:
        super().__init__(data)
        self.row = row
        self.fields["is_enabled"] = forms.BooleanField(
            label=_("Look for it"), required=False, initial=row.is_enabled, help_text=_("Every quarter of an hour.")
        )
        for each in row.kind.thresholds if row.kind else ():
            text = _("From %(low)d to %(high)d; %(default)d at first.")
            self.fields[each.name] = forms.IntegerField(
                label=str(each.label),
                min_value=each.low,
                max_value=each.high,
                initial=row.limits[each.name],
                help_text=text % {"low": each.low, "high": each.high, "default": each.default},
            )
        self.fields["seen"] = forms.CharField(
            widget=forms.HiddenInput, required=False, initial=fingerprint(facts_of(row))
        )
        self.order_fields(["is_enabled", *row.limits, "justification"])

    def clean(self) -> dict[str, Any]:
        """Return `is_enabled`, `thresholds`, `justification`, and what was `seen` of them when the form was made."""
        values = super().clean() or {}
        thresholds = {name: values.pop(name) for name in self.row.limits if name in values}
        return values | {"thresholds": thresholds}


class DismissForm(NotedReasonForm):
    """Until when something is let be, and why."""

    until = forms.DateField(
        label=gettext_lazy("Until"),
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text=gettext_lazy("Found then still, it comes back and is told of again. Within a year."),
    )
    field_order = ("until", "justification")

    def clean_until(self) -> datetime:
        """Return the beginning of that day in the person's zone."""
        return make_aware(datetime.combine(self.cleaned_data["until"], time.min))


def what_configuring_does(alert: Alert) -> Iterator[str]:
    yield _("“%(alert)s” is scanned anew at once with what you choose.") % {"alert": alert}
    if alert.is_enabled:
        yield _("Switched off, it is scanned no more, and its open incidents are closed.")


def what_scanning_does(alert: Alert) -> Iterator[str]:
    yield _("“%(alert)s” is looked for now. What is new is told to the administrators by mail.") % {"alert": alert}


def what_dismissing_does(incident: Incident) -> Iterator[str]:
    yield _("It leaves the list of what is to be looked at until the day that you choose. Nothing else changes.")


def what_reopening_does(incident: Incident) -> Iterator[str]:
    yield _("It is to be looked at again, and told to the administrators by mail.")


def what_repairing_does(incident: Incident) -> Iterator[str]:
    act, about = incident.kind and incident.kind.repair, incident.about
    yield from act.says(about) if act and about else []
    yield _("The incident is closed.")


def what_hinders_repairing(incident: Incident) -> list[str]:
    return [] if incident.can_be_repaired else [_("No click repairs this. Do what the alert advises, or dismiss it.")]


class KindAdmin(ConsoleAdmin):
    """Says of an alert, and of what it found, what its kind is for."""

    @admin.display(description=gettext_lazy("what is bad about it"))
    def why(self, row: Alert | Incident) -> str:
        return str(row.kind.why) if row.kind else ""

    @admin.display(description=gettext_lazy("what to do"))
    def advice(self, row: Alert | Incident) -> str:
        return str(row.kind.advice) if row.kind else ""

    @admin.display(description=gettext_lazy("repair"))
    def one_click(self, row: Alert | Incident) -> str:
        return str(row.kind.repair.label) if row.kind and row.kind.repair else _("Not by one click")


@admin.register(Alert)
class AlertAdmin(KindAdmin):
    list_display = ["title", "how_bad", "to_look_at", "how_it_goes", "last_scan"]
    list_filter = ["severity", "is_enabled"]
    fields = [
        "how_bad",
        "why",
        "advice",
        "one_click",
        "thresholds_chosen",
        "how_it_goes",
        "last_scan",
        "next_scan",
        "took",
    ]
    acts = (
        Act(
            slug="configure",
            label=gettext_lazy("Change thresholds"),
            permissions=CHANGES_ALERTS,
            offered=lambda alert, at: True,
            says=what_configuring_does,
            does=lambda alert, **facts: configure(alert=alert, **facts),
            done=lambda alert: _("“%(alert)s” is scanned with what you chose.") % {"alert": alert},
            form=AlertForm,
            asks_of_row=True,
        ),
        Act(
            slug="scan",
            label=gettext_lazy("Scan now"),
            permissions=CHANGES_ALERTS,
            offered=lambda alert, at: alert.is_enabled,
            says=what_scanning_does,
            does=lambda alert, **facts: scan(alert=alert, **facts),
            done=lambda alert: _("“%(alert)s” was scanned.") % {"alert": alert},
            form=forms.Form,
            bulk=True,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alert]:
        rows: Any = super().get_queryset(request)
        return rows.known().counted()  # type: ignore[no-any-return]  # the manager is ours

    @admin.display(description=gettext_lazy("alert"))
    def title(self, alert: Alert) -> str:
        return str(alert)

    @admin.display(description=gettext_lazy("severity"), ordering="severity")
    def how_bad(self, alert: Alert) -> SafeString:
        return severity_dot(alert.severity)

    @admin.display(description=gettext_lazy("to look at"), ordering="active")
    def to_look_at(self, alert: Alert) -> SafeString | str:
        active: int = alert.active  # type: ignore[attr-defined]  # counted
        if not active and not alert.overflows:
            return "0"
        address = list_of(Incident, alert=alert.pk, state__exact="active")
        return format_html('<a href="{}">{}{}</a>', address, active, "+" if alert.overflows else "")

    @admin.display(description=gettext_lazy("state"))
    def how_it_goes(self, alert: Alert) -> SafeString:
        if not alert.is_enabled:
            return toned("ended", _("Switched off"))
        if cause := alert.cause(now()):
            return toned("failed", _("Could not be scanned: %(cause)s") % {"cause": cause[:200]})
        return toned("ok", _("Working")) if alert.scanned_at else toned("waiting", _("Not scanned yet"))

    @admin.display(description=gettext_lazy("last scan"), ordering="scanned_at")
    def last_scan(self, alert: Alert) -> SafeString:
        return moment(alert.scanned_at)

    @admin.display(description=gettext_lazy("next scan"))
    def next_scan(self, alert: Alert) -> SafeString | str:
        if not alert.is_enabled:
            return "–"
        return moment(alert.next_scan_at) or _("At the next turn of the worker")

    @admin.display(description=gettext_lazy("took"))
    def took(self, alert: Alert) -> str:
        return f"{alert.milliseconds} ms"

    @admin.display(description=gettext_lazy("thresholds"))
    def thresholds_chosen(self, alert: Alert) -> str:
        thresholds = alert.kind.thresholds if alert.kind else ()
        return " · ".join(f"{each.label}: {alert.limits[each.name]}" for each in thresholds) or _("None")

    def sections(self, request: HttpRequest, row: Alert) -> list[Section]:
        title = _("Open incidents")
        if row.overflows:
            title = _("Open incidents; there are more than the %(most)d that are listed") % {"most": MOST}
        heads = [_("What was found"), _("State"), _("First seen"), _("Last seen")]
        rows = [
            [link(each), _state(each), moment(each.first_seen_at), moment(each.last_seen_at)]
            for each in self.seen(request, Incident).filter(alert=row).open().order_by("state", "-raised_at")[:SHOWN]
        ]
        return [Section(title, heads, rows, list_of(Incident, alert=row.pk))]


class SeverityFilter(admin.SimpleListFilter):
    title = gettext_lazy("severity")
    parameter_name = "severity"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(str(value), label) for value, label in reversed(Severity.choices)]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        chosen = [value for value in Severity.values if str(value) == self.value()]
        return queryset.filter(alert__severity__in=chosen) if chosen else queryset


class AlertFilter(admin.SimpleListFilter):
    title = gettext_lazy("alert")
    parameter_name = "alert"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        each = [(alert.pk, str(alert)) for alert in Alert.objects.known()]
        return [("outside", _("Changed outside PIM, of any kind")), *each]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "outside":
            return queryset.filter(alert__in=OUTSIDE)
        return queryset.filter(alert=self.value()) if self.value() else queryset


class FoundFilter(DaysFilter):
    title = gettext_lazy("first seen")
    parameter_name = "found"
    column = "first_seen_at"


@admin.register(Incident)
class IncidentAdmin(KindAdmin):
    list_display = ["what", "of_alert", "how_bad", "state_dot", "raised"]
    list_filter = ["state", SeverityFilter, AlertFilter, FoundFilter]
    list_select_related = ["alert"]
    ordering = ["-alert__severity", "-raised_at", "id"]
    fields = [
        "what",
        "of_alert",
        "how_bad",
        "state_dot",
        "concerns",
        "why",
        "advice",
        "one_click",
        "first_seen",
        "last_seen",
        "let_be",
        "closed",
    ]
    acts = (
        Act(
            slug="repair",
            label=gettext_lazy("Repair"),
            permissions=CHANGES_INCIDENTS,
            offered=lambda incident, at: incident.can_be_repaired,
            says=what_repairing_does,
            hindered=what_hinders_repairing,
            does=lambda incident, **facts: repair(incident=incident, **facts),
            done=lambda incident: _("Repaired: %(incident)s") % {"incident": incident},
            form=ReasonForm,
            danger=True,
            bulk=True,
        ),
        Act(
            slug="dismiss",
            label=gettext_lazy("Dismiss"),
            permissions=CHANGES_INCIDENTS,
            offered=lambda incident, at: incident.state == Incident.State.ACTIVE,
            says=what_dismissing_does,
            does=lambda incident, **facts: dismiss(incident=incident, **facts),
            done=lambda incident: _("Dismissed: %(incident)s") % {"incident": incident},
            form=DismissForm,
            bulk=True,
        ),
        Act(
            slug="reopen",
            label=gettext_lazy("Look at it again"),
            permissions=CHANGES_INCIDENTS,
            offered=lambda incident, at: incident.state == Incident.State.DISMISSED,
            says=what_reopening_does,
            does=lambda incident, **facts: reopen(incident=incident, **facts),
            done=lambda incident: _("To be looked at again: %(incident)s") % {"incident": incident},
            form=NotedReasonForm,
        ),
    )

    @admin.display(description=gettext_lazy("what was found"))
    def what(self, incident: Incident) -> str:
        return incident.words

    @admin.display(description=gettext_lazy("alert"), ordering="alert")
    def of_alert(self, incident: Incident) -> SafeString:
        return link(incident.alert)

    @admin.display(description=gettext_lazy("severity"), ordering="alert__severity")
    def how_bad(self, incident: Incident) -> SafeString:
        return severity_dot(incident.alert.severity)

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def state_dot(self, incident: Incident) -> SafeString:
        return _state(incident)

    @admin.display(description=gettext_lazy("raised"), ordering="raised_at")
    def raised(self, incident: Incident) -> SafeString:
        return moment(incident.raised_at)

    @admin.display(description=gettext_lazy("about"))
    def concerns(self, incident: Incident) -> SafeString | str:
        about = incident.about
        return link(about) if about and self._has_page(about) else "–"

    @admin.display(description=gettext_lazy("first seen"))
    def first_seen(self, incident: Incident) -> SafeString:
        return moment(incident.first_seen_at)

    @admin.display(description=gettext_lazy("last seen"))
    def last_seen(self, incident: Incident) -> SafeString:
        return moment(incident.last_seen_at)

    @admin.display(description=gettext_lazy("dismissed"))
    def let_be(self, incident: Incident) -> SafeString | str:
        if incident.dismissed_until is None:
            return "–"
        facts = {"until": moment(incident.dismissed_until), "by": incident.dismissed_by or _("the system")}
        words = format_html(_("until {until}, by {by}"), **facts)
        return format_html("{}<br><q>{}</q>", words, incident.justification)

    @admin.display(description=gettext_lazy("resolved"))
    def closed(self, incident: Incident) -> SafeString | str:
        if incident.resolved_at is None:
            return "–"
        return format_html("{} · {}", moment(incident.resolved_at), incident.get_resolution_display())

    def _has_page(self, about: Model) -> bool:
        return self.admin_site.is_registered(type(about))


def _state(incident: Incident) -> SafeString:
    return dot(STATES[incident.state], incident.get_state_display())
