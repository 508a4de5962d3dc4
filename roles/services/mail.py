"""Mails about roles, as far as the settings want them."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from django.db.models import Model

from accounts.bulk import current
from accounts.models import User
from notifications.models import Message
from notifications.services import queue
from roles.mails import MAILS, MOST_MAILS
from roles.models import RoleSettings


def tell(
    kind: str,
    *,
    event: str,
    audience: str,
    settings: RoleSettings,
    to: Iterable[User],
    about: Model,
    context: Mapping[str, Any],
) -> list[Message]:
    """Queue a mail to whom its cell of the settings names; return the messages.

    Args:
        kind: of the mail; with `event` and `audience` one of `roles.mails.MAILS`.
        to: the default recipients of the cell, looked up only if they are to be told.
        context: what the mail says. Further addresses read of the holder as a third person, as administrators do.

    Of a bulk act, administrators get one mail when it is done.
    """
    cell = settings.cell(event, audience)
    if not cell.takes(critical=MAILS[kind, event, audience]):
        return []
    people = list(islice(to, MOST_MAILS - len(cell.also))) if cell.default else []
    told = {person.email.casefold() for person in people}
    others = [address for address in cell.also if address.casefold() not in told]
    if audience == "admin" and (act := current()):
        act.tell([*people, *others], f"{about.role} · {about.scope}")  # type: ignore[attr-defined]  # an assignment
        return []
    outside = "admin" if audience == "requestor" else audience
    return [
        *queue(kind, to=people, about=about, context={**context, "audience": audience}),
        *queue(kind, to=others, about=about, context={**context, "audience": outside}),
    ]
