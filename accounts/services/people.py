"""People and groups."""

import secrets
from collections.abc import Iterable
from typing import Any

from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _

from accounts import factors
from accounts.authority import require
from accounts.links import link
from accounts.models import EnrolmentTicket, Group, User
from accounts.rules import GroupRefused, NotAllowed, PersonRefused, check_username
from audit.services import privileged, record
from notifications.services import queue

PERSON_FIELDS = ("username", "email", "display_name", "manager", "time_zone", "is_emergency_access")


@privileged("person.created", target=None)
def create_person(
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

    Raises:
        NotAllowed: the actor may not.
        ValidationError: a field is wrong, or the name or address is taken.
    """
    require(actor, "accounts.add_user")
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
    record("person.created", actor=actor, target=person, subject=person, after=_facts(person))
    return person


def change_person(*, user: User, actor: User | None, **changes: Any) -> User:
    """Change the fields of a person named in `PERSON_FIELDS`; enabling and disabling are acts of their own.

    Called by `assignments.services.update_person`, which knows who may change whom.

    Raises:
        NotAllowed: the actor may not say who is an emergency person.
        ValidationError: a field is wrong, or the name or address is taken.
    """
    person = User.objects.select_for_update(of=("self",)).get(pk=user.pk)
    before = _facts(person)
    for name, value in changes.items():
        if name not in PERSON_FIELDS:
            raise TypeError(f"{name} is not a field to change")
        setattr(person, name, value)
    _check_emergency(actor, before=before["is_emergency_access"], after=person.is_emergency_access)
    _save_person(person, update_fields=list(changes))
    record("person.updated", actor=actor, target=person, subject=person, before=before, after=_facts(person))
    return person


def _check_emergency(actor: User | None, *, before: bool, after: bool) -> None:
    """Only those who give out roles say who is an emergency person: the flag spares from what would end access."""
    if before != after:
        require(actor, "accounts.enrol_privileged_user")


def _save_person(person: User, update_fields: list[str] | None = None) -> None:
    person.full_clean(exclude=["password"])
    check_username(person.username)
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


def _facts(person: User) -> dict[str, Any]:
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


def withdraw_weak_tickets(users: Iterable[User]) -> None:
    """Withdraw the open tickets of people who come to power, where the issuer could not issue one for such a person.

    Otherwise helpdesk staff could keep a link from before, and sign in by it as somebody with a privileged role.
    """
    tickets = EnrolmentTicket.objects.filter(user__in=users, used_at=None)
    issuers = User.objects.filter(pk__in=tickets.values("issued_by"))
    weak = [issuer for issuer in issuers if not issuer.has_perm("accounts.enrol_privileged_user")]
    tickets.filter(issued_by__in=weak).update(used_at=now())


@privileged("group.created", target=None)
def create_group(
    *,
    actor: User | None,
    name: str,
    description: str = "",
    owners: Iterable[User] = (),
    members: Iterable[User] = (),
    is_protected: bool = False,
) -> Group:
    """Make a group.

    Raises:
        NotAllowed: the actor may not; making a protected group needs the right to change one.
        ValidationError: a field is wrong, or the name is taken.
        GroupRefused: code ``self_assignment``.
    """
    require(actor, "accounts.add_group")
    group = Group(name=name.strip(), description=description, is_protected=is_protected)
    owners, members = list(owners), list(members)
    _check_group_change(group, actor=actor, was_protected=False, added={*owners, *members})
    _save_group(group)
    _put_into(group, owners, members)
    record("group.created", actor=actor, target=group, after=_group_facts(group))
    return group


@privileged("group.updated", target="group")
def update_group(
    *,
    group: Group,
    actor: User | None,
    name: str,
    description: str,
    owners: Iterable[User],
    members: Iterable[User],
    is_protected: bool,
) -> Group:
    """Change a group and who is in it.

    Raises:
        NotAllowed: the actor may not; a protected group needs a right of its own.
        ValidationError: a field is wrong, or the name is taken.
        GroupRefused: code ``self_assignment``: nobody puts themselves into a protected group.
    """
    require(actor, "accounts.change_group")
    group = Group.objects.select_for_update().get(pk=group.pk)
    before, was_protected = _group_facts(group), group.is_protected
    owners, members = list(owners), list(members)
    # Who is in a group that becomes protected is put into a protected group by that.
    present = {*group.owners.all(), *group.members.all()} if was_protected else set()
    group.name, group.description, group.is_protected = name.strip(), description, is_protected
    _check_group_change(group, actor=actor, was_protected=was_protected, added={*owners, *members} - present)
    _save_group(group)
    _put_into(group, owners, members)
    record("group.updated", actor=actor, target=group, before=before, after=_group_facts(group))
    return group


def _check_group_change(group: Group, *, actor: User | None, was_protected: bool, added: set[User]) -> None:
    if not (group.is_protected or was_protected):
        return
    if actor is not None and not actor.has_perm("accounts.change_protected_group"):
        raise NotAllowed(_("This group is protected: only a role administrator may change it."))
    if actor is not None and actor in added:
        raise GroupRefused(
            _("Nobody puts themselves into a protected group. Ask another administrator."), code="self_assignment"
        )


def _save_group(group: Group) -> None:
    group.full_clean()
    try:
        with transaction.atomic():
            group.save()
    except IntegrityError as error:
        raise GroupRefused(_("There is a group with this name already."), code="name_taken") from error


def _put_into(group: Group, owners: list[User], members: list[User]) -> None:
    group.owners.set(owners)
    group.members.set(members)
    if group.is_protected:
        withdraw_weak_tickets(members)


def _group_facts(group: Group) -> dict[str, Any]:
    return {
        "name": group.name,
        "description": group.description,
        "is_protected": group.is_protected,
        "owners": sorted(map(str, group.owners.all())),
        "members": sorted(map(str, group.members.all())),
    }
