"""People, and the links by which they come in."""

import secrets
from collections.abc import Iterable
from typing import Any
from unicodedata import normalize
from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.timezone import now
from django.utils.translation import gettext as _

from accounts import factors
from accounts.authority import require
from accounts.browsers import BrowserSession
from accounts.links import link
from accounts.models import EnrolmentTicket, User
from accounts.rules import PersonRefused, check_address, check_manager, check_seen, check_username
from audit.services import record
from notifications.services import queue

from .tokens import revoke_tokens_of

PERSON_FIELDS = ("username", "email", "display_name", "manager", "time_zone", "is_emergency_access")


def add_person(
    *,
    actor: User | None,
    username: str,
    email: str,
    display_name: str,
    kind: str = User.Kind.PERSON,
    manager: User | None = None,
    time_zone: str = "",
    is_emergency_access: bool = False,
) -> User:
    """Make a person or a service account, who cannot sign in before an enrolment.

    Called by `assignments.services.create_person`, which knows what it means to be somebody's manager.

    Raises:
        NotAllowed: the actor may not say who is an emergency person.
        ValidationError: a field is wrong, or the name or address is taken.
    """
    person = User(
        username=username,
        email=email.strip(),
        display_name=display_name.strip(),
        kind=kind,
        manager=manager,
        is_emergency_access=is_emergency_access,
        password=make_password(None),
        **({"time_zone": time_zone} if time_zone else {}),
    )
    _check_emergency(actor, before=False, after=is_emergency_access)
    _save_person(person)
    if person.is_person:
        context = {"name": str(person), "actor": str(actor or ""), "url": link("accounts:sign-in")}
        queue("account_created", to=[person], about=person.pk, context=context)
    record("person.created", actor=actor, target=person, subject=person, after=person_facts(person))
    return person


def change_person(*, user: User, actor: User | None, seen: str = "", **changes: Any) -> User:
    """Change the fields of a person named in `PERSON_FIELDS`; enabling and disabling are acts of their own.

    Called by `assignments.services.update_person`, which knows who may change whom.

    Raises:
        NotAllowed: the actor may not say who is an emergency person.
        ValidationError: a field is wrong, or the name or address is taken.
    """
    person = User.objects.select_for_update(of=("self",), no_key=True).get(pk=user.pk)
    before = person_facts(person)
    check_seen(before, seen)
    for name, value in changes.items():
        if name not in PERSON_FIELDS:
            raise TypeError(f"{name} is not a field to change")
        setattr(person, name, value)
    _check_emergency(actor, before=before["is_emergency_access"], after=person.is_emergency_access)
    _save_person(person, update_fields=list(changes))
    record("person.updated", actor=actor, target=person, subject=person, before=before, after=person_facts(person))
    return person


def _check_emergency(actor: User | None, *, before: bool, after: bool) -> None:
    """Only those who give out roles say who is an emergency person: the flag spares from what would end access."""
    if before != after:
        require(actor, "accounts.enrol_privileged_user")


def _save_person(person: User, update_fields: list[str] | None = None) -> None:
    person.email = normalize("NFKC", person.email)  # as Django does with usernames: wide letters are not other letters
    person.full_clean(exclude=["password"])
    check_username(person.username)
    check_address(person.email)
    check_manager(person)
    taken = PersonRefused(_("Somebody has this username or e-mail address already."), code="name_taken")
    others = User.objects.exclude(pk=person.pk)
    # Also one's username as another's address: people sign in by both.
    if others.named(person.username).exists() or others.named(person.email).exists():
        raise taken
    try:
        with transaction.atomic():
            person.save(update_fields=update_fields)
    except IntegrityError as error:
        raise taken from error


def person_facts(person: User) -> dict[str, Any]:
    return {name: getattr(person, name) for name in PERSON_FIELDS if name != "manager"} | {
        "kind": person.kind,
        "manager": str(person.manager or ""),
    }


def issue_ticket(*, user: User, actor: User | None) -> str:
    """Make a one-time enrolment ticket, the only valid one of that person; return its secret, shown once.

    Called by `assignments.services.issue_enrolment`, which knows who may hand one to whom.
    """
    at = now()
    EnrolmentTicket.objects.filter(user=user, used_at=None).update(used_at=at)
    secret = secrets.token_urlsafe(24)
    EnrolmentTicket.objects.create(
        user=user,
        digest=factors.digest(secret),
        issued_by=actor,
        issued_at=at,
        expires_at=at + EnrolmentTicket.LIFETIME,
    )
    return secret


def lock_people(people: Iterable[User]) -> list[UUID]:
    """Lock the rows of these people, before all others and in one order; return their keys.

    Whoever does so early waits for nobody who waits for them: of an act that locks people at its end, too.
    """
    rows = User.objects.select_for_update(of=("self",), no_key=True).filter(pk__in={person.pk for person in people})
    return list(rows.order_by("pk").values_list("pk", flat=True))


def end_sign_ins(user: User, *, actor: User | None) -> None:
    """End all that somebody, whose row is locked, is in by or can come in by at present: sessions, tokens, links.

    Links that they issued to others too: whoever is shut out could sign in by one as somebody else.
    """
    at = now()
    BrowserSession.objects.of(user).filter(ended_at=None).update(ended_at=at)
    EnrolmentTicket.objects.filter(Q(user=user) | Q(issued_by=user), used_at=None).update(used_at=at)
    revoke_tokens_of(user, actor=actor)


def withdraw_weak_tickets(users: Iterable[User]) -> None:
    """Withdraw the open tickets of people who come to power, where the issuer could not issue one for such a person.

    Otherwise helpdesk staff could keep a link from before, and sign in by it as somebody with a privileged role. The
    rows of these people are locked, as whoever issues a link does: one that is just being issued is waited for.
    """
    tickets = EnrolmentTicket.objects.filter(user__in=lock_people(users), used_at=None)
    issuers = User.objects.filter(pk__in=tickets.values("issued_by"))
    weak = [issuer for issuer in issuers if not issuer.has_perm("accounts.enrol_privileged_user")]
    tickets.filter(issued_by__in=weak).update(used_at=now())
