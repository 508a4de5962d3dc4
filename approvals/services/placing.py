"""Moving and deleting places and roles: only where nothing that is held or asked for would lose its footing."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import SET_NULL, ForeignObjectRel, Q, QuerySet
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from accounts.authority import require
from accounts.models import Group, User
from approvals.models import Request
from assignments.models import ActiveAssignment, EligibleAssignment
from audit.services import privileged
from roles import services as roles
from roles.models import Resource, Role, RoleSettings
from roles.rules import ResourceRefused, RoleRefused, check_move, check_not_root, check_role_can_go

NAMED = 5
WAITING = (*Request.UNDECIDED, Request.Status.PENDING_ADMIN_DECISION, Request.Status.SCHEDULED)
# What a kind of rows is called, the rows, and how one of them is named.
Use = tuple[str, QuerySet[Any], Callable[[Any], str]]


@privileged("resource.moved", target="resource")
def move_resource(*, resource: Resource, parent: Resource, actor: User | None, justification: str) -> Resource:
    """Put a resource, and all that is beneath it, beneath another.

    What is held or waits there must still be at or beneath the resource of its role.

    Raises:
        NotAllowed: the actor may not, at the old place and at the new one. ResourceRefused: ``root_stays``, ``cycle``,
        ``unchanged``, ``name_taken``, ``too_deep``; ``in_use``: with what would be left behind.
    """
    resource = roles.lock_branch(resource)
    parent = Resource.objects.get(pk=parent.pk)
    for place in (resource.parent or resource, parent):
        require(actor, "roles.change_resource", at=place)
    check_move(resource, parent)
    _check_unused(_left_behind(resource, parent), ResourceRefused, _("End or remove first what counts there only now."))
    return roles.change_parent(resource, parent, actor=actor, justification=justification)


@privileged("resource.deleted", target="resource")
def delete_resource(*, resource: Resource, actor: User | None, justification: str) -> None:
    """Delete a resource that was never used.

    Raises:
        NotAllowed. ResourceRefused: ``root_stays``; ``in_use``: with what is there, or was.
    """
    require(actor, "roles.change_resource", at=resource)
    resource = roles.lock_branch(resource)
    check_not_root(resource)
    _check_unused(uses_of_resource(resource), ResourceRefused, _stays())
    roles.drop_resource(resource, actor=actor, justification=justification)


@privileged("role.deleted", target="role")
def delete_role(*, role: Role, actor: User | None, justification: str) -> None:
    """Delete a role that nobody ever held or was eligible for, with its settings.

    Raises:
        NotAllowed. RoleRefused: ``built_in``, ``governed``; ``in_use``: with what points at it.
    """
    require(actor, "roles.change_role", at=role)
    role = Role.objects.select_for_update(of=("self",)).select_related("resource").get(pk=role.pk)
    check_role_can_go(role)
    _check_unused(uses_of_role(role), RoleRefused, _stays())
    roles.drop_role(role, actor=actor, justification=justification)


def _stays() -> str:
    return _("Only what was never used can be deleted. What is over stays for the history, and this with it.")


def uses_of_resource(resource: Resource) -> Iterator[Use]:
    """Yield the kinds of rows that point at a resource; most are empty."""
    yield _("Resources beneath it"), Resource.objects.filter(parent=resource), str
    yield _("Roles defined here"), Role.objects.filter(resource=resource), str
    yield _("Group that it stands for"), Group.objects.filter(resource=resource), str
    settings = RoleSettings.objects.filter(scope=resource).exclude(role__resource=resource)
    yield from _settings_uses(settings)
    yield from _uses(Q(scope=resource))
    yield from _naming(resource)


def uses_of_role(role: Role) -> Iterator[Use]:
    """Yield the kinds of rows that point at a role; most are empty. Its settings go with it."""
    yield from _uses(Q(role=role))
    yield from _naming(role)


def _naming(named: Resource | Role) -> Iterator[Use]:
    """Yield the rows that name it and would go on without it: also of floors above, which this one does not know."""
    for relation in named._meta.get_fields(include_hidden=True):
        if isinstance(relation, ForeignObjectRel) and (relation.many_to_many or relation.on_delete is SET_NULL):
            model = relation.related_model
            rows = model._default_manager.filter(**{relation.field.name: named})
            yield capfirst(str(model._meta.verbose_name_plural)), rows, str


def in_words(uses: Iterable[Use]) -> list[str]:
    """Return a line for each kind of rows that there are: how many, and which are the first of them."""
    return [line for title, rows, name in uses if (line := _line(title, rows, name))]


def _line(title: str, rows: QuerySet[Any], name: Callable[[Any], str]) -> str:
    count = rows.count()
    if not count:
        return ""
    names = [name(row) for row in rows[:NAMED]]
    more = [_("and %(count)d more") % {"count": count - NAMED}] if count > NAMED else []
    return f"{title} ({count}): {'; '.join([*names, *more])}"


def _check_unused(uses: Iterable[Use], refusal: type[ValidationError], advice: str) -> None:
    if lines := in_words(uses):
        raise refusal([ValidationError(line, code="in_use") for line in (*lines, advice)])


def _left_behind(resource: Resource, parent: Resource) -> Iterator[Use]:
    """Yield what is at or beneath a resource, and comes from a place above that will be above it no more."""
    lost = set(resource.lineage) - {resource.path} - set(parent.lineage)
    inside = Q(scope__path__startswith=resource.path)
    cut = inside & Q(role__resource__path__in=lost)
    carried = cut | (inside & Q(eligible_assignment__scope__path__in=lost))
    yield _("Eligible assignments"), EligibleAssignment.objects.open().filter(cut).described(), str
    yield _("Active assignments"), ActiveAssignment.objects.open().filter(carried).described(), str
    yield _("Requests"), Request.objects.filter(carried, status__in=WAITING).described(), str
    yield _("Settings of roles"), _settings_in_use().filter(cut), _place_of


def _uses(at: Q) -> Iterator[Use]:
    eligible, active = (
        EligibleAssignment.objects.filter(at).described(),
        ActiveAssignment.objects.filter(at).described(),
    )
    requests = Request.objects.filter(at).described()
    yield _("Eligible assignments"), eligible.open(), str
    yield _("Active assignments"), active.open(), str
    yield _("Requests"), requests.filter(status__in=WAITING), str
    yield _("Eligible assignments that are over"), eligible.exclude(ended_at=None), str
    yield _("Active assignments that are over"), active.exclude(ended_at=None), str
    yield _("Requests that are settled"), requests.exclude(status__in=WAITING), str


def _settings_uses(settings: QuerySet[RoleSettings]) -> Iterator[Use]:
    yield _("Settings of roles"), _settings_in_use() & settings, _place_of
    yield _("Earlier settings of roles"), settings.exclude(superseded_at=None).select_related("role"), str


def _settings_in_use() -> QuerySet[RoleSettings]:
    return RoleSettings.objects.current().select_related("role", "scope")


def _place_of(settings: RoleSettings) -> str:
    return f"{settings.role} · {settings.scope}"
