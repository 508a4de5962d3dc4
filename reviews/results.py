"""What a review found and what came of it, as files: a table for people, and the evidence for auditors."""

import csv
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db.models import Count

from audit.exporting import Line, cell
from audit.models import Archive, Event

from .models import Answer, Asked, Instance, Item

COLUMNS = (
    *("person", "username", "kind", "access", "privileged", "since", "until", "last_used", "last_sign_in"),
    *("recommendation", "because", "answer", "answered_by", "answered", "reason", "outcome", "result"),
    *("result_code", "result_cause", "applied"),
)
PIECE = 500


def counts_of(instance: Instance) -> dict[Item.Outcome, int]:
    """Return how many items came to which outcome; nothing did before the review has ended. One statement."""
    rows = instance.items.order_by().values_list("outcome").annotate(Count("pk"))
    found = dict(rows)
    return {each: found.get(each, 0) for each in Item.Outcome}


def results_of(instance: Instance) -> dict[Item.Result, int]:
    """Return what came of how many removals, of each result that there is. One statement."""
    removals = instance.items.filter(outcome=Item.Outcome.REMOVE).order_by()
    found = dict(removals.values_list("result").annotate(Count("pk")))
    return {each: found[each] for each in Item.Result if each in found}


def csv_lines(instance: Instance) -> Iterator[str]:
    """Yield the lines of a CSV file, a heading first; times in UTC."""
    writer = csv.writer(Line())
    yield writer.writerow(COLUMNS)
    for item in instance.items.described().worst_first().iterator(PIECE):
        yield writer.writerow([cell(str(value)) for value in _values(item)])


def _values(item: Item) -> list[Any]:
    return [
        *(item.user, item.user.username, item.kind, item.access, "yes" if item.is_privileged else "no"),
        *map(_moment, (item.since, item.until, item.last_used_at, item.last_sign_in_at)),
        *(item.recommendation, item.cause, item.verdict, item.decided_by or "", _moment(item.decided_at)),
        *(item.justification, item.outcome, item.result),
        *(item.result_code, item.result_cause, _moment(item.applied_at)),
    ]


def _moment(at: datetime | None) -> str:
    return at.isoformat() if at else ""


def evidence_lines(instance: Instance) -> Iterator[str]:
    """Yield JSON Lines: the review with the terms that it began with, then each item: who was asked, all answers.

    Each has the ids of its audit events, the item also of all that its removal did. They hold who did it and how they
    were signed in, and can be read, but not changed, in the audit. What is not there any more is in one of `archives`.
    """
    definition = instance.definition
    yield _line(
        {
            "type": "review",
            "id": instance.pk,
            "series": definition.pk,
            "name": definition.name,
            "number": instance.number,
            "state": instance.state,
            "was_stopped": instance.was_stopped,
            "began_at": _moment(instance.began_at),
            "ended_at": _moment(instance.ended_at),
            "applied_at": _moment(instance.applied_at),
            "terms": instance.terms,
            "events": list(_events_about("reviews.instance", [instance.pk]).values_list("pk", flat=True)),
            "archives": _archives(instance),
        }
    )
    rows = instance.items.described().order_by("pk").iterator(PIECE)
    while items := list(islice(rows, PIECE)):
        yield from _evidence(items)


def _evidence(items: list[Item]) -> Iterator[str]:
    events, asked = _events(items), _asked(items)
    answers: dict[Any, list[dict[str, Any]]] = {}
    for answer in Answer.objects.filter(item__in=items).select_related("person"):
        answers.setdefault(answer.item_id, []).append(_answer(answer))
    for item in items:
        facts = dict(zip(COLUMNS, map(str, _values(item)), strict=True))
        said = {"asked": asked.get(item.pk, []), "answers": answers.get(item.pk, [])}
        yield _line({"type": "item", "id": item.pk, **facts, **said, "events": events.get(item.pk.hex, [])})


def _asked(items: list[Item]) -> dict[Any, list[dict[str, Any]]]:
    found: dict[Any, list[dict[str, Any]]] = {}
    rows = Asked.objects.filter(item__in=items).select_related("person").order_by("stage", "pk")
    for row in rows:
        who = {"stage": row.stage, "person": str(row.person), "username": row.person.username}
        found.setdefault(row.item_id, []).append(who)
    return found


def _answer(answer: Answer) -> dict[str, Any]:
    plain = {"stage": answer.stage, "answer": answer.verdict, "reason": answer.justification}
    return plain | {"by": str(answer.person or ""), "at": _moment(answer.answered_at)}


def _events(items: list[Item]) -> dict[str, list[int]]:
    """Return, by key as 32 figures, the ids of what is about an item and of what was done when it was applied."""
    keys, found = {item.pk.hex for item in items}, dict[str, list[int]]()
    about = _events_about("reviews.item", [item.pk for item in items])
    done = Event.objects.filter(correlation_id__in=keys)
    each = (rows.order_by().values_list("id", "target_id", "correlation_id") for rows in (about, done))
    for number, target, applied in sorted(set(chain(*each))):
        found.setdefault(applied if applied in keys else UUID(target).hex, []).append(number)
    return found


def _events_about(kind: str, keys: list[UUID]) -> Any:
    return Event.objects.filter(target_type=kind, target_id__in=map(str, keys))


def _archives(instance: Instance) -> list[dict[str, Any]]:
    """Return the files that events of the review may have gone into."""
    found = Archive.objects.filter(newest_at__gte=instance.began_at).order_by("first")
    if instance.applied_at:  # the event of which is a moment younger
        found = found.filter(oldest_at__lte=instance.applied_at + timedelta(hours=1))
    rows = found.values_list("first", "last", "file", "digest")
    return [{"first": n, "last": last, "file": Path(path).name, "sha256": sha} for n, last, path, sha in rows]


def _line(facts: dict[str, Any]) -> str:
    return json.dumps(facts, ensure_ascii=False, default=str) + "\n"
