"""Access that was given past this site: by SQL, a script, a restored table."""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Exists, Model, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.models import Group, User
from alerts.models import MOST
from alerts.registry import Finding, Severity, alert
from assignments.models import ActiveAssignment, EligibleAssignment
from audit.stated import last_stated
from roles.builtin import rights_of
from roles.models import Role

from .given import unaccounted
from .repairs import REMOVE, of_assignment
from .twice import found_twice

M = TypeVar("M", bound=Model)
MODELS = (ActiveAssignment, EligibleAssignment)
# The kinds of this page, which the digest counts together.
OUTSIDE = ("assigned_outside", "rights_outside", "members_outside", "emergency_outside", "settings_outside")
SHOWN = 5
# What events call it that a role owns its resource, which is more than any right.
OWNS = "owns_resource"
# Groups, or people, that are compared at once.
PAGE = 1_000


@alert(
    "assigned_outside",
    severity=Severity.HIGH,
    title=_("Assigned outside PIM"),
    why=_(
        "This access stands in the database, but the audit does not say that somebody gave it so: this role at this "
        "scope, to this holder, from then and until then. Somebody wrote it past the rules: without an approval, a "
        "reason or anybody having been told."
    ),
    advice=_(
        "Find out who wrote it: who may connect to the database, which script ran at the time when it was made? Remove "
        "it, and assign it anew from here if it is needed. Where nothing but its dates is wrong, give it other dates "
        "from here."
    ),
    sentence=_(
        "%(holder)s holds %(role)s at %(scope)s from %(starts_at)s until %(ends_at)s, and nobody here gave it so."
    ),
    repair=REMOVE,
)
def assigned_outside(at: datetime) -> Iterator[Finding]:
    keys = {model: list(islice(unaccounted(model, at), MOST + 1)) for model in MODELS}
    rows = [row for model in MODELS for row in model.objects.filter(pk__in=keys[model]).described()]
    for row in sorted(rows, key=lambda row: str(row.pk)):
        yield of_assignment(row, starts_at=row.starts_at, ends_at=row.ends_at)


@alert(
    "rights_outside",
    severity=Severity.HIGH,
    title=_("Rights of a role changed outside PIM"),
    why=_(
        "What its holders may do in this site is not what the audit says that somebody gave them: rows were written "
        "past the site."
    ),
    advice=_(
        "Find out who wrote them. Save the role anew with the rights that it should give; those of a built-in role are "
        "put back by “manage.py migrate”."
    ),
    sentence=_("%(role)s gives rights that nobody gave it here: %(rights)s"),
)
@found_twice
def rights_outside(at: datetime) -> Iterator[Finding]:
    """Of roles that give rights here, or own their resource: they are compared with what was recorded of them last."""
    giving = Role.objects.filter(Q(permissions__isnull=False) | Q(owns_resource=True)).distinct()
    for page in _pages(giving.prefetch_related("permissions").order_by("pk")):
        recorded = last_stated("roles.role", [str(role.pk) for role in page if not role.is_built_in])
        for role in page:
            if more := sorted(_rights(role) - _rights_known(role, recorded.get(str(role.pk), {}))):
                yield Finding(str(role.pk), role, {"role": str(role), "rights": ", ".join(more)})


def _rights(role: Role) -> set[str]:
    return {permission.codename for permission in role.permissions.all()} | ({OWNS} if role.owns_resource else set())


def _rights_known(role: Role, recorded: dict[str, Any]) -> set[str]:
    known = rights_of(role) if role.is_built_in else recorded.get("permissions", ())
    return {*known} | ({OWNS} if recorded.get(OWNS) else set())


@alert(
    "members_outside",
    severity=Severity.HIGH,
    title=_("Members of a group changed outside PIM"),
    why=_("People are in a group that has power, or own one, and the audit does not say that somebody put them there."),
    advice=_("Find out who wrote the rows, and save the group without those who do not belong there."),
    sentence=_("%(group)s has %(count)s members or owners whom nobody put there, among: %(names)s"),
)
@found_twice
def members_outside(at: datetime) -> Iterator[Finding]:
    """Of groups that hold roles, and of protected ones: no other decides about requests or leads to a role."""
    holding = [Exists(model.objects.lasting(at).filter(group=OuterRef("pk"))) for model in MODELS]
    for page in _pages(Group.objects.filter(Q(is_protected=True) | holding[0] | holding[1]).order_by("pk")):
        unknown = _people_unknown(page)
        shown = {key for people in unknown.values() for _part, key in people[:SHOWN]}
        named = User.objects.in_bulk(list(shown))
        for group in page:
            if people := unknown[group.pk]:
                names = ", ".join(sorted({str(named[key]) for _part, key in people[:SHOWN]}))
                yield Finding(str(group.pk), group, {"group": str(group), "count": len(people), "names": names})


def _people_unknown(groups: list[Group]) -> dict[UUID, list[tuple[str, UUID]]]:
    """Return who is in each group, and as what, without that the last event of it says so."""
    recorded = last_stated("accounts.group", [str(group.pk) for group in groups])
    unknown: dict[UUID, list[tuple[str, UUID]]] = {group.pk: [] for group in groups}
    for part, through in (("member_ids", Group.members.through), ("owner_ids", Group.owners.through)):
        known = {key: set(facts.get(part, ())) for key, facts in recorded.items()}
        rows = through.objects.filter(group__in=groups).order_by("user_id").values_list("group_id", "user_id")
        for group, user in rows.iterator():
            if str(user) not in known.get(str(group), ()):
                unknown[group].append((part, user))
    return unknown


@alert(
    "emergency_outside",
    severity=Severity.HIGH,
    title=_("Emergency account marked outside PIM"),
    why=_(
        "Accounts for emergencies take roles without an approval, and most alerts leave them out. The audit does not "
        "say that somebody made this one such an account."
    ),
    advice=_("Find out who wrote it, and save the person without it, or disable the account."),
    sentence=_("%(holder)s is marked as an account for emergencies, and nobody here did that."),
)
@found_twice
def emergency_outside(at: datetime) -> Iterator[Finding]:
    for page in _pages(User.objects.filter(is_emergency_access=True).order_by("pk")):
        recorded = last_stated("accounts.user", [str(person.pk) for person in page])
        for person in page:
            if not recorded.get(str(person.pk), {}).get("is_emergency_access"):
                yield Finding(str(person.pk), person, {"holder": str(person)})


def _pages(things: QuerySet[M]) -> Iterator[list[M]]:
    rows = things.iterator(PAGE)
    return iter(lambda: list(islice(rows, PAGE)), [])
