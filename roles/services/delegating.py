"""Letting a colleague decide in one's place for a time."""

from datetime import datetime
from typing import Any

from django.utils.timezone import now
from django.utils.translation import gettext as _

from accounts.authority import require
from accounts.links import link
from accounts.models import User
from accounts.services import lock_people, withdraw_weak_tickets
from audit.services import privileged, record
from notifications.services import queue
from roles.models import Delegation
from roles.rules import DelegationRefused, check_delegation, check_reason


@privileged("delegation.created", target="delegate")
def delegate_decisions(
    *,
    actor: User,
    delegate: User,
    ends_at: datetime,
    starts_at: datetime | None = None,
    justification: str = "",
    validate_only: bool = False,
) -> Delegation:
    """Let `delegate` decide whatever `actor` is named to decide, from `starts_at` (None: now) until `ends_at`.

    Args:
        validate_only: check all, and store nothing.

    Raises:
        DelegationRefused: ``delegate_invalid``, ``schedule_invalid``, ``already_delegated``.
    """
    lock_people([actor, delegate])
    delegator = User.objects.get(pk=actor.pk)
    at = now()
    check_delegation(delegator, delegate, starts_at=starts_at or at, ends_at=ends_at, at=at)
    starts_at = max(starts_at or at, at)
    same = Delegation.objects.lasting(at).filter(delegator=delegator, delegate=delegate)
    if same.filter(starts_at__lt=ends_at, ends_at__gt=starts_at).exists():
        text = _("%(delegate)s decides for you in this time already. End that delegation first.")
        raise DelegationRefused(text % {"delegate": delegate}, code="already_delegated")
    made = Delegation(
        delegator=delegator,
        delegate=delegate,
        starts_at=starts_at,
        ends_at=ends_at,
        justification=justification.strip(),
        created_at=at,
    )
    if validate_only:
        return made
    made.save(force_insert=True)
    withdraw_weak_tickets([delegate])
    facts = {"starts_at": made.starts_at, "ends_at": made.ends_at}
    _record("delegation.created", made, actor=actor, justification=justification, after=facts)
    _tell("delegation_made", made)
    return made


def colleague(identifier: str) -> User:
    """Return the enabled person of this username or e-mail address.

    Raises:
        DelegationRefused: ``delegate_invalid``.
    """
    found = list(User.objects.enabled().people().named(identifier.strip())[:2])
    if len(found) != 1:
        raise DelegationRefused(_("Nobody is known by this username or address."), code="delegate_invalid")
    return found[0]


@privileged("delegation.ended", target="delegation")
def end_delegation(*, delegation: Delegation, actor: User, justification: str = "") -> Delegation:
    """End a delegation before its time: one's own, one given to oneself, or anybody's with the right to, and a reason.

    Raises:
        NotAllowed. DelegationRefused: ``justification_required``, ``already_ended``.
    """
    delegation = (
        Delegation.objects.select_for_update(of=("self",)).select_related("delegator", "delegate").get(pk=delegation.pk)
    )
    if actor.pk not in (delegation.delegator_id, delegation.delegate_id):
        require(actor, "roles.change_rolesettings")
        check_reason(justification)
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
