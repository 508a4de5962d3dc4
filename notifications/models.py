"""Mail that waits to be sent, and what became of it: the outbox."""

import uuid
from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class MessageQuerySet(models.QuerySet["Message"]):
    def due(self, at: datetime) -> "MessageQuerySet":
        """What should be on its way: queued and its time has come, or claimed by a deliverer that did not come back."""
        return self.filter(state__in=(Message.State.QUEUED, Message.State.SENDING), next_attempt_at__lte=at)

    def gathering(self, at: datetime) -> "MessageQuerySet":
        """What was held for a digest whose morning has come."""
        return self.filter(state=Message.State.HELD, next_attempt_at__lte=at)

    def failing(self) -> "MessageQuerySet":
        """What needs a look: given up, or waiting with a cause."""
        waiting = models.Q(state=Message.State.QUEUED) & ~models.Q(last_error="")
        return self.filter(waiting | models.Q(state=Message.State.FAILED))


class Kind(models.TextChoices):
    """What a mail is about; each has its templates. No choices of a column, so that a new one needs no migration."""

    ACCOUNT_CREATED = "account_created", _("Account created")
    FACTORS_CHANGED = "factors_changed", _("Ways to sign in changed")
    ELIGIBLE_ASSIGNED = "eligible_assigned", _("Assigned eligible")
    ACTIVE_ASSIGNED = "active_assigned", _("Assigned active")
    ASSIGNED_IN_BULK = "assigned_in_bulk", _("Assigned in bulk")
    ASSIGNMENT_REMOVED = "assignment_removed", _("Assignment removed")
    ASSIGNMENT_EXPIRING = "assignment_expiring", _("Assignment ends soon")
    ASSIGNMENT_EXPIRED = "assignment_expired", _("Assignment ended")
    ASSIGNMENT_UPDATED = "assignment_updated", _("Assignment changed")
    EXTENSION_ASKED = "extension_asked", _("Extension or renewal asked")
    EXTENSION_DECIDED = "extension_decided", _("Extension or renewal decided")
    APPROVAL_ASKED = "approval_asked", _("Approval asked")
    APPROVAL_REMINDER = "approval_reminder", _("Approval still waiting")
    DELEGATION_MADE = "delegation_made", _("Decisions delegated")
    DELEGATION_ENDED = "delegation_ended", _("Delegation ended")
    STAGE_PASSED = "stage_passed", _("Stage of a request passed")
    REQUEST_DECIDED = "request_decided", _("Request decided")
    REQUEST_CANCELED = "request_canceled", _("Request canceled")
    REQUEST_TIMED_OUT = "request_timed_out", _("Request timed out")
    REQUEST_FAILED = "request_failed", _("Request failed")
    ROLE_ACTIVATED = "role_activated", _("Role activated")
    ACTIVATION_EXTENDED = "activation_extended", _("Activation extended")
    ACTIVATION_ENDING = "activation_ending", _("Activation ends in a few minutes")
    EMERGENCY_USED = "emergency_used", _("Emergency access used")
    EMERGENCY_UNREVIEWED = "emergency_unreviewed", _("Review of an emergency overdue")
    EMERGENCY_SIGN_IN = "emergency_sign_in", _("Emergency account signed in")
    ROLE_ENDED = "role_ended", _("Role ended")
    DIGEST = "digest", _("Daily digest")
    WEEKLY_DIGEST = "weekly_digest", _("Weekly digest")
    CHECKPOINT_SIGNED = "checkpoint_signed", _("Checkpoint of the audit")
    REVIEW_STARTED = "review_started", _("Access review started")
    REVIEW_REMINDER = "review_reminder", _("Access review still waiting")
    REVIEW_CLOSED = "review_closed", _("Access review ended")
    REVIEW_UNDONE = "review_undone", _("Access review: not all was removed")
    ALERTS_RAISED = "alerts_raised", _("New alerts")


class Message(models.Model):
    """One mail to one person, written in the transaction of the change that it tells of.

    Everything is a copy as of that moment, so no foreign keys. A message that is being sent is leased: if its deliverer
    dies, it is due again at `next_attempt_at`. `attempts` counts claims and so tells one claim from the next.
    What is held for a digest is never sent by itself; `next_attempt_at` is then the morning of the digest.
    """

    class State(models.TextChoices):
        QUEUED = "queued", _("Queued")
        SENDING = "sending", _("Sending")
        SENT = "sent", _("Sent")
        FAILED = "failed", _("Failed")
        SUPPRESSED = "suppressed", _("Suppressed")
        HELD = "held", _("Held for the digest")
        GATHERED = "gathered", _("In a digest")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(_("kind"), max_length=40)
    to_address = models.TextField(_("to"))
    to_name = models.TextField(_("name"), blank=True)
    user_id = models.UUIDField(_("user id"), null=True)
    time_zone = models.CharField(_("time zone"), max_length=64)
    language = models.CharField(_("language"), max_length=16)
    about_id = models.UUIDField(_("about"), null=True)
    dedup_key = models.CharField(_("deduplication key"), max_length=400, unique=True, null=True, blank=True)
    context = models.TextField(_("content"))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.QUEUED)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    next_attempt_at = models.DateTimeField(_("next attempt at"), default=timezone.now)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    last_error = models.TextField(_("last error"), blank=True)
    sent_at = models.DateTimeField(_("sent at"), null=True)
    subject = models.TextField(_("subject"), blank=True)

    objects = MessageQuerySet.as_manager()

    class Meta:
        verbose_name = _("mail")
        verbose_name_plural = _("mails")
        ordering = ("-created_at", "-id")
        default_permissions = ("view",)
        permissions = (("resend_message", _("Can send failed mails again")),)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(state__in=("queued", "sending", "sent", "failed", "suppressed", "held", "gathered")),
                name="message_state_known",
            ),
        )
        indexes = (
            models.Index(
                fields=("next_attempt_at",), condition=models.Q(state__in=("queued", "sending")), name="message_due"
            ),
            models.Index(fields=("user_id", "next_attempt_at"), condition=models.Q(state="held"), name="message_held"),
            models.Index(fields=("-created_at", "-id"), name="message_newest"),
            models.Index(fields=("state", "-created_at"), name="message_by_state"),
            models.Index(fields=("about_id",), name="message_by_subject"),
            models.Index(fields=("user_id", "-created_at"), name="message_by_user"),
        )

    def __str__(self) -> str:
        return f"{self.kind_label} · {self.to_address}"

    @property
    def kind_label(self) -> str:
        """What its kind is called; its code, where the code knows it no more."""
        return str(dict(Kind.choices).get(self.kind, self.kind))

    @property
    def is_open(self) -> bool:
        """Still to be sent, by itself or in a digest."""
        return self.state in (self.State.QUEUED, self.State.SENDING, self.State.HELD)

    @property
    def message_id(self) -> str:
        """The Message-ID header: the same at every attempt, so that a mail sent twice is known for one."""
        return f"<{self.id}@{urlsplit(settings.BASE_URL).hostname or 'localhost'}>"
