"""Assignments that an administrator makes and takes away, and their end."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F, Model
from django.utils.timezone import now
from django.utils.translation import gettext as _

from accounts.authority import require
from accounts.bulk import once
from accounts.models import Group, User
from accounts.rules import ChangedMeanwhile
from accounts.services import withdraw_weak_tickets
from assignments.models import ActiveAssignment, AnyAssignment, EligibleAssignment, may_be_in
from assignments.rules import AssignmentRefused, Terms, check_assignment, check_not_self, check_open, whole_second
from audit.services import privileged, record
from roles.models import Resource, Role, RoleSettings
from roles.services import hold_place

from .activation import end, expire_active, lock, mail_facts, tell
from .stating import dates_of, recorded

# Databases take only so many values in a question.
LOCKED_AT_ONCE = 500


def assign_eligible(*, terms: Terms, actor: User | None, request: Model | None = None) -> EligibleAssignment:
    """Make somebody eligible for a role: a person, or a group whose members may activate it, each for themselves.

    Raises:
        AssignmentRefused: what the role's settings forbid; ``self_assignment``, ``already_assigned``.
    """
    eligible: EligibleAssignment = _assign(EligibleAssignment, terms, actor, request)
    return eligible


def assign_active(*, terms: Terms, actor: User | None, request: Model | None = None) -> ActiveAssignment:
    """Give somebody a role that needs no activation. Refusals as for `assign_eligible`."""
    active: ActiveAssignment = _assign(ActiveAssignment, terms, actor, request)
    return active


@transaction.atomic(savepoint=False)
def _assign(model: Any, terms: Terms, actor: User | None, request: Model | None) -> Any:
    holder, role = terms.holder, terms.role
    once(("locked", holder.pk), lambda: _read_locked(holder))
    hold_place(terms.scope, role.resource)
    at = now()
    check_not_own(holder, actor, at=at)
    settings = settings_for(role, terms.scope)
    terms = in_seconds(terms)
    check_assignment(settings, terms, eligible=model is EligibleAssignment, at=at)
    assignment = _insert(model, terms, at=at)
    once(("weighed", role.pk), lambda: _check_weight(role))
    if role.is_privileged and isinstance(holder, User):  # members of a group that may hold it have power by being in it
        withdraw_weak_tickets([holder])
    noun = model.noun
    record(
        f"{noun}.assigned",
        actor=actor,
        target=assignment,
        subject=holder,
        role=role,
        scope=terms.scope,
        request=request,
        justification=terms.justification,
        after=recorded(assignment),
    )
    context = mail_facts(assignment) | {"actor": str(actor or ""), "reason": terms.justification}
    tell(assignment, settings, f"{noun}_assigned", f"{noun}_assigned", context | dates_of(assignment), at=at)
    return assignment


def _check_weight(role: Role) -> None:
    """Refuse if the role came to be privileged while all was judged: it stays as it is now that a row points at it.

    Raises:
        ChangedMeanwhile
    """
    if not role.is_privileged and Role.objects.filter(pk=role.pk, is_privileged=True).exists():
        text = _("%(role)s has come to be privileged meanwhile. Look at it anew, then try again.")
        raise ChangedMeanwhile(text % {"role": role}, code="changed_meanwhile")


def _read_locked(holder: User | Group) -> None:
    rows: Any = type(holder)._base_manager.select_for_update(of=("self",), no_key=True)
    holder.refresh_from_db(from_queryset=rows)


def lock_holders(people: Iterable[User]) -> dict[UUID, User]:
    """Lock the holders of a bulk act at once, and in order; return them read anew, by their keys.

    Whoever assigns to these rows in the act finds them locked already.
    """
    pks, held = sorted({person.pk for person in people}), dict[UUID, User]()
    for start in range(0, len(pks), LOCKED_AT_ONCE):
        rows = User.objects.select_for_update(of=("self",), no_key=True).filter(
            pk__in=pks[start : start + LOCKED_AT_ONCE]
        )
        held |= {person.pk: person for person in rows.order_by("pk")}
    for pk in held:
        once(("locked", pk), lambda: None)
    return held


def check_not_own(holder: User | Group, actor: User | None, *, at: datetime) -> None:
    """Nobody gives anything to themselves, nor to a group that they are in or may come into."""
    joins = isinstance(holder, Group) and actor is not None and may_be_in(actor, holder, at)
    check_not_self(holder, actor, through_group=joins)


def settings_for(role: Role, scope: Resource) -> RoleSettings:
    """Return the settings that count at the scope; where it is not the role's, defaults, for a rule to refuse it."""
    found = once(("settings", role.pk, scope.pk), lambda: RoleSettings.objects.applying_to(role, scope).first())
    return found or RoleSettings(role=role)


def in_seconds(terms: Terms) -> Terms:
    """Return the terms in whole seconds."""
    starts_at, ends_at = (moment and whole_second(moment) for moment in (terms.starts_at, terms.ends_at))
    return replace(terms, starts_at=starts_at, ends_at=ends_at)


def _insert(model: Any, terms: Terms, *, at: datetime) -> Any:
    """Insert the row; the constraint has the last word on there being one."""
    try:
        return _inserted(model, terms, at=at)
    except IntegrityError as error:
        if not _close_past(model, terms, at=at):
            text = _("%(user)s has this assignment already. Remove it first, or wait for its end.")
            raise AssignmentRefused(text % {"user": terms.holder}, code="already_assigned") from error
    return _inserted(model, terms, at=at)


@transaction.atomic
def _inserted(model: Any, terms: Terms, *, at: datetime) -> Any:
    holder, starts_at = terms.holder, whole_second(max(terms.starts_at or at, at))
    held = {"group" if isinstance(holder, Group) else "user": holder}
    where = {"role": terms.role, "scope": terms.scope}
    return model.objects.create(**held, **where, starts_at=starts_at, ends_at=terms.ends_at, created_at=at)


def _close_past(model: Any, terms: Terms, *, at: datetime) -> int:
    """Close what stands in the way only because the worker is late; return how many."""
    same = model.objects.of(terms.holder).filter(role=terms.role, scope=terms.scope)
    if model is EligibleAssignment:
        return sum(expire_eligible(eligible=past, actor=None) for past in same.due(at))
    return sum(expire_active(active=past, actor=None) for past in same.assigned().due(at))


@transaction.atomic(savepoint=False)
def remove_eligible(
    *, eligible: EligibleAssignment, actor: User | None, justification: str, request: Model | None = None
) -> EligibleAssignment:
    """Take an eligibility away; what was activated from it ends with it.

    Raises:
        AssignmentRefused: ``already_ended``, ``last_administrator``.
    """
    lock(eligible.holder)
    eligible = EligibleAssignment.objects.select_for_update(of=("self",), no_key=True).described().get(pk=eligible.pk)
    at = now()
    check_open(eligible, at=at)
    for active in eligible.activations.lasting(at):
        end(
            active=active,
            actor=actor,
            reason=ActiveAssignment.EndReason.ELIGIBILITY_ENDED,
            justification=justification,
            request=request,
        )
    eligible.ended_at, eligible.end_reason = at, eligible.removal_reason(at)
    eligible.save(update_fields=["ended_at", "end_reason"])
    _record_end("eligible.removed", eligible, actor=actor, justification=justification, request=request)
    _tell_removed(eligible, actor=actor, reason=justification, at=at)
    return eligible


def _tell_removed(eligible: EligibleAssignment, *, actor: User | None, reason: str, at: datetime) -> None:
    settings = RoleSettings.objects.applying_to(eligible.role, eligible.scope)[0]
    context = mail_facts(eligible) | {"kind_of": "eligible", "actor": str(actor or ""), "reason": reason}
    tell(eligible, settings, "eligible_assigned", "assignment_removed", context, at=at)


@privileged("eligible.expired", target="eligible")
def expire_eligible(*, eligible: EligibleAssignment, actor: User | None) -> bool:
    """Close an eligibility whose time is up. Return False if it was closed already: then nothing is written.

    Raises:
        NotAllowed: only the system may.
    """
    require(actor)
    at = now()
    due = EligibleAssignment.objects.due(at).filter(pk=eligible.pk)
    if not due.update(ended_at=F("ends_at"), end_reason=EligibleAssignment.EndReason.EXPIRED):
        return False
    eligible = EligibleAssignment.objects.described().get(pk=eligible.pk)
    _record_end("eligible.expired", eligible, actor=actor)
    settings = RoleSettings.objects.applying_to(eligible.role, eligible.scope)[0]
    context = mail_facts(eligible) | {"kind_of": "eligible", "ended_at": eligible.ended_at}
    tell(eligible, settings, "eligible_assigned", "assignment_expired", context, at=at)
    return True


def _record_end(action: str, eligible: EligibleAssignment, *, actor: User | None, **facts: Any) -> None:
    record(
        action,
        actor=actor,
        target=eligible,
        subject=eligible.holder,
        role=eligible.role,
        scope=eligible.scope,
        after={"ended_at": eligible.ended_at, "cause": eligible.end_reason},
        **facts,
    )


@transaction.atomic
def remind(*, assignment: AnyAssignment, days: int) -> bool:
    """Tell the holder and the administrators that an assignment ends soon. Return False if they were told already."""
    at, model = now(), type(assignment)
    if not model.objects.to_remind(at, days).filter(pk=assignment.pk).update(reminded_days=days):
        return False
    settings = RoleSettings.objects.applying_to(assignment.role, assignment.scope)[0]
    noun = model.noun
    context = mail_facts(assignment) | {"kind_of": noun, "ends_at": assignment.ends_at}
    tell(assignment, settings, f"{noun}_assigned", "assignment_expiring", context, at=at)
    return True
