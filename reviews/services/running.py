"""What happens to a review between its beginning and its end."""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.timezone import now
from django.utils.translation import gettext as _

from accounts.authority import require
from accounts.models import User, UserQuerySet
from audit.services import privileged, record
from notifications.services import queue
from reviews.models import Answer, Asked, Instance, Item, Stage
from reviews.rules import ReviewRefused, check_can_end, check_open
from reviews.schedule import days_after, next_reminder, next_stage

from .applying import settle
from .locking import locked
from .telling import facts_for_asked


def begin_stage(instance: Instance, number: int, *, begins: datetime, at: datetime) -> None:
    """Ask the reviewers of a stage. It lasts its days from `begins` on."""
    definition = instance.definition
    stage = definition.stages.get(number=number)
    instance.state, instance.stage = Instance.State.IN_PROGRESS, number
    instance.stage_began_at = begins
    instance.stage_ends_at = days_after(begins, stage.days, definition.time_zone)
    instance.remind_at = None
    if definition.reminds:
        instance.remind_at = next_reminder(begins, instance.stage_ends_at, at=at)
    rest = sum(stage.days for stage in definition.stages.filter(number__gt=number))
    instance.ends_at = days_after(instance.stage_ends_at, rest, definition.time_zone)
    instance.save()
    _set_aside(instance, stage)
    if definition.mails:
        _ask(instance, "review_started")


def _set_aside(instance: Instance, stage: Stage) -> None:
    """Leave out what was denied before, where the stage does not see that; another may have left out more, or less."""
    denied = Q(verdict=Item.Verdict.DENIED) if stage.takes == Stage.Takes.UNDENIED else Q(pk__in=())
    instance.items.filter(denied, is_settled=False).update(is_settled=True)
    instance.items.filter(~denied, is_settled=True).update(is_settled=False)


def still_asked(instance: Instance) -> UserQuerySet:
    """Return the enabled people who have not answered all that they are asked in the present stage."""
    asked = Asked.objects.filter(item__instance=instance, item__is_settled=False, stage=instance.stage)
    left = asked.exclude(item__verdict_stage=instance.stage)
    return User.objects.enabled().filter(pk__in=left.values("person"))


def _ask(instance: Instance, kind: str) -> int:
    return len(queue(kind, to=still_asked(instance), about=instance, context=facts_for_asked(instance)))


@transaction.atomic
def advance(*, instance: Instance) -> bool:
    """Go on to the next stage of a review whose stage is over, or end it. Return False if it is not over."""
    instance, at = locked(instance), now()
    over = instance.stage_ends_at
    if instance.state != Instance.State.IN_PROGRESS or over is None or over > at:
        return False
    definition = instance.definition
    stages = list(definition.stages.filter(number__gt=instance.stage).order_by("number"))
    days = [stage.days for stage in stages]
    if follows := next_stage(over, days, definition.next_at, zone=definition.time_zone, at=at):
        place, begins = follows
        begin_stage(instance, stages[place].number, begins=begins, at=at)
        record("review.advanced", actor=None, target=instance, after={"stage": instance.stage})
        return True
    settle(instance, actor=None, at=at)
    return True


@privileged("review.stopped", target="instance")
def stop(*, instance: Instance, actor: User | None, justification: str) -> Instance:
    """End a review before its time, for good. Answers stand; of what nobody answered, nothing comes.

    Nothing is applied by itself: an administrator says so.

    Raises:
        NotAllowed. ReviewRefused: ``already_ended``.
    """
    require(actor, "reviews.run_instance", at=instance)
    instance = locked(instance)
    check_can_end(instance)
    instance.was_stopped = True
    record("review.stopped", actor=actor, target=instance, justification=justification)
    settle(instance, actor=actor, at=now())
    return instance


@privileged("review.cleared", target="instance")
def clear(*, instance: Instance, actor: User | None, justification: str) -> int:
    """Take back all answers of a review that is open, those of earlier stages too; return how many there were.

    Whoever is asked in the present stage is asked anew, about everything, and told so. Earlier stages are over.

    Raises:
        NotAllowed. ReviewRefused: ``not_open``; ``nothing_to_do``: nobody has answered yet.
    """
    require(actor, "reviews.run_instance", at=instance)
    instance, at = locked(instance), now()
    check_open(instance, at=at)
    answered = list(instance.items.exclude(verdict=Item.Verdict.NOT_REVIEWED).select_for_update().order_by("pk"))
    if not answered:
        raise ReviewRefused(_("Nobody has answered yet: there is nothing to clear."), code="nothing_to_do")
    nothing: dict[str, Any] = {"verdict": Item.Verdict.NOT_REVIEWED, "is_clearing": True}
    nothing |= {"stage": instance.stage, "answered_at": at}
    Answer.objects.bulk_create(
        [Answer(item=item, person=actor, justification=justification, **nothing) for item in answered]
    )
    instance.items.update(
        verdict=Item.Verdict.NOT_REVIEWED,
        verdict_stage=0,
        decided_by=None,
        decided_at=None,
        justification="",
        is_settled=False,
    )
    if instance.definition.mails:
        _ask(instance, "review_started")
    after = {"answers": len(answered)}
    record("review.cleared", actor=actor, target=instance, justification=justification, before=after)
    return len(answered)


@privileged("review.reminded", target="instance")
def remind(*, instance: Instance, actor: User | None) -> int:
    """Remind those who have not answered; the system when it is time, an administrator at will. Return how many.

    Raises:
        NotAllowed. ReviewRefused: ``not_open``; ``nothing_to_do``: everybody has answered.
    """
    require(actor, "reviews.run_instance", at=instance)
    instance, at = locked(instance), now()
    if actor is None and (instance.remind_at is None or instance.remind_at > at):
        return 0
    check_open(instance, at=at)
    told = _ask(instance, "review_reminder")
    if actor is not None and not told:
        raise ReviewRefused(_("Everybody has answered: there is nobody to remind."), code="nothing_to_do")
    if actor is None and instance.stage_began_at and instance.stage_ends_at:
        instance.remind_at = next_reminder(instance.stage_began_at, instance.stage_ends_at, at=at)
        instance.save(update_fields=["remind_at"])
    record("review.reminded", actor=actor, target=instance, after={"reminded": told})
    return told
