"""Letting a colleague decide in one's place for a time."""

from datetime import datetime
from typing import Any

from django.utils.timezone import now
from django.utils.translation import gettext as _

from accounts.authority import require
from accounts.links import link
from accounts.models import User
from accounts.services import withdraw_weak_tickets
from audit.services import privileged, record
from notifications.services import queue
from roles.models import Delegation
from roles.rules import DelegationRefused, check_delegation


@privileged("delegation.created", target="delegate")
def delegate_decisions(
    *, actor: User, delegate: User, ends_at: datetime, starts_at: datetime | None = None, justification: str = ""
) -> Delegation:
    """Let `delegate` decide whatever `actor` is named to decide, from `starts_at` (None: now) until `ends_at`.

    Raises:
        DelegationRefused: ``delegate_invalid``, ``schedule_invalid``, ``already_delegated``.
    """
    delegator = User.objects.select_for_update(no_key=True).get(pk=actor.pk)
    at = now()
    check_delegation(delegator, delegate, starts_at=starts_at or at, ends_at=ends_at, at=at)
    starts_at = max(starts_at or at, at)
    same = Delegation.objects.lasting(at).filter(delegator=delegator, delegate=delegate)
    if same.filter(starts_at__lt=ends_at, ends_at__gt=starts_at).exists():
        text = _("%(delegate)s decides for you in this time already. End that delegation first.")
        raise DelegationRefused(text % {"delegate": delegate}, code="already_delegated")
    made = Delegation.objects.create(
        delegator=delegator,
        delegate=delegate,
        starts_at=starts_at,
        ends_at=ends_at,
        justification=justification.strip(),
        created_at=at,
    )
    withdraw_weak_tickets([delegate])
    facts = {"starts_at": made.starts_at, "ends_at": made.ends_at}
    _record("delegation.created", made, actor=actor, justification=justification, after=facts)
    _tell("delegation_made", made)
    return made


@privileged("delegation.ended", target="delegation")
def end_delegation(*, delegation: Delegation, actor: User, justification: str = "") -> Delegation:
    """End a delegation before its time: one's own, one that was given to oneself, or anybody's with the right to.

    Raises:
        NotAllowed. DelegationRefused: ``already_ended``.
    """
    delegation = (
        Delegation.objects.select_for_update(of=("self",)).select_related("delegator", "delegate").get(pk=delegation.pk)
    )
    if actor.pk not in (delegation.delegator_id, delegation.delegate_id):
        require(actor, "roles.change_rolesettings")
    at = now()
    if delegation.state(at) == "ended":
        raise DelegationRefused(_("This delegation has ended already."), code="already_ended")
    delegation.ended_at = at
    delegation.save(update_fields=["ended_at"])
    _record("delegation.ended", delegation, actor=actor, justification=justification)
    _tell("delegation_ended", delegation)
    return delegation


def _record(action: str, delegation: Delegation, *, actor: User, **facts: Any) -> None:
    record(action, actor=actor, target=delegation.delegate, subject=delegation.delegator, **facts)


def _tell(kind: str, delegation: Delegation) -> None:
    context = {
        "delegator": str(delegation.delegator),
        "delegate": str(delegation.delegate),
        "starts_at": delegation.starts_at,
        "ends_at": delegation.ends_at,
        "reason": delegation.justification,
        "url": link("approvals:delegation-list"),
    }
    for audience, person in (("delegate", delegation.delegate), ("delegator", delegation.delegator)):
        queue(kind, to=[person], about=delegation.delegate, context=context | {"audience": audience})
