"""What comes of a review: the outcome of each access when it ends, and the removal of what nobody needs any more."""

from datetime import datetime
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _

from accounts.authority import may, require
from accounts.links import link
from accounts.models import Group, User
from approvals import services as approvals
from assignments.rules import check_emergency
from assignments.services import lock, update_group
from audit.context import bind
from audit.services import privileged, record, refusal_code
from notifications.services import queue, suppress
from reviews.models import Definition, Instance, Item
from reviews.results import counts_of, results_of
from reviews.rules import check_can_apply, check_in_reach, outcome
from reviews.walk import in_reach
from roles.models import Resource

from .defining import is_backed
from .locking import locked
from .telling import facts_for_mail

# What is left as it is, whatever was answered, and told to whoever looks at the results.
PROTECTING = {"emergency_access", "last_administrator"}


def settle(instance: Instance, *, actor: User | None, at: datetime) -> None:
    """End a review that is locked: say what comes of each item, and tell whom the series names."""
    definition = instance.definition
    for verdict in Item.Verdict:
        for advice in Item.Recommendation:
            comes = outcome(
                verdict, no_answer=definition.no_answer, recommendation=advice, was_stopped=instance.was_stopped
            )
            result = Item.Result.NEW if comes == Item.Outcome.REMOVE else ""
            instance.items.filter(verdict=verdict, recommendation=advice).update(outcome=comes, result=result)
    instance.state = _state_after(instance)
    instance.ended_at, instance.remind_at = at, None
    instance.applied_at = at if instance.state == Instance.State.APPLIED else None
    instance.save(update_fields=["state", "ended_at", "remind_at", "was_stopped", "applied_at"])
    suppress("review_started", "review_reminder", about=instance)
    counts = {str(outcome): number for outcome, number in counts_of(instance).items()}
    _tell(instance, "review_closed", **counts, itself=instance.state == Instance.State.APPLYING)
    record("review.closed", actor=actor, target=instance, after=counts)


def _state_after(instance: Instance) -> Instance.State:
    """Where nothing is to be removed, nothing waits for somebody who may apply it."""
    if not instance.items.to_apply().exists():
        return Instance.State.APPLIED
    definition = instance.definition
    itself = definition.applies_itself and not instance.was_stopped and is_backed(definition)
    return Instance.State.APPLYING if itself else Instance.State.COMPLETED


def _told(instance: Instance) -> list[User]:
    """Return whom the series names, and who defined it if the results are still theirs to read."""
    definition = instance.definition
    told, maker = {*definition.told.all()}, definition.created_by
    if maker and may(maker, "reviews.view_instance", at=instance):
        told.add(maker)
    elif definition.of_owners:
        told.discard(maker)
    return sorted(told, key=str)


def _tell(instance: Instance, kind: str, **facts: Any) -> None:
    context = facts_for_mail(instance) | facts | {"url": link("reviews:review-results", instance.pk)}
    queue(kind, to=_told(instance), about=instance, context=context)


@privileged("review_application.requested", target="instance")
def request_application(*, instance: Instance, actor: User | None, justification: str = "") -> Instance:
    """Have the results of an ended review carried out by the worker; again, where some have failed.

    Raises:
        NotAllowed. ReviewRefused: ``not_completed``, ``nothing_to_do``.
    """
    require(actor, "reviews.run_instance", at=instance)
    instance = locked(instance)
    check_can_apply(instance, left=instance.items.left().exists())
    instance.items.left().update(result=Item.Result.NEW, result_code="")
    instance.state = Instance.State.APPLYING
    instance.save(update_fields=["state"])
    record("review_application.requested", actor=actor, target=instance, justification=justification)
    return instance


@transaction.atomic
def apply_item(*, item: Item) -> bool:
    """Take away one access that the review has ended; return False if that is done already.

    It goes by the same services as any removal, which refuse what must not be: the result says so.
    """
    item = Item.objects.select_for_update(of=("self",)).select_related("instance__definition__scope").get(pk=item.pk)
    if item.outcome != Item.Outcome.REMOVE or item.result != Item.Result.NEW:
        return False
    with bind(correlation_id=item.pk.hex):  # by which the evidence finds all that the removal did
        _apply(item)
    return True


def _apply(item: Item) -> None:
    try:
        with transaction.atomic():
            result, code = _remove(item), ""
    except (ValidationError, PermissionDenied) as refusal:
        code = refusal_code(refusal)
        result = _result_of(code)
    item.result, item.result_code, item.applied_at = result, code, now()
    item.save(update_fields=["result", "result_code", "applied_at"])
    about: dict[str, Any] = {"subject": item.user, "role": item.role, "scope": item.scope}
    record("review_item.applied", actor=None, target=item, **about, after={"result": result, "code": code})


def _result_of(code: str) -> Item.Result:
    if code == "already_ended":
        return Item.Result.GONE
    if code == "out_of_reach":
        return Item.Result.BY_HAND
    return Item.Result.PROTECTED if code in PROTECTING else Item.Result.FAILED


def _remove(item: Item) -> Item.Result:
    check_in_reach(in_reach=_is_in_reach(item))
    reason = reason_of(item)
    if item.group is not None:
        return _remove_membership(item.user, item.group)
    if item.eligible_assignment is not None:
        approvals.remove_eligible(eligible=item.eligible_assignment, actor=None, justification=reason)
    elif item.active_assignment is not None:
        approvals.remove_active(active=item.active_assignment, actor=None, justification=reason)
    return Item.Result.APPLIED


def _is_in_reach(item: Item) -> bool:
    """Is it still something that its series decides about? A role, and a place, may have become more since."""
    definition, assignment = item.instance.definition, item.assignment
    if not definition.of_owners:
        return True
    return assignment is not None and type(assignment).objects.filter(in_reach(definition), pk=assignment.pk).exists()


def _remove_membership(user: User, group: Group) -> Item.Result:
    """Take somebody out of a group whose membership is governed here; any other is filled elsewhere."""
    if not group.members.filter(pk=user.pk).exists():
        return Item.Result.GONE
    check_emergency(user, meant=False)
    if group.deleted_at is not None or not Resource.objects.filter(group=group).exists():
        return Item.Result.BY_HAND
    lock(user)
    group = Group.objects.select_for_update(no_key=True).get(pk=group.pk)
    update_group(
        group=group,
        actor=None,
        name=group.name,
        description=group.description,
        owners=group.owners.all(),
        members=group.members.exclude(pk=user.pk),
        is_protected=group.is_protected,
    )
    return Item.Result.APPLIED


def reason_of(item: Item) -> str:
    """Return why an access is removed, for the request, the audit and the mail to its holder."""
    facts: dict[str, Any] = {"review": item.instance.definition.name, "user": item.decided_by}
    facts["reason"] = item.justification
    if item.verdict != Item.Verdict.DENIED:
        facts["cause"] = Definition.NoAnswer(item.instance.definition.no_answer).label
        if item.verdict == Item.Verdict.DONT_KNOW:
            return _("Access review “%(review)s”: %(user)s did not know, so: %(cause)s.") % facts
        return _("Access review “%(review)s”: nobody answered, so: %(cause)s.") % facts
    if not item.justification:
        return _("Access review “%(review)s”: %(user)s answered that it is not needed.") % facts
    return _("Access review “%(review)s”, %(user)s: %(reason)s") % facts


@transaction.atomic
def finish(*, instance: Instance) -> bool:
    """Note that all results are carried out, and tell whom the series names of removals that did not happen.

    Return False while some are left, or when it is noted already.
    """
    instance = locked(instance)
    if instance.state != Instance.State.APPLYING or instance.items.to_apply().exists():
        return False
    instance.state, instance.applied_at = Instance.State.APPLIED, now()
    instance.save(update_fields=["state", "applied_at"])
    results = {str(each): number for each, number in results_of(instance).items()}
    if not results.keys().isdisjoint(Item.UNDONE):
        _tell(instance, "review_undone", **results)
    record("review.applied", actor=None, target=instance, after=results)
    return True
