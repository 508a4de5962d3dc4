"""Gives each event its number and its place in the tree of hashes. The only writer of entries.

Apart from the operations that record (docs/decisions/0015): no lock of theirs is held for it, and none waits.
"""

from django.db import transaction

from audit.merkle import Frontier, leaf_hash
from audit.models import Entry, Event, Head, Unsealed

BATCH = 2_000


@transaction.atomic
def seal() -> int:
    """Number up to `BATCH` of the events that wait, in the order in which they were written; return how many."""
    head = locked_head()
    waiting = _waiting()
    if not waiting:
        return 0
    frontier = Frontier(head.size, bytes(head.frontier))
    entries = []
    for pk, canonical in waiting:
        leaf = leaf_hash(canonical.encode())
        frontier.append(leaf)
        entries.append(Entry(n=frontier.size, event_id=pk, leaf=leaf))
    Entry.objects.bulk_create(entries)
    Unsealed.objects.filter(pk__in=[pk for pk, _canonical in waiting]).delete()
    head.size, head.frontier = frontier.size, frontier.packed
    head.save(update_fields=["size", "frontier"])
    return len(entries)


def _waiting() -> list[tuple[int, str]]:
    """The first that wait, as far as they are there: what is left of one that vanished stays for the verifier to tell.

    Their keys come first: asked in one, PostgreSQL looks each event of a long log up among those that wait.
    """
    keys = Unsealed.objects.order_by("pk").values_list("pk", flat=True)
    found: list[tuple[int, str]] = []
    while len(found) < BATCH:
        page = list(keys[:BATCH])
        found += Event.objects.filter(pk__in=page).order_by("pk").values_list("pk", "canonical")
        if len(page) < BATCH:
            break
        keys = keys.filter(pk__gt=page[-1])
    return found[:BATCH]


def locked_head() -> Head:
    """The head, locked until the present transaction ends; made where there is none yet."""
    Head.objects.get_or_create(pk=Head.ONLY)
    return Head.objects.select_for_update().get(pk=Head.ONLY)
