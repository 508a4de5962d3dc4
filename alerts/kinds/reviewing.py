"""Access reviews that come to no end."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from alerts.models import MOST
from alerts.registry import Finding, Repair, Severity, Threshold, alert
from reviews import services
from reviews.models import Asked, Instance, Item
from reviews.rules import nothing_to_reassign


def _what_applying_does(instance: Instance) -> Iterator[str]:
    facts = {"count": instance.items.left().count(), "review": instance}
    yield _("%(count)s accesses that %(review)s has ended are taken away, and their holders are told by mail.") % facts


def _apply(instance: Instance, *, actor: User | None, justification: str) -> None:
    services.request_application(instance=instance, actor=actor, justification=justification)


@alert(
    "overdue_reviews",
    severity=Severity.MEDIUM,
    title=gettext_lazy("Access review overdue"),
    why=gettext_lazy("What its reviewers do not want any more is still there."),
    advice=gettext_lazy("Look at its results, and have them applied; or see why the worker does not end it."),
    sentence=gettext_lazy("%(review)s ended on %(ended_at)s, and not all of its results are applied: it is %(state)s."),
    thresholds=(Threshold("days", gettext_lazy("Days after its end"), default=3, low=0, high=90),),
    repair=Repair(
        gettext_lazy("Apply the results"),
        _what_applying_does,
        _apply,
        fits=Instance.can_be_applied,
    ),
)
def overdue_reviews(at: datetime, *, days: int) -> Iterator[Finding]:
    """A review whose worker is late has no end but the planned one."""
    over = Instance.objects.annotate(over_at=Coalesce("ended_at", "ends_at")).filter(
        over_at__lte=at - timedelta(days=days)
    )
    left = Exists(Item.objects.left().filter(instance=OuterRef("pk")))
    rows = over.filter(~Q(state=Instance.State.APPLIED) | left)
    for row in rows.described().order_by("pk")[: MOST + 1]:
        facts = {"review": str(row), "ended_at": row.ended_at or row.ends_at, "state": _state_of(row)}
        yield Finding(str(row.pk), row, facts)


def _state_of(instance: Instance) -> str:
    if instance.state != Instance.State.APPLIED:
        return instance.get_state_display()
    return _("applied, but %(count)s removals have failed") % {"count": instance.items.left().count()}


def _unasked(at: datetime) -> QuerySet[Item]:
    """Return what is still to be answered, while nobody who is asked is enabled."""
    present = Asked.objects.filter(item=OuterRef("pk"), stage=OuterRef("instance__stage"), person__is_active=True)
    return (
        Item.objects.unanswered().filter(instance__in=Instance.objects.open(at).values("pk")).exclude(Exists(present))
    )


def _gone(instance: Instance, *, besides: User | None = None) -> QuerySet[User]:
    """Return the disabled people who are asked what is still to be answered, but about the access of `besides`."""
    waiting = instance.items.unanswered().exclude(user=besides)
    asked = Asked.objects.filter(item__in=waiting, stage=instance.stage, person__is_active=False)
    return User.objects.filter(pk__in=asked.values("person")).order_by("pk")


def _what_taking_over_does(instance: Instance) -> Iterator[str]:
    facts = {"people": ", ".join(map(str, _gone(instance))), "review": instance}
    yield _("What %(people)s were asked in %(review)s you are asked instead; your own access stays as it is.") % facts


def _take_over(instance: Instance, *, actor: User, justification: str) -> None:
    reviewers = list(_gone(instance, besides=actor))
    if not reviewers:
        raise nothing_to_reassign()
    for reviewer in reviewers:
        services.reassign(instance=instance, actor=actor, reviewer=reviewer, to=actor, justification=justification)


@alert(
    "unanswerable_reviews",
    severity=Severity.MEDIUM,
    title=gettext_lazy("Reviewers who have left"),
    why=gettext_lazy("Nobody looks at this access. At the end, what the series says of no answer comes of it."),
    advice=gettext_lazy("Reassign it to somebody who knows what the people need."),
    sentence=gettext_lazy("In %(review)s, %(count)s accesses wait for reviewers who are all disabled."),
    repair=Repair(
        gettext_lazy("Ask me instead"),
        _what_taking_over_does,
        _take_over,
        fits=lambda instance: _gone(instance).exists(),
    ),
)
def unanswerable_reviews(at: datetime) -> Iterator[Finding]:
    counts = dict(_unasked(at).order_by("instance").values_list("instance").annotate(number=Count("pk"))[: MOST + 1])
    for row in Instance.objects.filter(pk__in=counts).described().order_by("pk"):
        yield Finding(str(row.pk), row, {"review": str(row), "count": counts[row.pk]})
