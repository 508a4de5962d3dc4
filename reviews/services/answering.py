"""What reviewers answer, and who is asked in place of somebody else."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.utils.timezone import now

from accounts.authority import require
from accounts.models import User
from approvals.rules import check_text
from audit.services import privileged, record
from notifications.services import queue
from reviews.models import Answer, Asked, Instance, Item
from reviews.rules import (
    check_chosen,
    check_not_own,
    check_open,
    check_reason,
    check_reviewers,
    nothing_to_reassign,
)

from .locking import locked
from .telling import facts_for_asked

NOTHING = Item.Verdict.NOT_REVIEWED


@privileged("review_item.answered", target="instance")
def answer(
    *, instance: Instance, items: Iterable[UUID], actor: User, verdict: str, justification: str = ""
) -> list[Item]:
    """Say of some accesses whether they are still needed. The last answer of anybody who is asked counts.

    Args:
        items: their keys; several only where none is privileged.
        verdict: ``approved``, ``denied`` or ``dont_know``.

    Returns:
        The items, as they are now.

    Raises:
        ReviewRefused: ``not_open``, ``nothing_chosen``, ``too_many``, ``not_asked``, ``own_access``,
        ``privileged_one_by_one``, ``justification_required``.
    """
    instance = locked(instance)
    check_open(instance, at=now())
    rows = _chosen(instance, items, actor)
    stage = instance.definition.stages.get(number=instance.stage)
    check_not_own(rows, actor, stage)
    check_text(justification, required=False)
    check_reason(instance.definition, verdict, justification)
    for item in rows:
        _put(item, instance.stage, actor, Item.Verdict(verdict), justification.strip())
    return rows


@privileged("review_item.retracted", target="instance")
def retract(*, instance: Instance, items: Iterable[UUID], actor: User) -> list[Item]:
    """Take back what was answered in this stage; what an earlier stage answered counts again.

    Raises:
        ReviewRefused: ``not_open``, ``nothing_chosen``, ``too_many``, ``not_asked``.
    """
    instance = locked(instance)
    check_open(instance, at=now())
    rows = [item for item in _chosen(instance, items, actor, alone=False) if item.verdict_stage == instance.stage]
    for item in rows:
        before = item.verdict
        Answer.objects.create(item=item, person=actor, stage=instance.stage, verdict=NOTHING, answered_at=now())
        _stand(item, _standing(item, before_stage=instance.stage))
        _record("review_item.retracted", item, actor=actor, before={"answer": before}, after={"answer": item.verdict})
    return rows


def _chosen(instance: Instance, items: Iterable[UUID], actor: User, *, alone: bool = True) -> list[Item]:
    keys = set(items)
    rows = Item.objects.filter(instance=instance).asked_of(actor).filter(pk__in=keys)
    asked = list(rows.described().select_for_update(of=("self",)).order_by("pk"))
    check_chosen(wanted=len(keys), asked=asked, privileged_alone=alone)
    return asked


def _put(item: Item, stage: int, actor: User, verdict: Item.Verdict, justification: str) -> None:
    before = item.verdict
    answer = Answer.objects.create(
        item=item, person=actor, stage=stage, verdict=verdict, justification=justification, answered_at=now()
    )
    _stand(item, answer)
    facts: dict[str, Any] = {"before": {"answer": before}, "after": {"answer": verdict}}
    _record("review_item.answered", item, actor=actor, justification=justification, **facts)


def _standing(item: Item, *, before_stage: int) -> Answer | None:
    """Return the last answer of the stages before, unless it was taken back there."""
    last = item.answers.filter(stage__lt=before_stage).select_related("person").last()
    return last if last and last.verdict != NOTHING else None


def _stand(item: Item, answer: Answer | None) -> None:
    item.verdict, item.verdict_stage = (answer.verdict, answer.stage) if answer else (NOTHING, 0)
    item.decided_by, item.decided_at = (answer.person, answer.answered_at) if answer else (None, None)
    item.justification = answer.justification if answer else ""
    item.save(update_fields=["verdict", "verdict_stage", "decided_by", "decided_at", "justification"])


def _record(action: str, item: Item, *, actor: User, **facts: Any) -> None:
    record(action, actor=actor, target=item, subject=item.user, role=item.role, scope=item.scope, **facts)


@privileged("review.reassigned", target="instance")
def reassign(*, instance: Instance, actor: User | None, reviewer: User, to: User, justification: str) -> int:
    """Ask somebody else what a reviewer has not answered in the present stage; return about how many accesses.

    Their own access stays with whoever is asked about it.

    Raises:
        NotAllowed. ReviewRefused: ``not_open``; ``nothing_to_do``: the reviewer is asked nothing any more.
        SeriesRefused: ``reviewer_invalid``.
    """
    require(actor, "reviews.run_instance", at=instance)
    check_reviewers([to])
    check_text(justification, required=True)
    instance = locked(instance)
    check_open(instance, at=now())
    items = instance.items.unanswered().exclude(user=to)
    asked = Asked.objects.filter(item__in=items, stage=instance.stage, person=reviewer)
    keys = list(asked.values_list("item", flat=True))
    if not keys:
        raise nothing_to_reassign()
    asked.delete()
    more = [Asked(item_id=key, stage=instance.stage, person=to) for key in keys]
    Asked.objects.bulk_create(more, ignore_conflicts=True)
    queue("review_started", to=[to], about=instance, context=facts_for_asked(instance))
    after = {"from": str(reviewer), "to": str(to), "items": len(keys)}
    record("review.reassigned", actor=actor, target=instance, subject=to, justification=justification, after=after)
    return len(keys)
