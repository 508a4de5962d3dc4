"""Changes to the tree of resources."""

import uuid
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.authority import require
from accounts.models import User
from audit.services import privileged, record
from roles.models import Resource
from roles.rules import ResourceRefused, check_resource_change, check_resource_name


def label_of(name: str, parent: Resource | None) -> str:
    """Return the way to a resource as people read it: "/", "/Finance", "/Finance/Payroll"."""
    return "/" if parent is None else f"{parent.label.rstrip('/')}/{name}"


def lock_tree() -> None:
    """One change to the tree at a time: labels are copied from above, and a name above may be changing."""
    Resource.objects.select_for_update(of=("self",)).get(path="/")


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
    record("resource.created", actor=actor, target=resource, scope=resource, after=_resource_facts(resource))
    return resource


@privileged("resource.updated", target="resource")
def update_resource(*, resource: Resource, actor: User | None, name: str, kind: str, description: str) -> Resource:
    """Rename or describe a resource; what is beneath keeps its place and gets the new name in its label.

    Raises:
        NotAllowed: the actor may not. ResourceRefused: ``governed``, ``name_taken``. ValidationError: a field is wrong.
    """
    require(actor, "roles.change_resource", at=resource)
    lock_tree()
    resource = Resource.objects.select_for_update(of=("self",)).select_related("parent").get(pk=resource.pk)
    check_resource_change(resource, name=name.strip(), kind=kind)
    return change_resource(resource, actor=actor, name=name, kind=kind, description=description)


def change_resource(resource: Resource, *, actor: User | None, name: str, kind: str, description: str) -> Resource:
    """Change a resource, whose row is locked. Called by those who know that the actor may."""
    check_resource_name(name)
    before, old_label = _resource_facts(resource), resource.label
    resource.name, resource.kind, resource.description = name.strip(), kind, description
    resource.label = label_of(resource.name, resource.parent)
    _save_resource(resource)
    if resource.label != old_label and resource.parent:
        _relabel_beneath(resource, len(old_label))
    record(
        "resource.updated", actor=actor, target=resource, scope=resource, before=before, after=_resource_facts(resource)
    )
    return resource


def _relabel_beneath(resource: Resource, old_length: int) -> None:
    beneath = list(Resource.objects.filter(path__startswith=resource.path).exclude(pk=resource.pk))
    for node in beneath:
        node.label = resource.label + node.label[old_length:]
    Resource.objects.bulk_update(beneath, ["label"], batch_size=500)


def _save_resource(resource: Resource) -> None:
    resource.full_clean()
    try:
        with transaction.atomic():
            resource.save()
    except IntegrityError as error:
        raise ResourceRefused(_("There is a resource with this name here already."), code="name_taken") from error


def _resource_facts(resource: Resource) -> dict[str, Any]:
    return {"label": resource.label, "kind": resource.kind, "description": resource.description}
