"""What a ticket number must look like, and where its page is. Pure.

A pattern is a regular expression without groups and anchors: characters, ``.``, ``\\d``, ``\\w``, classes such as
``[A-Z0-9]``, each with ``?``, ``*``, ``+``, ``{7}`` or ``{3,7}`` behind it, and ``|`` between alternatives. Without
groups nothing can be repeated within a repetition, and `matches` follows all ways at once instead of going back: its
time is at most the length of the pattern times that of the number, whatever somebody types.
"""

import re
from itertools import chain, repeat
from urllib.parse import quote, urlsplit

LONGEST_PATTERN = 200
LONGEST_LINK = 300
# After repetitions are written out: `[A-Z]{50}` counts as fifty.
MOST_STEPS = 200
PLACEHOLDER = "{ticket}"

_ATOM = r"\[\^?(?:\w-\w|[\w ./#:])+-?\]|\\[dw]|\\[^\w\s]|[^\\\[\](){}*+?|^$]"
_ITEM = re.compile(rf"(?P<atom>{_ATOM})(?P<count>[*+?]|\{{(?P<least>\d{{1,2}})(?P<comma>,(?P<most>\d{{1,2}})?)?\}})?")

# What one character must be, whether it may be left out, and whether it may be there again.
Step = tuple[re.Pattern[str], bool, bool]


def steps_of(pattern: str) -> list[list[Step]]:
    """Return the alternatives of a pattern, each as steps from character to character.

    Raises:
        ValueError: it is no pattern, or it has more than `MOST_STEPS` steps.
    """
    alternatives = [_steps(part) for part in _alternatives(pattern)]
    if sum(map(len, alternatives)) > MOST_STEPS:
        raise ValueError("too many steps")
    return alternatives


def _alternatives(pattern: str) -> list[str]:
    return re.split(r"(?<!\\)\|", pattern)


def _steps(part: str) -> list[Step]:
    steps: list[Step] = []
    at = 0
    while at < len(part):
        item = _ITEM.match(part, at)
        if item is None:
            raise ValueError(f"not understood: {part[at : at + 20]}")
        steps += _written_out(item)
        at = item.end()
    if not steps:
        raise ValueError("an alternative is empty")
    return steps


def _written_out(item: re.Match[str]) -> list[Step]:
    try:
        character = re.compile(item["atom"], re.ASCII)
    except re.error as error:
        raise ValueError(str(error)) from error
    must, may, again = (character, False, False), (character, True, False), (character, True, True)
    if item["least"] is None:
        return {"": [must], "?": [may], "*": [again], "+": [must, again]}[item["count"] or ""]
    least = int(item["least"])
    if item["comma"] and not item["most"]:
        return [*repeat(must, least), again]
    most = int(item["most"] or least)
    if most < least or most == 0:
        raise ValueError("a repetition of nothing")
    return [*repeat(must, least), *repeat(may, most - least)]


def matches(pattern: str, ticket: str) -> bool:
    """Is all of `ticket` what `pattern` says? An empty pattern takes anything."""
    return not pattern or any(_follows(steps, ticket) for steps in steps_of(pattern))


def _follows(steps: list[Step], text: str) -> bool:
    places = _skipping(steps, {0})
    for character in text:
        reached = {
            place if again else place + 1
            for place in places
            if place < len(steps)
            for wanted, _optional, again in [steps[place]]
            if wanted.fullmatch(character)
        }
        places = _skipping(steps, reached)
    return len(steps) in places


def _skipping(steps: list[Step], places: set[int]) -> set[int]:
    """Return these places, and those reached from them by leaving out what may be left out."""
    reached: set[int] = set()
    for start in sorted(places):
        place = start
        while place not in reached:
            reached.add(place)
            if place == len(steps) or not steps[place][1]:
                break
            place += 1
    return reached


def shown(ticket: str, system: str) -> str:
    """Return a ticket as people read it: "CHG-1042", or "CHG-1042 (Desk)" where its system is named."""
    return f"{ticket} ({system})" if ticket and system else ticket


def is_link(template: str) -> bool:
    """Is it the http(s) address of a page, with the placeholder once, behind the host?"""
    if template.count(PLACEHOLDER) != 1 or re.search(r"[\s\"'<>\\\x00-\x1f]", template):
        return False
    try:
        parts = urlsplit(template)
        rest = "".join(chain(parts.path, parts.query, parts.fragment))
        return parts.scheme in ("http", "https") and bool(parts.hostname) and PLACEHOLDER in rest
    except ValueError:
        return False


def link_to(template: str, ticket: str) -> str:
    """Return the address of a ticket's page; empty where there is no template or no ticket."""
    return template.replace(PLACEHOLDER, quote(ticket, safe="")) if template and ticket else ""
