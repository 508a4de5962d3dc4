"""Loops for the worker. Each takes everything that is due, may run twice or late, and stops at no bad row."""

from django.utils.timezone import now

from assignments.tasks import each_by_itself

from .models import Request
from .services import escalate, lapse, note_start, remind, time_out


def time_out_due() -> int:
    """Close every request that nobody decided in time; return how many this run closed."""
    at = now()
    late = each_by_itself(Request.objects.overdue(at), lambda request: time_out(request=request, actor=None))
    return late + each_by_itself(Request.objects.lapsed(at), lambda request: lapse(request=request, actor=None))


def start_due() -> int:
    """Note the start of every scheduled activation that has begun; return how many this run noted."""
    return each_by_itself(Request.objects.starting(now()), lambda request: note_start(request=request, actor=None))


def ask_due() -> int:
    """Ask the others and remind those who have not answered, where it is time; return how often this run did."""
    at = now()
    asked = each_by_itself(Request.objects.to_escalate(at), lambda request: escalate(request=request, actor=None))
    return asked + each_by_itself(Request.objects.to_remind(at), lambda request: remind(request=request, actor=None))
