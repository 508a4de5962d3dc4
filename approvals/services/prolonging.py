"""What people ask for when a running activation will not be enough: more time, under the role's settings."""

from datetime import datetime, timedelta
from typing import Any

from django.utils.timezone import now

from accounts.models import StepUpProof, User
from approvals.models import Request
from approvals.rules import already_pending, check_text
from assignments import services as assignments
from assignments.models import ActiveAssignment, EligibleAssignment
from assignments.rules import check_eligible, check_prolong_ask
from audit.services import privileged
from roles.models import RoleSettings

from .activating import first_state, prove_asker, set_out
from .recording import record_about


@privileged("activation_extension.requested", target="active")
def extend_activation(
    *,
    active: ActiveAssignment,
    actor: User,
    duration: timedelta,
    justification: str = "",
    ticket: str = "",
    ticket_system: str = "",
    proof: StepUpProof | None = None,
    session: str = "",
    validate_only: bool = False,
) -> Request:
    """Ask, in its last 15 minutes, to keep one's activation for longer: granted at once, or decided by the approvers.

    Args:
        active: the actor's activation, in force.
        duration: how much longer, 5 minutes at least.
        proof: of a second factor, made for `prolong_facts` of these arguments.
        session: the sign-in session or API token that the proof was made in.
        validate_only: check all but the proof, and store nothing.

    Returns:
        The request: provisioned or pending_approval; not saved when `validate_only`.

    Raises:
        ActivationRefused, RequestRefused: with what to do in the text. StepUpRefused: ``mfa_required``,
        ``phishing_resistant_required``.
    """
    said = {"justification": justification, "ticket": ticket, "ticket_system": ticket_system}
    user = User.objects.select_for_update(no_key=True).get(pk=actor.pk)
    active, eligible = _locked(active)
    at = now()
    settings = RoleSettings.objects.applying_to(active.role, active.scope)[0]
    check_text(justification, ticket=ticket, ticket_system=ticket_system)
    asked: dict[str, Any] = {"duration": duration, "justification": justification, "ticket": ticket}
    check_prolong_ask(active, settings, user=user, **asked, at=at)
    check_eligible(eligible, user=user, reaches=assignments.reaches(eligible, user, at=at), at=at)
    if Request.objects.undecided().filter(user=user, eligible_assignment=eligible, expires_at__gt=at).exists():
        raise already_pending()
    request = _new_request(active, settings, duration=duration, at=at, **said)
    if validate_only:
        return request
    action, facts = "activation_extension.requested", prolong_facts(active=active, duration=duration, **said)
    request.proved_with = prove_asker(user, settings, proof, session=session, action=action, facts=facts)
    _record_asked(request, actor=user)
    set_out(request, settings, actor=user, at=at)
    return request


def prolong_facts(*, active: ActiveAssignment, **asked: Any) -> dict[str, Any]:
    """Return what a proof for an extension is bound to: all of what is being asked."""
    return {"active": active.pk, **asked}


def _locked(active: ActiveAssignment) -> tuple[ActiveAssignment, EligibleAssignment]:
    """Lock what is activated, if it is an activation, then the assignment; the caller holds the person's row."""
    eligible = EligibleAssignment.objects.select_for_update(of=("self",), no_key=True).described()
    found = eligible.filter(pk=active.eligible_assignment_id).first()
    row = ActiveAssignment.objects.select_for_update(of=("self",), no_key=True).described().get(pk=active.pk)
    return row, found or EligibleAssignment(starts_at=row.starts_at, ended_at=row.starts_at)


def _new_request(
    active: ActiveAssignment, settings: RoleSettings, *, duration: timedelta, at: datetime, **said: str
) -> Request:
    return Request(
        action=Request.Action.SELF_EXTEND,
        **first_state(settings, at),
        requester=active.user,
        user=active.user,
        role=active.role,
        scope=active.scope,
        settings=settings,
        eligible_assignment=active.eligible_assignment,
        prolongs=active,
        duration=duration,
        requested_at=at,
        **{name: text.strip() for name, text in said.items()},
    )


def _record_asked(request: Request, *, actor: User) -> None:
    facts = {"duration": request.duration, "settings_version": request.settings.version}
    record_about(
        "activation_extension.requested",
        request,
        actor=actor,
        target=request.prolongs,
        justification=request.justification,
        after=facts | {"proved_with": request.proved_with, "approval_required": request.settings.approval_required},
    )
