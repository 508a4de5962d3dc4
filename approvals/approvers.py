"""Who may decide a request: those whom the stage it stands at names, in the settings in use now.

A *voice* is the right to decide: of somebody whom the stage names. Never of who asked or for whom.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import Q, QuerySet

from accounts.models import Group, User
from assignments.models import administrators
from roles.models import ApprovalStage, RoleSettings
from roles.stages import filled, seats

if TYPE_CHECKING:
    from .models import Request


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
    return list(ApprovalStage.objects.filter(settings__in=in_use).with_names())


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
        return Q(pk__in=administrators(at).values("pk"))
    named = _among(stage.approvers.all(), stage.approver_groups.all())
    return named | Q(pk=request.person.manager_id) if asks_manager else named


def _among(people: "QuerySet[User]", groups: "QuerySet[Group]") -> Q:
    """A group that is not protected decides nothing: whoever manages groups could put approvers into it."""
    return Q(pk__in=people.values("pk")) | Q(member_groups__in=groups.filter(is_protected=True))


def standing(request: "Request", stages: list[ApprovalStage], at: datetime) -> list[Standing]:
    """Return how far each stage has come, by the settings and people of this moment.

    A yes counts once, for the first stage that names its giver and still needs it; it stops counting when nothing names
    its giver any more.
    """
    said = set(request.decisions.filter(verdict="approved").values_list("person", flat=True))
    states: list[Standing] = []
    all_seats: list[set[Hashable]] = []
    given = 0
    for stage in stages:
        able = set(voices(request, stage, at, escalated=True).filter(pk__in=said).values_list("pk", flat=True))
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


def stage_to_pass(states: list[Standing]) -> ApprovalStage | None:
    """Return the first stage that needs more yeses; None when all have enough."""
    return next((state.stage for state in states if not state.is_passed), None)
