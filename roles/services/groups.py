"""Groups whose membership is governed: each is a resource with two roles, *Member* and *Owner*."""

from django.utils.translation import gettext as _

from accounts.authority import require
from accounts.models import Group, User
from accounts.services import check_protection
from audit.services import privileged, record
from roles.models import Resource, Role
from roles.rules import ResourceRefused

from .resources import change_resource, create_resource
from .roles import create_role


@privileged("group.governed", target="group")
def govern_group(*, group: Group, actor: User | None, parent: Resource | None = None) -> Resource:
    """Let membership and ownership of a group be had for a time, as roles with settings of their own.

    Args:
        parent: what the new resource is made beneath; None: the organisation.

    Raises:
        NotAllowed. ResourceRefused: ``already_governed``, ``name_taken``.
    """
    require(actor, "roles.add_resource")
    group = Group.objects.select_for_update(no_key=True).get(pk=group.pk)
    check_protection(actor, protected=group.is_protected)
    if Resource.objects.filter(group=group).exists():
        raise ResourceRefused(_("Membership of this group is governed already."), code="already_governed")
    parent = parent or Resource.objects.get(path="/")
    kind = Resource.Kind.GROUP
    place = create_resource(actor=actor, parent=parent, name=group.name, kind=kind, description=group.description)
    place.group = group
    place.save(update_fields=["group"])
    _add_part(place, Role.GroupPart.MEMBER, "Member", _("Is a member, and has what the group holds."), actor=actor)
    _add_part(place, Role.GroupPart.OWNER, "Owner", _("Decides who is a member, and who an owner."), actor=actor)
    record("group.governed", actor=actor, target=group, scope=place, after={"resource": place.label})
    return place


def _add_part(place: Resource, part: Role.GroupPart, name: str, description: str, *, actor: User | None) -> None:
    assert place.group is not None  # noqa: S101 (set by the caller)
    protected = place.group.is_protected
    role = create_role(actor=actor, resource=place, name=name, description=description, is_privileged=protected)
    role.group_part = part
    role.save(update_fields=["group_part"])


def follow_group(*, group: Group, actor: User | None) -> None:
    """Give the resource of a governed group the group's name, and its roles the weight that its protection says.

    Called by `assignments.services.update_group`, which knows that the actor may change the group.

    Raises:
        ResourceRefused: ``name_taken``.
    """
    place = Resource.objects.select_for_update(of=("self",)).select_related("parent").filter(group=group).first()
    if place is None:
        return
    if place.name != group.name:
        change_resource(place, actor=actor, name=group.name, kind=place.kind, description=place.description)
    Role.objects.filter(resource=place).exclude(group_part="").update(is_privileged=group.is_protected)
