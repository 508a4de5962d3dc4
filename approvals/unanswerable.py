"""Approvals that nobody can give: what waits for people who cannot say anything, and settings that would make it wait.

Asked of everything at once, in a number of statements that does not grow; of one request, `approvers` says the same.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import datetime
from itertools import chain
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import F, Prefetch

from accounts.models import Group, User
from assignments.models import administrators
from roles.models import ApprovalStage, RoleSettings
from roles.rules import check_reachable
from roles.stages import terms_of

from .models import Decision, Request

Voices = dict[int, set[UUID]]
NAMED, ESCALATION = ("approvers", "approver_groups"), ("escalation_approvers", "escalation_groups")


def requests(at: datetime) -> Iterator[Request]:
    """Yield what waits at a stage in which nobody is left who may decide it and has not, in the order of its keys."""
    pending = Request.objects.pending().filter(expires_at__gt=at, user__is_active=True)
    waiting = list(pending.select_related("user__manager", "role", "scope").order_by("pk"))
    standing = dict(pending.at_their_stage().annotate(at_stage=F("stage_in_use")).values_list("pk", "at_stage"))
    stages = ApprovalStage.objects.with_names().in_bulk(set(standing.values()) - {None})
    first, later = (_voices(stages, *names) for names in (NAMED, ESCALATION))
    leading = set(administrators(at).values_list("pk", flat=True))
    heard = _heard(waiting)
    for row in waiting:
        stage = stages.get(standing.get(row.pk))
        able = _named(row, stage, first, leading) if stage else set()
        if stage and row.escalates_at and row.escalates_at <= at:
            able |= later[stage.pk]
        if not able - {row.user_id, row.requester_id} - heard[row.pk]:
            yield row


def _voices(stages: Collection[int], people: str, groups: str) -> Voices:
    """Return who may decide in each stage: those whom it names, and the members of the protected groups among them."""
    able = {"is_active": True, "kind": User.Kind.PERSON}
    found: Voices = defaultdict(set)
    rows = ApprovalStage.objects.filter(pk__in=stages).order_by()
    named = rows.filter(**{f"{people}__{name}": value for name, value in able.items()})
    members = {f"{groups}__members__{name}": value for name, value in able.items()}
    grouped = rows.filter(**members, **{f"{groups}__is_protected": True})
    for stage, person in chain(named.values_list("pk", people), grouped.values_list("pk", f"{groups}__members")):
        found[stage].add(person)
    return found


def _heard(waiting: Collection[Request]) -> dict[UUID, set[UUID | None]]:
    """Return who has decided each request, and in whose name."""
    heard: dict[UUID, set[UUID | None]] = defaultdict(set)
    said = Decision.objects.filter(request__in=waiting).values_list("request", "person", "on_behalf_of")
    for request, *people in said:
        heard[request].update(people)
    return heard


def _named(row: Request, stage: ApprovalStage, first: Voices, leading: set[UUID]) -> set[UUID]:
    manager = row.person.manager if stage.asks_manager else None
    asked = {manager.pk} if manager and manager.is_active and manager.is_person else set()
    return first[stage.pk] | asked if stage.has_names or asked else set(leading)


def settings() -> Iterator[tuple[RoleSettings, str]]:
    """Yield settings in use that would not be saved any more, because too few are left who could approve; and why."""
    people = [f"stages__{names[0]}" for names in (NAMED, ESCALATION)]
    enabled = Prefetch("members", User.objects.enabled().people())
    groups = [Prefetch(f"stages__{names[1]}", Group.objects.prefetch_related(enabled)) for names in (NAMED, ESCALATION)]
    rows = RoleSettings.objects.current().filter(approval_required=True).select_related("role", "scope")
    for row in rows.prefetch_related(*people, *groups).order_by("pk"):
        stages = [terms_of(stage) for stage in row.stages.all()]
        members = {group: list(group.members.all()) for terms in stages for group in terms.groups}
        try:
            check_reachable(stages, members)
        except ValidationError as refusal:
            yield row, " ".join(refusal.messages)
