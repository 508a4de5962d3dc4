"""Asking the hook of a request, and what comes of its answer. Only the worker does this."""

from datetime import timedelta

from django.db import transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _

from accounts.authority import require
from accounts.models import User
from approvals.hook_calls import HookCall
from approvals.hooks import ATTEMPTS, Reply, pause_after, question, read_reply
from approvals.models import Request
from assignments.rules import ActivationRefused, Waiver
from audit.services import privileged
from notifications.outgoing import SECONDS, NoAnswer, post
from roles.models import RoleSettings

from .activating import fail, grant, proceed, tell
from .recording import locked, record_about

# Longer than one attempt can take: if the worker dies in it, the question is asked anew after this.
LEASE = timedelta(seconds=6 * SECONDS)


def ask_hook(*, call: HookCall) -> bool:
    """Claim a question that is due, ask it, and act on the answer; False if somebody else has it.

    Nothing is locked while the other system is waited for. A question that is asked twice has the same message id.
    """
    at, attempt = now(), call.attempts + 1
    due = HookCall.objects.due(at).filter(pk=call.pk, attempts=call.attempts)
    if not due.update(attempts=attempt, next_attempt_at=at + LEASE):
        return False
    request = Request.objects.described().get(pk=call.request_id)
    settings = RoleSettings.objects.applying_to(request.role, request.scope).select_related("hook")[0]
    HookCall.objects.filter(pk=call.pk).update(hook=settings.hook)
    reply = _asked(request, settings)
    if reply.error and attempt < ATTEMPTS and settings.hook and settings.hook.is_usable:
        waiting = HookCall.objects.filter(pk=call.pk, attempts=attempt, outcome="")
        return bool(waiting.update(next_attempt_at=now() + pause_after(attempt), last_error=reply.error))
    return hear(request=request, actor=None, reply=reply, attempt=attempt)


def _asked(request: Request, settings: RoleSettings) -> Reply:
    hook, at = settings.hook, now()
    if hook is None:  # the settings have let it go meanwhile
        return Reply(outcome=HookCall.Outcome.APPROVED)
    if not hook.is_usable:
        return Reply(error="disabled")
    try:
        body = question(request, at=at)
        return read_reply(post(hook.url, body, hook.secrets(at), message_id=f"req_{request.pk.hex}", at=at))
    except NoAnswer as failure:
        return Reply(error=failure.code)


@privileged("request.checked", target="request")
def hear(*, request: Request, actor: User | None, reply: Reply, attempt: int) -> bool:
    """Act on the last word of a hook: deny, go on to people, or grant. False if the request does not wait for it.

    Args:
        reply: with an error, what the settings say about silence counts.
        attempt: the claim that it answers; a later claim waits for its own answer.

    Raises:
        NotAllowed: only the system may.
    """
    require(actor)
    request = locked(request)
    at = now()
    call = HookCall.objects.select_for_update(of=("self",)).select_related("hook").get(request=request)
    waits = request.status == Request.Status.PENDING_HOOK and not request.is_overdue(at)
    if not waits or call.outcome or call.attempts != attempt:
        return False
    settings = RoleSettings.objects.applying_to(request.role, request.scope)[0]
    call.outcome, call.reasons = reply.outcome or HookCall.Outcome.UNANSWERED, reply.reasons
    call.last_error, call.answered_at = reply.error, at
    call.save(update_fields=["outcome", "reasons", "last_error", "answered_at"])
    request.hook_call = call
    unanswered = (
        call.outcome == HookCall.Outcome.UNANSWERED and settings.hook_unanswered == RoleSettings.Unanswered.DENY
    )
    facts = {"hook": str(call.hook or ""), "outcome": call.outcome, "error": reply.error, "attempts": attempt}
    facts |= {"denied": unanswered or call.outcome == HookCall.Outcome.DENIED}
    record_about("request.checked", request, actor=actor, justification=call.reasons, after=facts)
    if unanswered:
        _deny(request, call, _("The check that this role asks for did not answer, so it was denied."))
    elif call.outcome == HookCall.Outcome.DENIED:
        _deny(request, call, call.reasons)
    else:
        _go_on(request, call, settings)
    return True


def _deny(request: Request, call: HookCall, why: str) -> None:
    request.status, request.settled_at = Request.Status.DENIED, call.answered_at
    request.save(update_fields=["status", "settled_at"])
    context = {"outcome": "denied", "decider": str(call.hook), "justification": why, "duration": request.duration}
    tell("request_decided", request, "requestor", to=[request.person], context=context)


def _go_on(request: Request, call: HookCall, settings: RoleSettings) -> None:
    """Ask people, or grant where nobody need be asked; what does not hold any more closes the request."""
    assert call.answered_at is not None  # noqa: S101 (its caller has just set it)
    try:
        with transaction.atomic():
            if call.outcome == HookCall.Outcome.AUTO_APPROVED:
                request.settled_at = call.answered_at
                grant(request, actor=None, approvers=[], duration=request.duration or timedelta(0), waiver=Waiver.HOOK)
            else:
                people = call.outcome == HookCall.Outcome.UNANSWERED
                proceed(request, settings, actor=None, ask_people=people, at=call.answered_at)
    except ActivationRefused as refusal:
        fail(request, None, refusal, at=call.answered_at)
