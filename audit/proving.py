"""Short proofs about a long log: that one event is in it, and that a later state of it begins with an earlier one."""

from base64 import b64encode
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from audit.merkle import Frontier, Range, consistency_ranges, inclusion_ranges
from audit.models import Checkpoint, Entry
from audit.notes import NoteRefused
from audit.verifying import archived_edge


class ProofRefused(ValidationError):
    """There is no such proof. Codes: ``not_covered``, ``archived``, ``not_signed``."""


def inclusion_proof(n: int, checkpoint: Checkpoint) -> dict[str, Any]:
    """What shows that event `n` is among those of the checkpoint: JSON that the verifier reads. Raises ProofRefused."""
    entry = Entry.objects.select_related("event").filter(n=n, n__lte=checkpoint.size).first()
    if entry is None:
        raise ProofRefused(_("The checkpoint covers no event of this number."), code="not_covered")
    path = _roots(inclusion_ranges(n - 1, 0, checkpoint.size))
    return {"proof": "inclusion", "n": n, "record": entry.event.canonical, "path": path, "checkpoint": checkpoint.note}


def consistency_proof(old: Checkpoint, new: Checkpoint) -> dict[str, Any]:
    """What shows that nothing of the older log was changed in the newer: JSON that the verifier reads."""
    path = _roots(consistency_ranges(old.size, new.size))
    return {"proof": "consistency", "old": old.note, "path": path, "checkpoint": new.note}


def _roots(ranges: list[Range]) -> list[str]:
    archived = _archived()
    return [b64encode(_root(start, end, archived)).decode() for start, end in ranges]


def _archived() -> Frontier:
    try:
        return archived_edge()
    except NoteRefused as refusal:
        raise ProofRefused(str(refusal), code="not_signed") from refusal


def _root(start: int, end: int, archived: Frontier) -> bytes:
    try:
        tree = archived.part(start, min(end, archived.size)) if start < archived.size else Frontier()
    except ValueError as error:
        text = _("The events up to number %(n)s are in archives: verify those.") % {"n": archived.size}
        raise ProofRefused(text, code="archived") from error
    for _n, leaf in Entry.objects.pages("leaf", after=max(start, archived.size), until=end):
        tree.append(bytes(leaf))
    return tree.root()
