"""Uses of emergency access: each is looked at afterwards by somebody else."""

import uuid
from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from accounts.models import User

REVIEW_WITHIN = timedelta(days=7)
# Once a review is overdue, those who owe it hear of it so often until it is done.
REMIND_EVERY = timedelta(days=7)


class EmergencyUseQuerySet(models.QuerySet["EmergencyUse"]):
    def unreviewed(self) -> Self:
        return self.filter(reviewed_at=None)

    def overdue(self, at: datetime) -> Self:
        return self.unreviewed().filter(review_by__lte=at)

    def to_remind(self, at: datetime) -> Self:
        """Overdue, and nobody was reminded for a while."""
        return self.overdue(at).filter(Q(reminded_at=None) | Q(reminded_at__lte=at - REMIND_EVERY))


class EmergencyUse(models.Model):
    """One activation without approval, and what was found about it."""

    class Finding(models.TextChoices):
        JUSTIFIED = "justified", _("justified")
        UNJUSTIFIED = "unjustified", _("not justified")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.OneToOneField(
        "approvals.Request", verbose_name=_("request"), on_delete=models.PROTECT, related_name="emergency"
    )
    user = models.ForeignKey(User, verbose_name=_("person"), on_delete=models.PROTECT, related_name="emergencies")
    is_drill = models.BooleanField(_("drill"), default=False)
    used_at = models.DateTimeField(_("used"))
    review_by = models.DateTimeField(_("to be reviewed by"))
    reminded_at = models.DateTimeField(null=True)  # the last time
    reviewed_by = models.ForeignKey(
        User, verbose_name=_("reviewed by"), null=True, on_delete=models.PROTECT, related_name="+"
    )
    reviewed_at = models.DateTimeField(_("reviewed"), null=True)
    finding = models.CharField(_("finding"), max_length=20, choices=Finding.choices, blank=True)
    comment = models.TextField(_("comment"), blank=True, max_length=2000)

    objects = EmergencyUseQuerySet.as_manager()

    class Meta:
        verbose_name = _("emergency use")
        verbose_name_plural = _("emergency uses")
        ordering = ["-used_at"]
        default_permissions = ("view",)
        permissions = [("review_emergency", _("Can review uses of emergency access"))]
        constraints = [
            models.CheckConstraint(
                condition=Q(reviewed_at=None, reviewed_by=None, finding="")
                | (Q(reviewed_at__isnull=False, reviewed_by__isnull=False) & ~Q(finding="")),
                name="emergencyuse_reviewed_by_somebody",
            ),
            models.CheckConstraint(
                condition=Q(reviewed_by=None) | ~Q(reviewed_by=F("user")), name="emergencyuse_reviewed_by_another"
            ),
        ]
        indexes = [models.Index(fields=["review_by"], condition=Q(reviewed_at=None), name="emergencyuse_unreviewed")]

    def __str__(self) -> str:
        return f"{self.request.reference} · {self.request.role} · {self.user}"
