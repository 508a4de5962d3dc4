"""Access that was given past this site: by SQL, a script, a restored table."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django.db.models import Count, DateTimeField, Exists, Max, Model, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from accounts.models import Group
from alerts.models import MOST
from alerts.registry import Finding, Severity, alert
from approvals.models import Request
from assignments.models import ActiveAssignment, EligibleAssignment
from audit.models import Archive, Event
from roles.builtin import rights_of
from roles.models import Role

from .repairs import REMOVE, of_assignment

SHOWN = 5
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
    rows = [row for model in (ActiveAssignment, EligibleAssignment) for row in _unaccounted(model, at)[: MOST + 1]]
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
    recorded = _recorded_last("roles.role", [role for role in giving if not role.is_built_in])
    for role in giving:
        known = rights_of(role) if role.is_built_in else recorded.get(str(role.pk), {}).get("permissions")
        present = {permission.codename for permission in role.permissions.all()}
        if known is not None and (more := sorted(present - set(known))):
            yield Finding(str(role.pk), role, {"role": str(role), "rights": ", ".join(more)})


@alert(
    "members_outside",
    severity=Severity.HIGH,
    title=_("Members of a group changed outside PIM"),
    why=_("More people are in a group with power than the audit says that somebody put there."),
    advice=_("Find out who wrote the rows, and save the group without those who do not belong there."),
    sentence=_("%(group)s has %(count)s more members than anybody gave it here, among: %(names)s"),
)
def members_outside(at: datetime) -> Iterator[Finding]:
    """Of protected groups: no other one decides about requests or leads to a privileged role.

    The audit knows names, and people are renamed; so the number is what is compared, and the names are a hint.
    """
    groups = list(Group.objects.filter(is_protected=True).annotate(number=Count("members")).order_by("pk"))
    recorded = _recorded_last("accounts.group", groups)
    for group in groups:
        known = recorded.get(str(group.pk), {}).get("members")
        if known is not None and group.number > len(known):
            names = sorted({str(member) for member in group.members.all()} - set(known))
            facts = {"group": str(group), "count": group.number - len(known), "names": ", ".join(names[:SHOWN])}
            yield Finding(str(group.pk), group, facts)


def _recorded_last(kind: str, things: Iterable[Model]) -> dict[str, dict[str, Any]]:
    """Return what the last event of each thing says that it is, by its id; nothing, where the audit has none of it."""
    noun = kind.rpartition(".")[2]
    events = Event.objects.filter(target_type=kind, target_id__in=[str(each.pk) for each in things])
    events = events.filter(action__in=(f"{noun}.created", f"{noun}.updated"), outcome=Event.Outcome.SUCCESS)
    last = events.order_by().values("target_id").annotate(last=Max("pk")).values("last")
    return {event.target_id: event.facts["after"] for event in Event.objects.filter(pk__in=last)}
