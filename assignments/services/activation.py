"""Active assignments: how an eligibility becomes one, and how one ends."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Model
from django.utils.timezone import now
from django.utils.translation import gettext as _

from accounts.authority import require
from accounts.bulk import once
from accounts.links import link
from accounts.models import Group, User
from assignments.calendar import calendar_of
from assignments.models import (
    TAKEN,
    ActiveAssignment,
    EligibleAssignment,
    administrators,
    holders_in_force,
    members_of,
    membership_until,
)
from assignments.rules import (
    ActivationRefused,
    Waiver,
    check_grant,
    check_lasts,
    check_not_last,
    check_open,
    check_reach,
    in_emergency,
    whole_second,
)
from audit.services import privileged, record
from roles import services as roles
from roles.hooks import Hook
from roles.models import Resource, Role, RoleSettings
from roles.tickets import link_to, shown

from .stating import recorded

END_ACTIONS = {
    ActiveAssignment.EndReason.EXPIRED: "assignment.expired",
    ActiveAssignment.EndReason.DEACTIVATED: "assignment.deactivated",
    ActiveAssignment.EndReason.CANCELED: "assignment.canceled",
}


@transaction.atomic(savepoint=False)
def activate(
    *,
    eligible: EligibleAssignment,
    user: User,
    actor: User | None,
    scope: Resource,
    starts_at: datetime | None,
    duration: timedelta,
    justification: str,
    ticket: str,
    ticket_system: str = "",
    proved_with: str,
    approvers: Iterable[User],
    waiver: Waiver | None = None,
    checked_by: Hook | None = None,
    request: Model | None = None,
) -> ActiveAssignment:
    """Put a role in force for a limited time.

    Args:
        eligible: what is activated; it stays, and the activation is a second row linked to it.
        user: who gets the role: the holder, or one member of the group that is eligible.
        actor: who caused it: the holder, or the approver whose yes was the last.
        scope: the eligibility's or one beneath.
        starts_at: None, or a time gone by, for now.
        duration: capped by the role's settings, by the end of the eligibility, and, through a group, by the end of the
            membership.
        proved_with: how a second factor was proved when the role was asked for; empty if it was not.
        approvers: who said yes.
        waiver: why none of them is needed.
        checked_by: the hook that let it go on.
        request: the request that this answers, for the audit.

    Raises:
        ActivationRefused: what must hold does not; ``already_active``.
    """
    user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    at = now()
    eligible = EligibleAssignment.objects.select_for_update(of=("self",), no_key=True).described().get(pk=eligible.pk)
    roles.hold_place(scope, eligible.scope)
    check_reach(eligible, scope)
    settings = RoleSettings.objects.applying_to(eligible.role, scope)[0]
    if waiver == Waiver.EMERGENCY:
        settings = in_emergency(settings, user)
    approvers = list(approvers)
    check_grant(
        eligible,
        settings,
        user=user,
        reaches=reaches(eligible, user, at=at),
        approvers=approvers,
        needed=0 if waiver else settings.approvals_needed,
        checked_by=checked_by,
        justification=justification,
        ticket=ticket,
        proved_with=proved_with,
        at=at,
    )
    starts_at = max(whole_second(at), starts_at or at)
    ends_at = starts_at + min(duration, settings.activation_max_duration)
    ends_at = min([ends_at, *ends_beneath(eligible, user, at=at)])
    check_lasts(whole_second(starts_at), whole_second(ends_at))
    active = _open(
        eligible,
        user,
        scope,
        starts_at=whole_second(starts_at),
        ends_at=whole_second(ends_at),
        is_emergency=waiver == Waiver.EMERGENCY,
        at=at,
    )
    facts = recorded(active) | {"approvers": sorted(map(str, approvers))} | ({"waiver": waiver.value} if waiver else {})
    named = {"ticket": shown(ticket, ticket_system)}
    common: dict[str, Any] = {"justification": justification, "request": request}
    _record("assignment.activated", active, actor=actor, after=facts, **named, **common)
    told = named | {"ticket_url": link_to(settings.ticket_link, ticket)}
    _tell_activated(active, settings, approvers=approvers, reason=justification, ticket=told, at=at)
    return active


def ends_beneath(eligible: EligibleAssignment, user: User, *, at: datetime) -> list[datetime]:
    """Return when what an activation stands on ends: the eligibility, and the membership of the group that has it."""
    ends = [eligible.ends_at, membership_until(user, eligible.group, at) if eligible.group else None]
    return [end for end in ends if end is not None]


def reaches(eligible: EligibleAssignment, user: User, *, at: datetime) -> bool:
    """Is it the person's own, or of a group that they are a member of now?"""
    return EligibleAssignment.objects.reaching(user, at).filter(pk=eligible.pk).exists()


def _open(
    eligible: EligibleAssignment,
    user: User,
    scope: Resource,
    *,
    starts_at: datetime,
    ends_at: datetime,
    is_emergency: bool,
    at: datetime,
) -> ActiveAssignment:
    """Insert the row; the constraint has the last word on there being one."""
    for past in eligible.activations.due(at).filter(user=user, scope=scope):
        expire_active(active=past, actor=None)  # the worker is late: its row must not stand in the way
    check_free(eligible, user, scope, at=at)
    try:
        return ActiveAssignment.objects.create(
            user=user,
            role=eligible.role,
            scope=scope,
            eligible_assignment=eligible,
            starts_at=starts_at,
            ends_at=ends_at,
            is_emergency=is_emergency,
            created_at=at,
        )
    except IntegrityError as error:
        raise _already_active() from error


def check_free(eligible: EligibleAssignment, user: User, scope: Resource, *, at: datetime) -> None:
    """Refuse to activate what the person has at this scope, in force or scheduled.

    Raises:
        ActivationRefused: ``already_active``.
    """
    lasting = ActiveAssignment.objects.lasting(at).reaching(user, at)
    if lasting.filter(role=eligible.role, scope=scope).exists():
        raise _already_active()


def _already_active() -> ActivationRefused:
    return ActivationRefused(_("This role is active or scheduled at this scope already."), code="already_active")


def _tell_activated(
    active: ActiveAssignment,
    settings: RoleSettings,
    *,
    approvers: list[User],
    reason: str,
    ticket: dict[str, str],
    at: datetime,
) -> None:
    context = (
        mail_facts(active)
        | ticket
        | {
            "starts_at": active.starts_at,
            "ends_at": active.ends_at,
            "scheduled": active.starts_at > at,
            "calendar": calendar_of(active, url=link("home")) if active.starts_at > at else "",
            "reason": reason,
            "approver": ", ".join(map(str, approvers)),
        }
    )
    tell(active, settings, "activated", "role_activated", context, at=at)


@transaction.atomic(savepoint=False)
def end(
    *,
    active: ActiveAssignment,
    actor: User | None,
    reason: str,
    justification: str = "",
    request: Model | None = None,
) -> ActiveAssignment:
    """End an active assignment before its time, at once.

    Args:
        reason: one of `ActiveAssignment.EndReason`.

    Raises:
        AssignmentRefused: ``already_ended``, ``last_administrator``.
    """
    lock(active.holder)
    active = ActiveAssignment.objects.select_for_update(of=("self",), no_key=True).described().get(pk=active.pk)
    at = now()
    check_open(active, at=at)
    # An activation can be had again, so whoever is done with one may be the last.
    taken = reason in TAKEN or not active.is_activated
    with administrators_kept() if taken and _gives_power(active) else nullcontext():
        active.ended_at, active.end_reason = at, reason
        active.save(update_fields=["ended_at", "end_reason"])
        common: dict[str, Any] = {"justification": justification, "request": request}
        action = END_ACTIONS.get(ActiveAssignment.EndReason(reason), "assignment.removed")
        _record(action, active, actor=actor, after={"ended_at": at, "cause": reason}, **common)
        _tell_ended(active, actor=actor, why=justification, at=at)
        _end_carried(active, actor=actor, **common)
    return active


def _end_carried(active: ActiveAssignment, *, actor: User | None, **facts: Any) -> None:
    """With a membership ends what its person activated through the group, unless another membership carries it."""
    if active.role.group_part == Role.GroupPart.MEMBER:
        group = active.role.resource.group_id
        end_adrift(actor=actor, user=active.user_id, eligible_assignment__group=group, **facts)


def end_adrift(
    *, actor: User | None, justification: str = "", request: Model | None = None, **chosen: Any
) -> list[ActiveAssignment]:
    """End what was activated through groups by people who are no members any more; return what ended.

    Args:
        chosen: which rows to look at, as for `filter`; all without any.
    """
    at, reason = now(), ActiveAssignment.EndReason.MEMBERSHIP_ENDED
    rows = ActiveAssignment.objects.adrift(at).filter(**chosen)
    common: dict[str, Any] = {"justification": justification, "request": request}
    return [end(active=row, actor=actor, reason=reason, **common) for row in rows.order_by("user", "pk")]


def _gives_power(active: ActiveAssignment) -> bool:
    """Might its end leave nobody who could give roles?"""
    return bool(active.role.group_part) or active.role.built_in_key in Role.GUARDED


def lock(holder: User | Group) -> None:
    """Lock the holder's row, a deleted group's too: first of all, so that nobody waits for each other."""
    type(holder)._base_manager.select_for_update(of=("self",), no_key=True).get(pk=holder.pk)


@contextmanager
def administrators_kept() -> Iterator[None]:
    """Refuse what is done in the block if it leaves nobody who holds a role that somebody must hold.

    The rows of the roles are the lock of the count, which is made when everything is done.

    Raises:
        AssignmentRefused: ``last_administrator``.
    """
    at = now()
    held = [key for key in Role.GUARDED if holders_in_force(key, at=at).exists()]
    yield
    for role in Role.objects.select_for_update(of=("self",), no_key=True).filter(built_in_key__in=held).order_by("pk"):
        check_not_last(role, others=holders_in_force(str(role.built_in_key), at=now()).count())


@privileged("assignment.expired", target="active")
def expire_active(*, active: ActiveAssignment, actor: User | None) -> bool:
    """Close an active assignment whose time is up. Return False if it was closed already: then nothing is written.

    Raises:
        NotAllowed: only the system may.
    """
    require(actor)
    at = now()
    due = ActiveAssignment.objects.due(at).filter(pk=active.pk)
    if not due.update(ended_at=F("ends_at"), end_reason=ActiveAssignment.EndReason.EXPIRED):
        return False
    active = ActiveAssignment.objects.described().get(pk=active.pk)
    _record("assignment.expired", active, actor=actor, after={"ended_at": active.ended_at, "cause": "expired"})
    if active.is_activated:
        _tell_ended(active, actor=actor, at=at)
    else:
        settings = RoleSettings.objects.applying_to(active.role, active.scope)[0]
        context = mail_facts(active) | {"kind_of": "active", "ended_at": active.ended_at}
        tell(active, settings, "active_assigned", "assignment_expired", context, at=at)
    _end_carried(active, actor=actor)
    return True


def _tell_ended(active: ActiveAssignment, *, actor: User | None, at: datetime, why: str = "") -> None:
    """The holder is told, unless it was their own doing."""
    if actor is not None and actor.pk == active.user_id:
        return
    settings = RoleSettings.objects.applying_to(active.role, active.scope)[0]
    event = "activated" if active.is_activated else "active_assigned"
    context = mail_facts(active) | {
        "ended_at": active.ended_at,
        "cause": active.end_reason,
        "actor": str(actor or ""),
        "reason": why,
    }
    common: dict[str, Any] = {"settings": settings, "about": active, "context": context}
    roles.tell("role_ended", event=event, audience="requestor", to=concerned(active, at=at), **common)


def tell(
    assignment: ActiveAssignment | EligibleAssignment,
    settings: RoleSettings,
    event: str,
    kind: str,
    context: dict[str, Any],
    *,
    at: datetime,
) -> None:
    """Queue a mail to the holder and to the administrators, as far as the role's settings say so."""
    common: dict[str, Any] = {"event": event, "settings": settings, "about": assignment}
    roles.tell(kind, audience="requestor", to=concerned(assignment, at=at), context=context, **common)
    others = _administrators_besides(assignment.holder, at)
    roles.tell(kind, audience="admin", to=others, context=context | {"url": _console_page(assignment)}, **common)


def _administrators_besides(holder: User | Group, at: datetime) -> Iterator[User]:
    """Yield the administrators who are told, looked up only if they are."""
    everybody = once("administrators", lambda: list(administrators(at)))
    yield from (person for person in everybody if person.pk != holder.pk)


def concerned(assignment: ActiveAssignment | EligibleAssignment, *, at: datetime) -> Iterable[User]:
    """Return the people whom it is about: the holder, or those who are members of the group now."""
    holder = assignment.holder
    return [holder] if isinstance(holder, User) else members_of(holder, at).people()


def _console_page(assignment: ActiveAssignment | EligibleAssignment) -> str:
    return link(f"admin:{assignment._meta.app_label}_{assignment._meta.model_name}_change", assignment.pk)


def mail_facts(assignment: ActiveAssignment | EligibleAssignment) -> dict[str, Any]:
    return {
        "user": str(assignment.holder),
        "role": str(assignment.role),
        "scope": str(assignment.scope),
        "url": link("home"),
        "through": str(assignment.group or ""),
    }


def _record(action: str, active: ActiveAssignment, *, actor: User | None, **facts: Any) -> None:
    record(action, actor=actor, target=active, subject=active.holder, role=active.role, scope=active.scope, **facts)
