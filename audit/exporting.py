"""The whole log as a file that can be verified without this site: one event a line, and a checkpoint at the end.

Each line is JSON, and its bytes are fixed: what stands between `"record":` and the last brace is hashed as it is.
"""

from collections.abc import Iterator

from audit.checkpoints import line_of
from audit.models import Checkpoint, Entry


def lines(checkpoint: Checkpoint) -> Iterator[str]:
    """The events that this checkpoint covers, then the checkpoint itself; in constant memory."""
    rows = Entry.objects.filter(n__lte=checkpoint.size).order_by("n").values_list("n", "event__canonical")
    for n, canonical in rows.iterator(2_000):
        yield f'{{"n":{n},"record":{canonical}}}\n'
    yield line_of(checkpoint.note)
