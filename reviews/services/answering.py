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
    check_own_words,
    check_reason,
    check_reviewers,
    counting,
    nothing_to_reassign,
)

from .locking import locked
from .telling import facts_for_asked

NOTHING = Item.Verdict.NOT_REVIEWED


@privileged("review_item.answered", target="instance")
def answer(
    *, instance: Instance, items: Iterable[UUID], actor: User, verdict: str, justification: str = ""
) -> list[Item]:
    """Say of some accesses whether they are still needed. The last keep or remove of anybody who is asked counts.

    Who does not know takes back only what they said themselves: what others said, or an earlier stage, counts on.

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
    said: dict[str, Any] = {"verdict": Item.Verdict(verdict), "justification": justification.strip()}
    _say(rows, "review_item.answered", stage=instance.stage, actor=actor, **said)
    return rows


@privileged("review_item.retracted", target="instance")
def retract(*, instance: Instance, items: Iterable[UUID], actor: User) -> list[Item]:
    """Take back what one answered oneself in this stage; what others answered, or an earlier stage, counts again.

    Raises:
        ReviewRefused: ``not_open``, ``nothing_chosen``, ``too_many``, ``not_asked``; ``nothing_to_do``: the actor has
            said nothing about any of them in this stage.
    """
    instance = locked(instance)
    check_open(instance, at=now())
    asked = _chosen(instance, items, actor, alone=False)
    own = Answer.objects.filter(item__in=asked, person=actor, stage=instance.stage).standing()
    keys = set(own.values_list("item", flat=True))
    rows = [item for item in asked if item.pk in keys]
    check_own_words(rows)
    _say(rows, "review_item.retracted", stage=instance.stage, actor=actor, verdict=NOTHING)
    return rows


def _chosen(instance: Instance, items: Iterable[UUID], actor: User, *, alone: bool = True) -> list[Item]:
    keys = set(items)
    rows = Item.objects.filter(instance=instance).asked_of(actor).filter(pk__in=keys)
    asked = list(rows.described().select_for_update(of=("self",)).order_by("pk"))
    check_chosen(wanted=len(keys), asked=asked, privileged_alone=alone)
    return asked


def _say(
    items: list[Item], action: str, *, stage: int, actor: User, verdict: Item.Verdict, justification: str = ""
) -> None:
    """Add somebody's word about each of these; `NOTHING` takes back what they said before in this stage."""
    at, before = now(), {item.pk: item.verdict for item in items}
    word: dict[str, Any] = {"person": actor, "stage": stage, "verdict": verdict, "justification": justification}
    Answer.objects.bulk_create([Answer(item=item, answered_at=at, **word) for item in items])
    _stand(items)
    together = {"together": len(items)} if len(items) > 1 else {}
    for item in items:
        after = {"answer": item.verdict, "said": verdict} | together
        facts: dict[str, Any] = {"before": {"answer": before[item.pk]}, "after": after}
        _record(action, item, actor=actor, justification=justification, **facts)


def _stand(items: list[Item]) -> None:
    """Write to each of these which answer counts, and up to which stage there are answers."""
    words: dict[UUID, list[Answer]] = {}
    for word in Answer.objects.filter(item__in=items).standing().select_related("person"):
        words.setdefault(word.item_id, []).append(word)
    for item in items:
        _put(item, words.get(item.pk, []))


def _put(item: Item, words: list[Answer]) -> None:
    answer = counting(words)
    item.verdict, item.justification = (answer.verdict, answer.justification) if answer else (NOTHING, "")
    item.decided_by, item.decided_at = (answer.person, answer.answered_at) if answer else (None, None)
    item.verdict_stage = max((word.stage for word in words), default=0)
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
    if instance.definition.mails:
        queue("review_started", to=[to], about=instance, context=facts_for_asked(instance))
    after = {"from": str(reviewer), "to": str(to), "items": len(keys)}
    record("review.reassigned", actor=actor, target=instance, subject=to, justification=justification, after=after)
    return len(keys)
