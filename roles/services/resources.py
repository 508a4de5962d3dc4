"""Changes to the tree of resources."""

import uuid
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.db.models.functions import Length
from django.utils.translation import gettext as _

from accounts.authority import require
from accounts.models import User
from accounts.rules import check_seen
from audit.services import privileged, record
from roles.models import Resource
from roles.rules import ResourceRefused, check_move, check_resource_change, check_resource_name


def label_of(name: str, parent: Resource | None) -> str:
    """Return the way to a resource as people read it: "/", "/Finance", "/Finance/Payroll"."""
    return "/" if parent is None else f"{parent.label.rstrip('/')}/{name}"


def lock_tree() -> None:
    """One change to the tree at a time: labels are copied from above, and a name above may be changing."""
    Resource.objects.select_for_update(of=("self",)).get(path="/")


def lock_branch(resource: Resource) -> Resource:
    """Return a resource read anew; where it and all beneath it are, nobody else relies on or changes meanwhile."""
    lock_tree()
    resource = Resource.objects.select_related("parent").get(pk=resource.pk)
    list(Resource.objects.select_for_update().filter(path__startswith=resource.path).order_by("path"))
    return resource


def hold_place(scope: Resource, *above: Resource) -> None:
    """Read anew where these are, and keep `scope` there until the transaction ends. The organisation never moves.

    Whoever adds what counts at a scope beneath `above` calls this first, or the scope could be moved away meanwhile.

    Raises:
        ResourceRefused: ``scope_invalid``: it was deleted.
    """
    if scope.parent_id is None:
        return
    held = Resource.objects.select_for_update(no_key=True).filter(pk=scope.pk).first()
    if held is None:
        raise ResourceRefused(_("This place was deleted meanwhile. Choose another."), code="scope_invalid")
    for place in (scope, *above):
        if place.pk == held.pk:
            place.path, place.label = held.path, held.label
        else:
            place.refresh_from_db(fields=["path", "label"])


@privileged("resource.created", target=None)
def create_resource(
    *, actor: User | None, parent: Resource, name: str, kind: str = Resource.Kind.OTHER, description: str = ""
) -> Resource:
    """Make a resource beneath `parent`.

    Raises:
        NotAllowed: the actor may not. ResourceRefused: ``name_invalid``, ``name_taken``.
        ValidationError: a field is wrong.
    """
    require(actor, "roles.add_resource", at=parent)
    lock_tree()
    parent = Resource.objects.get(pk=parent.pk)  # under the lock: its label may have changed while we waited
    pk, name = uuid.uuid4(), name.strip()
    check_resource_name(name)
    resource = Resource(
        pk=pk,
        parent=parent,
        name=name,
        kind=kind,
        description=description,
        path=f"{parent.path}{pk.hex}/",
        label=label_of(name, parent),
    )
    _save_resource(resource)
    record("resource.created", actor=actor, target=resource, scope=resource, after=resource_facts(resource))
    return resource


@privileged("resource.updated", target="resource")
def update_resource(
    *, resource: Resource, actor: User | None, name: str, kind: str, description: str, seen: str = ""
) -> Resource:
    """Rename or describe a resource; what is beneath keeps its place and gets the new name in its label.

    Args:
        seen: `rules.fingerprint` of the `resource_facts` that the change was thought out for; empty: of whichever.

    Raises:
        NotAllowed: the actor may not. ResourceRefused: ``governed``, ``name_taken``. ValidationError: a field is wrong.
    """
    require(actor, "roles.change_resource", at=resource)
    lock_tree()
    resource = Resource.objects.select_for_update(of=("self",)).select_related("parent").get(pk=resource.pk)
    check_seen(resource_facts(resource), seen)
    check_resource_change(resource, name=name.strip(), kind=kind)
    return change_resource(resource, actor=actor, name=name, kind=kind, description=description)


def change_resource(resource: Resource, *, actor: User | None, name: str, kind: str, description: str) -> Resource:
    """Change a resource, whose row is locked. Called by those who know that the actor may."""
    check_resource_name(name)
    before, old_label = resource_facts(resource), resource.label
    resource.name, resource.kind, resource.description = name.strip(), kind, description
    resource.label = label_of(resource.name, resource.parent)
    _save_resource(resource)
    if resource.label != old_label and resource.parent:
        _rewrite_beneath(resource, resource.path, old_label)
    record(
        "resource.updated", actor=actor, target=resource, scope=resource, before=before, after=resource_facts(resource)
    )
    return resource


def change_parent(resource: Resource, parent: Resource, *, actor: User | None, justification: str) -> Resource:
    """Put a resource, locked by `lock_branch`, and what is beneath it beneath another.

    Called by `approvals.services.move_resource`, which knows that the actor may and what would be left behind.

    Raises:
        ResourceRefused: ``name_taken``, ``too_deep``; see `rules.check_move`.
    """
    check_move(resource, parent)
    if Resource.objects.filter(parent=parent, name=resource.name).exists():
        raise ResourceRefused(_("There is a resource with this name there already."), code="name_taken")
    before, old_path, old_label = resource_facts(resource), resource.path, resource.label
    resource.parent, resource.path = parent, f"{parent.path}{resource.pk.hex}/"
    resource.label = label_of(resource.name, parent)
    _check_depth(old_path, resource.path)
    _save_resource(resource)
    _rewrite_beneath(resource, old_path, old_label)
    after = resource_facts(resource)
    common: dict[str, Any] = {"actor": actor, "target": resource, "scope": resource, "justification": justification}
    record("resource.moved", before=before, after=after, **common)
    return resource


def _check_depth(old_path: str, new_path: str) -> None:
    deepest = Resource.objects.filter(path__startswith=old_path).aggregate(most=Max(Length("path")))["most"]
    if deepest - len(old_path) + len(new_path) > (Resource._meta.get_field("path").max_length or 0):
        raise ResourceRefused(_("What is beneath it would be too deep there: choose a higher place."), code="too_deep")


def drop_resource(resource: Resource, *, actor: User | None, justification: str) -> None:
    """Delete a resource. Called by `approvals.services.delete_resource`, which knows that nothing points at it."""
    common: dict[str, Any] = {"actor": actor, "target": resource, "scope": resource, "justification": justification}
    record("resource.deleted", before=resource_facts(resource), **common)
    Resource.objects.filter(pk=resource.pk).delete()


def _rewrite_beneath(resource: Resource, old_path: str, old_label: str) -> None:
    """Give what is beneath a resource, found by the path it had, the path and label it has now."""
    beneath = list(Resource.objects.filter(path__startswith=old_path).exclude(pk=resource.pk))
    for node in beneath:
        node.path = resource.path + node.path[len(old_path) :]
        node.label = resource.label + node.label[len(old_label) :]
    Resource.objects.bulk_update(beneath, ["path", "label"], batch_size=500)


def _save_resource(resource: Resource) -> None:
    resource.full_clean()
    try:
        with transaction.atomic():
            resource.save()
    except IntegrityError as error:
        raise ResourceRefused(_("There is a resource with this name here already."), code="name_taken") from error


def resource_facts(resource: Resource) -> dict[str, Any]:
    return {"label": resource.label, "kind": resource.kind, "description": resource.description}
