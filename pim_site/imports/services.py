"""The two things that are done with rows: say what they would change, and change it."""

from django.db import transaction

from accounts.models import User
from audit.services import privileged, record
from pim_site.ascode.carrying_out import carry_out
from pim_site.ascode.plan import Plan
from pim_site.ascode.reading import Document


def plan_rows(*, actor: User, document: Document, justification: str) -> Plan:
    """Return what `import_rows` would do now: it does it, and takes it back.

    Raises:
        FileRefused: as `import_rows` would.
    """
    with transaction.atomic():
        planned = carry_out(document, actor=actor, reason=justification)
        transaction.set_rollback(True)
    return planned


@privileged("rows.imported", target=None)
def import_rows(*, actor: User, document: Document, justification: str) -> Plan:
    """Put the rows of a CSV file in force, all of them or none.

    Args:
        actor: who imports; each row is judged as if they did it by hand.
        justification: why, for each of the rows.

    Raises:
        FileRefused: code ``file_refused``, with each line that was refused and why.
    """
    done = carry_out(document, actor=actor, reason=justification)
    if done.changes:
        kinds = ", ".join(document.sections)
        after = done.counts | {"kind": kinds}
        record("rows.imported", actor=actor, target=None, justification=justification, after=after)
    return done
