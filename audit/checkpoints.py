"""Signs how long the log is and what it hashes to, and puts that where whoever owns the database cannot change it."""

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from audit.files import append_whole
from audit.keys import origin, signing_keys
from audit.merkle import Frontier
from audit.models import Checkpoint, near
from audit.notes import signed
from audit.sealing import locked_head, seal
from audit.verifying import verify

EVERY = timedelta(hours=1)
# Of a file that only grows, the last notes stand in so many bytes.
_TAIL = 65_536


class CheckpointRefused(ValidationError):
    """Nothing is signed. Codes: ``no_key``, ``log_broken``, ``file_differs``."""


@transaction.atomic
def checkpoint() -> Checkpoint:
    """Number what waits, verify what is new since the last checkpoint, and sign the whole.

    Raises CheckpointRefused: a signature must not vouch for a log that is not the one of the last checkpoint, here or
    in the file of checkpoints, which outlives a database that was put back to an older state.
    """
    keys = signing_keys()
    if not keys:
        raise CheckpointRefused(_("No key signs checkpoints: set PIM_AUDIT_KEYS."), code="no_key")
    head = locked_head()
    while seal():
        pass
    head.refresh_from_db()
    _check_file()
    if faults := verify(since=Checkpoint.objects.first()).faults:
        raise CheckpointRefused("\n".join(map(str, faults)), code="log_broken")
    at, frontier = timezone.now(), Frontier(head.size, bytes(head.frontier))
    note = signed(origin=origin(), size=frontier.size, root=frontier.root(), at=at, keys=keys)
    return Checkpoint.objects.create(size=frontier.size, at=at, note=note, frontier=frontier.packed)


def is_due(at: datetime) -> bool:
    """Whether the last checkpoint is an hour old; also where nothing happens, for silence must be seen."""
    return bool(settings.AUDIT_KEYS) and not Checkpoint.objects.filter(near(at, within=EVERY)).exists()


def file_unfiled() -> int:
    """Append the checkpoints that are not in the file yet, where one is named; return how many.

    Raises OSError, a full disk among others: then the file is as before, and the checkpoint waits.
    """
    if not settings.AUDIT_CHECKPOINT_FILE:
        return 0
    filed = 0
    for row in Checkpoint.objects.unfiled():
        append_whole(Path(settings.AUDIT_CHECKPOINT_FILE), line_of(row.note))
        filed += Checkpoint.objects.filter(pk=row.pk).update(filed_at=timezone.now())
    return filed


def note_mailed(row: Checkpoint) -> bool:
    """Say that the mail is queued, in the transaction that queues it; False if another worker did."""
    return bool(Checkpoint.objects.filter(pk=row.pk, mailed_at=None).update(mailed_at=timezone.now()))


def line_of(note: str) -> str:
    """A checkpoint as one line of JSON, as in the file of checkpoints and at the end of an export."""
    return json.dumps({"checkpoint": note}, ensure_ascii=False) + "\n"


def notes_in(text: str) -> list[str]:
    """The checkpoints in a text: lines of JSON, as in the file or within a mail, or else one note as it was signed."""
    is_note = bool(text.strip()) and not text.lstrip().startswith("{")
    return list(_lines_in(text)) or ([text] if is_note else [])


def _lines_in(text: str) -> Iterator[str]:
    for line in text.splitlines():
        with suppress(ValueError, KeyError, TypeError):
            yield str(json.loads(line)["checkpoint"])


def _check_file() -> None:
    path = Path(settings.AUDIT_CHECKPOINT_FILE)
    if not settings.AUDIT_CHECKPOINT_FILE or not path.exists():
        return
    notes = list(_lines_in(_tail_of(path)))
    if notes and not Checkpoint.objects.filter(note=notes[-1]).exists():
        text = _(
            "The last checkpoint in %(path)s is not in this database: it was put back to an older state, or the file "
            "is of another site. Read docs/audit-proof.md before you move the file away."
        )
        raise CheckpointRefused(text % {"path": path}, code="file_differs")


def _tail_of(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        return file.read().decode(errors="replace")
