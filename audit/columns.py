"""The columns beside a record: what each of them must hold, by what the record says."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache, lru_cache
from json import JSONDecoder
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import CharField, TextField, UUIDField
from django.db.models.functions import Cast

from audit.models import Event

# All but the key and the record; sorted, as the keys of a record are, so that both name them in the same order.
COLUMNS = sorted(column.attname for column in Event._meta.concrete_fields if column.attname not in {"id", "canonical"})
# What a column takes from the facts as it is.
_TEXTS = ("action", "outcome", "code", "via", "address", "correlation_id", "ticket", "justification")
_THINGS = ("actor", "subject", "role", "scope", "target")
_NOTHING = {"type": "", "id": "", "label": ""}


def columns_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The index over the facts, by column, each text cut to it; all but `at` and `canonical`."""
    actor, subject, role, scope, target = (facts[name] or _NOTHING for name in _THINGS)
    columns = {name: facts[name] for name in _TEXTS} | {
        "actor_id": _uuid(actor["id"]),
        "actor_label": actor["label"],
        "subject_id": _uuid(subject["id"]),
        "subject_label": subject["label"],
        "role_id": _uuid(role["id"]),
        "role_label": role["label"],
        "scope_id": _uuid(scope["id"]),
        "scope_label": scope["label"],
        "target_type": target["type"],
        "target_id": target["id"],
        "target_label": target["label"],
        "request_id": _uuid((facts["request"] or _NOTHING)["id"]),
    }
    for name, longest in _longest().items():
        if len(columns[name]) > longest:
            columns[name] = columns[name][:longest]
    return columns


# The same few people and roles stand in most events.
@lru_cache(maxsize=4_096)
def _uuid(text: str) -> UUID | None:
    return UUID(text) if text else None


@cache
def _longest() -> dict[str, int]:
    fields = [field for field in Event._meta.concrete_fields if isinstance(field, CharField)]
    return {field.attname: field.max_length for field in fields if field.max_length}


# --- the same, read from the text -----------------------------------------------------------------------------------
# Nearly all records have no escaped character, and no text that was cut to its column. What those say can be had in
# half the time that it takes to decode them, and most of verifying a long log is this. Ids are compared as texts: one
# is made an object in the time in which ten are compared.

_ANYTHING = "any value"
_PLAIN = r"[ !#-\[\]-\U0010ffff]"  # RFC 8259: unescaped
_MOMENT = r'"([0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}\.[0-9]{6}Z)"'
_ID = r'"((?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})?)"'
_AT = COLUMNS.index("at")
_IDS = [place for place, name in enumerate(COLUMNS) if isinstance(Event._meta.get_field(name), UUIDField)]


def columns_as_text() -> list[Any]:
    """`COLUMNS` as they are read beside entries to be compared with a record: ids as texts."""
    read: list[Any] = [f"event__{name}" for name in COLUMNS]
    for place in _IDS:
        read[place] = Cast(read[place], TextField())
    return read


def said_by(facts: Mapping[str, Any]) -> list[Any]:
    """What those must hold by the facts, in order, but for `at`, which stays a text."""
    columns = {"at": facts["at"], **columns_of(facts)}
    said = [columns[name] for name in COLUMNS]
    for place in _IDS:
        said[place] = str(said[place] or "")
    return _as_held(said)


def _as_held(said: list[Any]) -> list[Any]:
    """With the ids as this database has them, and None where there is none."""
    has_hyphens = _has_hyphens()
    for place in _IDS:
        said[place] = (said[place] if has_hyphens else said[place].replace("-", "")) or None
    return said


@cache
def _has_hyphens() -> bool:
    return connection.features.has_native_uuid_field


def _pattern() -> str:
    """Of a plain record: a group for each of `COLUMNS`, in their order; two of its values can be anything."""
    forms = {name: _text(name) for name in _TEXTS} | {name: _thing(name) for name in (*_THINGS, "request")}
    forms |= {"at": _MOMENT, "before": _ANYTHING, "after": _ANYTHING}
    return r"\{" + ",".join(f'"{name}":{forms[name]}' for name in sorted(forms)) + r"\}\Z"


def _thing(name: str) -> str:
    parts = ",".join(f'"{part}":{_text(f"{name}_{part}")}' for part in ("id", "label", "type"))
    return rf"(?:null|\{{{parts}\}})"


def _text(column: str) -> str:
    if column not in COLUMNS:
        return f'"{_PLAIN}*+"'
    if COLUMNS.index(column) in _IDS:
        return _ID
    return f'"({_PLAIN}{{0,{_longest().get(column, "")}}}+)"'


@cache  # and not at once: each process that starts would wait for it, and few ever verify
def _parts() -> tuple[Callable[..., re.Match[str] | None], ...]:
    """What finds the parts around those that can be anything; the last, the rest of a record with no `before`."""
    begin, middle, end = _pattern().split(_ANYTHING)
    return tuple(re.compile(part).match for part in (begin, middle, end, f"{middle}null{end}"))


_decoded = JSONDecoder().raw_decode


def plainly_said(canonical: str) -> list[Any] | None:
    """What `columns_as_text` must give by a plain record; None of every other, be it sound or not."""
    begins, goes_on, ends, rest = _parts()
    try:
        if not (begin := begins(canonical)):
            return None
        after = _decoded(canonical, begin.end())[1]
        if whole := rest(canonical, after):
            said: list[Any] = [*begin.groups(""), *whole.groups("")]
        elif (middle := goes_on(canonical, after)) and (end := ends(canonical, _decoded(canonical, middle.end())[1])):
            said = [*begin.groups(""), *middle.groups(""), *end.groups("")]
        else:
            return None
        said[_AT] = datetime.fromisoformat(said[_AT])
    except (ValueError, RecursionError):
        return None
    return _as_held(said)
