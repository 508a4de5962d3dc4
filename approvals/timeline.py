"""What became of a request, step by step."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.utils.text import capfirst
from django.utils.translation import gettext as _

from audit.models import Event

from .models import Decision, HookCall, Request


@dataclass(frozen=True)
class Step:
    """`tone` is that of a state (``active``, ``waiting``, ``ok``, ``refused`` …), `words` what somebody said."""

    tone: str
    what: str
    at: datetime | None
    words: str = ""


def timeline(request: Request, *, at: datetime) -> list[Step]:
    """Return what happened so far and what is known to come, oldest first. Two queries, three with a hook."""
    decisions = request.decisions.select_related("person", "on_behalf_of", "repeats")
    return [
        _asked(request),
        *_checked(request),
        *map(_decided, decisions),
        *_closed(request, at),
        *_granted(request, at),
    ]


def _asked(request: Request) -> Step:
    sentences = {
        Request.Action.SELF_ACTIVATE: _("%(who)s asked for the role"),
        Request.Action.SELF_DEACTIVATE: _("%(who)s ended the activation early"),
        Request.Action.ADMIN_ASSIGN: _("%(who)s made the assignment"),
        Request.Action.ADMIN_UPDATE: _("%(who)s changed the assignment"),
        Request.Action.ADMIN_EXTEND: _("%(who)s extended the assignment"),
        Request.Action.ADMIN_RENEW: _("%(who)s renewed the assignment"),
        Request.Action.ADMIN_REMOVE: _("%(who)s took the role away"),
        Request.Action.SELF_EXTEND: _("%(who)s asked to extend it"),
        Request.Action.SELF_RENEW: _("%(who)s asked to renew it"),
    }
    what = sentences[Request.Action(request.action)] % {"who": request.requester or _("The system")}
    return Step("ok", what, request.requested_at, request.justification)


def _checked(request: Request) -> Iterator[Step]:
    """What the hook said; requests that were asked for under settings without one have none."""
    call = HookCall.objects.filter(request=request).select_related("hook").first() if request.settings.hook_id else None
    if call is None or not call.outcome:
        return
    tones = {HookCall.Outcome.DENIED: "refused", HookCall.Outcome.UNANSWERED: "failed"}
    what = _("%(who)s %(outcome)s") % {"who": call.hook or _("A check"), "outcome": call.get_outcome_display()}
    yield Step(tones.get(HookCall.Outcome(call.outcome), "ok"), what, call.answered_at, call.reasons)


def _decided(decision: Decision) -> Step:
    approved = decision.verdict == Decision.Verdict.APPROVED
    what = _("%(who)s approved") if approved else _("%(who)s denied")
    tone = "ok" if approved else "refused"
    return Step(tone, what % {"who": decision.who}, decision.decided_at, decision.justification)


def _closed(request: Request, at: datetime) -> Iterator[Step]:
    """The ends that no decision tells of; who canceled, and why it failed, is known to the audit alone."""
    if request.is_overdue(at):
        yield Step("ended", _("Nobody decided in time"), request.closes_at)
    elif request.status == Request.Status.PENDING_HOOK:
        yield Step("waiting", _("Closes by itself if nothing is heard"), request.closes_at)
    elif request.is_pending:
        yield Step("waiting", _("Closes by itself if nobody decides"), request.closes_at)
    elif request.waits_for_administrator:
        yield Step("waiting", _("Closes by itself if no administrator decides"), request.closes_at)
    elif request.status == Request.Status.TIMED_OUT:
        yield Step("ended", _("Nobody decided in time"), request.settled_at)
    elif request.status == Request.Status.CANCELED:
        event = _event(request, "request.canceled")
        who = event.facts["actor"]["label"] if event else request.requester
        words = event.facts["justification"] if event else ""
        yield Step("ended", _("%(who)s canceled") % {"who": who}, request.settled_at, words)
    elif request.status == Request.Status.FAILED:
        event = _event(request, "request.failed")
        cause = event.facts["after"]["cause"] if event else request.failure_code
        yield Step("failed", _("The role could not be granted: %(cause)s") % {"cause": cause}, request.settled_at)


def _event(request: Request, action: str) -> Event | None:
    return Event.objects.filter(request_id=request.pk, action=action, outcome=Event.Outcome.SUCCESS).first()


def _granted(request: Request, at: datetime) -> Iterator[Step]:
    given = request.active_assignment or request.eligible_assignment
    if given is None or request.status not in (Request.Status.PROVISIONED, Request.Status.SCHEDULED):
        return
    state = given.state(at)
    if state == "scheduled":
        yield Step("scheduled", _("Starts"), given.starts_at)
    else:
        yield Step("active", _("In force") if request.active_assignment else _("Eligible"), given.starts_at)
    if state == "ended":
        reason = given.get_end_reason_display() or _("expired")
        yield Step("ended", capfirst(reason), given.ended_at or given.ends_at)
    elif given.ends_at:
        yield Step("ending", _("Ends by itself"), given.ends_at)
