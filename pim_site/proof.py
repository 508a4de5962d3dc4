"""Mails the checkpoints of the audit, which itself knows no mail."""

from django.conf import settings
from django.db import transaction

from audit.checkpoints import line_of, note_mailed
from audit.models import Checkpoint
from notifications.services import queue


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
