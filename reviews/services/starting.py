"""How a review begins: a row, then a snapshot taken in pieces, then the questions to its reviewers.

Each piece is a transaction of its own that says how far it came. So nobody waits for a large one, and what was
interrupted goes on where it was.
"""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.timezone import now

from audit.services import record
from reviews.models import Asked, Definition, Instance, Item
from reviews.reviewers import Reviewers
from reviews.schedule import days_after, late_begin
from reviews.walk import KINDS, Walk, items_of

from .applying import settle
from .defining import RUNNING, facts_of, is_backed, terms_of
from .defining import locked as locked_series
from .locking import locked
from .running import begin_stage
from .writing import add_many


@transaction.atomic
def prepare(*, definition: Definition) -> Instance | None:
    """Make the row of the review that is due, and say when the next one is. None: nothing is due, or one is open.

    It is left out where the worker was down for so long that it cannot be had before the next one, and where a series
    of owners was defined by somebody who owns its resource no more.
    """
    definition, at = locked_series(definition), now()
    if definition.instances.filter(state__in=RUNNING).exists():
        return None
    while definition.next_at is not None and definition.next_at <= at:
        number, planned = _move_on(definition)
        days, zone = definition.days, definition.time_zone
        begins = late_begin(planned, days, definition.next_at, zone=zone, at=at)
        backed = is_backed(definition)
        if begins is not None and backed:
            return _begin(definition, number, planned, begins=begins, ends=days_after(begins, days, zone), at=at)
        left_out = {"number": number, "planned_at": planned, "cause": "late" if backed else "maker_gone"}
        record("review.skipped", actor=None, target=definition, after=left_out)
    return None


def _move_on(definition: Definition) -> tuple[int, datetime]:
    """Return the number of the review to come and when it was planned; the series then says what comes after it."""
    number, planned = definition.next_number, definition.next_at
    assert planned is not None  # noqa: S101 (the caller has looked)
    definition.next_number, definition.next_at = number + 1, definition.plan.begins(number + 1)
    definition.save(update_fields=["next_number", "next_at"])
    return number, planned


def _begin(
    definition: Definition, number: int, planned: datetime, *, begins: datetime, ends: datetime, at: datetime
) -> Instance:
    times = {"planned_at": planned, "began_at": at, "stage_began_at": begins, "ends_at": ends}
    terms = facts_of(terms_of(definition))
    instance = Instance.objects.create(definition=definition, number=number, terms=terms, **times)
    record("review.prepared", actor=None, target=instance, after={"number": number, "planned_at": planned})
    return instance


@transaction.atomic
def take_in(*, instance: Instance) -> bool:
    """Take the next piece into the snapshot, or open the review if all is taken in; return whether it goes on."""
    instance = locked(instance)
    if instance.state != Instance.State.STARTING:
        return False
    if not instance.walk:
        _open(instance, at=now())
        return False
    rows = Walk(instance).next_rows(instance.walk, instance.walked_to)
    if rows:
        _keep(instance, rows)
        instance.walked_to = str(rows[-1].pk)
    else:
        instance.walk, instance.walked_to = _following(instance.walk), ""
    instance.save(update_fields=["walk", "walked_to"])
    return True


def _following(kind: str) -> str:
    return next(iter(KINDS[KINDS.index(Item.Kind(kind)) + 1 :]), "")


def _keep(instance: Instance, rows: list[Any]) -> None:
    items = items_of(instance, instance.walk, rows)
    add_many(Item, items)
    stages = instance.definition.stages.order_by("number")
    reviewers = {stage.number: Reviewers(stage, instance.began_at) for stage in stages}
    asked = (
        {"item_id": item["id"], "stage": number, "person_id": person}
        for item, row in zip(items, rows, strict=True)
        for number, each in reviewers.items()
        for person in each.of(row)
    )
    add_many(Asked, asked)


def _open(instance: Instance, *, at: datetime) -> None:
    count = instance.items.count()
    facts: dict[str, Any] = {"items": count, "ends_at": instance.ends_at}
    record("review.started", actor=None, target=instance, after=facts)
    if count:
        begin_stage(instance, 1, begins=instance.stage_began_at or at, at=at)
    else:
        settle(instance, actor=None, at=at)
