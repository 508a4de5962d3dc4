"""Loops for the worker. Each takes everything that is due, may run twice or late, and stops at no bad row."""

from time import monotonic

from django.utils.timezone import now

from accounts.models import BrowserSession
from accounts.tasks import each_by_itself

from .models import EmergencyUse, HookCall, Request
from .services import (
    ask_hook,
    escalate,
    lapse,
    note_emergency_sign_in,
    note_start,
    remind,
    remind_of_review,
    time_out,
)

# Well below the time after which the queue kills a task, the longest question included.
RUN_SECONDS = 30.0


def time_out_due() -> int:
    """Close every request that nobody decided in time; return how many this run closed."""
    at = now()
    late = each_by_itself(Request.objects.overdue(at), lambda request: time_out(request=request, actor=None))
    return late + each_by_itself(Request.objects.lapsed(at), lambda request: lapse(request=request, actor=None))


def start_due() -> int:
    """Note the start of every scheduled activation that has begun; return how many this run noted."""
    return each_by_itself(Request.objects.starting(now()), lambda request: note_start(request=request, actor=None))


def check_due() -> int:
    """Ask the hooks of requests that wait for them; return how many this run asked. What is left waits for the next."""
    until = monotonic() + RUN_SECONDS
    return each_by_itself(HookCall.objects.due(now()), lambda call: monotonic() < until and ask_hook(call=call))


def ask_due() -> int:
    """Ask the others and remind those who have not answered, where it is time; return how often this run did."""
    at = now()
    asked = each_by_itself(Request.objects.to_escalate(at), lambda request: escalate(request=request, actor=None))
    return asked + each_by_itself(Request.objects.to_remind(at), lambda request: remind(request=request, actor=None))


def watch_due() -> int:
    """Remind of overdue reviews, and tell of sign-ins with emergency accounts; return how many of both."""
    at = now()
    uses = each_by_itself(EmergencyUse.objects.to_remind(at), lambda use: remind_of_review(use=use, actor=None))
    sign_ins = BrowserSession.objects.to_explain(at).select_related("user")
    return uses + each_by_itself(sign_ins, lambda browser: note_emergency_sign_in(browser=browser, actor=None))
