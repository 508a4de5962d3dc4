"""Who may hold which role, and who holds it now."""

import uuid
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext_lazy as _

from accounts.models import Group, User, UserQuerySet
from accounts.prepared import Prepared
from roles.models import Resource, Role

from .holders import Held, one_holder
from .rules import NOTICE, RENEW_WINDOW


def _within(at: datetime, prefix: str = "") -> Q:
    """Half-open [starts_at, ends_at), and not ended before its time."""
    return (
        Q(**{f"{prefix}starts_at__lte": at})
        & (Q(**{f"{prefix}ends_at": None}) | Q(**{f"{prefix}ends_at__gt": at}))
        & (Q(**{f"{prefix}ended_at": None}) | Q(**{f"{prefix}ended_at__gt": at}))
    )


class AssignmentQuerySet(models.QuerySet[Any]):
    """What both kinds of assignments are asked. Everything is judged from times, never from a job having run."""

    def open(self) -> Self:
        """Not yet closed: in force, scheduled, or past its end with the worker still to note it."""
        return self.filter(ended_at=None)

    def lasting(self, at: datetime) -> Self:
        """In force or scheduled: what a new one would double."""
        return self.open().filter(Q(ends_at=None) | Q(ends_at__gt=at))

    def in_force(self, at: datetime) -> Self:
        """In their time, and the holder not disabled. A group is never disabled; its members may be."""
        return self.filter(_within(at), Q(user=None) | Q(user__is_active=True))

    def scheduled(self, at: datetime) -> Self:
        return self.open().filter(starts_at__gt=at)

    def over(self, at: datetime) -> Self:
        """Not lasting any more: ended, or past its end."""
        return self.filter(Q(ended_at__isnull=False) | Q(ends_at__lte=at))

    def ended(self, at: datetime) -> Self:
        """Not in force, and not to begin either. Each row is asked by itself: PostgreSQL joins a NOT IN row by row."""
        same = self.model._default_manager.filter(pk=OuterRef("pk"))
        return self.exclude(Exists(same.in_force(at))).exclude(Exists(same.scheduled(at)))

    def due(self, at: datetime) -> Self:
        """Past its end and not yet closed."""
        return self.open().filter(ends_at__lte=at)

    def to_remind(self, at: datetime, days: int) -> Self:
        """Ending within so many days, made for longer than that, and not yet told so."""
        window = timedelta(days=days)
        lasting = self.open().filter(starts_at__lte=at, ends_at__gt=at, ends_at__lte=at + window)
        untold = Q(reminded_days=None) | Q(reminded_days__gt=days)
        return lasting.filter(untold, starts_at__lt=F("ends_at") - window)

    def renewable(self, user: User, at: datetime) -> Self:
        """A person's own that ran out lately, that they do not have again, and whose scope has not been moved away from
        the role; see `rules.can_renew`."""
        ran_out = Q(ended_at=None) | Q(end_reason=Assignment.EndReason.EXPIRED)
        lately = self.filter(ran_out, user=user, ends_at__lte=at, ends_at__gt=at - RENEW_WINDOW)
        again = self.model._default_manager.assigned().lasting(at).filter(user=user)
        again = again.filter(role=OuterRef("role"), scope=OuterRef("scope"))
        lately = lately.filter(scope__path__startswith=F("role__resource__path"))
        return lately.assigned().exclude(Exists(again)).described().order_by("-ends_at")

    def assigned(self) -> Self:
        """Not activated by anybody."""
        return self

    def of(self, holder: User | Group) -> Self:
        """Held by this person or group themselves."""
        return self.filter(group=holder) if isinstance(holder, Group) else self.filter(user=holder)

    def reaching(self, user: User, at: datetime) -> Self:
        """What reaches a person, disabled or not: their own, and what the groups hold that they are in at `at`."""
        return self.filter(pk__among=_REACHING[self.model].subquery(user, at))

    def held_by(self, user: User, at: datetime) -> Self:
        """In force, and reaching a person who is not disabled: the rows of a group do not know who its members are."""
        return self.filter(pk__among=_HELD[self.model].subquery(user, at))

    def counting_at(self, scope: Resource) -> Self:
        """Of this place, or of one above it."""
        return self.filter(scope__path__in=scope.lineage)

    def described(self) -> Self:
        """With what every page that shows one needs."""
        return self.select_related("user", "group", "role", "scope")


class EligibleAssignmentQuerySet(AssignmentQuerySet):
    def described(self) -> Self:
        return super().described().select_related("role__resource")

    def visible_to(self, user: User, at: datetime) -> Self:
        return self if user.has_perm("assignments.view_eligibleassignment") else self.reaching(user, at)


class ActiveAssignmentQuerySet(AssignmentQuerySet):
    def in_force(self, at: datetime) -> Self:
        """Also the eligibility must still hold, where it came from one, and the membership, where a group has it."""
        return self._within_eligibility(at).filter(Q(eligible_assignment__group=None) | _carried(at))

    def _within_eligibility(self, at: datetime) -> Self:
        valid = Q(eligible_assignment=None) | _within(at, "eligible_assignment__")
        return super().in_force(at).filter(valid)

    def adrift(self, at: datetime) -> Self:
        """Not yet closed, but activated through a group that the person is no member of any more."""
        return self.lasting(at).filter(eligible_assignment__group__isnull=False).exclude(_carried(at))

    def memberships(self, at: datetime) -> Self:
        """Rows in force that make a person a member of a governed group. No group holds such a row."""
        return self._within_eligibility(at).filter(role__group_part=Role.GroupPart.MEMBER, user__isnull=False)

    def described(self) -> Self:
        return super().described().select_related("eligible_assignment__user", "eligible_assignment__group")

    def activated(self) -> Self:
        return self.filter(eligible_assignment__isnull=False)

    def assigned(self) -> Self:
        return self.filter(eligible_assignment=None)

    def activated_between(self, since: datetime, until: datetime) -> Self:
        """Activations whose time began then; not those that were canceled before."""
        began = Q(ended_at=None) | Q(ended_at__gt=F("starts_at"))
        return self.activated().filter(began, starts_at__gte=since, starts_at__lt=until)

    def ending(self, at: datetime) -> Self:
        """Activations that are over in some minutes, whose person was not told so yet. Short ones are never told."""
        soon = self.activated().open().filter(user__is_active=True, starts_at__lte=at, reminded_days=None)
        return soon.filter(ends_at__gt=at, ends_at__lte=at + NOTICE, starts_at__lt=F("ends_at") - NOTICE)

    def visible_to(self, user: User, at: datetime) -> Self:
        return self if user.has_perm("assignments.view_activeassignment") else self.reaching(user, at)


def _reaching(model: Any, user: User, at: datetime) -> models.QuerySet[Any, Any]:
    """The keys of `reaching`. A union, because PostgreSQL reads the whole table for an "or" with a question in it."""
    rows: models.QuerySet[Any, Any] = model.objects.order_by().values_list("pk")
    return rows.filter(user=user).union(rows.filter(group__in=_group_keys(user, at)))


def _held(model: Any, user: User, at: datetime) -> models.QuerySet[Any, Any]:
    rows: models.QuerySet[Any, Any] = model.objects.in_force(at).reaching(user, at).order_by()
    return rows.filter(Exists(User.objects.enabled().filter(pk=user.pk))).values_list("pk")


def _carried(at: datetime) -> Q:
    """Of an activation through a group: its person is a member, standing or for a time."""
    group, user = OuterRef("eligible_assignment__group"), OuterRef("user")
    standing = Group.members.through.objects.filter(group_id=group, user_id=user)
    activated = ActiveAssignment.objects.memberships(at).filter(role__resource__group=group, user=user)
    return Q(Exists(standing) | Exists(activated))


def groups_of(user: User, at: datetime) -> models.QuerySet[Group]:
    """Return the groups that a person is a member of: standing, or by a membership in force."""
    return Group.objects.filter(pk__in=_group_keys(user, at))


def _group_keys(user: User, at: datetime) -> models.QuerySet[Any, Any]:
    carried = ActiveAssignment.objects.memberships(at).filter(user=user).order_by()
    standing = Group.members.through.objects.filter(user=user).values("group")
    return standing.union(carried.values("role__resource__group"))


def members_of(group: Group, at: datetime) -> UserQuerySet:
    """Return the enabled members of a group: standing, or by a membership in force."""
    carried = ActiveAssignment.objects.memberships(at).filter(role__resource__group=group)
    return User.objects.enabled().filter(Q(pk__in=group.members.values("pk")) | Q(pk__in=carried.values("user")))


def may_be_in(user: User, group: Group, at: datetime) -> bool:
    """Is somebody a member of a group, or do they have that as a role, to activate or to come?"""
    part = {"role__group_part": Role.GroupPart.MEMBER, "role__resource__group": group, "user": user}
    rows = [model.objects.lasting(at).filter(**part) for model in (EligibleAssignment, ActiveAssignment)]
    return group.members.filter(pk=user.pk).exists() or any(each.exists() for each in rows)


def membership_until(user: User, group: Group, at: datetime) -> datetime | None:
    """Return when a person's membership of a group ends; None: it stands, or lasts until somebody ends it."""
    if group.members.filter(pk=user.pk).exists():
        return None
    rows = ActiveAssignment.objects.memberships(at).filter(user=user, role__resource__group=group)
    ends = [row.carries_until for row in rows.select_related("eligible_assignment")]
    return None if None in ends else max((end for end in ends if end is not None), default=at)


class Assignment(Held, models.Model):
    """What the two tables share: who, which role, where, from when to when."""

    class EndReason(models.TextChoices):
        EXPIRED = "expired", _("expired")
        DEACTIVATED = "deactivated", _("ended by hand")
        REMOVED = "removed", _("removed")
        CANCELED = "canceled", _("canceled before its start")
        ELIGIBILITY_ENDED = "eligibility_ended", _("the eligibility ended")
        MEMBERSHIP_ENDED = "membership_ended", _("the membership of the group ended")
        HOLDER_DISABLED = "holder_disabled", _("the holder was disabled")

    # What events and mails call the kind.
    noun: ClassVar[str]

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, verbose_name=_("holder"), null=True, on_delete=models.PROTECT)
    group = models.ForeignKey(Group, verbose_name=_("group"), null=True, on_delete=models.PROTECT)
    role = models.ForeignKey(Role, verbose_name=_("role"), on_delete=models.PROTECT)
    scope = models.ForeignKey(Resource, verbose_name=_("scope"), on_delete=models.PROTECT, related_name="+")
    starts_at = models.DateTimeField(_("start"))
    ends_at = models.DateTimeField(_("end"), null=True, help_text=_("Empty: permanent."))
    created_at = models.DateTimeField(_("made"))
    ended_at = models.DateTimeField(_("ended"), null=True)
    end_reason = models.CharField(_("why it ended"), max_length=20, choices=EndReason.choices, blank=True)
    # The last notice that the end is near, as the days that were left then (0: some minutes): each is sent once.
    reminded_days = models.PositiveSmallIntegerField(null=True, editable=False)

    class Meta:
        abstract = True
        ordering = ["-starts_at"]

    def __str__(self) -> str:
        return f"{self.role} · {self.scope} · {self.holder}"

    @property
    def is_activated(self) -> bool:
        """Did it come from an eligibility, for a few hours?"""
        return False

    @property
    def holder_is_enabled(self) -> bool:
        return self.user is None or self.user.is_active

    def removal_reason(self, at: datetime) -> str:
        """Return why it ends when somebody takes it away: before its start, it never was in force."""
        return self.EndReason.CANCELED if self.starts_at > at else self.EndReason.REMOVED

    def is_replaced(self, at: datetime) -> bool:
        """Does the same holder have the same again, in force or scheduled?"""
        rows: Any = type(self)._default_manager
        same = rows.lasting(at).of(self.holder).filter(role=self.role_id, scope=self.scope_id)
        return bool((same.assigned() if self.noun == "active" else same).exclude(pk=self.pk).exists())

    def state(self, at: datetime) -> str:
        """Return "scheduled", "active" (just when it is `in_force`) or "ended".

        That an activation through a group is over with the membership is for `in_force` to say, which asks for it.
        """
        return self._state_by_times(at) if self.holder_is_enabled else "ended"

    def _state_by_times(self, at: datetime) -> str:
        if (self.ended_at and self.ended_at <= at) or (self.ends_at and self.ends_at <= at):
            return "ended"
        return "scheduled" if self.starts_at > at else "active"


def _common_constraints(table: str) -> list[models.BaseConstraint]:
    return [
        models.CheckConstraint(
            condition=Q(ends_at=None) | Q(ends_at__gt=F("starts_at")), name=f"{table}_ends_after_start"
        ),
        models.CheckConstraint(
            condition=Q(ended_at=None, end_reason="") | (Q(ended_at__isnull=False) & ~Q(end_reason="")),
            name=f"{table}_end_has_reason",
        ),
        one_holder(f"{table}_one_holder"),
    ]


# Ends that take access away from somebody, as against giving up an activation, which can be had again.
TAKEN = {
    Assignment.EndReason.REMOVED,
    Assignment.EndReason.ELIGIBILITY_ENDED,
    Assignment.EndReason.MEMBERSHIP_ENDED,
    Assignment.EndReason.HOLDER_DISABLED,
}


class EligibleAssignment(Assignment):
    """The right to activate a role. Gives nothing until it is used."""

    noun = "eligible"
    is_emergency = False
    objects = EligibleAssignmentQuerySet.as_manager()

    class Meta(Assignment.Meta):
        verbose_name = _("eligible assignment")
        verbose_name_plural = _("eligible assignments")
        default_permissions = ("view",)
        default_related_name = "eligible_assignments"
        permissions = [
            ("assign_eligible", _("Can make people eligible for any role")),
            ("assign_ordinary_eligible", _("Can make people eligible for roles that are not privileged")),
            ("remove_assignment", _("Can remove assignments")),
        ]
        constraints = [
            *_common_constraints("eligibleassignment"),
            models.UniqueConstraint(
                fields=["user", "role", "scope"],
                condition=Q(ended_at=None),
                name="eligibleassignment_one_open_each",
            ),
            models.UniqueConstraint(
                fields=["group", "role", "scope"],
                condition=Q(ended_at=None),
                name="eligibleassignment_one_open_each_group",
            ),
        ]
        indexes = [
            models.Index(fields=["ends_at"], condition=Q(ended_at=None), name="eligibleassignment_open_by_end"),
            models.Index(fields=["role", "scope"], name="eligibleassignment_by_role"),
        ]


class ActiveAssignment(Assignment):
    """A role in force: *activated* from an eligibility, or *assigned* without one."""

    eligible_assignment = models.ForeignKey(
        EligibleAssignment,
        verbose_name=_("activated from"),
        null=True,
        on_delete=models.PROTECT,
        related_name="activations",
    )
    is_emergency = models.BooleanField(_("emergency access"), default=False)

    noun = "active"
    objects = ActiveAssignmentQuerySet.as_manager()

    class Meta(Assignment.Meta):
        verbose_name = _("active assignment")
        verbose_name_plural = _("active assignments")
        default_permissions = ("view",)
        default_related_name = "active_assignments"
        permissions = [
            ("assign_active", _("Can assign any role as active")),
            ("end_activation", _("Can end activations of others")),
        ]
        constraints = [
            *_common_constraints("activeassignment"),
            models.UniqueConstraint(
                fields=["user", "role", "scope"],
                condition=Q(ended_at=None, eligible_assignment=None),
                name="activeassignment_one_assigned_each",
            ),
            models.UniqueConstraint(
                fields=["group", "role", "scope"],
                condition=Q(ended_at=None),
                name="activeassignment_one_assigned_each_group",
            ),
            models.CheckConstraint(
                condition=Q(eligible_assignment=None) | Q(user__isnull=False), name="activation_is_of_a_person"
            ),
            models.UniqueConstraint(
                # Each member of a group activates for themselves.
                fields=["eligible_assignment", "user", "scope"],
                condition=Q(ended_at=None, eligible_assignment__isnull=False),
                name="activation_one_per_eligibility",
            ),
        ]
        indexes = [
            models.Index(fields=["ends_at"], condition=Q(ended_at=None), name="activeassignment_open_by_end"),
            models.Index(fields=["user"], condition=Q(ended_at=None), name="activeassignment_open_by_user"),
            models.Index(fields=["role", "scope"], name="activeassignment_by_role"),
            # What the access check asks: does this person have that role, however many others they have or had?
            models.Index(fields=["user", "role"], name="activeassignment_by_user"),
            # What a question for the activations of some days reads, and nothing else: the table need not be looked at.
            models.Index(
                fields=["starts_at", "role", "ended_at"],
                condition=Q(eligible_assignment__isnull=False),
                name="activation_by_start",
            ),
        ]

    @property
    def is_activated(self) -> bool:
        return self.eligible_assignment_id is not None

    @property
    def carries_until(self) -> datetime | None:
        """When it ends by its own times or by those of its eligibility; None: by neither."""
        ends = [self.ends_at, self.eligible_assignment.ends_at if self.eligible_assignment else None]
        return min((end for end in ends if end is not None), default=None)

    @property
    def over_at(self) -> datetime | None:
        """When it was over, or will be; None: it lasts until somebody ends it."""
        return min((end for end in (self.ended_at, self.carries_until) if end is not None), default=None)

    def _state_by_times(self, at: datetime) -> str:
        """An activation is over with its eligibility, and begins no sooner."""
        states = {super()._state_by_times(at)}
        if self.eligible_assignment is not None:
            states.add(self.eligible_assignment._state_by_times(at))
        return next(state for state in ("ended", "scheduled", "active") if state in states)


AnyAssignment = EligibleAssignment | ActiveAssignment
_REACHING = {model: Prepared(partial(_reaching, model)) for model in (EligibleAssignment, ActiveAssignment)}
_HELD = {model: Prepared(partial(_held, model)) for model in (EligibleAssignment, ActiveAssignment)}


def holders_in_force(*built_in_keys: str, at: datetime) -> models.QuerySet[User]:
    """Return the people who hold one of these built-in roles at the organisation itself."""
    return User.objects.filter(pk__among=_holders(built_in_keys).subquery(at))


@cache
def _holders(built_in_keys: tuple[str, ...]) -> Prepared:
    def keys(at: datetime) -> models.QuerySet[Any, Any]:
        held = ActiveAssignment.objects.in_force(at).filter(role__built_in_key__in=built_in_keys, scope__path="/")
        return people_reached(held, at).people().order_by().values_list("pk")

    return Prepared(keys)


def people_reached(held: models.QuerySet[Any], at: datetime) -> UserQuerySet:
    """Return the principals whom these rows reach, themselves or through a group; disabled ones hold nothing.

    A union, because for an "or" PostgreSQL looks at each person that there is.
    """
    held = held.order_by()
    groups = held.filter(group__isnull=False).values("group")
    carried = ActiveAssignment.objects.memberships(at).filter(role__resource__group__in=groups).order_by()
    standing = Group.members.through.objects.filter(group__in=groups)
    holders = held.filter(user__isnull=False).values("user")
    return User.objects.enabled().filter(pk__in=holders.union(standing.values("user"), carried.values("user")))


def administrator_keys(at: datetime) -> RawSQL:
    """Return the keys of `administrators`, for the right side of `pk__in`."""
    return _holders(Role.GUARDED).subquery(at)


def administrators(at: datetime) -> models.QuerySet[User]:
    """Return those who are told of assignments and activations, and decide where no approver is named."""
    return User.objects.filter(pk__among=administrator_keys(at))
