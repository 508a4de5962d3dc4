"""The two things that are done with a file: say what it would change, and change it."""

from django.db import transaction

from accounts.authority import require
from accounts.models import User
from audit.services import privileged, record

from .carrying_out import carry_out
from .plan import Plan
from .reading import Document


def plan(*, document: Document, prune: bool = False) -> Plan:
    """Return what `apply` would do now: it does it, and takes it back, so that nothing is promised that fails.

    Raises:
        FileRefused: as `apply` would.
    """
    with transaction.atomic():
        planned = carry_out(document, actor=None, prune=prune)
        transaction.set_rollback(True)
    return planned


@privileged("organisation.imported", target=None)
def apply(*, actor: User | None, document: Document, prune: bool = False) -> Plan:
    """Put a file in force: all of it, or nothing.

    Args:
        actor: None; only the system may.
        prune: end the assignments that the file leaves out, of roles that it describes.

    Raises:
        NotAllowed.
        FileRefused: code ``file_refused``, with each line that was refused and why.
    """
    require(actor)
    done = carry_out(document, actor=actor, prune=prune)
    if done.changes:
        record("organisation.imported", actor=actor, target=None, after=done.counts | {"prune": prune})
    return done
