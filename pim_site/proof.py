"""Mails and posts the checkpoints of the audit, which itself knows neither."""

import logging
from time import monotonic

from django.conf import settings
from django.db import transaction
from django.utils.timezone import now

from audit.checkpoints import line_of, note_mailed
from audit.models import Checkpoint
from audit.tasks import RUN_SECONDS
from notifications.outgoing import NoAnswer, post
from notifications.services import queue

log = logging.getLogger("pim.audit")


def mail_due() -> int:
    """Queue each checkpoint once to the addresses that the operator names; return how many this run queued.

    Without an address they count as mailed: one that is named later begins with the next checkpoint.
    """
    return sum(_mail(row) for row in Checkpoint.objects.unmailed())


@transaction.atomic
def _mail(row: Checkpoint) -> bool:
    if not note_mailed(row):
        return False
    context = {"count": row.size, "lines": line_of(row.note).strip()}
    return bool(queue("checkpoint_signed", to=settings.AUDIT_CHECKPOINT_MAIL, context=context))


def post_due() -> int:
    """Post each checkpoint to the address that the operator names, oldest first; return how many were taken.

    One that is not taken waits with those after it for the next run, as do those that are left after a while. Without
    an address they count as posted.
    """
    unposted = Checkpoint.objects.unposted()
    if not settings.AUDIT_CHECKPOINT_URL:
        return unposted.update(posted_at=now())
    until, posted = monotonic() + RUN_SECONDS, 0
    for row in unposted:
        if monotonic() > until or not _is_taken(row):
            break
        posted += Checkpoint.objects.filter(pk=row.pk, posted_at=None).update(posted_at=now())
    return posted


def _is_taken(row: Checkpoint) -> bool:
    body, secrets = line_of(row.note).encode(), settings.AUDIT_WEBHOOK_SECRETS
    try:
        outcome = post(settings.AUDIT_CHECKPOINT_URL, body, secrets, message_id=f"checkpoint_{row.pk}", at=now())
    except NoAnswer as failure:
        log.warning("checkpoint %s is not posted: %s", row, failure.code)
        return False
    if not outcome.is_success:
        log.warning("checkpoint %s is not posted: the answer is %s", row, outcome.status)
    return outcome.is_success
