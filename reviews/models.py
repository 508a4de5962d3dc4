"""One access review: what was found when it began, who is asked about it, what they answered, what came of it."""

import uuid
from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from accounts.authority import may
from accounts.models import Group, User
from approvals.history import CAUSES
from assignments.models import ActiveAssignment, AnyAssignment, EligibleAssignment
from roles.models import Resource, Role

from .series import Definition as Definition
from .series import Stage as Stage


class InstanceQuerySet(models.QuerySet["Instance"]):
    def beginning(self, at: datetime) -> Self:
        """Whose snapshot is still being taken."""
        return self.filter(state=Instance.State.STARTING, began_at__lte=at)

    def open(self, at: datetime) -> Self:
        """That take answers."""
        return self.filter(state=Instance.State.IN_PROGRESS, stage_ends_at__gt=at)

    def over(self, at: datetime) -> Self:
        """Whose stage is over, which the worker has still to note."""
        return self.filter(state=Instance.State.IN_PROGRESS, stage_ends_at__lte=at)

    def to_remind(self, at: datetime) -> Self:
        return self.open(at).filter(remind_at__lte=at)

    def applying(self, at: datetime) -> Self:
        """Whose results are being carried out."""
        return self.filter(state=Instance.State.APPLYING, began_at__lte=at)

    def asking(self, user: User) -> Self:
        """Those in which this person is asked, or was, once they have begun."""
        asked = Asked.objects.filter(item__instance=OuterRef("pk"), person=user)
        return self.exclude(state=Instance.State.STARTING).filter(Exists(asked))

    def visible_to(self, user: User, at: datetime) -> Self:
        """All with the right to see reviews, otherwise those of series of what the person owns."""
        if may(user, "reviews.view_instance"):
            return self
        return self.filter(definition__in=Definition.objects.owned_by(user, at).values("pk"))

    def open_to(self, user: User, at: datetime) -> Self:
        """Those whose results this person may read: once they have ended, also who is told of the end.

        That an owner named themselves gives them nothing when they own the resource no more.
        """
        told = Q(definition__told=user, ended_at__isnull=False)
        told &= ~Q(definition__of_owners=True, definition__created_by=user)
        seen = Q(pk__in=self.model.objects.visible_to(user, at).values("pk"))
        return self.filter(Q(pk__in=self.model.objects.filter(told).values("pk")) | seen)

    def described(self) -> Self:
        return self.select_related("definition__scope")


class Instance(models.Model):
    """A review of a series, from the snapshot at its beginning to the removal of what nobody needs any more."""

    class State(models.TextChoices):
        STARTING = "starting", _("starting")
        IN_PROGRESS = "in_progress", _("in progress")
        COMPLETED = "completed", _("completed")
        APPLYING = "applying", _("applying")
        APPLIED = "applied", _("applied")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    definition = models.ForeignKey(
        Definition, verbose_name=_("series"), on_delete=models.PROTECT, related_name="instances"
    )
    number = models.PositiveIntegerField(_("number"))
    state = models.CharField(_("state"), max_length=12, choices=State.choices, default=State.STARTING)
    planned_at = models.DateTimeField(_("planned for"))
    began_at = models.DateTimeField(_("began"))  # the moment of the snapshot
    stage = models.PositiveSmallIntegerField(_("stage"), default=0)
    stage_began_at = models.DateTimeField(null=True)
    stage_ends_at = models.DateTimeField(_("stage ends"), null=True)
    ends_at = models.DateTimeField(_("ends"))
    remind_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(_("ended"), null=True)
    was_stopped = models.BooleanField(_("stopped"), default=False)
    applied_at = models.DateTimeField(_("applied at"), null=True)
    # What the series said when it began, as `services.facts_of` puts it: afterwards it may be changed.
    terms = models.JSONField(default=dict, editable=False)
    # How far the snapshot has come: what is walked through, and the last key that was taken in.
    walk = models.CharField(max_length=10, blank=True, default="eligible")
    walked_to = models.CharField(max_length=40, blank=True)

    objects = InstanceQuerySet.as_manager()

    class Meta:
        verbose_name = _("access review")
        verbose_name_plural = _("access reviews")
        ordering = ["-began_at"]
        default_permissions = ("view",)
        permissions = [
            ("run_instance", _("Can stop, clear, apply and reassign access reviews, and remind reviewers")),
        ]
        constraints = [
            models.UniqueConstraint(fields=["definition", "number"], name="instance_one_per_number"),
            models.UniqueConstraint(
                fields=["definition"],
                condition=Q(state__in=["starting", "in_progress"]),
                name="instance_one_open_per_definition",
            ),
            models.CheckConstraint(
                condition=~Q(state="in_progress") | Q(stage__gte=1, stage_ends_at__isnull=False),
                name="instance_in_progress_has_stage",
            ),
        ]
        indexes = [models.Index(fields=["state", "stage_ends_at"], name="instance_by_state")]

    def __str__(self) -> str:
        return f"{self.definition} · {self.number}"

    @property
    def owned_place(self) -> Resource | None:
        return self.definition.owned_place

    def is_open(self, at: datetime) -> bool:
        """Does it take answers?"""
        return self.state == self.State.IN_PROGRESS and self.stage_ends_at is not None and at < self.stage_ends_at

    def can_be_applied(self) -> bool:
        """Has it ended, and are removals left to be done?"""
        return self.state in (self.State.COMPLETED, self.State.APPLIED) and self.items.left().exists()


class ItemQuerySet(models.QuerySet["Item"]):
    def asked_of(self, user: User) -> Self:
        """What this person is asked in the present stage."""
        asked = Asked.objects.filter(item=OuterRef("pk"), person=user, stage=OuterRef("instance__stage"))
        return self.filter(Exists(asked), is_settled=False)

    def waiting_for(self, user: User, at: datetime) -> Self:
        """What this person can answer now and has not been answered yet."""
        return self.filter(instance__in=Instance.objects.open(at)).asked_of(user).unanswered()

    def ever_asked_of(self, user: User) -> Self:
        return self.filter(Exists(Asked.objects.filter(item=OuterRef("pk"), person=user)))

    def with_own(self, user: User) -> Self:
        """Each with `is_own`: whether this person has said something in the present stage, which they may take back."""
        words = Answer.objects.filter(item=OuterRef("pk"), person=user, stage=OuterRef("instance__stage"))
        return self.annotate(is_own=Exists(words.standing()))

    def answered(self) -> Self:
        """Answered in the present stage."""
        return self.filter(verdict_stage=F("instance__stage"))

    def unanswered(self) -> Self:
        """Still to be answered in the present stage."""
        return self.filter(is_settled=False).exclude(verdict_stage=F("instance__stage"))

    def to_apply(self) -> Self:
        return self.filter(outcome=Item.Outcome.REMOVE, result=Item.Result.NEW)

    def left(self) -> Self:
        """Removals that are not done, or have failed: what applying does, for the first time or again."""
        return self.filter(outcome=Item.Outcome.REMOVE, result__in=[Item.Result.NEW, Item.Result.FAILED])

    def worst_first(self) -> Self:
        return self.order_by("-weight", "since", "pk")

    def described(self) -> Self:
        return self.select_related("user", "role", "scope", "group", "decided_by")


class Item(models.Model):
    """One access of one person, as it was when the review began, with the answer that counts at present.

    Which one that is says `rules.counting`.
    """

    class Kind(models.TextChoices):
        ELIGIBLE = "eligible", _("eligible")
        ACTIVE = "active", _("active")
        MEMBERSHIP = "membership", _("member of a group")

    class Recommendation(models.TextChoices):
        KEEP = "keep", _("keep")
        REMOVE = "remove", _("remove")
        NONE = "none", _("none")

    class Cause(models.TextChoices):
        """Why something is recommended."""

        DISABLED = "disabled", _("the account is disabled")
        NEW = "new", _("assigned a short while ago, and not used yet")
        NEVER_USED = "never_used", _("never used since it was assigned")
        USED = "used", _("used lately")
        NOT_USED = "not_used", _("not used for a long time")
        SIGNED_IN = "signed_in", _("signed in lately")
        NEVER_SIGNED_IN = "never_signed_in", _("never signed in")
        NOT_SIGNED_IN = "not_signed_in", _("not signed in for a long time")

    class Verdict(models.TextChoices):
        APPROVED = "approved", _("keep")
        DENIED = "denied", _("remove")
        DONT_KNOW = "dont_know", _("don't know")
        NOT_REVIEWED = "not_reviewed", _("not reviewed")

    class Outcome(models.TextChoices):
        KEEP = "keep", _("kept")
        REMOVE = "remove", _("to be removed")  # what came of that, the result says
        NO_CHANGE = "no_change", _("nothing changed")

    class Result(models.TextChoices):
        NEW = "new", _("still to be done")
        APPLIED = "applied", _("applied")
        GONE = "gone", _("gone already")
        PROTECTED = "protected", _("protected: left as it is")
        BY_HAND = "by_hand", _("to be done by hand")
        FAILED = "failed", _("failed")

    # Removals that did not happen: somebody has to look at them.
    UNDONE = (Result.PROTECTED, Result.BY_HAND, Result.FAILED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Without an index of its own: others begin with it, and a review writes each for every item when it begins.
    instance = models.ForeignKey(
        Instance, verbose_name=_("review"), on_delete=models.PROTECT, related_name="items", db_index=False
    )
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    user = models.ForeignKey(User, verbose_name=_("person"), on_delete=models.PROTECT, related_name="+")
    eligible_assignment = models.ForeignKey(EligibleAssignment, null=True, on_delete=models.PROTECT, related_name="+")
    active_assignment = models.ForeignKey(ActiveAssignment, null=True, on_delete=models.PROTECT, related_name="+")
    group = models.ForeignKey(Group, verbose_name=_("group"), null=True, on_delete=models.PROTECT, related_name="+")
    role = models.ForeignKey(Role, verbose_name=_("role"), null=True, on_delete=models.PROTECT, related_name="+")
    scope = models.ForeignKey(Resource, verbose_name=_("scope"), null=True, on_delete=models.PROTECT, related_name="+")
    gives = models.TextField(_("gives"), blank=True)  # what the group holds, of a membership
    is_privileged = models.BooleanField(_("privileged"), default=False)
    since = models.DateTimeField(_("since"), null=True)
    until = models.DateTimeField(_("until"), null=True)
    last_used_at = models.DateTimeField(_("last used"), null=True)
    last_sign_in_at = models.DateTimeField(_("last sign-in"), null=True)
    recommendation = models.CharField(
        _("recommendation"), max_length=10, choices=Recommendation.choices, default=Recommendation.NONE
    )
    cause = models.CharField(_("because"), max_length=20, choices=Cause.choices, blank=True)
    weight = models.PositiveSmallIntegerField(default=0)  # the higher, the sooner somebody should look at it

    verdict = models.CharField(_("answer"), max_length=15, choices=Verdict.choices, default=Verdict.NOT_REVIEWED)
    verdict_stage = models.PositiveSmallIntegerField(default=0)  # the last in which anybody answered
    decided_by = models.ForeignKey(
        User, verbose_name=_("answered by"), null=True, on_delete=models.PROTECT, related_name="+"
    )
    decided_at = models.DateTimeField(_("answered"), null=True)
    justification = models.TextField(_("reason"), blank=True, max_length=2000)
    is_settled = models.BooleanField(default=False)  # denied before, and the present stage does not see that

    outcome = models.CharField(_("outcome"), max_length=10, choices=Outcome.choices, blank=True)
    result = models.CharField(_("result"), max_length=10, choices=Result.choices, blank=True)
    result_code = models.CharField(max_length=64, blank=True)
    applied_at = models.DateTimeField(_("applied at"), null=True)

    objects = ItemQuerySet.as_manager()

    class Meta:
        verbose_name = _("reviewed access")
        verbose_name_plural = _("reviewed accesses")
        ordering = ["-weight", "since", "pk"]
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["instance", "eligible_assignment"], name="item_one_per_eligible"),
            models.UniqueConstraint(fields=["instance", "active_assignment"], name="item_one_per_active"),
            models.UniqueConstraint(fields=["instance", "user", "group"], name="item_one_per_membership"),
            models.CheckConstraint(
                condition=Q(kind="eligible", eligible_assignment__isnull=False, active_assignment=None, group=None)
                | Q(kind="active", active_assignment__isnull=False, eligible_assignment=None, group=None)
                | Q(kind="membership", group__isnull=False, eligible_assignment=None, active_assignment=None),
                name="item_is_one_access",
            ),
            models.CheckConstraint(condition=Q(result="") | Q(outcome="remove"), name="item_result_only_of_removals"),
        ]
        indexes = [
            models.Index(fields=["instance", "-weight", "since", "id"], name="item_worst_first"),  # as `worst_first`
            models.Index(fields=["instance", "result"], name="item_by_result"),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.access}"

    @property
    def access(self) -> str:
        """What the person has, in words."""
        return str(self.group) if self.group_id else f"{self.role} · {self.scope}"

    @property
    def result_cause(self) -> str:
        """Why its removal came to nothing, in words; empty where it did not."""
        return str(CAUSES.get(self.result_code, self.result_code))

    @property
    def assignment(self) -> AnyAssignment | None:
        return self.eligible_assignment or self.active_assignment


class Asked(models.Model):
    """Who is asked about an item, in a stage. Made with the snapshot; only reassigning changes it."""

    # The constraint begins with it: as with items, one index less to write.
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="asked", db_index=False)
    person = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    stage = models.PositiveSmallIntegerField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["item", "stage", "person"], name="asked_once_per_stage"),
        ]

    def __str__(self) -> str:
        return f"{self.person} · {self.item_id}"


class AnswerQuerySet(models.QuerySet["Answer"]):
    def standing(self) -> Self:
        """The last word of each person in each stage, unless they took it back or all answers were cleared."""
        later = Answer.objects.filter(item=OuterRef("item"), pk__gt=OuterRef("pk"))
        ending = Q(is_clearing=True) | Q(person=OuterRef("person"), stage=OuterRef("stage"))
        return self.exclude(verdict=Item.Verdict.NOT_REVIEWED).exclude(Exists(later.filter(ending)))


class Answer(models.Model):
    """What somebody said about an item, and when. Rows are only added; taking an answer back is a row too."""

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="answers")
    person = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    stage = models.PositiveSmallIntegerField()
    verdict = models.CharField(max_length=15, choices=Item.Verdict.choices)
    justification = models.TextField(blank=True, max_length=2000)
    answered_at = models.DateTimeField()
    is_clearing = models.BooleanField(default=False)  # by who runs the review: nothing that was said before counts

    objects = AnswerQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.item_id} · {self.verdict}"
