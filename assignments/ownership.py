"""Who owns what: the rights over a place and what is beneath it, and over a group, that a role in force gives.

An owner has them there and nowhere else, and over nothing that reaches further: no built-in role, no role that gives
rights in this site, no membership of a group that is not theirs, and not the rules under which they are owners.
"""

from datetime import datetime
from functools import cache
from typing import Any

from django.db.models import Model, Q, QuerySet

from accounts.models import Group, User, UserQuerySet
from accounts.prepared import Prepared
from roles.models import Resource, Role, RoleSettings

from .models import ActiveAssignment, Assignment, people_reached

# Lets somebody into the console, where they see what they own.
OWNS = "assignments.own_something"
# Any of these lets somebody make assignments of the kind.
ASSIGNS = {
    "eligible": ("assignments.assign_eligible", "assignments.assign_ordinary_eligible"),
    "active": ("assignments.assign_active",),
}
RESOURCE_RIGHTS = frozenset({"roles.view_resource", "roles.add_resource", "roles.change_resource", "roles.add_role"})
ROLE_RIGHTS = frozenset({"roles.view_role", "roles.change_role", "roles.view_rolesettings"})
SETTINGS_RIGHTS = frozenset({"roles.view_rolesettings", "roles.change_rolesettings"})
ASSIGNMENT_RIGHTS = frozenset(
    {
        "assignments.view_eligibleassignment",
        "assignments.view_activeassignment",
        "assignments.assign_eligible",
        "assignments.assign_active",
        "assignments.remove_assignment",
        "assignments.end_activation",
    }
)
REVIEW_RIGHTS = frozenset(
    {
        "reviews.add_definition",
        "reviews.change_definition",
        "reviews.view_definition",
        "reviews.view_instance",
        "reviews.run_instance",
    }
)
GROUP_RIGHTS = frozenset({"accounts.view_group", "accounts.change_group"})  # of its members, says the service
NOTHING: frozenset[str] = frozenset()
# The roles about which owners of a place decide: `_is_ordinary`.
ORDINARY = Q(role__built_in_key=None, role__group_part="", role__permissions=None)
# The roles by which somebody owns something.
OWNING = Q(role__owns_resource=True) | Q(role__group_part=Role.GroupPart.OWNER)


def _held(user: User, at: datetime) -> QuerySet[ActiveAssignment]:
    rows: QuerySet[ActiveAssignment] = ActiveAssignment.objects.held_by(user, at)
    return rows


def owned_scopes(user: User, at: datetime) -> QuerySet[Resource]:
    """Return the resources that a person owns by a role in force; what is beneath each is theirs as well."""
    return Resource.objects.filter(pk__in=_held(user, at).filter(role__owns_resource=True).values("scope"))


def owns_a_place(user: User, at: datetime) -> bool:
    """Do they own any resource? Of whoever owns nothing at all, which is nearly everybody, their rights say so."""
    return user.has_perm(OWNS) and owned_scopes(user, at).exists()


def owned_groups(user: User, at: datetime) -> QuerySet[Group]:
    """Return the groups that a person owns: standing, or by an ownership in force."""
    held = _held(user, at).filter(role__group_part=Role.GroupPart.OWNER)
    return Group.objects.filter(Q(owners=user) | Q(pk__in=held.values("role__resource__group"))).distinct()


def rights_over(user: User, thing: Model, at: datetime) -> frozenset[str]:
    """Return the permissions that ownership gives a person over one thing.

    Args:
        thing: a resource, role, group, settings of a role at a scope, or an assignment; the last two need not be saved.
            What is reviewed belongs to higher floors, and says by `owned_place` whose owners decide about it.
    """
    if isinstance(thing, Resource):
        return RESOURCE_RIGHTS if _owns(user, thing.lineage, at) else NOTHING
    if isinstance(thing, Role):
        return ROLE_RIGHTS if _is_ordinary(thing) and _owns(user, thing.resource.lineage, at) else NOTHING
    if isinstance(thing, RoleSettings):
        # Whoever is an owner by a role cannot change what it asks of them: only who owns from further above.
        lineage = thing.scope.lineage[:-1] if thing.role.owns_resource else thing.scope.lineage
        return SETTINGS_RIGHTS if _is_ordinary(thing.role) and _owns(user, lineage, at) else NOTHING
    if isinstance(thing, Assignment):
        return ASSIGNMENT_RIGHTS if _decides(user, thing, at) else NOTHING
    if isinstance(thing, Group):
        return GROUP_RIGHTS if owned_groups(user, at).filter(pk=thing.pk).exists() else NOTHING
    if isinstance(place := getattr(thing, "owned_place", None), Resource):
        return REVIEW_RIGHTS if _owns(user, place.lineage, at) else NOTHING
    return NOTHING


def _owns(user: User, lineage: list[str], at: datetime) -> bool:
    return owned_scopes(user, at).filter(path__in=lineage).exists()


def _decides(user: User, assignment: Assignment, at: datetime) -> bool:
    if group := assignment.role.group_part and assignment.role.resource.group:
        return owned_groups(user, at).filter(pk=group.pk).exists()
    return _is_ordinary(assignment.role) and _owns(user, assignment.scope.lineage, at)


def decided_by(user: User, at: datetime) -> Q:
    """Return the condition on rows with a role and a scope that the person decides about them as an owner.

    The same in words of a single row: `_decides`.
    """
    its_two = ~Q(role__group_part="") & Q(role__resource__group__in=owned_groups(user, at))
    return (ORDINARY & within(owned_scopes(user, at), "scope__path")) | its_two


def owners_of(assignment: Assignment, at: datetime) -> UserQuerySet:
    """Return those who decide about an assignment as owners: of its scope or above, or of the group that it is of."""
    if group := assignment.role.group_part and assignment.role.resource.group:
        owners = _GROUP_OWNERS.subquery(group, at)
    elif _is_ordinary(assignment.role):
        places = assignment.scope.lineage
        owners = _place_owners(len(places)).subquery(at, *places)
    else:
        return User.objects.none()
    return User.objects.filter(pk__among=owners)


def _of_group(group: Group, at: datetime) -> QuerySet[Any, Any]:
    held = ActiveAssignment.objects.in_force(at)
    parts = held.filter(role__group_part=Role.GroupPart.OWNER, role__resource__group=group)
    standing = User.objects.enabled().filter(pk__in=group.owners.values("pk"))
    return (people_reached(parts, at) | standing).order_by().values_list("pk")


_GROUP_OWNERS = Prepared(_of_group)


@cache
def _place_owners(depth: int) -> Prepared:
    """The owners of one of so many places, each of which is given by its path."""

    def keys(at: datetime, *paths: str) -> QuerySet[Any, Any]:
        held = ActiveAssignment.objects.in_force(at).filter(role__owns_resource=True, scope__path__in=paths)
        return people_reached(held, at).order_by().values_list("pk")

    return Prepared(keys)


def _is_ordinary(role: Role) -> bool:
    return not (role.is_built_in or role.group_part or role.permissions.exists())


def within(scopes: QuerySet[Resource], path: str) -> Q:
    """Return the condition that the column `path` leads to a place at or beneath one of these; one query.

    Where there are none, nothing is.
    """
    beneath = Q(pk__in=())
    for place in scopes.values_list("path", flat=True):
        beneath |= Q(**{f"{path}__startswith": place})
    return beneath
