"""What an act on many rows does once instead of for each: asking the same question, and telling the same people."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from .models import User

A = TypeVar("A")


class Bulk:
    """One act on many rows, within one transaction.

    Attributes:
        told: by recipient (a person, or a bare address), how often each thing was done that they are to be told of.
    """

    def __init__(self) -> None:
        self.answers: dict[Hashable, object] = {}
        self.told: dict[User | str, Counter[str]] = {}

    def tell(self, recipients: Iterable[User | str], what: str) -> None:
        for recipient in recipients:
            self.told.setdefault(recipient, Counter())[what] += 1


_bulk: ContextVar[Bulk | None] = ContextVar("bulk", default=None)


@contextmanager
def bulk() -> Iterator[Bulk]:
    """Make what is done in the block one act: what rows are judged by is read once, when it is first needed."""
    token = _bulk.set(act := Bulk())
    try:
        yield act
    finally:
        _bulk.reset(token)


def current() -> Bulk | None:
    return _bulk.get()


def once(question: Hashable, ask: Callable[[], A]) -> A:
    """Return the answer of `ask`; within a bulk act, that to the first time that the question was asked."""
    act = current()
    if act is None:
        return ask()
    if question not in act.answers:
        act.answers[question] = ask()
    return act.answers[question]  # type: ignore[return-value]  # what `ask` returned
