"""What there is to hold: resources in a tree, roles on them, and the settings that each role is used under."""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Self

from django.contrib.auth.models import Permission
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Exists, OuterRef
from django.db.models.functions import Length
from django.utils.translation import gettext_lazy as _

from accounts.models import Group, User

from .hooks import Hook
from .mails import Cell, default_notifications
from .tickets import LONGEST_LINK, LONGEST_PATTERN, matches

HALF_HOUR = timedelta(minutes=30)
SHORTEST_MAXIMUM = timedelta(minutes=30)
LONGEST_MAXIMUM = timedelta(hours=24)
# Emergency access is short: long enough to put a thing right, or to find somebody who approves.
LONGEST_EMERGENCY = timedelta(hours=4)
# Entra PIM's choices for "expire after" (role settings, assignment tab).
DAYS_OFFERED = (15, 30, 90, 180, 365)


class Resource(models.Model):
    """A node of the tree that roles are defined on and held at. The root is the organisation, scope "/".

    `path` is the chain of ids from below the root to this node ("/", "/<id>/", "/<id>/<id>/"), so that ancestors need
    no recursion; ids and not names, so that renaming moves nothing.
    """

    class Kind(models.TextChoices):
        ORGANISATION = "organisation", _("organisation")
        UNIT = "unit", _("unit")
        APPLICATION = "application", _("application")
        GROUP = "group", _("group")
        OTHER = "other", _("other")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    parent = models.ForeignKey(
        "self", verbose_name=_("parent"), null=True, blank=True, on_delete=models.PROTECT, related_name="children"
    )
    kind = models.CharField(_("kind"), max_length=20, choices=Kind.choices, default=Kind.OTHER)
    name = models.CharField(_("name"), max_length=150)
    description = models.TextField(_("description"), blank=True, max_length=2000)
    path = models.CharField(max_length=1024, unique=True, editable=False)
    # The group that this resource stands for, where membership of it is governed here.
    group = models.OneToOneField(
        Group, verbose_name=_("group"), null=True, blank=True, editable=False, on_delete=models.PROTECT
    )
    # The names along the way, for people ("/Finance/Payroll"); rewritten when a node above is renamed.
    label = models.TextField(editable=False)

    class Meta:
        verbose_name = _("resource")
        verbose_name_plural = _("resources")
        ordering = ["label"]
        default_permissions = ("add", "change", "view")
        constraints = [
            models.UniqueConstraint(
                fields=["parent", "name"],
                name="resource_one_per_name",
                violation_error_message=_("There is a resource with this name here already."),
            ),
            models.UniqueConstraint(fields=["kind"], condition=models.Q(parent=None), name="resource_one_root"),
            models.CheckConstraint(
                condition=models.Q(parent=None, path="/", kind="organisation") | models.Q(parent__isnull=False),
                name="resource_root_is_organisation",
            ),
        ]

    def __str__(self) -> str:
        """The way to it; the organisation by its name, because "/" says nothing to people."""
        return self.label if self.parent_id else self.name

    @property
    def lineage(self) -> list[str]:
        """The paths of this resource and all above it, the root first."""
        parts = [part for part in self.path.split("/") if part]
        return ["/" + "".join(f"{part}/" for part in parts[:depth]) for depth in range(len(parts) + 1)]

    @property
    def stands_for_group(self) -> bool:
        """Does it stand for a group that there is? What a deleted group leaves is a place as any other."""
        return self.group is not None and self.group.deleted_at is None

    def is_within(self, other: "Resource") -> bool:
        """Is this `other`, or beneath it?"""
        return self.path.startswith(other.path)


class RoleQuerySet(models.QuerySet["Role"]):
    def built_in(self, key: str) -> "Role":
        return self.get(built_in_key=key)


class Role(models.Model):
    """A set of powers, defined on a resource and usable there and beneath."""

    GLOBAL_ADMINISTRATOR = "global_administrator"
    PRIVILEGED_ROLE_ADMINISTRATOR = "privileged_role_administrator"
    HELPDESK_ADMINISTRATOR = "helpdesk_administrator"
    SECURITY_READER = "security_reader"

    class GroupPart(models.TextChoices):
        MEMBER = "member", _("member")
        OWNER = "owner", _("owner")

    # Without a holder in force of each of these, nobody could ever give a role again.
    GUARDED = (GLOBAL_ADMINISTRATOR, PRIVILEGED_ROLE_ADMINISTRATOR)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    resource = models.ForeignKey(Resource, verbose_name=_("resource"), on_delete=models.PROTECT, related_name="roles")
    name = models.CharField(_("name"), max_length=150)
    description = models.TextField(_("description"), blank=True, max_length=2000)
    is_privileged = models.BooleanField(
        _("privileged"),
        default=False,
        help_text=_("Who holds it could harm the organisation. Helpdesk staff cannot assign it."),
    )
    built_in_key = models.CharField(max_length=40, null=True, blank=True, unique=True, editable=False)
    # What holding it makes a person of the group that its resource stands for; empty for every other role.
    group_part = models.CharField(max_length=10, choices=GroupPart.choices, blank=True, editable=False)
    owns_resource = models.BooleanField(
        _("owns its resource"),
        default=False,
        help_text=_("Who holds it manages roles, settings and assignments where they hold it, and beneath."),
    )
    permissions = models.ManyToManyField(
        Permission,
        verbose_name=_("rights in this site"),
        blank=True,
        help_text=_("What its holders may do in the console while they hold it at the organisation itself."),
    )

    objects = RoleQuerySet.as_manager()

    class Meta:
        verbose_name = _("role")
        verbose_name_plural = _("roles")
        ordering = ["name"]
        default_permissions = ("add", "change", "view")
        constraints = [
            models.UniqueConstraint(
                fields=["resource", "name"],
                name="role_one_per_name",
                violation_error_message=_("There is a role with this name on this resource already."),
            ),
            models.UniqueConstraint(
                fields=["resource", "group_part"], condition=~models.Q(group_part=""), name="role_one_per_group_part"
            ),
        ]
        # The access check asks it of every role that somebody holds; of nearly all, the index says no by itself.
        indexes = [models.Index(fields=["id"], condition=models.Q(group_part="member"), name="role_of_members")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_built_in(self) -> bool:
        return self.built_in_key is not None

    @property
    def is_needed(self) -> bool:
        """Does the product count on it: built in, or one of the two of a group that there is?"""
        return self.is_built_in or (bool(self.group_part) and self.resource.stands_for_group)

    def is_usable_at(self, scope: Resource) -> bool:
        return scope.is_within(self.resource)


class RoleSettingsQuerySet(models.QuerySet["RoleSettings"]):
    def current(self) -> Self:
        return self.filter(superseded_at=None)

    def applying_to(self, role: Role, scope: Resource) -> Self:
        """The settings of `role` that count at `scope`: the row of the nearest scope upwards comes first."""
        return self.current().filter(role=role, scope__path__in=scope.lineage).order_by(Length("scope__path").desc())

    def shown_for(self, role: Role, scope: Resource) -> "RoleSettings":
        """As `applying_to`; those of the role's own resource for what is over, and whose place was moved away since."""
        return self.applying_to(role, scope).first() or self.applying_to(role, role.resource)[0]

    def applying_to_each(
        self, places: Iterable[tuple[Role, Resource]]
    ) -> "dict[tuple[uuid.UUID, uuid.UUID], RoleSettings]":
        """As `shown_for` of each of many places, by (role id, scope id), approvers included: four queries."""
        places = list(places)
        by_role: dict[uuid.UUID, list[RoleSettings]] = {}
        rows = self.current().filter(role__in={role.pk for role, _scope in places}).select_related("scope")
        named = rows.prefetch_related("stages__approvers", "stages__approver_groups")
        for row in named.order_by(Length("scope__path").desc()):
            by_role.setdefault(row.role_id, []).append(row)
        return {(role.pk, scope.pk): _nearest(by_role[role.pk], scope) for role, scope in places}


def _nearest(rows: "list[RoleSettings]", scope: Resource) -> "RoleSettings":
    """Return that of the nearest scope upwards; the last of them, the role's own, where none is above."""
    return next((row for row in rows if scope.is_within(row.scope)), rows[-1])


class RoleSettings(models.Model):
    """One version of the rules that a role is used under at a scope and beneath.

    Rows are never changed: a save supersedes the current row by a new one with the next version, and a request keeps
    pointing at the version that it was asked under. Defaults are those of Microsoft Entra PIM (role settings page).
    """

    class Authentication(models.TextChoices):
        NONE = "none", _("none")
        MFA = "mfa", _("a fresh one-time code or passkey")
        PHISHING_RESISTANT = "phishing_resistant", _("a passkey, nothing else")

    class Unanswered(models.TextChoices):
        DENY = "deny", _("deny the request")
        ASK = "ask", _("ask people")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    role = models.ForeignKey(Role, verbose_name=_("role"), on_delete=models.CASCADE, related_name="settings")
    scope = models.ForeignKey(Resource, verbose_name=_("scope"), on_delete=models.PROTECT, related_name="+")
    version = models.PositiveIntegerField(_("version"), default=1)
    changed_by_label = models.CharField(_("changed by"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("in use since"))
    superseded_at = models.DateTimeField(_("in use until"), null=True)

    activation_max_duration = models.DurationField(
        _("longest activation"),
        default=timedelta(hours=8),
        validators=[MinValueValidator(SHORTEST_MAXIMUM), MaxValueValidator(LONGEST_MAXIMUM)],
    )
    activation_authentication = models.CharField(
        _("proof on activation"), max_length=20, choices=Authentication.choices, default=Authentication.MFA
    )
    justification_required = models.BooleanField(_("reason on activation"), default=True)
    ticket_required = models.BooleanField(_("ticket on activation"), default=False)
    ticket_pattern = models.CharField(_("pattern of ticket numbers"), max_length=LONGEST_PATTERN, blank=True)
    ticket_link = models.CharField(_("address of tickets"), max_length=LONGEST_LINK, blank=True)
    approval_required = models.BooleanField(_("approval to activate"), default=False)
    decision_mfa_required = models.BooleanField(_("proof on deciding"), default=False)
    extends_past_longest = models.BooleanField(_("extending past the longest duration"), default=False)
    auto_approve_within_hours = models.PositiveSmallIntegerField(_("repeat an approval within"), default=0)
    hook = models.ForeignKey(
        Hook, verbose_name=_("hook"), null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    hook_unanswered = models.CharField(
        _("if the hook does not answer"), max_length=10, choices=Unanswered.choices, default=Unanswered.DENY
    )
    emergency_allowed = models.BooleanField(_("emergency access"), default=False)
    emergency_duration = models.DurationField(_("length of emergency access"), default=timedelta(hours=1))
    permanent_eligible_allowed = models.BooleanField(_("permanent eligible assignments"), default=True)
    eligible_max_days = models.PositiveSmallIntegerField(_("longest eligible assignment"), default=365)
    permanent_active_allowed = models.BooleanField(_("permanent active assignments"), default=True)
    active_max_days = models.PositiveSmallIntegerField(_("longest active assignment"), default=180)
    assign_active_mfa_required = models.BooleanField(_("proof on assigning active"), default=False)
    assign_active_justification_required = models.BooleanField(_("reason on assigning active"), default=True)
    notifications = models.JSONField(_("notifications"), default=default_notifications)

    objects = RoleSettingsQuerySet.as_manager()

    class Meta:
        verbose_name = _("role settings")
        verbose_name_plural = _("role settings")
        ordering = ["-version"]
        default_permissions = ("change", "view")
        constraints = [
            models.UniqueConstraint(
                fields=["role", "scope"], condition=models.Q(superseded_at=None), name="rolesettings_one_current"
            ),
            models.UniqueConstraint(fields=["role", "scope", "version"], name="rolesettings_one_per_version"),
            models.CheckConstraint(
                condition=models.Q(
                    activation_max_duration__gte=SHORTEST_MAXIMUM, activation_max_duration__lte=LONGEST_MAXIMUM
                ),
                name="rolesettings_duration_in_range",
            ),
        ]

    def __str__(self) -> str:
        return _("%(role)s, version %(version)d") % {"role": self.role, "version": self.version}

    @property
    def mfa_required(self) -> bool:
        return self.activation_authentication != self.Authentication.NONE

    @property
    def phishing_resistant_required(self) -> bool:
        return self.activation_authentication == self.Authentication.PHISHING_RESISTANT

    def takes_ticket(self, ticket: str) -> bool:
        """Is it a number as the pattern describes them, or none at all?"""
        return not ticket or matches(self.ticket_pattern, ticket)

    @property
    def approvals_needed(self) -> int:
        """How many different people must approve, all stages together: one at least, where approval is asked for."""
        return max(1, sum(stage.needed for stage in self.stages.all())) if self.approval_required else 0

    def cell(self, event: str, audience: str) -> Cell:
        """Return who gets the mails of this event for this kind of recipients."""
        return Cell(**self.notifications[event][audience])


class ApprovalStageQuerySet(models.QuerySet["ApprovalStage"]):
    def in_use(self) -> Self:
        return self.filter(settings__superseded_at=None)

    def deciding(self, user: User) -> Self:
        """Those that name `user` from the beginning.

        A group that is not protected decides nothing: whoever manages groups could put approvers into it.
        """
        groups = user.member_groups.filter(is_protected=True)
        return self.filter(models.Q(approvers=user) | models.Q(approver_groups__in=groups))

    def escalating_to(self, user: User) -> Self:
        """Those that ask `user` when others have not answered."""
        groups = user.member_groups.filter(is_protected=True)
        return self.filter(models.Q(escalation_approvers=user) | models.Q(escalation_groups__in=groups))

    def without_names(self) -> Self:
        """Those that name neither people nor groups: a manager, or nobody."""
        return self.filter(approvers=None, approver_groups=None)

    def with_names(self) -> Self:
        """With `has_names`: do they name people or groups, and not only a manager, or nobody?"""
        named = (ApprovalStage.approvers.through, ApprovalStage.approver_groups.through)
        people, groups = (Exists(rows._default_manager.filter(approvalstage=OuterRef("pk"))) for rows in named)
        return self.annotate(has_names=people | groups)


class ApprovalStage(models.Model):
    """One step of the approval that a version of settings asks for: who decides, how many of them, and by when.

    A stage that names nobody is for the administrators in force. Rows never change, like the settings they belong to.
    """

    settings = models.ForeignKey(RoleSettings, on_delete=models.CASCADE, related_name="stages")
    number = models.PositiveSmallIntegerField(_("stage"), default=1)
    has_names: bool  # where `with_names` has fetched it
    approvers = models.ManyToManyField(User, verbose_name=_("approvers"), related_name="+", blank=True)
    approver_groups = models.ManyToManyField(Group, verbose_name=_("approver groups"), related_name="+", blank=True)
    asks_manager = models.BooleanField(_("the requester's manager"), default=False)
    quorum = models.PositiveSmallIntegerField(_("how many must approve"), default=1)
    one_from_each_group = models.BooleanField(_("one from each group"), default=False)
    timeout = models.DurationField(_("time to decide"), default=timedelta(hours=24))
    escalates_after = models.DurationField(_("ask others after"), null=True, blank=True)
    escalation_approvers = models.ManyToManyField(User, verbose_name=_("then also"), related_name="+", blank=True)
    escalation_groups = models.ManyToManyField(Group, verbose_name=_("then also groups"), related_name="+", blank=True)

    objects = ApprovalStageQuerySet.as_manager()

    class Meta:
        verbose_name = _("approval stage")
        verbose_name_plural = _("approval stages")
        ordering = ["number"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["settings", "number"], name="approvalstage_one_per_number"),
            models.CheckConstraint(
                condition=models.Q(number__gte=1, quorum__gte=1), name="approvalstage_counts_from_one"
            ),
            models.CheckConstraint(
                condition=models.Q(timeout__gt=timedelta(0))
                & (models.Q(escalates_after=None) | models.Q(escalates_after__gt=timedelta(0))),
                name="approvalstage_times_positive",
            ),
        ]

    def __str__(self) -> str:
        return _("%(settings)s, stage %(number)d") % {"settings": self.settings, "number": self.number}

    @property
    def needed(self) -> int:
        """How many different people must approve."""
        return max(self.quorum, self.approver_groups.count() if self.one_from_each_group else 0)

    @property
    def approver_names(self) -> list[str]:
        """Who is named to approve, groups first; empty where it is left to the administrators."""
        manager = [str(_("the manager"))] if self.asks_manager else []
        return [*map(str, self.approver_groups.all()), *map(str, self.approvers.all()), *manager]


class DelegationQuerySet(models.QuerySet["Delegation"]):
    def in_force(self, at: datetime) -> Self:
        """Half-open [starts_at, ends_at), not ended early, both people enabled."""
        lasting = self.lasting(at).filter(starts_at__lte=at)
        return lasting.filter(delegator__is_active=True, delegate__is_active=True)

    def concerning(self, user: User) -> Self:
        return self.filter(models.Q(delegator=user) | models.Q(delegate=user))

    def lasting(self, at: datetime) -> Self:
        """In force, or still to come."""
        return self.filter(ended_at=None, ends_at__gt=at)

    def in_state(self, state: str, at: datetime) -> Self:
        """Those of which `Delegation.state` says so."""
        if state == "ended":
            return self.filter(~models.Q(ended_at=None) | models.Q(ends_at__lte=at))
        begun = models.Q(starts_at__lte=at)
        return self.lasting(at).filter(begun if state == "active" else ~begun)


class Delegation(models.Model):
    """For a time, somebody else may decide what a person is named to decide. It is not handed on, and gives no role."""

    delegator = models.ForeignKey(
        User, verbose_name=_("approver"), on_delete=models.PROTECT, related_name="delegations_given"
    )
    delegate = models.ForeignKey(
        User, verbose_name=_("colleague"), on_delete=models.PROTECT, related_name="delegations_received"
    )
    starts_at = models.DateTimeField(_("start"))
    ends_at = models.DateTimeField(_("end"))
    justification = models.TextField(_("reason"), blank=True, max_length=2000)
    created_at = models.DateTimeField(_("made"))
    ended_at = models.DateTimeField(_("ended"), null=True)

    objects = DelegationQuerySet.as_manager()

    class Meta:
        verbose_name = _("delegation")
        verbose_name_plural = _("delegations")
        ordering = ["-starts_at"]
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(
                condition=models.Q(ends_at__gt=models.F("starts_at")), name="delegation_ends_after_start"
            ),
            models.CheckConstraint(
                condition=~models.Q(delegator=models.F("delegate")), name="delegation_to_somebody_else"
            ),
        ]
        indexes = [
            models.Index(
                fields=["delegate", "ends_at"], condition=models.Q(ended_at=None), name="delegation_open_by_delegate"
            )
        ]

    def __str__(self) -> str:
        return _("%(delegate)s for %(delegator)s") % {"delegate": self.delegate, "delegator": self.delegator}

    def state(self, at: datetime) -> str:
        """Return "scheduled", "active" or "ended"."""
        if self.ended_at is not None or self.ends_at <= at:
            return "ended"
        return "scheduled" if self.starts_at > at else "active"
