"""A running activation that is to last for longer."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Model
from django.utils.timezone import now

from accounts.models import User
from assignments.models import ActiveAssignment, EligibleAssignment
from assignments.rules import (
    SHORTEST,
    Waiver,
    check_grant,
    check_longer_than_now,
    check_runs,
    check_time_open,
    latest_end,
    whole_second,
)
from audit.services import record
from roles import services as roles
from roles.hooks import Hook
from roles.models import RoleSettings
from roles.tickets import link_to, shown

from .activation import concerned, ends_beneath, mail_facts, reaches, tell
from .stating import dates_of, recorded


@transaction.atomic(savepoint=False)
def prolong(
    *,
    active: ActiveAssignment,
    actor: User | None,
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
    """Give a running activation a later end. What must hold for an activation must hold for this.

    Args:
        duration: how much longer; capped by the longest duration, counted as `rules.latest_end` says, and by the end of
            the eligibility and of the membership that it comes through.
        approvers, waiver, checked_by: as for `activate`.

    Raises:
        ActivationRefused: what must hold does not; ``already_ended``, ``too_long``.
    """
    assert active.user  # noqa: S101 (an activation is of a person)
    assert active.eligible_assignment  # noqa: S101 (and comes from an eligibility)
    user = User.objects.select_for_update(no_key=True).get(pk=active.user.pk)
    key = active.eligible_assignment.pk
    eligible = EligibleAssignment.objects.select_for_update(of=("self",), no_key=True).described().get(pk=key)
    active = ActiveAssignment.objects.select_for_update(of=("self",), no_key=True).described().get(pk=active.pk)
    at, approvers = now(), list(approvers)
    settings = RoleSettings.objects.applying_to(active.role, active.scope)[0]
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
    check_runs(active, at=at)
    check_time_open(active)
    assert active.ends_at is not None  # noqa: S101 (an activation always ends)
    latest = min([latest_end(active, settings, at=at), *ends_beneath(eligible, user, at=at)])
    check_longer_than_now(active, latest)
    before = dates_of(active)
    active.ends_at, active.reminded_days = whole_second(min(active.ends_at + duration, latest)), None
    active.save(update_fields=["ends_at", "reminded_days"])
    named = {"ticket": shown(ticket, ticket_system)}
    record(
        "assignment.extended",
        actor=actor,
        target=active,
        subject=user,
        role=active.role,
        scope=active.scope,
        request=request,
        justification=justification,
        before=before,
        after=recorded(active)
        | {"approvers": sorted(map(str, approvers))}
        | ({"waiver": waiver.value} if waiver else {}),
        **named,
    )
    context = mail_facts(active) | named | {"ticket_url": link_to(settings.ticket_link, ticket)}
    context |= {"ends_at": active.ends_at, "reason": justification, "approver": ", ".join(map(str, approvers))}
    tell(active, settings, "activated", "activation_extended", context, at=at)
    return active


@transaction.atomic
def remind_of_end(*, active: ActiveAssignment) -> bool:
    """Tell a person that their activation ends in some minutes. Return False if they were told, or it is over."""
    at = now()
    if not ActiveAssignment.objects.ending(at).filter(pk=active.pk).update(reminded_days=0):
        return False
    active = ActiveAssignment.objects.described().get(pk=active.pk)
    settings = RoleSettings.objects.applying_to(active.role, active.scope)[0]
    assert active.ends_at is not None  # noqa: S101 (an activation always ends)
    room = latest_end(active, settings, at=at) - active.ends_at
    context = mail_facts(active) | {"ends_at": active.ends_at, "extends": room >= SHORTEST and not active.is_emergency}
    common: dict[str, Any] = {"event": "activated", "audience": "requestor", "settings": settings, "about": active}
    roles.tell("activation_ending", to=concerned(active, at=at), context=context, **common)
    return True
