"""Loops for the worker. Each takes everything that is due, may run twice or late, and stops at no bad row."""

from django.utils.timezone import now

from accounts.tasks import each_by_itself

from .models import ActiveAssignment, EligibleAssignment
from .rules import EXTEND_WINDOW
from .services import end_adrift, expire_active, expire_eligible, remind, remind_of_end

# Notices before the end, in days: when an extension can be asked for, and the last day (Entra PIM's figures: 14 and 1;
# the end itself is told by the expiry).
REMINDERS = (1, EXTEND_WINDOW.days)


def expire_due() -> int:
    """Close every assignment whose time is up, or whose membership is over; return how many this run closed."""
    at = now()
    ended = each_by_itself(ActiveAssignment.objects.adrift(at), lambda row: bool(end_adrift(actor=None, pk=row.pk)))
    actives = ended + each_by_itself(
        ActiveAssignment.objects.due(at), lambda row: expire_active(active=row, actor=None)
    )
    return actives + each_by_itself(
        EligibleAssignment.objects.due(at), lambda row: expire_eligible(eligible=row, actor=None)
    )


def remind_due() -> int:
    """Tell of every activation that ends in some minutes, and of every assignment that ends within a day or within 14
    days; return how many notices this run made.

    The nearer notice comes first, so that after an outage nobody gets the older one as well.
    """
    at = now()
    done = each_by_itself(ActiveAssignment.objects.ending(at), lambda row: remind_of_end(active=row))
    for days in REMINDERS:
        for rows in (EligibleAssignment.objects, ActiveAssignment.objects.assigned()):
            due = rows.to_remind(at, days).described()
            done += each_by_itself(due, lambda row, days=days: remind(assignment=row, days=days))  # type: ignore[misc]
    return done
