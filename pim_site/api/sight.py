"""What somebody sees through the API: as in the console with the right to see it, and otherwise what concerns them."""

from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.timezone import now

from accounts.models import Group, User
from alerts.models import Alert, Incident
from approvals.models import EmergencyUse, Request
from assignments.models import ActiveAssignment, EligibleAssignment, groups_of
from assignments.ownership import OWNS, owned_groups, owned_scopes, within
from notifications.models import Message
from reviews.models import Answer, Definition, Instance, Item
from reviews.services.defining import OF_STAGE
from roles.hooks import Hook
from roles.models import Delegation, Resource, Role, RoleSettings
from webhooks.models import Delivery, Subscription


def _owns(user: User) -> bool:
    return user.has_perm(OWNS)


def principals(user: User) -> QuerySet[User]:
    rows = User.objects.select_related("manager")
    return rows if user.has_perm("accounts.view_user") else rows.filter(pk=user.pk)


def principals_to_name(user: User) -> QuerySet[User]:
    """Those to whom something can be given: owners choose among everybody, as on the console's pages."""
    return User.objects.all() if _owns(user) else principals(user)


def groups(user: User) -> QuerySet[Group]:
    if user.has_perm("accounts.view_group"):
        return Group.objects.all()
    at = now()
    mine = Q(pk__in=groups_of(user, at).values("pk"))
    return Group.objects.filter(mine | Q(pk__in=owned_groups(user, at).values("pk")))


def groups_to_name(user: User) -> QuerySet[Group]:
    return Group.objects.all() if _owns(user) else groups(user)


def resources(user: User) -> QuerySet[Resource]:
    """For everybody: where they hold, or can activate, something, and what is beneath that."""
    rows = Resource.objects.select_related("parent")
    if user.has_perm("roles.view_resource"):
        return rows
    return rows.filter(within(_places(user, now()), "path"))


def _places(user: User, at: datetime) -> QuerySet[Resource]:
    reaching = [model.objects.lasting(at).reaching(user, at).values("scope") for model in _KINDS]
    places = Q(pk__in=reaching[0]) | Q(pk__in=reaching[1])
    if _owns(user):
        places |= Q(pk__in=owned_scopes(user, at).values("pk"))
    return Resource.objects.filter(places)


_KINDS: Any = (EligibleAssignment, ActiveAssignment)


def roles(user: User) -> QuerySet[Role]:
    rows = Role.objects.select_related("resource").prefetch_related("permissions__content_type")
    return rows if user.has_perm("roles.view_role") else rows.filter(_roles_seen(user, now()))


def _roles_seen(user: User, at: datetime) -> Q:
    reaching = [model.objects.lasting(at).reaching(user, at).values("role") for model in _KINDS]
    seen = Q(pk__in=reaching[0]) | Q(pk__in=reaching[1])
    if not _owns(user):
        return seen
    scopes = owned_scopes(user, at)
    above = {path for scope in scopes for path in scope.lineage}
    owned = within(scopes, "resource__path") | Q(resource__path__in=above)
    return seen | owned | Q(resource__group__in=owned_groups(user, at))


def settings(user: User) -> QuerySet[RoleSettings]:
    """For everybody: those in use of the roles that they see, as the pages say before one asks."""
    named = ("approvers", "approver_groups", "escalation_approvers", "escalation_groups")
    rows = RoleSettings.objects.select_related("role", "scope")
    rows = rows.prefetch_related(*(f"stages__{name}" for name in named))
    if user.has_perm("roles.view_rolesettings"):
        return rows
    seen = Role.objects.filter(_roles_seen(user, now()))
    return rows.filter(superseded_at=None, role__in=seen.values("pk"))


def hooks(user: User) -> QuerySet[Hook]:
    return Hook.objects.all() if user.has_perm("roles.view_hook") else Hook.objects.none()


def eligible(user: User) -> QuerySet[EligibleAssignment]:
    rows: QuerySet[EligibleAssignment] = _assignments(EligibleAssignment, user)
    return rows


def active(user: User) -> QuerySet[ActiveAssignment]:
    rows: QuerySet[ActiveAssignment] = _assignments(ActiveAssignment, user)
    return rows


def emergency_uses(user: User) -> QuerySet[EmergencyUse]:
    rows = EmergencyUse.objects.select_related("user", "request__role", "request__scope", "reviewed_by")
    return rows if user.has_perm("approvals.view_emergencyuse") else rows.filter(user=user)


def delegations(user: User) -> QuerySet[Delegation]:
    rows = Delegation.objects.select_related("delegator", "delegate")
    return rows if user.has_perm("approvals.view_request") else rows.concerning(user)


def _assignments(model: Any, user: User) -> Any:
    at, rows = now(), model.objects.described()
    if user.has_perm(f"assignments.view_{model._meta.model_name}"):
        return rows
    seen = Q(pk__in=model.objects.reaching(user, at).values("pk"))
    if _owns(user):
        its_two = ~Q(role__group_part="") & Q(role__resource__group__in=owned_groups(user, at))
        seen |= within(owned_scopes(user, at), "scope__path") | its_two
    return rows.filter(seen)


def messages(user: User) -> QuerySet[Message]:
    return Message.objects.all() if user.has_perm("notifications.view_message") else Message.objects.none()


def subscriptions(user: User) -> QuerySet[Subscription]:
    rows = Subscription.objects.select_related("owner")
    return rows if user.has_perm("webhooks.view_subscription") else rows.none()


def deliveries(user: User) -> QuerySet[Delivery]:
    rows = Delivery.objects.select_related("subscription", "notice").prefetch_related("log")
    return rows if user.has_perm("webhooks.view_delivery") else rows.none()


def review_definitions(user: User) -> QuerySet[Definition]:
    named = (f"stages__{name}" for name in OF_STAGE)
    rows: QuerySet[Definition] = Definition.objects.visible_to(user, now()).described()
    return rows.prefetch_related("groups", "told", *named)


def reviews(user: User) -> QuerySet[Instance]:
    """Those in which somebody is asked, and those whose results are theirs to read."""
    asked, read = Instance.objects.asking(user), Instance.objects.open_to(user, now())
    return Instance.objects.filter(Q(pk__in=asked.values("pk")) | Q(pk__in=read.values("pk"))).described()


def review_items(user: User) -> QuerySet[Item]:
    rows = Item.objects.described().select_related("instance__definition__scope")
    asked = rows.exclude(instance__state=Instance.State.STARTING).ever_asked_of(user)
    read = Q(instance__in=Instance.objects.open_to(user, now()).values("pk"))
    return rows.filter(read | Q(pk__in=asked.values("pk")))


def review_decisions(user: User) -> QuerySet[Answer]:
    rows = Answer.objects.select_related("item", "person")
    return rows.filter(item__in=review_items(user).values("pk"))


def alerts(user: User) -> QuerySet[Alert]:
    rows = Alert.objects.known().counted()
    return rows if user.has_perm("alerts.view_alert") else rows.none()


def incidents(user: User) -> QuerySet[Incident]:
    rows = Incident.objects.select_related("alert", "dismissed_by")
    return rows if user.has_perm("alerts.view_incident") else rows.none()


def requests(user: User) -> QuerySet[Request]:
    return Request.objects.visible_to(user, now()).described()
