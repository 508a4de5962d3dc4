"""Groups, and who is in them."""

from collections.abc import Collection, Iterable
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _

from accounts.authority import require
from accounts.models import Group, User
from accounts.rules import GroupRefused, NotAllowed, check_seen
from audit.services import privileged, record

from .people import withdraw_weak_tickets


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
    check_protection(actor, protected=is_protected)
    if is_protected and actor in (*owners, *members):
        raise own_group()
    _save_group(group)
    _put_into(group, owners, members)
    record("group.created", actor=actor, target=group, after=group_facts(group))
    return group


def change_group(
    *,
    group: Group,
    actor: User | None,
    name: str,
    description: str,
    owners: Iterable[User],
    members: Iterable[User],
    is_protected: bool,
    seen: str = "",
) -> Group:
    """Change a group and who is in it.

    Called by `assignments.services.update_group`, which knows what the group holds and who may change it.

    Raises:
        ValidationError: a field is wrong, or the name is taken.
        GroupRefused: code ``self_assignment``: nobody puts themselves into a protected group.
    """
    group = Group.objects.select_for_update(no_key=True).get(pk=group.pk)
    before, was_protected = group_facts(group), group.is_protected
    check_seen(before, seen)
    owners, members = list(owners), list(members)
    # Who is in a group that becomes protected is put into a protected group by that.
    joining = joins(group, actor, owners, members) if was_protected else actor in (*owners, *members)
    group.name, group.description, group.is_protected = name.strip(), description, is_protected
    if joining and (is_protected or was_protected):
        raise own_group()
    _save_group(group)
    _put_into(group, owners, members)
    record("group.updated", actor=actor, target=group, before=before, after=group_facts(group))
    return group


def drop_group(*, group: Group, actor: User | None, justification: str) -> Group:
    """Empty a group and take it out of every list; its row stays, because what it held is history that points at it.

    Called by `assignments.services.delete_group`, which ends what the group held.
    """
    before = group_facts(group)
    group.members.clear()
    group.owners.clear()
    group.deleted_at = now()
    group.save(update_fields=["deleted_at"])
    record("group.deleted", actor=actor, target=group, before=before, justification=justification)
    return group


def check_protection(actor: User | None, *, protected: bool) -> None:
    """Raise NotAllowed where a group is or becomes protected and the actor has no right to change such a one."""
    if protected and actor is not None and not actor.has_perm("accounts.change_protected_group"):
        raise NotAllowed(_("This group is protected: only a role administrator may change it."))


def joins(group: Group, actor: User | None, owners: Collection[User], members: Collection[User]) -> bool:
    """Would the actor come into a group by this, as a member or as an owner?"""
    places = ((members, group.members), (owners, group.owners))
    return any(actor in chosen and actor not in present.all() for chosen, present in places)


def own_group() -> GroupRefused:
    text = _("Nobody puts themselves into a group that has power. Ask another administrator.")
    return GroupRefused(text, code="self_assignment")


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
        withdraw_weak_tickets({*owners, *members})


def group_facts(group: Group) -> dict[str, Any]:
    """Return what a group is, for the audit: people by name, and by the ids that stay when they are renamed."""
    owners, members = group.owners.all(), group.members.all()
    return {
        "name": group.name,
        "description": group.description,
        "is_protected": group.is_protected,
        "owners": sorted(map(str, owners)),
        "owner_ids": sorted(str(owner.pk) for owner in owners),
        "members": sorted(map(str, members)),
        "member_ids": sorted(str(member.pk) for member in members),
    }
