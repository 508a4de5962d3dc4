"""What others say to a request, and what comes of it."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils.timezone import now
from django.utils.translation import gettext as _

from accounts.models import StepUpProof, User
from accounts.rules import check_proof, intent_digest
from approvals.approvers import stage_of, stage_to_pass, stages_in_use, standing, voice_for
from approvals.models import Decision, Request
from approvals.rules import check_claim, check_decision, check_release, check_shortened, decision_facts
from assignments.rules import ActivationRefused
from audit.services import privileged
from notifications.services import suppress
from roles.models import ApprovalStage

from .activating import ask_stage, begin_stage, fail, grant, tell
from .assigning import kept_unless
from .recording import locked, record_about


@privileged("request.approved", target="request")
def approve(
    *,
    request: Request,
    actor: User,
    justification: str,
    duration: timedelta | None = None,
    proof: StepUpProof | None = None,
    proved_for: Iterable[Request] = (),
    session: str = "",
    validate_only: bool = False,
) -> Request:
    """Say yes. With the last yes that the stages in use ask for, the role is granted at once, if what must hold still
    does; otherwise the request closes as failed.

    Args:
        duration: shorter than what was asked, or None. Of several the shortest counts.
        proof: of a second factor, made for `rules.decision_facts` of `proved_for`, where the settings ask for it.
        proved_for: the requests that were decided in one go, this one among them; if none are named, this one.
        session: the sign-in session that the proof was made in.
        validate_only: do all of it but ask for the proof, and then undo it.

    Returns:
        The request: pending_approval, where more must approve; provisioned, scheduled, or failed with `failure_code`.

    Raises:
        DecisionRefused: ``own_request``, ``already_decided``, ``use_grant``, ``too_long``, ``too_short``.
        NotAnApprover: ``not_an_approver``.
        RequestRefused: ``justification_required``. StepUpRefused: ``mfa_required``.
    """
    with kept_unless(validate_only):
        request, at = locked(request), now()
        asked = request.duration or timedelta(0)
        stages = stages_in_use(request)
        decision = _decision(request, actor, Decision.Verdict.APPROVED, justification, stages=stages, at=at)
        check_shortened(asked if duration is None else duration, asked=asked)
        if not validate_only:
            _check_proof(decision, stages, proof, proved_for, session, at=at)
        decision.duration = duration
        decision.save(force_insert=True)
        yeses = list(request.decisions.filter(verdict=Decision.Verdict.APPROVED).select_related("person"))
        states = standing(request, stages, at, said=(each.voice_id for each in yeses))
        next_stage = stage_to_pass(states)
        if next_stage is not None:
            _go_on(decision, next_stage, stages, at=at)
            return request
        request.settled_at = at
        try:
            with transaction.atomic():
                _grant(request, actor, yeses, counted=set().union(*(state.approved for state in states)))
        except ActivationRefused as refusal:
            fail(request, actor, refusal, at=at)
        _conclude(decision, stages, at=at)
        return request


def _go_on(decision: Decision, stage: ApprovalStage, stages: list[ApprovalStage], *, at: datetime) -> None:
    """Keep waiting: for more people of the same stage, or for those of another, with the whole of its time."""
    request = decision.request
    _record_decision(decision, waits_for_stage=stage.number)
    if stage.number == request.stage:
        return
    suppress("approval_asked", "approval_reminder", about=request)
    context = {"stage": request.stage, "decider": decision.who}
    tell("stage_passed", request, "requestor", to=[request.person], context=context, settings=stage.settings)
    begin_stage(request, stage, at=at)
    request.save(update_fields=["stage", "expires_at", "escalates_at", "escalated_at", "remind_at"])
    ask_stage(request, stages, at=at)


def _grant(request: Request, actor: User, yeses: list[Decision], *, counted: set[UUID]) -> None:
    shortest = min([each.duration for each in yeses if each.duration], default=request.duration or timedelta(0))
    approvers = [each.person for each in yeses if each.person and each.voice_id in counted]
    grant(request, actor=actor, approvers=approvers, duration=shortest)


@privileged("request.denied", target="request")
def deny(
    *,
    request: Request,
    actor: User,
    justification: str,
    proof: StepUpProof | None = None,
    proved_for: Iterable[Request] = (),
    session: str = "",
    validate_only: bool = False,
) -> Request:
    """Say no. The request is closed, whatever others said. Arguments as for `approve`.

    Raises:
        As `approve`.
    """
    with kept_unless(validate_only):
        request, at = locked(request), now()
        stages = stages_in_use(request)
        decision = _decision(request, actor, Decision.Verdict.DENIED, justification, stages=stages, at=at)
        if not validate_only:
            _check_proof(decision, stages, proof, proved_for, session, at=at)
        decision.save(force_insert=True)
        request.status, request.settled_at = Request.Status.DENIED, at
        request.save(update_fields=["status", "settled_at"])
        _conclude(decision, stages, at=at)
        return request


def _decision(
    request: Request, actor: User, verdict: str, justification: str, *, stages: list[ApprovalStage], at: datetime
) -> Decision:
    """Check that `actor` may say it now; return what they say, which the caller saves."""
    stage = stage_of(request, stages)
    voice = voice_for(request, stage, actor, at) if stage else None
    check_decision(
        request,
        actor=actor,
        is_approver=voice is not None,
        has_decided=request.decisions.filter(Q(person=actor) | Q(on_behalf_of=actor)).exists(),
        justification=justification,
        at=at,
    )
    return Decision(
        request=request,
        person=actor,
        on_behalf_of=None if voice == actor else voice,
        verdict=verdict,
        justification=justification.strip(),
        stage=stage.number if stage else 1,
        decided_at=at,
    )


def _check_proof(
    decision: Decision,
    stages: list[ApprovalStage],
    proof: StepUpProof | None,
    proved_for: Iterable[Request],
    session: str,
    *,
    at: datetime,
) -> None:
    """One proof is good for each request of a row once: what uses it up is that nobody decides a request twice."""
    if not stages[0].settings.decision_mfa_required or decision.person is None:
        return
    row = {decision.request, *proved_for}
    intent = intent_digest("request.decided", **decision_facts(row, decision.verdict))
    check_proof(proof, user=decision.person, intent=intent, session=session, at=at)


@privileged("request.claimed", target="request")
def claim(*, request: Request, actor: User) -> Request:
    """Say "I am looking". It is shown to the others for some minutes and keeps nobody from deciding.

    Raises:
        DecisionRefused: ``own_request``, ``already_decided``, ``already_claimed``. NotAnApprover.
    """
    request, at = locked(request), now()
    _decision(request, actor, Decision.Verdict.APPROVED, _("I am looking"), stages=stages_in_use(request), at=at)
    check_claim(request, actor=actor, at=at)
    request.claimed_by, request.claimed_at = actor, at
    request.save(update_fields=["claimed_by", "claimed_at"])
    record_about("request.claimed", request, actor=actor)
    return request


@privileged("request.released", target="request")
def release(*, request: Request, actor: User) -> Request:
    """Say that one looks no longer, so that another may.

    Raises:
        DecisionRefused: ``not_claimed``.
    """
    request, at = locked(request), now()
    check_release(request, actor=actor, at=at)
    request.claimed_by = request.claimed_at = None
    request.save(update_fields=["claimed_by", "claimed_at"])
    record_about("request.released", request, actor=actor)
    return request


def _conclude(decision: Decision, stages: list[ApprovalStage], *, at: datetime) -> None:
    """Take back what asked, and tell what became of a request that is settled."""
    request = decision.request
    suppress("approval_asked", "approval_reminder", about=request)
    _record_decision(decision)
    if request.status != Request.Status.FAILED:
        _tell_decided(decision, stages, at=at)


def _record_decision(decision: Decision, **after: Any) -> None:
    facts = {"on_behalf_of": str(decision.on_behalf_of)} | after if decision.on_behalf_of else after
    record_about(
        f"request.{decision.verdict}",
        decision.request,
        actor=decision.person,
        justification=decision.justification,
        after=facts or None,
    )


def _tell_decided(decision: Decision, stages: list[ApprovalStage], *, at: datetime) -> None:
    request, active = decision.request, decision.request.active_assignment
    context = {
        "outcome": decision.verdict,
        "decider": decision.who,
        "justification": decision.justification,
        "duration": active.ends_at - active.starts_at if active and active.ends_at else request.duration,
        "ends_at": active.ends_at if active else None,
    }
    common: dict[str, Any] = {"context": context, "settings": stages[0].settings}
    tell("request_decided", request, "requestor", to=[request.person], **common)
    others = request.approvers(at, stages).exclude(pk__in=[decision.person_id])
    tell("request_decided", request, "approver", to=others, **common)
