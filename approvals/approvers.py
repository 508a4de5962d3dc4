"""Who may decide a request: those whom the stage it stands at names, in the settings in use now.

A *voice* is the right to decide: of somebody whom the stage names, never of who asked or for whom. Its owner can use
it, or a colleague to whom the owner has delegated it; once.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce

from accounts.models import Group, User
from assignments.models import TAKEN, administrator_keys, administrators
from assignments.ownership import owners_of
from roles.models import ApprovalStage, Delegation, RoleSettings
from roles.stages import filled, seats

if TYPE_CHECKING:
    from .models import Decision, Request


@dataclass(frozen=True)
class Standing:
    """How far a stage has come: who said yes and still may, how many yeses it needs, and how many of them it has."""

    stage: ApprovalStage
    approved: set[UUID]
    needed: int
    given: int

    @property
    def is_passed(self) -> bool:
        return self.given >= self.needed


def stages_in_use(request: "Request") -> list[ApprovalStage]:
    """Return the stages of the settings that count for this request now, in their order."""
    in_use = RoleSettings.objects.applying_to(request.role, request.scope).values("pk")[:1]
    return list(ApprovalStage.objects.filter(settings__in=in_use).select_related("settings").with_names())


def stage_of(request: "Request", stages: list[ApprovalStage]) -> ApprovalStage | None:
    """Return the one of `stages` that the request stands at: the last, where there are fewer now than it has passed."""
    reached = [stage for stage in stages if stage.number <= (request.stage or 0)]
    return reached[-1] if reached else None


def voices(request: "Request", stage: ApprovalStage, at: datetime, *, escalated: bool | None = None) -> QuerySet[User]:
    """Return the enabled people with a voice in `stage`.

    Args:
        stage: one of `stages_in_use`.
        escalated: whether those who are asked later count; None: if their time has come.
    """
    if escalated is None:
        escalated = request.escalates_at is not None and request.escalates_at <= at
    named = _named(request, stage, at)
    if escalated:
        named |= _among(stage.escalation_approvers.all(), stage.escalation_groups.all())
    people: QuerySet[User] = User.objects.enabled().people().filter(named)
    return people.exclude(pk__in=[request.user_id, request.requester_id]).distinct()


def _named(request: "Request", stage: ApprovalStage, at: datetime) -> Q:
    manager = request.person.manager if stage.asks_manager else None
    asks_manager = manager is not None and manager.is_active and manager.is_person
    if not (stage.has_names or asks_manager):
        return Q(pk__among=administrator_keys(at))
    named = _among(stage.approvers.all(), stage.approver_groups.all())
    return named | Q(pk=request.person.manager_id) if asks_manager else named


def _among(people: "QuerySet[User]", groups: "QuerySet[Group]") -> Q:
    """A group that is not protected decides nothing: whoever manages groups could put approvers into it."""
    return Q(pk__in=people.values("pk")) | Q(member_groups__in=groups.filter(is_protected=True))


def used_voices(request: "Request", **only: Any) -> "QuerySet[Decision, Any]":
    """Return the owners of the voices that were used, as keys; `only` narrows the decisions."""
    said = request.decisions.filter(person__isnull=False, **only)
    return said.values_list(Coalesce("on_behalf_of", "person"), flat=True)


def deciders(voices: QuerySet[User], at: datetime) -> QuerySet[User]:
    """Return the people who may use one of these voices: their owners, and the colleagues of these. Never further."""
    given = Delegation.objects.in_force(at).filter(delegator__in=voices.values("pk"))
    people = User.objects.enabled().people()
    found: QuerySet[User] = people.filter(Q(pk__in=voices.values("pk")) | Q(pk__in=given.values("delegate")))
    return found


def voice_for(request: "Request", stage: ApprovalStage, actor: User, at: datetime) -> User | None:
    """Return whose voice `actor` may use: their own, or the first unused one that is delegated to them."""
    able = voices(request, stage, at)
    if own := able.filter(pk=actor.pk).first():
        return own
    if not actor.is_person:
        return None
    given = Delegation.objects.in_force(at).filter(delegate=actor)
    return able.filter(pk__in=given.values("delegator")).exclude(pk__in=used_voices(request)).first()


def standing(
    request: "Request", stages: list[ApprovalStage], at: datetime, *, said: Iterable[UUID | None] | None = None
) -> list[Standing]:
    """Return how far each stage has come, by the settings and people of this moment.

    A yes counts once, for the first stage that names its giver and still needs it; it stops counting when nothing names
    its giver any more.

    Args:
        said: whose voices said yes, where the caller has read them.
    """
    said = used_voices(request, verdict="approved") if said is None else said
    heard = {voice for voice in said if voice}
    states: list[Standing] = []
    all_seats: list[set[Hashable]] = []
    given = 0
    for stage in stages:
        able = set(voices(request, stage, at, escalated=True).filter(pk__in=heard).values_list("pk", flat=True))
        here = seats(stage.quorum, able, _members(stage, able))
        all_seats += here
        before, given = given, filled(all_seats)
        states.append(Standing(stage, able, needed=len(here), given=given - before))
    return states


def _members(stage: ApprovalStage, able: set[UUID]) -> list[set[UUID]]:
    """Of each group that must be heard, those of its members who are `able`; of one that is not protected, nobody."""
    if not stage.one_from_each_group:
        return []
    heard = [group.members.filter(pk__in=able if group.is_protected else ()) for group in stage.approver_groups.all()]
    return [set(members.values_list("pk", flat=True)) for members in heard]


def approval_to_repeat(request: "Request", at: datetime) -> "tuple[Request, set[UUID]] | None":
    """Return the earlier request whose approval counts for this one too, and whose voices it had; if there is one.

    It was granted by people within the hours that the settings name before this one begins, for at least as long, was
    had and not taken away, and is still enough for the stages in use now. A no since then beats it.
    """
    within = timedelta(hours=request.settings.auto_approve_within_hours)
    if not within:
        return None
    same = type(request).objects.filter(user=request.user, role=request.role, scope=request.scope).described()
    granted = same.filter(action=request.action, active_assignment__isnull=False, decisions__person__isnull=False)
    earlier = granted.filter(settled_at__gt=max(request.starts_at or at, at) - within).order_by("-settled_at").first()
    if earlier is None or same.filter(status="denied", settled_at__gte=earlier.settled_at).exists():
        return None
    active, asked = earlier.active_assignment, request.duration
    if active is None or active.end_reason in TAKEN or not asked or not active.ends_at:
        return None
    if active.starts_at > at or (active.ended_at is not None and active.ended_at <= active.starts_at):
        return None
    if asked > active.ends_at - active.starts_at:
        return None
    states = standing(earlier, stages_in_use(request), at)
    return None if stage_to_pass(states) else (earlier, set().union(*(state.approved for state in states)))


def stage_to_pass(states: list[Standing]) -> ApprovalStage | None:
    """Return the first stage that needs more yeses; None when all have enough."""
    return next((state.stage for state in states if not state.is_passed), None)


def of_extension(request: "Request", at: datetime) -> QuerySet[User]:
    """Return who is asked about an extension or renewal: administrators, and owners of what it is about."""
    assert request.assignment is not None  # noqa: S101 (what waits for an administrator is about one)
    everybody = administrators(at) | owners_of(request.assignment, at).people()
    return everybody.exclude(pk__in=[request.user_id])
