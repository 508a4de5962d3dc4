"""What a review takes in when it begins: the accesses that its series covers, walked through key by key."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from accounts.models import ApiToken, Group, User
from assignments.models import ActiveAssignment, EligibleAssignment
from roles.models import Role

from .models import Definition, Instance, Item
from .rules import Use, recommend, weight

CHUNK = 500
KINDS = (Item.Kind.ELIGIBLE, Item.Kind.ACTIVE, Item.Kind.MEMBERSHIP)
MODELS: dict[str, Any] = {Item.Kind.ELIGIBLE: EligibleAssignment, Item.Kind.ACTIVE: ActiveAssignment}


def covered(definition: Definition) -> Q:
    """Return the condition on assignments that the series is about them; of what is gone since, nothing is left."""
    match definition.covers:
        case Definition.Covers.ROLES:
            beneath = Q(scope__path__startswith=definition.scope.path) if definition.scope else Q()
            return Q(role__in=definition.roles.all()) & beneath
        case Definition.Covers.RESOURCE:
            return Q(scope__path__startswith=definition.scope.path) if definition.scope else Q(pk__in=())
    return Q(role__resource__group__in=definition.groups.all(), role__group_part=Role.GroupPart.MEMBER)


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
            rows = through.objects.filter(group__in=self._groups()).select_related("user__manager", "group")
        else:
            rows = MODELS[kind].objects.lasting(self.at).assigned().filter(self._of(kind), user__isnull=False)
            rows = rows.filter(created_at__lte=self.at).select_related("user__manager", "role", "scope")
        reviewed: QuerySet[Any] = rows.filter(self._inactive(), user__kind=self.definition.principals)
        return reviewed.order_by("pk")

    def next_rows(self, kind: str, after: str) -> list[Any]:
        rows = self.rows(kind)
        return list((rows.filter(pk__gt=after) if after else rows)[:CHUNK])

    def _of(self, kind: str) -> Q:
        """What is covered itself; and who may be, for a time, in a group that has what is covered."""
        own = covered(self.definition) if self._takes(kind) else Q(pk__in=())
        # Asked once and not in the same question: a database reads the whole table for an "or" with a question in it.
        groups = [] if self.definition.covers == Definition.Covers.GROUPS else list(self._groups().values_list("pk"))
        if not groups:
            return own
        carried = Q(role__resource__group__in=[key for (key,) in groups], role__group_part=Role.GroupPart.MEMBER)
        return own | carried

    def _takes(self, kind: str) -> bool:
        groups = self.definition.covers == Definition.Covers.GROUPS
        return groups or self.definition.kinds in (Definition.Kinds.BOTH, kind)

    def _groups(self) -> QuerySet[Group]:
        """The groups whose members are reviewed: those named, or those that hold what is covered."""
        if self.definition.covers == Definition.Covers.GROUPS:
            return self.definition.groups.all()
        held = Q(pk__in=())
        for kind, model in MODELS.items():
            if self._takes(kind):
                rows = model.objects.lasting(self.at).filter(covered(self.definition), group__isnull=False)
                held |= Q(pk__in=rows.values("group"))
        return Group.objects.filter(held)

    def _inactive(self) -> Q:
        if self.definition.inactive_days is None:
            return Q()
        since = self.at - timedelta(days=self.definition.inactive_days)
        lately = User.objects.alias(last=last_seen()).filter(last__gte=since)
        return ~Q(user__in=lately)


def last_seen() -> Any:
    """Return the expression for when somebody signed in last; a service account does so with its tokens."""
    tokens = ApiToken.objects.filter(user=OuterRef("pk")).order_by().values("user")
    used = Subquery(tokens.annotate(last=Max("last_used_at")).values("last"))
    return Coalesce("last_sign_in_at", used)


def items_of(instance: Instance, kind: str, rows: list[Any]) -> list[Item]:
    """Return an item for each of these rows, not saved, in a constant number of statements."""
    seen = dict(User.objects.filter(pk__in={row.user_id for row in rows}).values_list("pk", last_seen()))
    used = _last_used(kind, rows)
    gives = _given_by({row.group_id for row in rows}, at=instance.began_at) if kind == Item.Kind.MEMBERSHIP else {}
    items = [_item(instance, kind, row, gives.get(row.group_id)) for row in rows]
    for item, row in zip(items, rows, strict=True):
        item.last_sign_in_at, item.last_used_at = seen[row.user_id], used.get(_key(kind, row))
        _judge(item, instance)
    return items


def _item(instance: Instance, kind: str, row: Any, gives: "list[Any] | None") -> Item:
    if kind == Item.Kind.MEMBERSHIP:
        names = sorted({f"{each.role} · {each.scope}" for each in gives or ()})
        risky = any(each.role.is_privileged for each in gives or ())
        return Item(
            instance=instance, kind=kind, user=row.user, group=row.group, gives="\n".join(names), is_privileged=risky
        )
    about: dict[str, Any] = {f"{kind}_assignment": row, "role": row.role, "scope": row.scope, "user": row.user}
    times = {"since": row.starts_at, "until": row.ends_at}
    return Item(instance=instance, kind=kind, is_privileged=row.role.is_privileged, **about, **times)


def _key(kind: str, row: Any) -> Any:
    return (row.user_id, row.group_id) if kind == Item.Kind.MEMBERSHIP else row.pk


def _last_used(kind: str, rows: list[Any]) -> dict[Any, datetime]:
    """When each was activated last; what needs no activation is in no list."""
    activations = ActiveAssignment.objects.order_by()
    if kind == Item.Kind.ELIGIBLE:
        found = activations.filter(eligible_assignment__in=[row.pk for row in rows])
        return dict(found.values_list("eligible_assignment").annotate(Max("starts_at")))
    if kind == Item.Kind.MEMBERSHIP:
        groups, users = {row.group_id for row in rows}, {row.user_id for row in rows}
        found = activations.filter(eligible_assignment__group__in=groups, user__in=users)
        last = found.values_list("user", "eligible_assignment__group").annotate(Max("starts_at"))
        return {(user, group): at for user, group, at in last}
    return {}


def _given_by(groups: Iterable[Any], *, at: datetime) -> dict[Any, list[Any]]:
    given: dict[Any, list[Any]] = {}
    for model in MODELS.values():
        for row in model.objects.lasting(at).filter(group__in=groups).select_related("role", "scope"):
            given.setdefault(row.group_id, []).append(row)
    return given


def _judge(item: Item, instance: Instance) -> None:
    definition = instance.definition
    use = Use(
        enabled=item.user.is_active,
        activated=item.kind == Item.Kind.ELIGIBLE,
        since=item.since,
        last_used_at=item.last_used_at,
        last_sign_in_at=item.last_sign_in_at,
    )
    look_back = timedelta(days=definition.look_back_days)
    advised, cause = recommend(use, look_back=look_back, at=instance.began_at)
    item.weight = weight(is_privileged=item.is_privileged, recommendation=advised, cause=cause)
    if definition.recommends:
        item.recommendation, item.cause = advised, cause
