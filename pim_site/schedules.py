"""What the worker does each minute: one list, in code. The rows of django-q2 are made from it and never typed in."""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone
from django_q.models import Schedule

EVERY_MINUTE = {
    "alerts": "alerts.tasks.scan_due",
    "archive events": "audit.tasks.archive_due",
    "ask": "approvals.tasks.ask_due",
    "beat": "pim_site.tasks.beat",
    "digest": "accounts.tasks.digest_due",
    "deliver mail": "notifications.tasks.deliver_due",
    "expire": "assignments.tasks.expire_due",
    "forget": "accounts.tasks.forget_due",
    "forget answers": "pim_site.answers.forget_due",
    "forget webhooks": "webhooks.tasks.forget_due",
    "look round the audit": "audit.tasks.look_due",
    "mail checkpoints": "pim_site.proof.mail_due",
    "number events": "audit.tasks.seal_due",
    "review: advance": "reviews.tasks.advance_due",
    "review: apply": "reviews.tasks.apply_due",
    "review: remind": "reviews.tasks.remind_due",
    "review: start": "reviews.tasks.start_due",
    "remind": "assignments.tasks.remind_due",
    "sign checkpoints": "audit.tasks.checkpoint_due",
    "time out": "approvals.tasks.time_out_due",
    "start": "approvals.tasks.start_due",
    "watch": "approvals.tasks.watch_due",
    "weekly digest": "pim_site.weekly.send_due",
    "post checkpoints": "pim_site.proof.post_due",
    "stream events": "pim_site.siem.tasks.stream_due",
    "tell": "webhooks.tasks.deliver_due",
}
EVERY = timedelta(minutes=1)
# What a row must hold besides its name and task. `repeats` -1 is django-q2's word for "for ever".
PLAIN = {"schedule_type": Schedule.MINUTES, "minutes": 1, "repeats": -1} | dict.fromkeys(
    ["args", "kwargs", "hook", "cron", "cluster", "intended_date_kwarg"]
)


@transaction.atomic
def sync() -> None:
    """Make the rows what the list says.

    Foreign rows go: a single row that cannot be read stops all the others (django-q2 schedules them in one
    transaction), and a row is a call of any function by the worker.
    """
    Schedule.objects.exclude(name__in=EVERY_MINUTE).delete()
    for name, task in EVERY_MINUTE.items():
        if Schedule.objects.filter(name=name).count() > 1:
            Schedule.objects.filter(name=name).delete()
        Schedule.objects.update_or_create(name=name, defaults={"func": task} | PLAIN)
    # Rows of a clock that was set back since would wait until their time comes.
    Schedule.objects.filter(next_run__gt=timezone.now() + EVERY).update(next_run=timezone.now())


def drifted() -> bool:
    """Whether the rows differ from the list."""
    rows = Schedule.objects.values_list("name", "func", *PLAIN)
    return sorted(map(str, rows)) != sorted(str((name, task, *PLAIN.values())) for name, task in EVERY_MINUTE.items())
