import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils.timezone import now

from roles.models import ApprovalStage, Resource, RoleSettings
from tests.factories import ResourceFactory, RoleFactory, root

A, B = uuid.UUID(int=10), uuid.UUID(int=11)
PATHS = {"root": "/", "a": f"/{A.hex}/", "beneath a": f"/{A.hex}/{B.hex}/", "b": f"/{B.hex}/"}
NODES = {name: Resource(path=path) for name, path in PATHS.items()}


@pytest.mark.parametrize(
    ("node", "beneath"),
    [
        ("root", {"root", "a", "beneath a", "b"}),
        ("a", {"a", "beneath a"}),
        ("beneath a", {"beneath a"}),
        ("b", {"b"}),
    ],
)
def test_is_within(node, beneath):
    assert {name for name in NODES if NODES[name].is_within(NODES[node])} == beneath


@pytest.mark.parametrize(
    ("node", "lineage"),
    [("root", ["root"]), ("a", ["root", "a"]), ("beneath a", ["root", "a", "beneath a"]), ("b", ["root", "b"])],
)
def test_lineage_begins_at_the_root(node, lineage):
    assert NODES[node].lineage == [PATHS[name] for name in lineage]


@pytest.mark.parametrize(("proof", "required"), [("none", False), ("mfa", True)])
def test_mfa_required(proof, required):
    assert RoleSettings(activation_authentication=proof).mfa_required is required


@pytest.mark.django_db
def test_settings_that_count_are_those_of_the_nearest_scope_upwards():
    role = RoleFactory()
    unit, other = ResourceFactory(), ResourceFactory()
    leaf = ResourceFactory(parent=unit)
    nearer = RoleSettings.objects.create(role=role, scope=unit, created_at=now())
    RoleSettings.objects.create(role=role, scope=other, created_at=now(), superseded_at=now())
    at_root = role.settings.get(scope=root())
    found = {node: RoleSettings.objects.applying_to(role, node)[0] for node in (root(), unit, leaf, other)}
    assert found == {root(): at_root, unit: nearer, leaf: nearer, other: at_root}
    many = RoleSettings.objects.applying_to_each([(role, node) for node in found])
    assert many == {(role.pk, node.pk): settings for node, settings in found.items()}


@pytest.mark.django_db
def test_settings_shown_where_a_role_is_not_used_are_those_of_its_own_resource():
    role, elsewhere = RoleFactory(resource=ResourceFactory()), ResourceFactory()
    beneath = RoleSettings.objects.create(role=role, scope=ResourceFactory(parent=role.resource), created_at=now())
    own = role.settings.get(scope=role.resource)

    assert not RoleSettings.objects.applying_to(role, elsewhere)
    shown = {place: RoleSettings.objects.shown_for(role, place) for place in (elsewhere, beneath.scope)}
    assert shown == {elsewhere: own, beneath.scope: beneath}
    each = RoleSettings.objects.applying_to_each([(role, place) for place in shown])
    assert each == {(role.pk, place.pk): settings for place, settings in shown.items()}


# SQLite names the columns of a unique constraint, PostgreSQL the constraint.
FIELDS = {
    "resource_one_root": "resource_one_root|resource.kind|resource.path|resource_path",  # whichever is looked at first
    "resource_one_per_name": "resource_one_per_name|roles_resource.name",
    "role_one_per_name": "role_one_per_name|roles_role.name",
    "approvalstage_one_per_number": "approvalstage_one_per_number|approvalstage.number",
    "rolesettings_one_current": "rolesettings_one_current|rolesettings.scope_id$",
    "rolesettings_one_per_version": "rolesettings_one_per_version|rolesettings.version",
}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("resource_one_root", lambda: ResourceFactory(parent=None, kind="organisation", path="/", label="")),
        ("resource_root_is_organisation", lambda: ResourceFactory(parent=None, kind="unit", path="//", label="")),
        ("resource_one_per_name", lambda: [ResourceFactory(name="Twice"), ResourceFactory(name="Twice")]),
        ("role_one_per_name", lambda: [RoleFactory(name="Twice"), RoleFactory(name="Twice")]),
        ("rolesettings_one_current", lambda: another(version=2)),
        ("rolesettings_one_per_version", lambda: another(superseded_at=now())),
        ("rolesettings_duration_in_range", lambda: elsewhere(activation_max_duration=timedelta(hours=25))),
        ("approvalstage_one_per_number", lambda: another_stage(quorum=1)),
        ("approvalstage_counts_from_one", lambda: another_stage(number=0)),
        ("approvalstage_counts_from_one", lambda: another_stage(number=2, quorum=0)),
        ("approvalstage_times_positive", lambda: another_stage(number=2, timeout=timedelta(0))),
        ("approvalstage_times_positive", lambda: another_stage(number=2, escalates_after=timedelta(0))),
    ],
)
def test_constraint(name, make):
    with pytest.raises(IntegrityError, match=FIELDS.get(name, name)), transaction.atomic():
        make()


def another(role=None, **differs):
    """Settings beside those that a role has from the beginning."""
    role = role or RoleFactory()
    return RoleSettings.objects.create(role=role, scope=role.resource, created_at=now(), **differs)


def another_stage(**differs):
    return ApprovalStage.objects.create(settings=RoleFactory().settings.get(), **differs)


def elsewhere(**differs):
    return RoleSettings.objects.create(role=RoleFactory(), scope=ResourceFactory(), created_at=now(), **differs)


@pytest.mark.django_db
def test_resource_with_roles_cannot_be_deleted():
    role = RoleFactory(resource=ResourceFactory())
    with pytest.raises(ProtectedError):
        role.resource.delete()
