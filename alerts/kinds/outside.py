"""Access that was given past this site: by SQL, a script, a restored table."""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import DateTimeField, Exists, Max, Model, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from accounts.models import Group, User
from alerts.models import MOST
from alerts.registry import Finding, Severity, alert
from approvals.models import Request
from assignments.models import ActiveAssignment, EligibleAssignment
from audit.models import Archive, Event
from audit.stated import last_stated
from roles.builtin import rights_of
from roles.models import Role

from .repairs import REMOVE, of_assignment

M = TypeVar("M", bound=Model)
MODELS = (ActiveAssignment, EligibleAssignment)
# The kinds of this page, which the digest counts together.
OUTSIDE = ("assigned_outside", "rights_outside", "members_outside", "emergency_outside")
SHOWN = 5
# Groups, or people, that are compared at once.
PAGE = 1_000
# What the audit calls the making of a row, by its kind; all else is done to one that there is.
MAKING = {"eligible": ("eligible.assigned",), "active": ("active.assigned", "assignment.activated")}


@alert(
    "assigned_outside",
    severity=Severity.HIGH,
    title=_("Assigned outside PIM"),
    why=_(
        "This access stands in the database, but no request and no event of the audit tell of it. Somebody gave it "
        "past the rules: without an approval, a reason or anybody having been told."
    ),
    advice=_(
        "Find out who wrote it: who may connect to the database, which script ran at the time when it was made? Remove "
        "it, and assign it anew from here if it is needed."
    ),
    sentence=_("%(holder)s holds %(role)s at %(scope)s since %(made_at)s, and nobody here gave it."),
    repair=REMOVE,
)
def assigned_outside(at: datetime) -> Iterator[Finding]:
    rows = [row for model in MODELS for row in _unaccounted(model, at)[: MOST + 1]]
    for row in sorted(rows, key=lambda row: str(row.pk)):
        yield of_assignment(row, made_at=row.created_at)


def _unaccounted(model: Any, at: datetime) -> QuerySet[Any]:
    """Return what no request made of which an event of the audit tells, for this holder, role and scope.

    That a request points at a row is not enough: what was written past the site can be activated and extended here,
    and what was given here can be changed there. Row and request are compared, and request and event, never all three
    at once, so that the database joins whole tables; by the id of the request, which is a number to both databases.
    """
    given = {"role_id": OuterRef("role_id"), "scope_id": OuterRef("scope_id")}
    holder = Q(user_id=OuterRef("user_id")) | Q(group_id=OuterRef("group_id"))
    asked = Request.objects.filter(holder, **given, **{f"{model.noun}_assignment": OuterRef("pk")})
    subject = Coalesce(OuterRef("user_id"), OuterRef("group_id"))
    made = Event.objects.filter(request_id=OuterRef("pk"), **given, subject_id=subject, action__in=MAKING[model.noun])
    told = asked.filter(Exists(made.filter(outcome=Event.Outcome.SUCCESS)))
    rows: QuerySet[Any] = model.objects.lasting(at).described().order_by("pk")
    return rows.exclude(Exists(told)).exclude(Exists(_archived(asked)))


def _archived(asked: QuerySet[Request]) -> QuerySet[Request]:
    """Return those with which a row was made whose event is in an archive, and not here any more."""
    until = Archive.objects.aggregate(until=Max("newest_at"))["until"]
    if until is None:
        return asked.none()
    made_then = {"requested_at__lte": OuterRef("created_at"), "until__gte": OuterRef("created_at")}
    return asked.alias(until=Value(until, DateTimeField())).filter(**made_then)


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
def rights_outside(at: datetime) -> Iterator[Finding]:
    """Roles that give rights are few: they are compared one by one with what was recorded of them last."""
    giving = Role.objects.filter(permissions__isnull=False).distinct().prefetch_related("permissions").order_by("pk")
    recorded = last_stated("roles.role", [str(role.pk) for role in giving if not role.is_built_in])
    for role in giving:
        known = rights_of(role) if role.is_built_in else recorded.get(str(role.pk), {}).get("permissions", ())
        present = {permission.codename for permission in role.permissions.all()}
        if more := sorted(present - set(known)):
            yield Finding(str(role.pk), role, {"role": str(role), "rights": ", ".join(more)})


@alert(
    "members_outside",
    severity=Severity.HIGH,
    title=_("Members of a group changed outside PIM"),
    why=_("People are in a group that has power, or own one, and the audit does not say that somebody put them there."),
    advice=_("Find out who wrote the rows, and save the group without those who do not belong there."),
    sentence=_("%(group)s has %(count)s members or owners whom nobody put there, among: %(names)s"),
)
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
def emergency_outside(at: datetime) -> Iterator[Finding]:
    for page in _pages(User.objects.filter(is_emergency_access=True).order_by("pk")):
        recorded = last_stated("accounts.user", [str(person.pk) for person in page])
        for person in page:
            if not recorded.get(str(person.pk), {}).get("is_emergency_access"):
                yield Finding(str(person.pk), person, {"holder": str(person)})


def _pages(things: QuerySet[M]) -> Iterator[list[M]]:
    rows = things.iterator(PAGE)
    return iter(lambda: list(islice(rows, PAGE)), [])
