"""What people keep for themselves: favourites and saved sets. Nobody gains or loses anything by it."""

from collections.abc import Collection

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.rules import check_seen
from approvals.favourites import Favourite, RoleSet, RoleSetEntry
from approvals.rules import SetRefused, check_set
from roles.models import Resource, Role


def pin(*, actor: User, role: Role, scope: Resource) -> None:
    """Keep a role at a scope among one's favourites."""
    Favourite.objects.get_or_create(user=actor, role=role, scope=scope)


def unpin(*, actor: User, role: Role, scope: Resource) -> None:
    Favourite.objects.filter(user=actor, role=role, scope=scope).delete()


@transaction.atomic
def save_set(*, actor: User, name: str, places: Collection[tuple[Role, Resource]]) -> RoleSet:
    """Keep roles under a name; under a name that there is already, these take the place of those.

    Raises:
        SetRefused: ``name_invalid``, ``nothing_chosen``, ``too_many``.
    """
    User.objects.select_for_update(of=("self",), no_key=True).get(pk=actor.pk)
    found = RoleSet.objects.filter(user=actor, name__iexact=name.strip()).first()
    others = RoleSet.objects.filter(user=actor).count() - bool(found)
    check_set(name, entries=len(places), others=others)
    role_set = found or RoleSet.objects.create(user=actor, name=name.strip())
    role_set.entries.all().delete()
    RoleSetEntry.objects.bulk_create(
        RoleSetEntry(role_set=role_set, role=role, scope=scope) for role, scope in dict.fromkeys(places)
    )
    return role_set


@transaction.atomic
def rename_set(*, actor: User, role_set: RoleSet, name: str, seen: str = "") -> RoleSet:
    """Give one's set another name.

    Args:
        seen: as `accounts.rules.check_seen` takes it, of `set_facts`.

    Raises:
        SetRefused: ``name_invalid``, ``name_taken``. ChangedMeanwhile.
    """
    check_set(name)
    found = RoleSet.objects.select_for_update(no_key=True).filter(pk=role_set.pk, user=actor).first()
    if found is None:
        return role_set
    check_seen(set_facts(found), seen)
    found.name = name.strip()
    try:
        with transaction.atomic():
            found.save(update_fields=["name"])
    except IntegrityError as error:
        raise SetRefused(_("You have a set with this name already."), code="name_taken") from error
    return found


def set_facts(role_set: RoleSet) -> dict[str, str]:
    """Return what a change of it changes."""
    return {"name": role_set.name}


def remove_set(*, actor: User, role_set: RoleSet) -> None:
    """Forget a set of one's own. The roles stay as they are."""
    RoleSet.objects.filter(pk=role_set.pk, user=actor).delete()
