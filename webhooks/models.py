"""Who is told of what happens, what there is to tell, and what became of telling it."""

import uuid
from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models import F, Max, Min, Q
from django.utils.translation import gettext_lazy as _

from accounts.endpoints import Endpoint
from accounts.models import User
from audit.models import Event

from .kinds import ACTIONS

# An event is seen when its transaction is committed, which can be this much later than its time says.
LATE = timedelta(hours=1)
# What could not be told for so long, because no worker ran, is not told any more.
OLDEST = timedelta(days=3)
# How long what is over can be looked at, and sent again.
KEPT = timedelta(days=30)


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def enabled(self) -> Self:
        return self.filter(is_enabled=True)


class Subscription(Endpoint):
    """Another system that is told of what happens, from `since` on.

    `owner` answers for it: while their account is disabled, nothing is sent.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(
        _("name"),
        max_length=100,
        unique=True,
        error_messages={"unique": _("There is a subscription with this name already.")},
    )
    owner = models.ForeignKey(
        User, verbose_name=_("owner"), on_delete=models.PROTECT, related_name="webhook_subscriptions"
    )
    kinds = models.CharField(_("events"), max_length=400)  # with a space between them
    created_at = models.DateTimeField(_("made"), editable=False)
    since = models.DateTimeField(_("listens since"), editable=False)
    failing_since = models.DateTimeField(_("failing since"), null=True, editable=False)

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        verbose_name = _("webhook subscription")
        verbose_name_plural = _("webhook subscriptions")
        ordering = ["name"]
        default_permissions = ("add", "change", "view")

    def __str__(self) -> str:
        return self.name

    def hears(self, notice: "Notice") -> bool:
        return notice.kind in self.kinds.split() and notice.at >= self.since


class Notice(models.Model):
    """One event of the audit as it is told; without a kind, one that was looked at and is not told.

    The id is made from the event itself, so that whoever makes the row twice makes the same row, and no other event
    ever has this id.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    event_id = models.BigIntegerField(_("audit event"), unique=True)
    kind = models.CharField(_("event"), max_length=40, blank=True)
    at = models.DateTimeField(_("at"), db_index=True)
    body = models.TextField(_("content"), blank=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.kind} · {self.message_id}"

    @property
    def message_id(self) -> str:
        """The header `webhook-id`: the same at every attempt, and to every subscription."""
        return f"evt_{self.pk.hex}"


def untold(at: datetime) -> models.QuerySet[Event]:
    """Events up to `at` that somebody may listen to and that were not looked at yet. Two short queries before its own.

    The audit is the outbox: what happened is written there in the transaction of the change. Its keys are given
    out before the transactions end, so none of them says "all before this were seen"; each event is looked for among
    those that were.
    """
    since = Subscription.objects.enabled().aggregate(first=Min("since"))["first"]
    if since is None:
        return Event.objects.none()
    newest = Notice.objects.aggregate(last=Max("at"))["last"]
    since = max(since, at - OLDEST, *([newest - LATE] if newest else []))
    rows = Event.objects.filter(action__in=ACTIONS, outcome=Event.Outcome.SUCCESS, at__gte=since, at__lte=at)
    return rows.exclude(pk__in=Notice.objects.filter(at__gte=since).values("event_id")).order_by("at", "pk")


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def due(self, at: datetime) -> Self:
        """To be sent, or sent anew: those to whom it last went well come first."""
        usable = Q(subscription__is_enabled=True) & ~Q(subscription__secret="")
        rows = self.filter(usable, state=Delivery.State.PENDING, next_attempt_at__lte=at)
        return rows.order_by(F("subscription__failing_since").asc(nulls_first=True), "next_attempt_at", "pk")


class Delivery(models.Model):
    """One notice to one subscription.

    While it is being sent it is leased: if the worker dies, it is due again at `next_attempt_at`. `attempts` counts
    claims, and so tells one claim from the next.
    """

    class State(models.TextChoices):
        PENDING = "pending", _("Waiting")
        DELIVERED = "delivered", _("Delivered")
        GIVEN_UP = "given_up", _("Given up")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    subscription = models.ForeignKey(
        Subscription, verbose_name=_("subscription"), on_delete=models.PROTECT, related_name="deliveries"
    )
    notice = models.ForeignKey(Notice, verbose_name=_("event"), on_delete=models.CASCADE, related_name="deliveries")
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.PENDING)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt"))
    last_outcome = models.CharField(_("last result"), max_length=40, blank=True)
    settled_at = models.DateTimeField(_("settled"), null=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name = _("webhook delivery")
        verbose_name_plural = _("webhook deliveries")
        ordering = ["-notice__at", "-id"]
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["subscription", "notice"], name="delivery_one_per_notice"),
            models.CheckConstraint(
                condition=Q(state="pending", settled_at=None)
                | Q(state__in=("delivered", "given_up"), settled_at__isnull=False),
                name="delivery_settled_at_a_time",
            ),
        ]
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=Q(state="pending"), name="delivery_due"),
            models.Index(fields=["subscription", "state"], name="delivery_by_subscription"),
        ]

    def __str__(self) -> str:
        return f"{self.notice} → {self.subscription}"

    @property
    def is_open(self) -> bool:
        """Still to be sent."""
        return self.state == self.State.PENDING


class Attempt(models.Model):
    """One try: `outcome` is ``http_<status>``, or a code of what kept it from being answered."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="log")
    at = models.DateTimeField(_("at"))
    outcome = models.CharField(_("result"), max_length=40)
    milliseconds = models.PositiveIntegerField(_("took"))

    class Meta:
        ordering = ["-at", "-id"]
        default_permissions = ()

    def __str__(self) -> str:
        return self.outcome
