"""What is drawn, and the same numbers as a table. Pure: sizes are in units of the drawing, stretched to fit."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.utils.translation import gettext as _

STEP = 10  # from one bar to the next
BAR = 8
HEIGHT = 100


class Cell(NamedTuple):
    """A number in words, and the list of what it counts."""

    text: str
    url: str = ""


class Bar(NamedTuple):
    """A part of a column: `tone` counts from 1 and says which series it belongs to."""

    x: int
    y: str
    height: str
    tone: int
    title: str


class Row(NamedTuple):
    """A line of a table; `share` is the part of the longest line that its bar covers, in percent."""

    head: Cell
    cells: Sequence[Cell]
    share: int | None = None


@dataclass(frozen=True)
class Table:
    """Numbers under their heads; the first head is that of the lines themselves."""

    heads: Sequence[str]
    rows: Sequence[Row]

    @property
    def has_shares(self) -> bool:
        return any(row.share is not None for row in self.rows)

    @property
    def labelled_rows(self) -> list[tuple[Row, list[tuple[str, Cell]]]]:
        """Each cell with its head, which a phone shows beside it."""
        return [(row, list(zip(self.heads[1:], row.cells, strict=True))) for row in self.rows]


@dataclass(frozen=True)
class Series:
    """A number for each bucket, and where they are not those of the bucket as a whole, the lists of what they count."""

    name: str
    numbers: Sequence[float]
    urls: Sequence[str] = ()

    @property
    def cells(self) -> Iterator[tuple[float, str]]:
        return zip(self.numbers, self.urls or [""] * len(self.numbers), strict=True)


@dataclass(frozen=True)
class Trend:
    """A column for each bucket, in which the series stand upon one another.

    Attributes:
        head: what a bucket is: a day, a week.
        labels: the name of each bucket.
        urls: the list behind each bucket.
        series: at most six, the lowest first.
        says: a number in words.
    """

    head: str
    labels: Sequence[str]
    urls: Sequence[str]
    series: Sequence[Series]
    says: Callable[[float], str] = "{:g}".format

    @property
    def totals(self) -> list[float]:
        return [sum(column) for column in zip(*(each.numbers for each in self.series), strict=True)]

    @property
    def highest(self) -> float:
        return max(self.totals, default=0)

    @property
    def top(self) -> str:
        return self.says(self.highest)

    @property
    def width(self) -> int:
        return STEP * len(self.labels)

    @property
    def ends(self) -> list[str]:
        """Return what stands below: the first bucket, the middle one, the last."""
        return [self.labels[0], self.labels[len(self.labels) // 2], self.labels[-1]]

    @property
    def legend(self) -> list[tuple[int, str]]:
        return [(tone, each.name) for tone, each in enumerate(self.series, start=1)] if len(self.series) > 1 else []

    @property
    def in_words(self) -> str:
        """Return what somebody who does not see the drawing is told of it."""
        peak = self.labels[self.totals.index(self.highest)]
        words = _("From %(first)s to %(last)s. Most: %(top)s, %(peak)s. All numbers are in the table below.")
        return words % {"first": self.labels[0], "last": self.labels[-1], "top": self.top, "peak": peak}

    def bars(self) -> Iterator[Bar]:
        for number, label in enumerate(self.labels):
            below = 0.0
            for tone, series in enumerate(self.series, start=1):
                if value := series.numbers[number]:
                    height = HEIGHT * value / self.highest
                    below += height
                    title = f"{label}: {self.says(value)} {series.name}".strip()
                    yield Bar(STEP * number + 1, f"{HEIGHT - below:.2f}", f"{height:.2f}", tone, title)

    @property
    def table(self) -> Table:
        """Return the numbers, the newest first."""
        several = len(self.series) > 1
        heads = [self.head, *(each.name for each in self.series), *([_("All")] if several else [])]
        rows = [
            Row(Cell(label, url), [*(Cell(self.says(n), to) for n, to in column), *([Cell(total)] if several else [])])
            for label, url, column, total in zip(
                self.labels,
                self.urls,
                zip(*(each.cells for each in self.series), strict=True),
                map(self.says, self.totals),
                strict=True,
            )
        ]
        return Table(heads, rows[::-1])


def shares(numbers: Sequence[float]) -> list[int]:
    """Return the part of the largest that each is, in whole percent; of anything at least one."""
    largest = max(numbers, default=0) or 1
    return [max(round(100 * number / largest), 1 if number else 0) for number in numbers]
