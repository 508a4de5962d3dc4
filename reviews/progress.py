"""How far the reviewers of a review have come."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet

from accounts.models import User
from accounts.prepared import Prepared

from .models import Asked, Instance, Item


@dataclass(frozen=True)
class Progress:
    """How many are asked, and how many of them are answered."""

    asked: int
    answered: int

    @property
    def left(self) -> int:
        return self.asked - self.answered

    @property
    def percent(self) -> int:
        return 100 * self.answered // self.asked if self.asked else 100


_PRESENT = Q(stage=F("item__instance__stage"), item__is_settled=False)
_ANSWERED = Q(item__verdict_stage=F("item__instance__stage"))


def counted(rows: Any, *by: str) -> Any:
    """Return rows of `Asked` in the present stages, grouped, with `asked` and `answered` for each group."""
    grouped = rows.filter(_PRESENT).order_by().values(*by)
    return grouped.annotate(asked=Count("pk"), answered=Count("pk", filter=_ANSWERED))


def progress_of(instance: Instance, user: User) -> Progress:
    return progress_in([instance], user).get(instance.pk, Progress(0, 0))


def progress_in(instances: list[Instance], user: User) -> dict[UUID, Progress]:
    """Return how far this person is in each of these, in one statement."""
    rows = counted(Asked.objects.filter(item__instance__in=instances, person=user), "item__instance")
    return {row["item__instance"]: Progress(row["asked"], row["answered"]) for row in rows}


def progress_by_reviewer(instance: Instance) -> list[tuple[User, Progress]]:
    """Return how far each reviewer of the present stage is, the slowest first; two statements."""
    rows = {row["person"]: row for row in counted(Asked.objects.filter(item__instance=instance), "person")}
    people = User.objects.filter(pk__in=rows)
    found = [(person, Progress(rows[person.pk]["asked"], rows[person.pk]["answered"])) for person in people]
    return sorted(found, key=lambda each: (each[1].percent, str(each[0])))


def progress(instance: Instance) -> Progress:
    """Return how far the review is as a whole in the present stage."""
    return progress_each([instance])[instance]


def progress_each(instances: list[Instance]) -> dict[Instance, Progress]:
    """Return how far each of these is as a whole in its present stage, in one statement."""
    here = Q(verdict_stage=F("instance__stage"), instance__stage__gt=0)
    rows = Item.objects.filter(instance__in=instances, is_settled=False).order_by().values("instance")
    counted = {row["instance"]: row for row in rows.annotate(number=Count("pk"), done=Count("pk", filter=here))}
    found = [(instance, counted.get(instance.pk, {"number": 0, "done": 0})) for instance in instances]
    return {instance: Progress(row["number"], row["done"]) for instance, row in found}


def waiting_for(user: User, at: datetime) -> int:
    """Return how many accesses wait for this person's answer. That a review is open at all is asked first."""
    return _WAITING.count(user, at) if _OPEN.rows(at) else 0


def _waiting(user: User, at: datetime) -> QuerySet[Any, Any]:
    asked = Asked.objects.filter(_PRESENT, person=user, item__instance__in=Instance.objects.open(at))
    return asked.exclude(_ANSWERED).order_by().values_list("pk")


# Each page asks these two, for the number beside "Reviews".
_OPEN = Prepared(lambda at: Instance.objects.open(at).order_by().values_list("pk")[:1])
_WAITING = Prepared(_waiting)


def nobody_asked(instance: Instance) -> int:
    """Return how many accesses have nobody to answer for them in the present stage."""
    asked = Asked.objects.filter(item=OuterRef("pk"), stage=instance.stage)
    items: Any = Item.objects.filter(~Exists(asked), instance=instance, is_settled=False)
    return int(items.count())
