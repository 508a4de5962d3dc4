"""The text that Prometheus reads (exposition format 0.0.4)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

Sample = tuple[str, Mapping[str, str], float]  # what its name ends in, labels, value


@dataclass(frozen=True)
class Family:
    """One metric: all its samples stand together."""

    name: str
    kind: str
    help: str
    samples: Iterable[Sample]


def written(families: Iterable[Family]) -> str:
    return "".join(f"{line}\n" for family in families for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.help}"
    yield f"# TYPE {family.name} {family.kind}"
    for ending, labels, value in family.samples:
        said = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
        yield f"{family.name}{ending}{{{said}}} {value}" if said else f"{family.name}{ending} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
