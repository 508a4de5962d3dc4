"""Requests, and what people decided about them."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial, reduce
from operator import and_
from typing import Any, Self

from django.db import models
from django.db.models import Exists, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, Length, StrIndex
from django.utils.translation import gettext_lazy as _

from accounts.models import Group, User
from accounts.prepared import Prepared
from assignments.holders import Held, one_holder
from assignments.models import ActiveAssignment, AnyAssignment, EligibleAssignment, administrators
from assignments.ownership import OWNS, decided_by
from assignments.rules import RENEW_WINDOW
from roles.models import ApprovalStage, Delegation, Resource, Role, RoleSettings
from roles.tickets import link_to, shown

from . import approvers
from .emergencies import EmergencyUse
from .favourites import Favourite, RoleSet, RoleSetEntry
from .hook_calls import HookCall

__all__ = ["Decision", "EmergencyUse", "Favourite", "HookCall", "Request", "RoleSet", "RoleSetEntry"]

# So long others see who is looking; then somebody else may say so.
CLAIM_LASTS = timedelta(minutes=15)


def _settings_in_use() -> models.QuerySet[RoleSettings]:
    """The settings that count for each request of the query around: those of the nearest scope upwards come first."""
    settings = RoleSettings.objects.current().filter(role=OuterRef("role"))
    above = settings.alias(found_at=StrIndex(OuterRef("scope__path"), "scope__path")).filter(found_at=1)
    return above.order_by(Length("scope__path").desc())


def _stage_in_use() -> models.QuerySet[ApprovalStage]:
    """The stage that each request of the query around stands at, in the settings in use; see `approvers.stage_of`."""
    reached = ApprovalStage.objects.filter(settings=OuterRef("in_use"), number__lte=OuterRef("stage"))
    return reached.order_by("-number")


class RequestQuerySet(models.QuerySet["Request"]):
    def pending(self) -> Self:
        return self.filter(status=Request.Status.PENDING_APPROVAL)

    def undecided(self) -> Self:
        """Activations that wait: for people, or for the hook that is asked before them."""
        return self.filter(status__in=Request.UNDECIDED)

    def described(self) -> Self:
        """With what every page that shows one needs."""
        given = ("active_assignment__user", "active_assignment__eligible_assignment", "eligible_assignment__user")
        return self.select_related("requester", "user", "group", "role", "scope", "settings", *given)

    def overdue(self, at: datetime) -> Self:
        """Waiting for longer than the settings allowed."""
        return self.undecided().filter(expires_at__lte=at)

    def latest_of(self, user: User) -> Self:
        """The last activation that a person asked for, of each role at each scope."""
        mine = self.model._default_manager.filter(user=user, action=Request.Action.SELF_ACTIVATE)
        same = mine.filter(role=OuterRef("role"), scope=OuterRef("scope"))
        later = same.filter(requested_at__gt=OuterRef("requested_at"))
        return self.filter(user=user, action=Request.Action.SELF_ACTIVATE).exclude(Exists(later))

    def extending(self, row: AnyAssignment) -> Self:
        """Those that wait for an administrator to extend or renew this assignment: one at most."""
        column = f"{row.noun}_assignment"
        return self.filter(**{column: row}, status=Request.Status.PENDING_ADMIN_DECISION)

    def awaiting_administrator(self, user: User, at: datetime) -> Self:
        """Extensions and renewals that `user` may decide: of what they may assign or own, and never their own."""
        if not user.is_active or not user.is_person:
            return self.none()
        waiting = self.filter(status=Request.Status.PENDING_ADMIN_DECISION).exclude(user=user)
        may = Q(active_assignment__isnull=False) if user.has_perm("assignments.assign_active") else Q(pk=None)
        if user.has_perm("assignments.assign_eligible"):
            may |= Q(active_assignment=None)
        elif user.has_perm("assignments.assign_ordinary_eligible"):
            may |= Q(active_assignment=None, role__is_privileged=False)
        return waiting.filter(may | decided_by(user, at) if user.has_perm(OWNS) else may)

    def lapsed(self, at: datetime) -> Self:
        """Asked to extend or renew what ended too long ago for either."""
        until = at - RENEW_WINDOW
        over = Q(eligible_assignment__ends_at__lte=until) | Q(active_assignment__ends_at__lte=until)
        return self.filter(over, status=Request.Status.PENDING_ADMIN_DECISION)

    def asking_proof(self) -> Self:
        """Those whose settings in use want a fresh proof of whoever decides."""
        in_use = Subquery(_settings_in_use().values("decision_mfa_required")[:1])
        return self.alias(asks_proof=in_use).filter(asks_proof=True)

    def to_escalate(self, at: datetime) -> Self:
        """Waiting past the time at which others are asked, which they were not yet."""
        return self.pending().filter(expires_at__gt=at, escalates_at__lte=at, escalated_at=None)

    def to_remind(self, at: datetime) -> Self:
        """Waiting past the time of the reminder, which was not sent yet."""
        return self.pending().filter(expires_at__gt=at, remind_at__lte=at)

    def starting(self, at: datetime) -> Self:
        """Granted for a start that has come."""
        begun = Q(active_assignment__starts_at__lte=at) | Q(
            active_assignment=None, eligible_assignment__starts_at__lte=at
        )
        return self.filter(begun, status=Request.Status.SCHEDULED)

    def asking(self, user: User, at: datetime) -> Self:
        """Those of whose approval the settings in use name `user`, or somebody who delegated to them, in any stage.

        The approvers are the people whom the settings name now, not those named when it was asked.
        """
        mine = Q(pk=None)
        for owner, leads in _owners_of_voices(user, at):
            mine |= _voice(owner, user, at, lambda stages: Q(in_use__in=stages.values("settings")), leads=leads)
        return self.at_their_stage().filter(mine)

    def awaiting(self, user: User, at: datetime) -> Self:
        """Waiting for a decision that `user` may give at their stage: never twice, never past their time.

        The same in words of a single request: `approvers.voice_for`.
        """
        mine = Q(pk=None)
        for owner, leads in _owners_of_voices(user, at):
            mine |= Q(pk__among=_WAITING[leads].subquery(owner, user, at))
        return self.filter(mine)

    def at_their_stage(self) -> Self:
        """Those that people are asked about, with the settings and the stage that count for each now."""
        asked = self.filter(stage__isnull=False).alias(in_use=Subquery(_settings_in_use().values("pk")[:1]))
        return asked.alias(stage_in_use=Subquery(_stage_in_use().values("pk")[:1]))

    def visible_to(self, user: User, at: datetime) -> Self:
        """One's own, those one is named to decide or has decided; all of them with the right to see requests."""
        if user.has_perm("approvals.view_request"):
            return self
        decided = Exists(Decision.objects.filter(request=OuterRef("pk"), person=user))
        rows = self.model._default_manager
        ways = [rows.asking(user, at), rows.awaiting_administrator(user, at)]
        asked = [Q(pk__in=each.values("pk")) for each in ways]
        return self.filter(Q(requester=user) | Q(user=user) | decided | asked[0] | asked[1])


# How a request of the query around stands to some stages: at one of them, or under settings that have one of them.
Standing = Callable[[models.QuerySet[ApprovalStage]], Q]


def _owners_of_voices(user: User, at: datetime) -> list[tuple[User, bool]]:
    """Return the people whose voice `user` may use, themselves first, each with whether they are an administrator."""
    if not user.is_active or not user.is_person:
        return []
    owners = [user, *(User(pk=key) for (key,) in _DELEGATING.rows(user, at))]
    return [(owner, bool(_LEADING.count(owner, at))) for owner in owners]


def count_awaiting(user: User, at: datetime) -> int:
    """Return how many `Request.objects.awaiting(user, at)` are: every page says so."""
    voices = _owners_of_voices(user, at)
    return len({key for owner, leads in voices for key in _WAITING[leads].rows(owner, user, at)})


def _delegating(user: User, at: datetime) -> models.QuerySet[Any, Any]:
    """The keys of the people who delegated to `user`."""
    given = Delegation.objects.in_force(at).filter(delegate=user)
    return User.objects.people().filter(delegations_given__in=given).order_by().distinct().values_list("pk")


def _waiting(owner: User, user: User, at: datetime, *, leads: bool) -> models.QuerySet[Any, Any]:
    """The keys of what waits for a decision that `user` may give with the voice of `owner`."""
    waiting = Request.objects.pending().filter(expires_at__gt=at, user__is_active=True).at_their_stage()
    voice = _voice(owner, user, at, lambda stages: Q(stage_in_use__in=stages.values("pk")), leads=leads)
    used = Q(on_behalf_of=owner) | Q(on_behalf_of=None, person=owner)
    heard = Decision.objects.filter(used | Q(person=user) | Q(on_behalf_of=user), request=OuterRef("pk"))
    return waiting.filter(voice).exclude(Exists(heard)).order_by().values_list("pk")


def _voice(owner: User, user: User, at: datetime, standing: Standing, *, leads: bool) -> Q:
    """The condition under which `owner` has a voice that `user` can use: neither of them asked, nor is it for them."""
    others = [~Q(**{part: person}) for part in ("requester", "user") for person in (owner, user)]
    return reduce(and_, others, _named(owner, at, standing, leads=leads))


def _named(owner: User, at: datetime, standing: Standing, *, leads: bool) -> Q:
    """The condition under which a stage gives `owner` a voice; `leads`: who is an administrator in force."""
    stages = ApprovalStage.objects.in_use()
    named = standing(stages.deciding(owner))
    named |= standing(stages.filter(asks_manager=True)) & Q(user__manager=owner)
    named |= standing(stages.escalating_to(owner)) & Q(escalates_at__lte=at)
    if not leads:
        return named
    unnamed = stages.without_names()
    managerless = Q(user__manager=None) | Q(user__manager__is_active=False) | ~Q(user__manager__kind=User.Kind.PERSON)
    return (
        named
        | standing(unnamed.filter(asks_manager=False))
        | (standing(unnamed.filter(asks_manager=True)) & managerless)
    )


_DELEGATING = Prepared(_delegating)
_LEADING = Prepared(lambda user, at: administrators(at).filter(pk=user.pk).order_by().values_list("pk"))
_WAITING = {leads: Prepared(partial(_waiting, leads=leads)) for leads in (False, True)}


class Request(Held, models.Model):
    """What somebody asked for: the intent never changes, the status says what became of it."""

    class Action(models.TextChoices):
        ADMIN_ASSIGN = "admin_assign", _("assign")
        ADMIN_UPDATE = "admin_update", _("change")
        ADMIN_EXTEND = "admin_extend", _("extend")
        ADMIN_RENEW = "admin_renew", _("renew")
        ADMIN_REMOVE = "admin_remove", _("remove")
        SELF_ACTIVATE = "self_activate", _("activate")
        SELF_DEACTIVATE = "self_deactivate", _("end early")
        SELF_EXTEND = "self_extend", _("ask to extend")
        SELF_RENEW = "self_renew", _("ask to renew")

    class Status(models.TextChoices):
        PENDING_HOOK = "pending_hook", _("waiting for a check")
        PENDING_APPROVAL = "pending_approval", _("waiting for approval")
        PENDING_ADMIN_DECISION = "pending_admin_decision", _("waiting for an administrator")
        SCHEDULED = "scheduled", _("scheduled")
        PROVISIONED = "provisioned", _("granted")
        REVOKED = "revoked", _("ended")
        DENIED = "denied", _("denied")
        CANCELED = "canceled", _("canceled")
        TIMED_OUT = "timed_out", _("timed out")
        FAILED = "failed", _("failed")

    UNDECIDED = (Status.PENDING_HOOK, Status.PENDING_APPROVAL)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    action = models.CharField(_("action"), max_length=20, choices=Action.choices)
    status = models.CharField(_("status"), max_length=30, choices=Status.choices)
    requester = models.ForeignKey(
        User,
        verbose_name=_("asked by"),
        null=True,  # the system, at set-up
        on_delete=models.PROTECT,
        related_name="requests_made",
    )
    user = models.ForeignKey(User, verbose_name=_("for"), null=True, on_delete=models.PROTECT, related_name="requests")
    group = models.ForeignKey(
        Group, verbose_name=_("for the group"), null=True, on_delete=models.PROTECT, related_name="requests"
    )
    role = models.ForeignKey(Role, verbose_name=_("role"), on_delete=models.PROTECT, related_name="requests")
    scope = models.ForeignKey(Resource, verbose_name=_("scope"), on_delete=models.PROTECT, related_name="+")
    settings = models.ForeignKey(
        RoleSettings, verbose_name=_("settings asked under"), on_delete=models.PROTECT, related_name="requests"
    )
    eligible_assignment = models.ForeignKey(
        EligibleAssignment,
        verbose_name=_("eligible assignment"),
        null=True,
        on_delete=models.PROTECT,
        related_name="requests",
    )
    active_assignment = models.ForeignKey(
        ActiveAssignment,
        verbose_name=_("active assignment"),
        null=True,
        on_delete=models.PROTECT,
        related_name="requests",
    )
    # The running activation that it is to lengthen; what came of it is `active_assignment`, as ever.
    prolongs = models.ForeignKey(
        ActiveAssignment, verbose_name=_("extends"), null=True, on_delete=models.PROTECT, related_name="prolongations"
    )
    starts_at = models.DateTimeField(_("wanted start"), null=True)
    ends_at = models.DateTimeField(_("wanted end"), null=True)
    duration = models.DurationField(_("duration"), null=True)
    justification = models.TextField(_("reason"), blank=True, max_length=2000)
    ticket = models.CharField(_("ticket number"), max_length=100, blank=True)
    ticket_system = models.CharField(_("ticket system"), max_length=100, blank=True)
    proved_with = models.CharField(_("proved with"), max_length=20, blank=True)
    requested_at = models.DateTimeField(_("asked"))
    expires_at = models.DateTimeField(_("to be decided by"), null=True)
    # Which stage of its approval it stands at, and what is due there: that others are asked, that all are reminded.
    stage = models.PositiveSmallIntegerField(_("stage"), null=True)
    escalates_at = models.DateTimeField(_("others are asked"), null=True)
    escalated_at = models.DateTimeField(_("others were asked"), null=True)
    remind_at = models.DateTimeField(_("reminder"), null=True)
    claimed_by = models.ForeignKey(
        User, verbose_name=_("looked at by"), null=True, on_delete=models.PROTECT, related_name="+"
    )
    claimed_at = models.DateTimeField(_("looked at since"), null=True)
    settled_at = models.DateTimeField(_("settled"), null=True)
    failure_code = models.CharField(_("cause"), max_length=40, blank=True)

    objects = RequestQuerySet.as_manager()

    class Meta:
        verbose_name = _("request")
        verbose_name_plural = _("requests")
        ordering = ["-requested_at"]
        default_permissions = ("view",)
        permissions = [("cancel_request", _("Can cancel requests of others"))]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "eligible_assignment"],
                condition=Q(status__in=("pending_hook", "pending_approval")),
                name="request_one_open_per_eligibility",
            ),
            *(
                models.UniqueConstraint(
                    fields=[f"{kind}_assignment"],
                    condition=Q(status="pending_admin_decision"),
                    name=f"request_one_extension_per_{kind}",
                )
                for kind in ("eligible", "active")
            ),
            models.CheckConstraint(
                # A comparison with nothing is neither true nor false, and passes; so it is asked for by name.
                condition=~Q(status__in=("pending_hook", "pending_approval"))
                | Q(settled_at=None, expires_at__isnull=False, expires_at__gt=F("requested_at")),
                name="request_pending_has_time_out",
            ),
            models.CheckConstraint(
                condition=~Q(status="pending_approval") | Q(stage__isnull=False, stage__gte=1),
                name="request_pending_has_stage",
            ),
            models.CheckConstraint(
                condition=~Q(action__startswith="self_")
                | Q(requester__isnull=False, user__isnull=False, requester=F("user")),
                name="request_self_is_for_oneself",
            ),
            one_holder("request_for_one_holder"),
        ]
        indexes = [
            models.Index(
                fields=["expires_at"],
                condition=Q(status__in=("pending_hook", "pending_approval")),
                name="request_pending_by_time",
            ),
            models.Index(fields=["user", "-requested_at"], name="request_by_user"),
            models.Index(fields=["-requested_at"], name="request_newest_first"),
            models.Index(fields=["status"], condition=Q(status="scheduled"), name="request_scheduled"),
        ]

    def __str__(self) -> str:
        return f"{self.reference} · {self.role} · {self.holder}"

    @property
    def person(self) -> User:
        """Who activates: a group never does."""
        assert self.user is not None  # noqa: S101 (a constraint says so)
        return self.user

    @property
    def reference(self) -> str:
        """What people call it on the telephone: the first eight figures of its id."""
        return f"R-{self.pk.hex[:8].upper()}"

    @property
    def is_pending(self) -> bool:
        """Does it wait for people?"""
        return self.status == self.Status.PENDING_APPROVAL

    @property
    def is_undecided(self) -> bool:
        """Does it wait for people, or for the hook that is asked before them?"""
        return self.status in self.UNDECIDED

    def is_overdue(self, at: datetime) -> bool:
        """Does it still wait, past its time? It is over then, also while nobody has closed it yet."""
        return self.closes_at is not None and self.closes_at <= at

    @property
    def is_cancelable(self) -> bool:
        """Is it an activation that waits for its decision or its start, or waits for an administrator?"""
        open_ = (*self.UNDECIDED, self.Status.SCHEDULED)
        return self.waits_for_administrator or (self.is_activation and self.status in open_)

    @property
    def is_activation(self) -> bool:
        """Does it ask to activate a role, or to keep it active for longer?"""
        return self.action == self.Action.SELF_ACTIVATE or self.prolongs_id is not None

    @property
    def waits_for_administrator(self) -> bool:
        return self.status == self.Status.PENDING_ADMIN_DECISION

    @property
    def assignment(self) -> AnyAssignment | None:
        """What it asks about, or what it made."""
        return self.active_assignment or self.eligible_assignment

    @property
    def closes_at(self) -> datetime | None:
        """When it closes by itself if nobody decides; None where it waits for nobody.

        An extension or renewal does when what it asks about can no longer be renewed.
        """
        if self.is_undecided:
            return self.expires_at
        ends_at = self.assignment.ends_at if self.assignment else None
        return ends_at.astimezone(UTC) + RENEW_WINDOW if self.waits_for_administrator and ends_at else None

    @property
    def mail_event(self) -> str:
        """Return the event of the settings' cells that its mails belong to."""
        about = None if self.is_activation else self.assignment
        return f"{about.noun}_assigned" if about else "activated"

    def state(self, at: datetime) -> str:
        """Return the status, or what it is now: "timed_out" if it waits past its time, and of what was granted
        "scheduled", "active", "eligible" or "ended".
        """
        if self.is_overdue(at):
            return self.Status.TIMED_OUT
        if self.status not in (self.Status.PROVISIONED, self.Status.SCHEDULED):
            return self.status
        if self.active_assignment is not None:
            return self.active_assignment.state(at)
        state = self.eligible_assignment.state(at) if self.eligible_assignment else "ended"
        return "eligible" if state == "active" else state

    def can_be_asked_again(self, at: datetime) -> bool:
        """Is it an activation that is over, from an eligibility that still holds?"""
        over = self.state(at) not in ("active", "scheduled", *self.UNDECIDED)
        eligible = self.eligible_assignment
        return (
            self.action == self.Action.SELF_ACTIVATE
            and over
            and eligible is not None
            and eligible.state(at) == "active"
        )

    @property
    def ticket_text(self) -> str:
        return shown(self.ticket, self.ticket_system)

    @property
    def ticket_url(self) -> str:
        """Return the address of the ticket's page, as the settings knew it when the request was made; or nothing."""
        return link_to(self.settings.ticket_link, self.ticket)

    def approvers(self, at: datetime, stages: list[ApprovalStage] | None = None) -> models.QuerySet[User]:
        """Return the enabled people who may decide this at `at`: those whom the stage that it stands at names in the
        settings in use now, and their delegates. Never the requester.

        Args:
            stages: `approvers.stages_in_use`, where the caller has read them.
        """
        return self._deciders(at, stages)

    def looked_at_by(self, at: datetime) -> User | None:
        """Who has said that they are looking at it, until some minutes after that."""
        fresh = self.claimed_at is not None and self.claimed_at <= at < self.claimed_at + CLAIM_LASTS
        return self.claimed_by if fresh and self.is_pending else None

    def awaited(self, at: datetime, stages: list[ApprovalStage] | None = None) -> models.QuerySet[User]:
        """Return those of the `approvers` who have not answered, by themselves or through a delegate."""
        heard = self.decisions.filter(person__isnull=False).values("person")
        return self._deciders(at, stages, without=approvers.used_voices(self)).exclude(pk__in=heard)

    def _deciders(
        self, at: datetime, stages: list[ApprovalStage] | None, *, without: Any = ()
    ) -> models.QuerySet[User]:
        stage = approvers.stage_of(self, approvers.stages_in_use(self) if stages is None else stages)
        if stage is None:
            return User.objects.none()
        able = approvers.voices(self, stage, at).exclude(pk__in=without)
        return approvers.deciders(able, at).exclude(pk__in=[self.user_id, self.requester_id])


class DecisionQuerySet(models.QuerySet["Decision"]):
    def described(self) -> Self:
        """With what a list of them shows."""
        names = ("user", "group", "role", "scope")
        return self.select_related("person", "on_behalf_of", *(f"request__{name}" for name in names))


class Decision(models.Model):
    """What one person said about one request, in their own right or in that of an approver who delegated it."""

    class Verdict(models.TextChoices):
        APPROVED = "approved", _("approved")
        DENIED = "denied", _("denied")

    request = models.ForeignKey(Request, on_delete=models.PROTECT, related_name="decisions")
    person = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="decisions")
    on_behalf_of = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="decisions_by_delegates")
    # The system's yes, where the settings let an approval be repeated: that of this request.
    repeats = models.ForeignKey(Request, null=True, on_delete=models.PROTECT, related_name="repeated_by")
    verdict = models.CharField(_("verdict"), max_length=10, choices=Verdict.choices)
    justification = models.TextField(_("reason"), max_length=2000)
    stage = models.PositiveSmallIntegerField(_("stage"), default=1)
    duration = models.DurationField(_("for at most"), null=True)
    decided_at = models.DateTimeField(_("decided"))

    objects = DecisionQuerySet.as_manager()

    class Meta:
        verbose_name = _("decision")
        verbose_name_plural = _("decisions")
        ordering = ["decided_at"]
        default_permissions = ("view",)
        constraints = [
            # Whoever has decided in one stage has been heard: the same person again would be no second opinion.
            models.UniqueConstraint(fields=["request", "person"], name="decision_one_per_person"),
            # Nor can an approver and their delegate be two.
            models.UniqueConstraint("request", Coalesce("on_behalf_of", "person"), name="decision_one_per_voice"),
            models.CheckConstraint(
                condition=Q(person__isnull=False, repeats=None)
                | Q(person=None, on_behalf_of=None, repeats__isnull=False, verdict="approved"),
                name="decision_by_a_person_or_repeated",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.who}: {self.verdict}"

    @property
    def voice_id(self) -> uuid.UUID | None:
        """Whose right to decide was used."""
        return self.on_behalf_of_id or self.person_id

    @property
    def who(self) -> str:
        """Who decided, as people read it: "Anna", "Anna for Otto", "The system"."""
        if self.person is None:
            return _("The system, repeating %(reference)s") % {
                "reference": self.repeats.reference if self.repeats else ""
            }
        if self.on_behalf_of is None:
            return str(self.person)
        return _("%(delegate)s for %(delegator)s") % {"delegate": self.person, "delegator": self.on_behalf_of}
