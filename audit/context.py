"""Where the present piece of work came from: copied into each event that it records."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """`correlation_id`: one per web request or task; `via`: how the actor was signed in ("session totp", "command")."""

    correlation_id: str = ""
    address: str = ""
    via: str = "system"


_origin: ContextVar[Origin] = ContextVar("audit_origin", default=Origin())  # noqa: B039 (frozen, so safe to share)


def current() -> Origin:
    return _origin.get()


@contextmanager
def bind(*, correlation_id: str = "", address: str = "", via: str = "system") -> Iterator[Origin]:
    """Hold this origin for the block, in this thread or coroutine only."""
    token = _origin.set(Origin(correlation_id, address, via))
    try:
        yield _origin.get()
    finally:
        _origin.reset(token)
