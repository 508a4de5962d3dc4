"""What happened: one row for each operation, done or refused. Rows are added and never changed."""

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple, NoReturn, Protocol

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from audit.canonical import dumps
from audit.merkle import Frontier

# Rows that are read at once where all are read.
PAGE = 2_000
# The events that tell of something granted, and by whom.
GRANTING = ("assignment.activated", "assignment.extended")


class Viewer(Protocol):
    """A person, signed in or not."""

    @property
    def pk(self) -> Any: ...
    def has_perm(self, perm: str, /) -> bool: ...


class Change(NamedTuple):
    """One thing before and after, as texts; empty where there was or is none."""

    name: str
    before: str
    after: str

    @property
    def differs(self) -> bool:
        return self.before != self.after


class EventQuerySet(models.QuerySet["Event"]):
    # Where words were looked for: in the events from this moment on, and not in older ones; None: in all.
    searched_from: datetime | None = None

    def about(self, user: Viewer) -> "EventQuerySet":
        """Events that the person caused, or that happened to them; nothing for an anonymous one."""
        if user.pk is None:
            return self.none()
        return self.filter(models.Q(actor_id=user.pk) | models.Q(subject_id=user.pk))

    def visible_to(self, user: Viewer) -> "EventQuerySet":
        """Everything for those who may view events, for everybody else what concerns them."""
        if user.has_perm("audit.view_event"):
            return self
        return self.about(user)


class Event(models.Model):
    """`canonical` is the record and all that is shown; the other columns are the index over it.

    There are no foreign keys: names are copied as text, so that history outlives what it speaks of.
    """

    class Outcome(models.TextChoices):
        SUCCESS = "success", _("Done")
        REFUSED = "refused", _("Refused")

    at = models.DateTimeField(_("at"))
    action = models.CharField(_("action"), max_length=64)
    outcome = models.CharField(_("outcome"), max_length=10, choices=Outcome)
    code = models.CharField(_("code"), max_length=64, blank=True)
    actor_id = models.UUIDField(_("actor id"), null=True)
    actor_label = models.CharField(_("actor"), max_length=200)
    via = models.CharField(_("signed in with"), max_length=64)
    address = models.CharField(_("address"), max_length=64, blank=True)
    correlation_id = models.CharField(_("correlation id"), max_length=64, blank=True)
    target_type = models.CharField(_("target type"), max_length=100, blank=True)
    target_id = models.CharField(_("target id"), max_length=64, blank=True)
    target_label = models.CharField(_("target"), max_length=200, blank=True)
    subject_id = models.UUIDField(_("subject id"), null=True)
    subject_label = models.CharField(_("subject"), max_length=200, blank=True)
    role_id = models.UUIDField(_("role id"), null=True)
    role_label = models.CharField(_("role"), max_length=200, blank=True)
    scope_id = models.UUIDField(_("scope id"), null=True)
    scope_label = models.CharField(_("scope"), max_length=200, blank=True)
    request_id = models.UUIDField(_("request id"), null=True)
    ticket = models.CharField(_("ticket"), max_length=200, blank=True)
    justification = models.TextField(_("justification"), blank=True)
    canonical = models.TextField(_("record"))

    objects = EventQuerySet.as_manager()

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ("-at", "-id")
        default_permissions = ("view",)
        permissions = (("export_event", _("Can export events")),)
        constraints = (
            models.CheckConstraint(condition=models.Q(outcome__in=("success", "refused")), name="event_outcome_known"),
        )
        indexes = (
            models.Index(fields=("-at", "-id"), name="event_newest"),
            models.Index(fields=("actor_id", "-at"), name="event_by_actor"),
            models.Index(fields=("subject_id", "-at"), name="event_by_subject"),
            models.Index(fields=("action", "-at"), name="event_by_action"),
            models.Index(fields=("outcome", "-at"), name="event_by_outcome"),
            models.Index(fields=("target_type", "target_id", "-at"), name="event_by_target"),
            models.Index(fields=("role_id", "-at"), name="event_by_role"),
            models.Index(fields=("request_id",), name="event_by_request"),
            models.Index(fields=("ticket",), condition=~models.Q(ticket=""), name="event_by_ticket"),
            models.Index(fields=("correlation_id",), name="event_by_correlation"),
        )

    def __str__(self) -> str:
        return f"{self.action} · {self.target_label}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Add the event. An event that is there already raises RuntimeError."""
        if not self._state.adding:
            raise RuntimeError("audit events are append-only")
        super().save(force_insert=True, using=kwargs.get("using"))

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise RuntimeError("audit events are append-only")

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What happened, as it was written: render this and nothing else. `before` and `after` are null or objects."""
        facts: dict[str, Any] = json.loads(self.canonical)
        return facts

    @property
    def changes(self) -> list[Change]:
        """Before and after side by side, by name."""
        before, after = self.facts["before"] or {}, self.facts["after"] or {}
        return [Change(name, _shown(before.get(name)), _shown(after.get(name))) for name in sorted(before | after)]

    @property
    def approvers(self) -> list[str]:
        """The names of those who said yes to what was granted; none where nobody had to, or nothing was."""
        named = (self.facts["after"] or {}).get("approvers") if self.facts["action"] in GRANTING else None
        return [str(name) for name in named] if isinstance(named, list) else []

    @property
    def is_refused(self) -> bool:
        return self.outcome == self.Outcome.REFUSED


class UnsealedQuerySet(models.QuerySet["Unsealed"]):
    def due(self, at: datetime) -> "UnsealedQuerySet":
        return self.filter(event__at__lte=at)


class Unsealed(models.Model):
    """An event without a number. A trigger adds the row with the event, whoever writes it; sealing takes it away."""

    event = models.OneToOneField(Event, models.DO_NOTHING, primary_key=True, db_constraint=False)

    objects = UnsealedQuerySet.as_manager()

    class Meta:
        default_permissions = ()


class EntryQuerySet(models.QuerySet["Entry"]):
    def pages(self, *columns: str, after: int = 0, until: int) -> Iterator[tuple[Any, ...]]:
        """Yield (n, *columns) of the entries after number `after` and up to `until`; no statement runs long."""
        rows = self.filter(n__lte=until).order_by("n").values_list("n", *columns)
        while page := list(rows.filter(n__gt=after)[:PAGE]):
            yield from page
            after = page[-1][0]


class Entry(models.Model):
    """The place of an event in the log: `n` counts from 1 without a gap, `leaf` is RFC 6962's hash of its text.

    Without a constraint on the event: one that is gone is what the verifier looks for.
    """

    n = models.BigIntegerField(primary_key=True)
    event = models.OneToOneField(Event, models.DO_NOTHING, db_constraint=False)
    leaf = models.BinaryField(max_length=32)

    objects = EntryQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        ordering = ("n",)


class Archive(models.Model):
    """Events `first` to `last` are in a file, and their rows are gone, or go while `removed_at` is empty.

    `note` is the signed statement of it, without which the log would not verify; `frontier` is the edge of the tree
    over all events up to `last`, believed only as far as it leads to the root in the note. A trigger lets those rows of
    events be deleted for which there is such a row, and no other.
    """

    first = models.BigIntegerField(_("first number"), unique=True)
    last = models.BigIntegerField(_("last number"))
    oldest_at = models.DateTimeField(_("oldest event"))
    newest_at = models.DateTimeField(_("newest event"))
    file = models.TextField(_("file"))
    digest = models.CharField(_("SHA-256"), max_length=64)
    note = models.TextField(_("note"))
    frontier = models.BinaryField()
    at = models.DateTimeField(_("at"))
    removed_at = models.DateTimeField(_("rows removed at"), null=True)

    class Meta:
        verbose_name = _("archive of events")
        verbose_name_plural = _("archives of events")
        default_permissions = ()
        ordering = ("-first",)

    def __str__(self) -> str:
        return f"{self.first}–{self.last}"


def near(at: datetime, *, within: timedelta) -> models.Q:
    """Written lately: not before, and not by a clock that was set back since and would count until its time comes."""
    return models.Q(at__gt=at - within, at__lt=at + within)


class CheckpointQuerySet(models.QuerySet["Checkpoint"]):
    def unfiled(self) -> "CheckpointQuerySet":
        return self.filter(filed_at=None).order_by("pk")

    def unposted(self) -> "CheckpointQuerySet":
        return self.filter(posted_at=None).order_by("pk")

    def unmailed(self) -> "CheckpointQuerySet":
        return self.filter(mailed_at=None).order_by("pk")


class Checkpoint(models.Model):
    """How long the log was and the root of its tree, signed: `note` is the text that goes out (see `audit.notes`).

    `frontier` lets a verification begin here; it is believed only as far as it leads to the root in the note.
    """

    size = models.BigIntegerField(_("events"))
    at = models.DateTimeField(_("at"), db_index=True)
    note = models.TextField(_("note"))
    frontier = models.BinaryField()
    filed_at = models.DateTimeField(_("written to the file at"), null=True)
    mailed_at = models.DateTimeField(_("mailed at"), null=True)
    posted_at = models.DateTimeField(_("posted at"), null=True)

    objects = CheckpointQuerySet.as_manager()

    class Meta:
        verbose_name = _("checkpoint")
        verbose_name_plural = _("checkpoints")
        default_permissions = ()
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"{self.size} · {self.at:%Y-%m-%d %H:%M}"


_OPEN = re.compile(r"file://.*|\w+://[^/?#@]+", re.DOTALL)
_BEGIN = re.compile(r"(\w+://)(?:[^/?#]*@)?([^/?#@]*)")


def stream_name(address: str) -> str:
    """An address as it may be shown: scheme and host, and of what may be a secret (path, query, password) a digest."""
    if _OPEN.fullmatch(address):
        return address
    begin = _BEGIN.match(address)
    digest = hashlib.sha256(address.encode()).hexdigest()[:8]
    return f"{''.join(begin.groups()) if begin else ''}#{digest}"


def stream_names() -> dict[str, str]:
    """The addresses of the settings by the name of their destination."""
    return {stream_name(address): address for address in settings.AUDIT_STREAMS}


class ReaderQuerySet(models.QuerySet["Reader"]):
    def configured(self) -> "ReaderQuerySet":
        return self.filter(name__in=stream_names())

    def lagging(self, at: datetime) -> "ReaderQuerySet":
        """Those that have not taken an event from before `at`."""
        behind = Head.objects.filter(pk=Head.ONLY, size__gt=models.OuterRef("n"))
        # Asked this way round, a next event whose rows are gone is due as well, and its absence is found.
        younger = Entry.objects.filter(n=models.OuterRef("n") + 1, event__at__gt=at)
        return self.configured().filter(models.Exists(behind), ~models.Exists(younger))

    def due(self, at: datetime) -> "ReaderQuerySet":
        """Those of them whose next attempt may be made."""
        return self.lagging(at).filter(next_attempt_at__lte=at)


class Reader(models.Model):
    """Another system that is sent every event, and the number of the last one that it has taken.

    `name` is its address in the settings, without what may be secret. Whoever sends has a lease until
    `next_attempt_at`. `batch` is how many events it is sent at once.
    """

    name = models.CharField(_("destination"), max_length=500, unique=True)
    n = models.BigIntegerField(_("last number taken"))
    taken_at = models.DateTimeField(_("last taken at"), null=True)
    failing_since = models.DateTimeField(_("failing since"), null=True)
    failures = models.PositiveIntegerField(_("failures in a row"), default=0)
    batch = models.PositiveIntegerField(_("events at once"), default=500)
    last_outcome = models.CharField(_("last result"), max_length=200, blank=True)
    next_attempt_at = models.DateTimeField(_("next attempt"))

    objects = ReaderQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def address(self) -> str:
        """Raises KeyError where it is no more in the settings."""
        return stream_names()[self.name]

    def behind(self, size: int) -> int:
        """How many events of a log of this size it has not taken."""
        return max(0, size - self.n)


class Head(models.Model):
    """The one row that is locked while the log grows: how many entries there are, and the edge of their tree."""

    ONLY = 1

    size = models.BigIntegerField(default=0)
    frontier = models.BinaryField(default=bytes)

    class Meta:
        default_permissions = ()

    @classmethod
    def events(cls) -> int:
        """Return how many events have a number."""
        return cls.objects.filter(pk=cls.ONLY).values_list("size", flat=True).first() or 0


class Look(models.Model):
    """The one row of the worker's way round the log (`audit.looking`): how far the present round is, and what it found.

    `found` and `found_before`, of this round and of the last whole one, hold texts by the code of the fault.
    """

    ONLY = 1
    # A round does not begin sooner after the last one.
    PAUSE = timedelta(hours=1)

    size = models.BigIntegerField(default=0)
    frontier = models.BinaryField(default=bytes)
    found = models.JSONField(default=dict)
    found_before = models.JSONField(default=dict)
    read_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()

    @property
    def edge(self) -> Frontier:
        """The edge of the tree so far; where somebody made it none, the round begins anew."""
        try:
            return Frontier(self.size, bytes(self.frontier))
        except ValueError:
            return Frontier()

    def is_due(self, at: datetime) -> bool:
        return bool(self.size) or self.ended_at is None or self.ended_at <= at - self.PAUSE


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else dumps(value)
