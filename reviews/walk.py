"""What a review takes in when it begins: the accesses that its series covers, walked through key by key."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.db.models import DateTimeField, Max, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from accounts.models import ApiToken, Group, User
from assignments.models import ActiveAssignment, EligibleAssignment
from assignments.ownership import ORDINARY
from roles.models import Role

from .models import Definition, Instance, Item
from .rules import Use, recommend, weight

CHUNK = 1000
KINDS = (Item.Kind.ELIGIBLE, Item.Kind.ACTIVE, Item.Kind.MEMBERSHIP)
MODELS: dict[str, Any] = {Item.Kind.ELIGIBLE: EligibleAssignment, Item.Kind.ACTIVE: ActiveAssignment}
OF_ASSIGNMENT = ("pk", "user_id", "role_id", "scope_id", "starts_at", "ends_at", "role__is_privileged")
OF_MEMBERSHIP = ("pk", "user_id", "group_id")
MANAGER = ("user__manager_id", "user__manager__is_active", "user__manager__kind")
OF_PERSON = ("user__is_active", "user__kind", "user__created_at", *MANAGER)


def covered(definition: Definition) -> Q:
    """Return the condition on assignments that the series is about them; of what is gone since, nothing is left."""
    match definition.covers:
        case Definition.Covers.ROLES:
            narrowed = _beneath(definition) if definition.is_narrowed else Q()
            return Q(role__in=definition.roles.all()) & narrowed & in_reach(definition)
        case Definition.Covers.RESOURCE:
            return _beneath(definition) & in_reach(definition)
    return Q(role__resource__group__in=definition.groups.all(), role__group_part=Role.GroupPart.MEMBER)


def in_reach(definition: Definition) -> Q:
    """Return the condition on assignments that the series may show and take away.

    One of owners: what owners decide about, at its resource and beneath; any other: everything.
    """
    return ORDINARY & _beneath(definition) if definition.of_owners else Q()


def _beneath(definition: Definition) -> Q:
    return Q(scope__path__startswith=definition.scope.path) if definition.scope else Q(pk__in=())


@dataclass(frozen=True)
class Walk:
    """The way through all that a review takes in, at the moment at which it began."""

    instance: Instance

    @property
    def definition(self) -> Definition:
        return self.instance.definition

    @property
    def at(self) -> datetime:
        return self.instance.began_at

    def rows(self, kind: str) -> QuerySet[Any]:
        """Return the rows of this kind: assignments, or memberships of groups (`Group.members.through`)."""
        if kind == Item.Kind.MEMBERSHIP:
            through: Any = Group.members.through
            rows = through.objects.filter(group__in=self._groups())
        else:
            rows = MODELS[kind].objects.lasting(self.at).assigned().filter(self._of(kind), user__isnull=False)
            rows = rows.filter(created_at__lte=self.at)
        reviewed: QuerySet[Any] = rows.filter(self._inactive(), user__kind=self.definition.principals)
        return reviewed.order_by("pk")

    def next_rows(self, kind: str, after: str) -> list[Any]:
        """Return the next of them, each with just what an item is made of: a model of each would take longer."""
        rows = self.rows(kind)
        rows = rows.filter(pk__gt=after) if after else rows
        rows = rows.annotate(seen_at=last_seen("user"), used_at=last_used(kind))
        columns = OF_MEMBERSHIP if kind == Item.Kind.MEMBERSHIP else OF_ASSIGNMENT
        return list(rows.values_list(*columns, *OF_PERSON, "seen_at", "used_at", named=True)[:CHUNK])

    def _of(self, kind: str) -> Q:
        """What is covered itself; and who may be, for a time, in a group that has what is covered."""
        own = covered(self.definition) if self._takes(kind) else Q(pk__in=())
        # Asked once and not in the same question: a database reads the whole table for an "or" with a question in it.
        itself = self.definition.covers == Definition.Covers.GROUPS
        groups = [] if itself else list(self._groups().values_list("pk"))
        if not groups:
            return own
        carried = Q(role__resource__group__in=[key for (key,) in groups], role__group_part=Role.GroupPart.MEMBER)
        return own | carried

    def _takes(self, kind: str) -> bool:
        groups = self.definition.covers == Definition.Covers.GROUPS
        return groups or self.definition.kinds in (Definition.Kinds.BOTH, kind)

    def _groups(self) -> QuerySet[Group]:
        """The groups whose members are reviewed: those named, or those that hold what is covered.

        None in a series of owners: what else a group gives, and who is in it, is not theirs to see or to decide.
        """
        if self.definition.of_owners:
            return Group.objects.none()
        if self.definition.covers == Definition.Covers.GROUPS:
            return self.definition.groups.all()
        held = Q(pk__in=())
        for kind, model in MODELS.items():
            if self._takes(kind):
                rows = model.objects.lasting(self.at).filter(covered(self.definition), group__isnull=False)
                held |= Q(pk__in=rows.values("group"))
        return Group.objects.filter(held)

    def _inactive(self) -> Q:
        """Who has not signed in for so long, and could have: an account that is newer is not inactive."""
        if self.definition.inactive_days is None:
            return Q()
        since = self.at - timedelta(days=self.definition.inactive_days)
        lately = User.objects.alias(last=last_seen()).filter(Q(last__gte=since) | Q(created_at__gt=since))
        return ~Q(user__in=lately)


def last_seen(person: str = "") -> Any:
    """Return the expression for when somebody signed in last; a service account does so with its tokens.

    Args:
        person: the way from the rows to the person; empty: the rows are people.
    """
    tokens = ApiToken.objects.filter(user=OuterRef(person or "pk")).order_by().values("user")
    used = Subquery(tokens.annotate(last=Max("last_used_at")).values("last"))
    return Coalesce(f"{person}__last_sign_in_at" if person else "last_sign_in_at", used)


def last_used(kind: str) -> Any:
    """Return the expression for when an access was activated last; what needs no activation never was."""
    activations = ActiveAssignment.objects.order_by("-starts_at").values("starts_at")
    if kind == Item.Kind.ELIGIBLE:
        return Subquery(activations.filter(eligible_assignment=OuterRef("pk"))[:1])
    if kind == Item.Kind.MEMBERSHIP:
        mine = {"eligible_assignment__group": OuterRef("group_id"), "user": OuterRef("user_id")}
        return Subquery(activations.filter(**mine)[:1])
    return Value(None, output_field=DateTimeField())


def items_of(instance: Instance, kind: str, rows: list[Any]) -> list[dict[str, Any]]:
    """Return what the item of each of these rows holds, by column: an object of each would take longer."""
    gives = _given_by({row.group_id for row in rows}, at=instance.began_at) if kind == Item.Kind.MEMBERSHIP else {}
    return [_judged_item(instance, kind, row, gives) for row in rows]


def _judged_item(instance: Instance, kind: str, row: Any, gives: dict[Any, list[Any]]) -> dict[str, Any]:
    given = gives.get(row.group_id, []) if kind == Item.Kind.MEMBERSHIP else []
    return _judged(_item(instance, kind, row, given), instance, row, _use(kind, row, given))


def _item(instance: Instance, kind: str, row: Any, given: list[Any]) -> dict[str, Any]:
    common = {"id": uuid4(), "instance_id": instance.pk, "kind": kind, "user_id": row.user_id}
    if kind == Item.Kind.MEMBERSHIP:
        names = sorted({f"{each.role} · {each.scope}" for each in given})
        risky = any(each.role.is_privileged for each in given)
        return {**common, "group_id": row.group_id, "gives": "\n".join(names), "is_privileged": risky}
    about = {f"{kind}_assignment_id": row.pk, "role_id": row.role_id, "scope_id": row.scope_id}
    times = {"since": row.starts_at, "until": row.ends_at}
    return {**common, **about, **times, "is_privileged": row.role__is_privileged}


def _given_by(groups: Iterable[Any], *, at: datetime) -> dict[Any, list[Any]]:
    given: dict[Any, list[Any]] = {}
    for model in MODELS.values():
        for row in model.objects.lasting(at).filter(group__in=groups).select_related("role", "scope"):
            given.setdefault(row.group_id, []).append(row)
    return given


def _use(kind: str, row: Any, given: list[Any]) -> Use:
    """Return what is known of the use of an access.

    Args:
        given: what the group has, of a membership. Where all of it waits to be activated, activating is its use.
    """
    activated, since = kind == Item.Kind.ELIGIBLE, None
    if kind != Item.Kind.MEMBERSHIP:
        since = row.starts_at
    elif given:  # nobody had it before the group, nor before there was an account; since when, is not known
        activated = all(isinstance(each, EligibleAssignment) for each in given)
        since = max(row.user__created_at, min(each.starts_at for each in given))
    return Use(row.user__is_active, activated, since, row.used_at, row.seen_at)


def _judged(item: dict[str, Any], instance: Instance, row: Any, use: Use) -> dict[str, Any]:
    definition = instance.definition
    item["last_used_at"] = row.used_at
    if not definition.of_owners:
        item["last_sign_in_at"] = row.seen_at  # anywhere, and so not for owners of one place
    advised, cause = recommend(use, look_back=timedelta(days=definition.look_back_days), at=instance.began_at)
    item["weight"] = weight(is_privileged=item["is_privileged"], recommendation=advised, cause=cause)
    if definition.recommends:
        item["recommendation"], item["cause"] = advised, cause
    return item
