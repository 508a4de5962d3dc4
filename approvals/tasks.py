"""Loops for the worker. Each takes everything that is due, may run twice or late, and stops at no bad row."""

from django.utils.timezone import now

from assignments.tasks import each_by_itself

from .models import Request
from .services import lapse, note_start, time_out


def time_out_due() -> int:
    """Close every request that nobody decided in time; return how many this run closed."""
    at = now()
    late = each_by_itself(Request.objects.overdue(at), lambda request: time_out(request=request, actor=None))
    return late + each_by_itself(Request.objects.lapsed(at), lambda request: lapse(request=request, actor=None))


def start_due() -> int:
    """Note the start of every scheduled activation that has begun; return how many this run noted."""
    return each_by_itself(Request.objects.starting(now()), lambda request: note_start(request=request, actor=None))
