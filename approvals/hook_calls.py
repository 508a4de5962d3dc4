"""The question that a request puts to another system before people are asked, and what it answered."""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from roles.hooks import Hook


class HookCallQuerySet(models.QuerySet["HookCall"]):
    def due(self, at: datetime) -> Self:
        """To be asked, or asked anew: its time has come, and its request still waits."""
        waiting = self.filter(request__status="pending_hook", request__expires_at__gt=at)
        return waiting.filter(outcome="", next_attempt_at__lte=at)


class HookCall(models.Model):
    """One for each request that a hook is asked about.

    While it is being asked it is leased: if the worker dies, it is due again at `next_attempt_at`. `attempts` counts
    claims, and so tells one claim from the next.
    """

    class Outcome(models.TextChoices):
        APPROVED = "approved", _("had no objection")
        AUTO_APPROVED = "auto_approved", _("approved for all")
        DENIED = "denied", _("denied")
        UNANSWERED = "unanswered", _("did not answer")

    request = models.OneToOneField("approvals.Request", on_delete=models.PROTECT, related_name="hook_call")
    # Who was asked last: the hook of the settings in use at that moment.
    hook = models.ForeignKey(Hook, null=True, on_delete=models.PROTECT, related_name="+")
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt at"))
    last_error = models.CharField(_("last error"), max_length=40, blank=True)
    outcome = models.CharField(_("outcome"), max_length=20, choices=Outcome.choices, blank=True)
    reasons = models.TextField(_("reasons"), blank=True, max_length=2000)
    answered_at = models.DateTimeField(_("answered"), null=True)

    objects = HookCallQuerySet.as_manager()

    class Meta:
        verbose_name = _("question to a hook")
        verbose_name_plural = _("questions to hooks")
        ordering = ["next_attempt_at"]
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome="", answered_at=None) | (~Q(outcome="") & Q(answered_at__isnull=False)),
                name="hookcall_answered_at_a_time",
            )
        ]
        indexes = [models.Index(fields=["next_attempt_at"], condition=Q(outcome=""), name="hookcall_due")]

    def __str__(self) -> str:
        return f"{self.hook or '–'}: {self.outcome or self.attempts}"

    @property
    def clears(self) -> Hook | None:
        """Return the hook that lets the request go on; None while it does not."""
        return self.hook if self.outcome and self.outcome != self.Outcome.DENIED else None
