"""A series of access reviews as somebody defined it: what is reviewed, by whom, when, and what comes of it."""

import uuid
from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.authority import may
from accounts.models import Group, User, default_zone
from assignments.ownership import owned_scopes, within
from roles.models import Resource, Role

from .schedule import MORNING, Plan, Recurrence


class DefinitionQuerySet(models.QuerySet["Definition"]):
    def coming(self) -> Self:
        """With a review to come, the next one first."""
        return self.filter(next_at__isnull=False).order_by("next_at")

    def due(self, at: datetime) -> Self:
        """Whose next review should have begun."""
        return self.filter(next_at__lte=at)

    def owned_by(self, user: User, at: datetime) -> Self:
        """Of owners of a resource, this person among them."""
        theirs = self.filter(of_owners=True).exclude(covers=Definition.Covers.GROUPS)
        return theirs.filter(within(owned_scopes(user, at), "scope__path"))

    def visible_to(self, user: User, at: datetime) -> Self:
        """All with the right to see series, otherwise those of what the person owns."""
        return self if may(user, "reviews.view_definition") else self.owned_by(user, at)

    def described(self) -> Self:
        return self.select_related("scope", "created_by").prefetch_related("roles", "groups", "stages")


class Definition(models.Model):
    """A series. While one of its reviews is open it stays as it is: what people were asked must not change."""

    class Covers(models.TextChoices):
        ROLES = "roles", _("roles")
        RESOURCE = "resource", _("a resource and what is beneath it")
        GROUPS = "groups", _("the members of groups")

    class Kinds(models.TextChoices):
        BOTH = "both", _("eligible and active")
        ELIGIBLE = "eligible", _("eligible only")
        ACTIVE = "active", _("active only")

    class NoAnswer(models.TextChoices):
        NO_CHANGE = "no_change", _("change nothing")
        REMOVE = "remove", _("remove the access")
        APPROVE = "approve", _("keep the access")
        RECOMMENDATION = "recommendation", _("do what was recommended")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=150)
    description = models.TextField(_("description"), blank=True, max_length=2000)
    covers = models.CharField(_("covers"), max_length=10, choices=Covers.choices, default=Covers.ROLES)
    roles = models.ManyToManyField(Role, verbose_name=_("roles"), blank=True, related_name="+")
    groups = models.ManyToManyField(Group, verbose_name=_("groups"), blank=True, related_name="+")
    scope = models.ForeignKey(
        Resource, verbose_name=_("resource"), null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    # Only what is held at the resource and beneath; also when that was deleted since, and nothing is left.
    is_narrowed = models.BooleanField(default=False, editable=False)
    # Defined by an owner of the resource: it takes in and takes away what owners decide about, and nothing else.
    of_owners = models.BooleanField(default=False, editable=False)
    principals = models.CharField(_("principals"), max_length=10, choices=User.Kind.choices, default=User.Kind.PERSON)
    kinds = models.CharField(_("assignments"), max_length=10, choices=Kinds.choices, default=Kinds.BOTH)
    inactive_days = models.PositiveSmallIntegerField(_("only those inactive for days"), null=True, blank=True)
    first_on = models.DateField(_("first day"))
    begins_at = models.TimeField(_("time of day"), default=MORNING)
    time_zone = models.CharField(_("time zone"), max_length=64, default=default_zone)
    recurrence = models.CharField(_("recurrence"), max_length=12, choices=Recurrence.choices, default=Recurrence.ONCE)
    ends_on = models.DateField(_("last day"), null=True, blank=True)
    count = models.PositiveSmallIntegerField(_("how many"), null=True, blank=True)
    no_answer = models.CharField(
        _("without an answer"), max_length=15, choices=NoAnswer.choices, default=NoAnswer.NO_CHANGE
    )
    applies_itself = models.BooleanField(_("apply by itself"), default=False)
    reason_required = models.BooleanField(_("reason required"), default=True)
    recommends = models.BooleanField(_("recommendations"), default=True)
    look_back_days = models.PositiveSmallIntegerField(_("look back, in days"), default=30)
    mails = models.BooleanField(_("mail to reviewers"), default=True)
    reminds = models.BooleanField(_("reminders"), default=True)
    words = models.TextField(_("words for reviewers"), blank=True, max_length=2000)
    told = models.ManyToManyField(User, verbose_name=_("told at the end"), blank=True, related_name="+")
    created_by = models.ForeignKey(
        User, verbose_name=_("defined by"), null=True, editable=False, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(_("defined"), editable=False)
    first_number = models.IntegerField(default=1, editable=False)  # as `Plan` has it
    # The review to come: its number, from 1, and when it begins; nothing after the last one.
    next_number = models.PositiveIntegerField(default=1, editable=False)
    next_at = models.DateTimeField(_("next review"), null=True, editable=False)
    discontinued_at = models.DateTimeField(_("discontinued"), null=True, editable=False)

    objects = DefinitionQuerySet.as_manager()

    class Meta:
        verbose_name = _("access review series")
        verbose_name_plural = _("access review series")
        ordering = ["name"]
        default_permissions = ("add", "change", "view")
        constraints = [
            models.CheckConstraint(
                condition=Q(discontinued_at=None) | Q(next_at=None), name="definition_discontinued_has_no_next"
            ),
        ]
        indexes = [models.Index(fields=["next_at"], name="definition_by_next")]

    def __str__(self) -> str:
        return self.name

    @property
    def owned_place(self) -> Resource | None:
        """The resource whose owners run this series; None: only administrators do."""
        return self.scope if self.of_owners and self.covers != self.Covers.GROUPS else None

    @property
    def plan(self) -> Plan:
        days = (self.first_on, self.begins_at, self.time_zone, self.recurrence, self.ends_on)
        return Plan(*days, self.count, self.first_number)

    @property
    def days(self) -> int:
        """How long a review lasts, all stages together. One query, unless the stages were fetched."""
        return sum(stage.days for stage in self.stages.all())


class Stage(models.Model):
    """Who is asked, for how long. The stages of a review follow one another; the last keep or remove counts."""

    class Reviewers(models.TextChoices):
        NAMED = "named", _("the people and groups named here")
        MANAGERS = "managers", _("the manager of each person")
        OWNERS = "owners", _("the owners of the resource or group")
        THEMSELVES = "themselves", _("each person for themselves")

    class Takes(models.TextChoices):
        ALL = "all", _("everything")
        UNDENIED = "undenied", _("what was kept, or not answered, before")

    definition = models.ForeignKey(Definition, on_delete=models.CASCADE, related_name="stages")
    number = models.PositiveSmallIntegerField()
    days = models.PositiveSmallIntegerField(_("days"))
    reviewers = models.CharField(_("reviewers"), max_length=10, choices=Reviewers.choices)
    people = models.ManyToManyField(User, verbose_name=_("people"), blank=True, related_name="+")
    groups = models.ManyToManyField(Group, verbose_name=_("groups"), blank=True, related_name="+")
    fallback = models.ManyToManyField(User, verbose_name=_("fallback"), blank=True, related_name="+")
    fallback_groups = models.ManyToManyField(Group, verbose_name=_("fallback groups"), blank=True, related_name="+")
    takes = models.CharField(_("takes"), max_length=10, choices=Takes.choices, default=Takes.ALL)

    class Meta:
        verbose_name = _("stage")
        ordering = ["number"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["definition", "number"], name="reviewstage_one_per_number"),
            models.CheckConstraint(condition=Q(days__gte=1), name="reviewstage_lasts_a_day"),
        ]

    def __str__(self) -> str:
        return _("stage %(number)d") % {"number": self.number}
