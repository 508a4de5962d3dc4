"""The only writer of events, and the frame in which every privileged operation runs."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import Model
from django.utils import timezone
from django.utils.translation import gettext

from audit.canonical import clean, dumps, plain
from audit.columns import columns_of
from audit.context import current
from audit.models import Event

P = ParamSpec("P")
R = TypeVar("R")

# Every privileged service by its action, so that tests can walk all of them.
OPERATIONS: dict[str, Callable[..., Any]] = {}

# PostgreSQL: serialization_failure, deadlock_detected. All of the transaction was undone, so it may run again.
_RETRIED = {"40001", "40P01"}
# Longer than any text that an operation takes; a refused one would stay for ever in a table that never shrinks.
LONGEST_TEXT = 10_000
# Arguments by which people know things and each other: what nobody sees in one makes it look like another.
NAMES = {"name", "display_name", "username", "email"}
# Controls, breaks of lines, what turns the direction of letters, and what takes no room; not the two joiners, which
# Persian and Hindi are written with.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)


class Outdated(ValidationError):
    """What the operation points at was deleted while it ran. Code: ``changed_meanwhile``."""


class TextRefused(ValidationError):
    """A text cannot be kept. Codes: ``text_invalid``, ``too_long_text``."""


def record(
    action: str,
    *,
    actor: Model | None,
    target: Model | None,
    subject: Model | None = None,
    role: Model | None = None,
    scope: Model | None = None,
    request: Model | None = None,
    ticket: str = "",
    justification: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    outcome: str = Event.Outcome.SUCCESS,
    code: str = "",
) -> Event:
    """Add one event to the present transaction, with the origin that `audit.context` holds.

    An actor of None is the system; `subject` is whom it is about, `request` the PIM request. Names are copied as text,
    cut to their columns but whole in `canonical`. Raises RuntimeError outside a transaction.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("an audit event belongs into the transaction of what it tells")
    texts = {"action": action, "outcome": outcome, "code": code, "ticket": ticket, "justification": justification}
    things = {"target": target, "subject": subject, "role": role, "scope": scope, "request": request}
    event = _event(
        {name: text or "" for name, text in texts.items()}
        | {name: _reference(thing) for name, thing in things.items()}
        | {"actor": _reference(actor) or _nobody(), "before": before, "after": after}
    )
    event.save()
    return event


def record_again(events: Iterable[Event], action: str) -> None:
    """Record once more what these events say of their targets: by the system, as of now, under another action."""
    new = {"action": action, "actor": _nobody(), "before": None, "request": None, "ticket": "", "justification": ""}
    Event.objects.bulk_create([_event(event.facts | new) for event in events], batch_size=500)


def _event(said: Mapping[str, Any]) -> Event:
    """Return the event that says this, as of now and with the origin that `audit.context` holds; not yet stored."""
    at, origin = timezone.now(), current()
    texts = {"via": origin.via, "address": origin.address, "correlation_id": origin.correlation_id}
    facts: dict[str, Any] = plain(dict(said) | {name: text or "" for name, text in texts.items()} | {"at": at})
    return Event(at=at, canonical=dumps(facts), **columns_of(facts))


def privileged(action: str, *, target: str | None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a keyword-only service with an `actor` a privileged operation: one transaction, and a refusal leaves a mark.

    `target` names the argument that a refusal is about; None means the person concerned. Inside another operation the
    function joins its transaction and the outermost one records. Raises ValueError when the action is taken.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def operation(*args: P.args, **kwargs: P.kwargs) -> R:
            if not _is_outermost():
                _check_texts(kwargs)
                with transaction.atomic(savepoint=False):
                    return function(*args, **kwargs)
            try:
                _check_texts(kwargs)
                return _run(lambda: function(*args, **kwargs))
            except (ValidationError, PermissionDenied) as refusal:
                with transaction.atomic():
                    _record_refusal(action, target, refusal, kwargs)
                raise

        if action in OPERATIONS:
            raise ValueError(f"{action} is the action of {OPERATIONS[action].__qualname__} already")
        OPERATIONS[action] = operation
        return operation

    return decorate


def _is_outermost() -> bool:
    # A test's own transaction does not count, as in Django's check for durable blocks.
    blocks = connection.atomic_blocks
    return not blocks or bool(getattr(blocks[-1], "_from_testcase", False))


def _check_texts(arguments: Mapping[str, Any]) -> None:
    for name, text in arguments.items():
        if not isinstance(text, str):
            continue
        if clean(text) != text:
            why = gettext("This text has characters that cannot be stored. Type it anew.")
            raise TextRefused(why, code="text_invalid")
        if len(text) > LONGEST_TEXT:
            raise TextRefused(gettext("This text is far too long. Shorten it."), code="too_long_text")
        if name in NAMES and _UNSEEN.search(text.strip()):
            why = gettext("A name is one line of characters that can be seen. Type it anew.")
            raise TextRefused(why, code="text_invalid")


def _run(operation: Callable[[], R]) -> R:
    try:
        try:
            with transaction.atomic():
                return operation()
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) not in _RETRIED:
                raise
        with transaction.atomic():
            return operation()
    except IntegrityError as error:
        if not _points_at_nothing(error):
            raise
        text = gettext("Something that this is about was deleted meanwhile. Look again, then do it anew.")
        raise Outdated(text, code="changed_meanwhile") from error


def _points_at_nothing(error: IntegrityError) -> bool:
    """Was it a foreign key? Both databases ask for those when a transaction is committed, where no service looks."""
    cause = error.__cause__
    codes = (getattr(cause, "sqlstate", None), getattr(cause, "sqlite_errorname", None))
    return bool({"23503", "SQLITE_CONSTRAINT_FOREIGNKEY"}.intersection(codes))


def _record_refusal(
    action: str, target_name: str | None, refusal: ValidationError | PermissionDenied, arguments: Mapping[str, Any]
) -> None:
    actor = arguments.get("actor")
    target = arguments.get(target_name) if target_name else None
    request = arguments.get("request") or getattr(target, "request", None)
    # Of what somebody found, first the row that it is about.
    places = [getattr(target, "about", None), target, request]
    # What people do to their own account is about them.
    subject = actor if target_name == "actor" else _subject(arguments, places)
    record(
        action,
        actor=actor,
        target=target or subject or actor,
        subject=subject,
        role=arguments.get("role") or _first(places, "role"),
        scope=arguments.get("scope") or arguments.get("resource") or _first(places, "scope"),
        request=request,
        ticket=_ticket(arguments) or _first(places, "ticket_text") or "",
        justification=arguments.get("justification", "")[:LONGEST_TEXT],
        outcome=Event.Outcome.REFUSED,
        code=refusal_code(refusal),
    )


def _subject(arguments: Mapping[str, Any], places: Iterable[Any]) -> Any:
    """Return whom it is about, by the arguments or by what they are about; None where they do not say."""
    given = (arguments.get(name) for name in ("user", "holder", "to"))
    return next(filter(None, given), None) or _first(places, "holder", "user", "delegator")


def _first(places: Iterable[Any], *names: str) -> Any:
    """Return what the first of these has under a name, or else under the next; None where none has any."""
    return next((found for name in names for place in places if (found := getattr(place, name, None))), None)


def _ticket(arguments: Mapping[str, Any]) -> str:
    """Return the ticket with its system, as it stands in the event of what was done, so that both are found by it."""
    ticket, system = (arguments.get(name, "")[:LONGEST_TEXT] for name in ("ticket", "ticket_system"))
    return f"{ticket} ({system})" if ticket and system else ticket


def refusal_code(refusal: ValidationError | PermissionDenied) -> str:
    """The stable code of a refusal: of several errors the first; "invalid" or "forbidden" where none is given."""
    if isinstance(refusal, PermissionDenied):
        return getattr(refusal, "code", None) or "forbidden"
    if hasattr(refusal, "error_dict"):
        errors = [error for of_field in refusal.error_dict.values() for error in of_field]
    else:
        errors = refusal.error_list
    return next((error.code for error in errors if error.code), "invalid")


def _reference(thing: Model | None) -> dict[str, Any] | None:
    if thing is None or thing.pk is None:
        return None
    return {"type": thing._meta.label_lower, "id": str(thing.pk), "label": str(thing)}


def _nobody() -> dict[str, str]:
    label = gettext("Anonymous") if current().via == "anonymous" else gettext("System")
    return {"type": "", "id": "", "label": label}
