"""What a review found and what came of it, as files: a table for people, and the evidence for auditors."""

import csv
import json
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from django.db.models import Count

from audit.exporting import Line, cell
from audit.models import Event

from .models import Answer, Instance, Item

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
    """Yield JSON Lines: the review, then each item with all its answers; each with the ids of its audit events.

    The events hold who did it and how they were signed in; they can be read, but not changed, in the audit.
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
            "events": _events("reviews.instance", [str(instance.pk)]).get(str(instance.pk), []),
        }
    )
    rows = instance.items.described().order_by("pk").iterator(PIECE)
    while items := list(islice(rows, PIECE)):
        yield from _evidence(items)


def _evidence(items: list[Item]) -> Iterator[str]:
    events = _events("reviews.item", [str(item.pk) for item in items])
    answers: dict[Any, list[dict[str, Any]]] = {}
    for answer in Answer.objects.filter(item__in=items).select_related("person"):
        answers.setdefault(answer.item_id, []).append(_answer(answer))
    for item in items:
        facts = dict(zip(COLUMNS, map(str, _values(item)), strict=True))
        about = {"answers": answers.get(item.pk, []), "events": events.get(str(item.pk), [])}
        yield _line({"type": "item", "id": item.pk, **facts, **about})


def _answer(answer: Answer) -> dict[str, Any]:
    plain = {"stage": answer.stage, "answer": answer.verdict, "reason": answer.justification}
    return plain | {"by": str(answer.person or ""), "at": _moment(answer.answered_at)}


def _events(kind: str, keys: list[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    rows = Event.objects.filter(target_type=kind, target_id__in=keys).order_by("id")
    for key, number in rows.values_list("target_id", "id"):
        found.setdefault(key, []).append(number)
    return found


def _line(facts: dict[str, Any]) -> str:
    return json.dumps(facts, ensure_ascii=False, default=str) + "\n"
