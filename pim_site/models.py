from datetime import datetime

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import User


class Heartbeat(models.Model):
    """Proof that tasks are being done: written by a task, so a queue that stands still cannot write it."""

    name = models.CharField(_("name"), max_length=40, unique=True)
    at = models.DateTimeField(_("at"))
    detail = models.CharField(_("detail"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("heartbeat")
        verbose_name_plural = _("heartbeats")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.name


class WeeklyDigestQuerySet(models.QuerySet["WeeklyDigest"]):
    def due(self, at: datetime) -> "WeeklyDigestQuerySet":
        return self.filter(next_at__lte=at)


class WeeklyDigest(models.Model):
    """The one row that says up to when the mails of the week have told, and when the next one is due."""

    ONLY = 1

    told_until = models.DateTimeField()
    next_at = models.DateTimeField()

    objects = WeeklyDigestQuerySet.as_manager()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"told until {self.told_until}"


class RequestCounter(models.Model):
    """How many requests to the API a token, a person or an address has made in the present minute."""

    key = models.CharField(max_length=80, primary_key=True)
    minute = models.BigIntegerField(db_index=True)  # since the epoch
    count = models.PositiveIntegerField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.count} requests"


class KeptAnswer(models.Model):
    """What a request with an Idempotency-Key was answered, for whoever sends it again; no status: it is still running.

    The body is encrypted: some answers hold what is shown only once.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    media_type = models.CharField(max_length=100, blank=True)
    etag = models.CharField(max_length=100, blank=True)
    encrypted_body = models.TextField(blank=True)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="keptanswer_one_per_key")]

    def __str__(self) -> str:
        return f"answer {self.status} to {self.user}"


class RequestTimes(models.Model):
    """How many requests of an area, answered with a status of a class, took up to so long, and all of them together.

    All processes of the web server add to the same rows.
    """

    area = models.CharField(max_length=20)
    status = models.CharField(max_length=3)
    upto = models.PositiveIntegerField()  # milliseconds; 0: longer than all others
    count = models.PositiveBigIntegerField(default=0)
    microseconds = models.PositiveBigIntegerField(default=0)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["area", "status", "upto"], name="requesttimes_one_per_bucket")]

    def __str__(self) -> str:
        return f"{self.area} {self.status} {self.upto}: {self.count}"
