"""What people keep for themselves: favourites and saved sets. Nobody gains or loses anything by it."""

from collections.abc import Collection

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.models import User
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
def rename_set(*, actor: User, role_set: RoleSet, name: str) -> RoleSet:
    """Give one's set another name.

    Raises:
        SetRefused: ``name_invalid``, ``name_taken``.
    """
    check_set(name)
    try:
        with transaction.atomic():
            RoleSet.objects.filter(pk=role_set.pk, user=actor).update(name=name.strip())
    except IntegrityError as error:
        raise SetRefused(_("You have a set with this name already."), code="name_taken") from error
    return role_set


def remove_set(*, actor: User, role_set: RoleSet) -> None:
    """Forget a set of one's own. The roles stay as they are."""
    RoleSet.objects.filter(pk=role_set.pk, user=actor).delete()
