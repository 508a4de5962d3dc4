"""Loops for the worker. Each takes everything that is due, may run twice or late, and stops at no bad row."""

from time import monotonic

from django.utils.timezone import now

from accounts.tasks import each_by_itself

from .models import Definition, Instance
from .services import advance, apply_item, finish, prepare, remind, take_in

# Well below the time after which the queue kills a task; what is left waits for the next run.
RUN_SECONDS = 30.0
MOST_AT_ONCE = 1000


def start_due() -> int:
    """Begin every review that is due, and go on with those that are beginning; return how many pieces were done."""
    at, until = now(), monotonic() + RUN_SECONDS
    advance_due()  # what is over makes room for the next one
    done = each_by_itself(Definition.objects.due(at), lambda series: prepare(definition=series) is not None)
    for instance in Instance.objects.beginning(now()):
        while monotonic() < until and each_by_itself([instance], lambda row: take_in(instance=row)):
            done += 1
    return done


def advance_due() -> int:
    """Go on to the next stage, or end, where the time of a stage is over; return how many reviews this run moved."""
    return each_by_itself(Instance.objects.over(now()), lambda row: advance(instance=row))


def remind_due() -> int:
    """Remind those who have not answered, where it is time; return of how many reviews."""
    return each_by_itself(Instance.objects.to_remind(now()), lambda row: bool(remind(instance=row, actor=None)))


def apply_due() -> int:
    """Carry out the results of reviews that ended so; return how many items this run did."""
    until, done = monotonic() + RUN_SECONDS, 0
    for instance in Instance.objects.applying(now()):
        items = list(instance.items.to_apply().order_by("pk")[:MOST_AT_ONCE])
        done += each_by_itself(items, lambda item: monotonic() < until and apply_item(item=item))
        each_by_itself([instance], lambda row: finish(instance=row))
    return done
