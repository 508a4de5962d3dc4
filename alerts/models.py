"""What is looked for, with which thresholds, and what was found."""

import uuid
from datetime import datetime, timedelta
from typing import Any, Self

from django.apps import apps
from django.db import models
from django.db.models import Count, Q
from django.utils import dateformat, timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext

from accounts.models import User
from notifications.snapshot import decode

from .registry import KINDS, Kind, Severity, Words

EVERY = timedelta(minutes=15)
# A scan that goes on for longer than this will not come to its end.
UNDERWAY = timedelta(minutes=2)
UNENDED = _("The scan did not come to its end.")
# Nobody works through more findings of one kind; that there are more is said.
MOST = 200


class AlertQuerySet(models.QuerySet["Alert"]):
    def known(self) -> Self:
        """Those whose kind the program has; a module of the operator may be gone."""
        return self.filter(key__in=KINDS)

    def due(self, at: datetime) -> Self:
        """Also where the clock was set back since: the next scan would wait until its time comes."""
        is_time = Q(next_scan_at__lte=at) | Q(next_scan_at__gt=at + 2 * EVERY)
        return self.known().filter(is_time, is_enabled=True)

    def to_scan(self, at: datetime) -> Self:
        """Due, or new: that one waits for the first turn of the worker is no sign that none runs."""
        return self.due(at) | self.known().filter(next_scan_at=None, is_enabled=True)

    def failing(self, at: datetime) -> Self:
        """Whose last scan failed, or was begun a while ago and did not come to its end."""
        return self.known().filter(~Q(failure="") | Q(begun_at__lte=at - UNDERWAY), is_enabled=True)

    def counted(self) -> Self:
        """With `active`, how many incidents are to be looked at."""
        return self.annotate(active=Count("incidents", filter=Q(incidents__state=Incident.State.ACTIVE)))


class Alert(models.Model):
    """One kind of alert in this site: whether it is looked for, from which thresholds on, and how the last scan went.

    The row is locked while it is scanned or configured.
    """

    key = models.CharField(primary_key=True, max_length=60)
    severity = models.PositiveSmallIntegerField(_("severity"), choices=Severity.choices)
    is_enabled = models.BooleanField(_("enabled"), default=True)
    thresholds = models.JSONField(_("thresholds"), default=dict)  # those that differ from the defaults, by name
    next_scan_at = models.DateTimeField(_("next scan"), null=True)
    begun_at = models.DateTimeField(_("scan begun"), null=True)  # while one goes on
    scanned_at = models.DateTimeField(_("last scan"), null=True)  # that came to its end
    milliseconds = models.PositiveIntegerField(_("took"), default=0)
    overflows = models.BooleanField(_("more than are listed"), default=False)
    failure = models.TextField(_("cause of failure"), blank=True)

    objects = AlertQuerySet.as_manager()

    class Meta:
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        ordering = ["-severity", "key"]
        default_permissions = ("view", "change")

    def __str__(self) -> str:
        return str(self.title)

    @property
    def kind(self) -> Kind | None:
        return KINDS.get(self.key)

    @property
    def title(self) -> Words:
        return self.kind.title if self.kind else self.key

    def cause(self, at: datetime) -> str:
        """Return why the last scan failed; empty if it did not, or goes on."""
        lost = self.begun_at is not None and self.begun_at <= at - UNDERWAY
        return str(UNENDED) if lost else self.failure

    @property
    def limits(self) -> dict[str, int]:
        """Each threshold by name: as it was chosen, or its default."""
        thresholds = self.kind.thresholds if self.kind else ()
        return {each.name: int(self.thresholds.get(each.name, each.default)) for each in thresholds}


class IncidentQuerySet(models.QuerySet["Incident"]):
    def open(self) -> Self:
        """Still found at the last scan, dismissed or not."""
        return self.exclude(state=Incident.State.RESOLVED)

    def active(self) -> Self:
        return self.filter(state=Incident.State.ACTIVE)

    def untold(self, at: datetime) -> Self:
        """To be looked at, and no mail has said so."""
        return self.active().filter(told_at=None, raised_at__lte=at)


class Incident(models.Model):
    """One thing that was found, from the scan that saw it first to the one that does not see it any more."""

    class State(models.TextChoices):
        ACTIVE = "active", _("active")
        DISMISSED = "dismissed", _("dismissed")
        RESOLVED = "resolved", _("resolved")

    class Resolution(models.TextChoices):
        GONE = "gone", _("not found any more")
        REPAIRED = "repaired", _("repaired from here")
        SWITCHED_OFF = "switched_off", _("the alert was switched off")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    alert = models.ForeignKey(Alert, verbose_name=_("alert"), on_delete=models.PROTECT, related_name="incidents")
    key = models.CharField(max_length=200)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.ACTIVE)
    # No foreign key: what it was about may be gone one day, and the facts still say it.
    about_type = models.CharField(max_length=100, blank=True)
    about_id = models.CharField(max_length=64, blank=True)
    facts = models.TextField()
    first_seen_at = models.DateTimeField(_("first seen"))
    last_seen_at = models.DateTimeField(_("last seen"))
    raised_at = models.DateTimeField(_("raised"))  # also when a dismissal was over
    told_at = models.DateTimeField(null=True)
    dismissed_by = models.ForeignKey(
        User, verbose_name=_("dismissed by"), null=True, on_delete=models.PROTECT, related_name="+"
    )
    dismissed_until = models.DateTimeField(_("dismissed until"), null=True)
    justification = models.TextField(_("reason"), blank=True, max_length=2000)
    resolved_at = models.DateTimeField(_("resolved"), null=True)
    resolution = models.CharField(_("how"), max_length=20, choices=Resolution.choices, blank=True)

    objects = IncidentQuerySet.as_manager()

    class Meta:
        verbose_name = _("incident")
        verbose_name_plural = _("incidents")
        ordering = ["-raised_at", "id"]
        default_permissions = ("view", "change")
        constraints = [
            models.UniqueConstraint(
                fields=["alert", "key"], condition=~Q(state="resolved"), name="incident_one_open_each"
            ),
            models.CheckConstraint(
                condition=Q(state="active", dismissed_until=None, resolved_at=None, resolution="")
                | Q(state="dismissed", dismissed_until__isnull=False, resolved_at=None, resolution="")
                | (Q(state="resolved", resolved_at__isnull=False) & ~Q(resolution="")),
                name="incident_state_has_its_times",
            ),
        ]
        indexes = [
            models.Index(fields=["state", "-raised_at"], name="incident_by_state"),
            models.Index(fields=["alert", "key"], name="incident_by_key"),
        ]

    def __str__(self) -> str:
        return self.words

    @property
    def kind(self) -> Kind | None:
        return KINDS.get(self.alert_id)

    @property
    def words(self) -> str:
        """Return what was found, in the language and zone of who reads it."""
        facts = _Facts((name, _shown(value)) for name, value in decode(self.facts).items())
        return str(self.kind.sentence) % facts if self.kind else self.key

    @property
    def about(self) -> models.Model | None:
        """Return the row that it is about, as it is now; None where there is none, or not any more."""
        model = _model(self.about_type)
        return model._default_manager.filter(pk=self.about_id).first() if model else None

    @property
    def can_be_repaired(self) -> bool:
        repair, about = self.kind and self.kind.repair, self.about
        return bool(repair and about and self.state != self.State.RESOLVED and repair.fits(about))


class _Facts(dict[str, Any]):
    """What the sentence of a newer version asks for, an older incident does not know."""

    def __missing__(self, name: str) -> str:
        return "–"


def _shown(value: Any) -> Any:
    if not isinstance(value, datetime):
        return "–" if value is None else value
    return dateformat.format(timezone.localtime(value), pgettext("date", "j M Y"))


def _model(label: str) -> Any:
    return apps.get_model(label) if label else None
