from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.core.exceptions import ValidationError

from accounts.services import issue_ticket, open_ticket
from audit.models import Event
from roles import services
from roles.models import Resource, Role, RoleSettings
from roles.presets import PRESETS
from roles.stages import StageTerms
from tests.factories import (
    ActiveFactory,
    EligibleFactory,
    GroupFactory,
    ResourceFactory,
    RoleFactory,
    UserFactory,
    holder_of,
    root,
    stage,
)
from tests.refusals import refused

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture
def administrator():
    return holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR)


def permission(name):
    app_label, codename = name.split(".")
    return Permission.objects.get(content_type__app_label=app_label, codename=codename)


def events():
    return list(Event.objects.order_by("id").values_list("action", "outcome"))


# --- resources ------------------------------------------------------------------------------------------------


def test_create_resource_beneath_another(administrator):
    unit = services.create_resource(actor=administrator, parent=root(), name=" Finance ", kind="unit")
    leaf = services.create_resource(actor=administrator, parent=unit, name="Payroll")
    assert (unit.label, leaf.label, leaf.kind) == ("/Finance", "/Finance/Payroll", "other")
    assert leaf.path == f"/{unit.pk.hex}/{leaf.pk.hex}/"
    assert events() == [("resource.created", "success")] * 2


@pytest.mark.parametrize("name", ["", " ", "x" * 151, "Taken"])
def test_create_resource_refuses_the_name(administrator, name):
    ResourceFactory(name="Taken")
    with pytest.raises(ValidationError):
        services.create_resource(actor=administrator, parent=root(), name=name)
    assert Resource.objects.count() == 2


def test_update_resource_relabels_what_is_beneath_and_moves_nothing(administrator):
    unit = ResourceFactory(name="Finance")
    leaf, other = ResourceFactory(parent=unit, name="Finance"), ResourceFactory(name="Finance 2")
    services.update_resource(resource=unit, actor=administrator, name="Money", kind="unit", description="")
    labels = dict(Resource.objects.values_list("pk", "label"))
    assert labels == {root().pk: "/", unit.pk: "/Money", leaf.pk: "/Money/Finance", other.pk: "/Finance 2"}
    assert Resource.objects.get(pk=leaf.pk).path == leaf.path


@pytest.mark.parametrize("name", ["Fin/ance", "/", "Finance/"])
def test_names_of_resources_have_no_slash(administrator, name):
    with refused("name_invalid"):
        services.create_resource(actor=administrator, parent=root(), name=name)
    resource = ResourceFactory()
    with refused("name_invalid"):
        services.update_resource(resource=resource, actor=administrator, name=name, kind="unit", description="")


def test_create_resource_beneath_one_that_was_renamed_meanwhile(administrator):
    unit = ResourceFactory(name="Finance")
    stale = Resource.objects.get(pk=unit.pk)
    services.update_resource(resource=unit, actor=administrator, name="Money", kind="unit", description="")
    assert services.create_resource(actor=administrator, parent=stale, name="Payroll").label == "/Money/Payroll"


def test_the_organisation_reads_as_its_name_and_what_is_beneath_as_the_way_there(administrator):
    unit = services.create_resource(actor=administrator, parent=root(), name="Finance")
    assert [str(root()), str(unit)] == ["Organisation", "/Finance"]


def test_role_of_another_resource_gives_no_rights_in_this_site(administrator):
    rights = [permission("assignments.assign_active")]
    facts = {"is_privileged": True, "permissions": rights, "actor": administrator}
    unit = ResourceFactory()
    with refused("scope_invalid"):
        services.create_role(resource=unit, name="X", **facts)
    role = RoleFactory(resource=unit, is_privileged=True)
    with refused("scope_invalid"):
        services.update_role(role=role, name=role.name, description="", **facts)


def test_update_resource_keeps_the_root_an_organisation(administrator):
    with pytest.raises(ValidationError):
        services.update_resource(resource=root(), actor=administrator, name="All", kind="unit", description="")
    services.update_resource(resource=root(), actor=administrator, name="All", kind="organisation", description="")
    assert (root().name, root().label, root().kind) == ("All", "/", "organisation")


# --- roles ----------------------------------------------------------------------------------------------------


def test_create_role_has_the_defaults_of_the_field(administrator):
    role = services.create_role(actor=administrator, resource=root(), name="Operator", ticket_required=True)
    settings = role.settings.get()
    assert (settings.version, settings.scope, settings.changed_by_label) == (1, root(), str(administrator))
    assert (settings.activation_max_duration, settings.mfa_required, settings.justification_required) == (
        8 * HOUR,
        True,
        True,
    )
    assert (settings.ticket_required, settings.approval_required) == (True, False)
    assert (settings.eligible_max_days, settings.active_max_days) == (365, 180)
    assert events() == [("settings.changed", "success"), ("role.created", "success")]


def test_create_role_refused_for_its_settings_makes_no_role(administrator):
    with refused("out_of_range"):
        services.create_role(actor=administrator, resource=root(), name="Operator", eligible_max_days=1)


def test_create_role_refuses_rights_that_one_does_not_hold(administrator):
    rights = [permission("accounts.change_user")]
    with refused("not_allowed"):
        services.create_role(actor=administrator, resource=root(), name="X", is_privileged=True, permissions=rights)


def test_create_role_with_rights_must_be_privileged(administrator):
    rights = [permission("assignments.assign_active")]
    with refused("must_be_privileged"):
        services.create_role(actor=administrator, resource=root(), name="X", permissions=rights)


def test_update_role_gives_the_rights_that_one_holds(administrator):
    role = RoleFactory(is_privileged=True)
    rights = (permission(name) for name in ("assignments.assign_active", "audit.view_event"))
    services.update_role(
        role=role, actor=administrator, name=role.name, description="", is_privileged=True, permissions=rights
    )
    assert set(role.permissions.values_list("codename", flat=True)) == {"assign_active", "view_event"}


def test_update_role_keeps_rights_that_somebody_else_gave(administrator):
    role = RoleFactory(is_privileged=True)
    role.permissions.add(permission("accounts.change_user"))
    rights = [permission("accounts.change_user"), permission("audit.view_event")]
    facts = {"name": "Renamed", "description": "", "is_privileged": True}
    services.update_role(role=role, actor=administrator, permissions=rights, **facts)
    services.update_role(role=role, actor=administrator, **facts)
    assert role.permissions.count() == 2


def test_update_role_cannot_make_a_role_with_rights_ordinary(administrator):
    role = RoleFactory(is_privileged=True)
    role.permissions.add(permission("assignments.assign_active"))
    with refused("must_be_privileged"):
        services.update_role(role=role, actor=administrator, name=role.name, description="", is_privileged=False)


@pytest.mark.parametrize("differs", [{"name": "King"}, {"is_privileged": False}, {"permissions": []}], ids=str)
def test_update_role_keeps_built_in_roles_as_they_are(administrator, differs):
    role = Role.objects.built_in(Role.GLOBAL_ADMINISTRATOR)
    facts = {"name": role.name, "description": "All.", "is_privileged": True}
    with refused("built_in"):
        services.update_role(role=role, actor=administrator, **facts | differs)


def test_update_role_describes_a_built_in_role(administrator):
    role = Role.objects.built_in(Role.SECURITY_READER)
    services.update_role(role=role, actor=administrator, name=role.name, description="Looks.", is_privileged=False)
    role.refresh_from_db()
    assert role.description == "Looks."


def test_update_role_refuses_a_taken_name(administrator):
    RoleFactory(name="Operator")
    role = RoleFactory()
    with pytest.raises(ValidationError):
        services.update_role(role=role, actor=administrator, name="Operator", description="", is_privileged=False)


# --- settings -------------------------------------------------------------------------------------------------


def save(role, actor=None, scope=None, **changes):
    return services.save_settings(role=role, scope=scope or role.resource, actor=actor, **changes)


def test_save_settings_makes_a_new_version_and_keeps_the_old_one(administrator):
    role, approver = RoleFactory(), UserFactory()
    first = role.settings.values().get()
    second = save(role, administrator, approval_required=True, stages=[stage([approver])])
    third = save(role, administrator, stages=[stage([approver], timeout=HOUR)])
    old, middle, current = role.settings.order_by("version").values()
    assert old == first | {"superseded_at": second.created_at}
    assert (middle["superseded_at"], current["superseded_at"]) == (third.created_at, None)
    assert [row["version"] for row in (old, middle, current)] == [1, 2, 3]
    kept = [(row.timeout, list(row.approvers.all())) for version in (second, third) for row in version.stages.all()]
    assert kept == [(24 * HOUR, [approver]), (HOUR, [approver])]


def test_save_settings_without_a_change_makes_no_version(administrator):
    role = RoleFactory()
    first = role.settings.get()
    assert save(role, administrator, approval_required=first.approval_required, stages=[stage([])]) == first
    assert (role.settings.count(), events()) == (1, [])


def test_save_settings_at_a_scope_beneath_starts_from_what_counted_there(administrator):
    approver, unit = UserFactory(), ResourceFactory()
    role = RoleFactory(settings__approval_required=True, settings__approvers=[approver])
    there = save(role, administrator, scope=unit, ticket_required=True)
    assert (there.version, there.scope, there.ticket_required) == (1, unit, True)
    assert (there.approval_required, list(there.stages.get().approvers.all())) == (True, [approver])
    assert RoleSettings.objects.current().filter(role=role).count() == 2


def test_save_settings_that_somebody_changed_meanwhile_is_refused_and_loses_nothing(administrator):
    role = RoleFactory()
    seen = role.settings.get()
    theirs = save(role, ticket_required=True)
    with refused("changed_meanwhile"):
        save(role, administrator, seen=seen.pk, approval_required=True)
    ours = save(role, administrator, seen=theirs.pk, approval_required=True)
    assert (ours.version, ours.ticket_required, ours.approval_required) == (3, True, True)


def test_save_settings_at_a_scope_notices_that_what_it_inherits_changed(administrator):
    role, unit = RoleFactory(), ResourceFactory()
    seen = role.settings.get()
    save(role, ticket_required=True)
    with refused("changed_meanwhile"):
        save(role, administrator, scope=unit, seen=seen.pk, approval_required=True)


def test_save_settings_validates_only(administrator):
    role = RoleFactory()
    version = save(role, administrator, validate_only=True, ticket_required=True)
    assert (version.version, version.ticket_required, role.settings.count(), events()) == (2, True, 1, [])
    nobody = [StageTerms(approvers=(UserFactory(is_active=False),))]
    with refused("nobody_could_approve"):
        save(role, administrator, validate_only=True, approval_required=True, stages=nobody)


def test_save_settings_restores_a_version(administrator):
    approver = UserFactory()
    role = RoleFactory(settings__approval_required=True, settings__approvers=[approver])
    first = role.settings.get()
    save(role, administrator, approval_required=False, stages=[], ticket_link="https://t.example.org/{ticket}")
    third = save(role, administrator, **services.values_of(first))
    assert services.settings_facts(third) == services.settings_facts(first)
    assert (third.version, services.stages_of(third)[0].approvers) == (3, (approver,))


def test_save_settings_restores_nothing_that_nobody_could_approve_any_more(administrator):
    approver = UserFactory()
    role = RoleFactory(settings__approval_required=True, settings__approvers=[approver])
    first = role.settings.get()
    save(role, administrator, approval_required=False, stages=[])
    type(approver).objects.filter(pk=approver.pk).update(is_active=False)
    with refused("nobody_could_approve"):
        save(role, administrator, **services.values_of(first))


def test_remove_settings_falls_back_to_what_is_inherited(administrator):
    unit, role = ResourceFactory(), RoleFactory()
    leaf = ResourceFactory(parent=unit)
    save(role, scope=unit, ticket_required=True)
    own = save(role, scope=leaf, approval_required=True)
    left = services.remove_settings(role=role, scope=leaf, actor=administrator, seen=own.pk)
    assert (left.scope, RoleSettings.objects.applying_to(role, leaf)[0]) == (unit, left)
    event = Event.objects.latest("id")
    assert (event.action, event.scope_id) == ("settings.removed", leaf.pk)
    assert (event.facts["before"]["approval_required"], event.facts["after"]["approval_required"]) == (True, False)
    again = save(role, administrator, scope=leaf, approval_required=True)
    assert (again.version, own.version) == (2, 1)


def test_remove_settings_refuses_those_of_the_role_itself_and_those_that_are_not_there(administrator):
    unit, role = ResourceFactory(), RoleFactory()
    with refused("settings_needed"):
        services.remove_settings(role=role, scope=role.resource, actor=administrator)
    with refused("no_own_settings"):
        services.remove_settings(role=role, scope=unit, actor=administrator)
    own = save(role, scope=unit, ticket_required=True)
    save(role, scope=unit, ticket_required=False)
    with refused("changed_meanwhile"):
        services.remove_settings(role=role, scope=unit, actor=administrator, seen=own.pk)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_settings_that_can_be_saved(administrator, preset):
    settings = save(RoleFactory(), administrator, **PRESETS[preset].values)
    values = services.values_of(settings)
    assert {name: values[name] for name in PRESETS[preset].values} == PRESETS[preset].values


def test_save_settings_refuses_a_scope_of_another_tree(administrator):
    role, other = RoleFactory(resource=ResourceFactory()), ResourceFactory()
    with refused("scope_invalid"):
        save(role, administrator, scope=other, ticket_required=True)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"activation_max_duration": 25 * HOUR}, "max_value"),
        ({"activation_max_duration": 0.75 * HOUR}, "out_of_range"),
        ({"notifications": {}}, "blank"),
        ({"notifications": {"activated": True}}, "out_of_range"),
        ({"stages": [stage(timeout=timedelta(0))]}, "out_of_range"),
        ({"activation_max_duration": None}, "null"),
        ({"activation_authentication": "hope"}, "invalid_choice"),
        ({"eligible_max_days": 16}, "out_of_range"),
        ({"eligible_max_days": -1}, "min_value"),
    ],
    ids=str,
)
def test_save_settings_refuses_what_is_out_of_range(administrator, changes, code):
    role = RoleFactory()
    with refused(code):
        save(role, administrator, **changes)


def test_save_settings_refuses_approvers_who_could_never_decide(administrator):
    role, disabled = RoleFactory(), UserFactory(is_active=False)
    group = GroupFactory(members=[disabled])
    with refused("nobody_could_approve"):
        save(role, administrator, approval_required=True, stages=[stage([], [group])])


def test_save_settings_refuses_a_group_that_helpdesk_could_change(administrator):
    role, group = RoleFactory(), GroupFactory(is_protected=False, members=[UserFactory()])
    with refused("group_not_protected"):
        save(role, administrator, approval_required=True, stages=[stage([], [group])])


@pytest.mark.parametrize("field", ["version", "role", "superseded_at", "id", "hope"])
def test_save_settings_takes_only_settings(administrator, field):
    with pytest.raises(TypeError):
        save(RoleFactory(), administrator, **{field: 7})


def test_save_settings_says_what_was_before_and_after(administrator):
    role = RoleFactory()
    save(role, administrator, ticket_required=True)
    (event,) = Event.objects.all()
    assert [tuple(change) for change in event.changes if change.differs] == [("ticket_required", "false", "true")]
    assert (event.role_id, event.scope_id) == (role.pk, role.resource_id)


def test_becoming_an_approver_withdraws_a_link_of_the_helpdesk(administrator):
    user = UserFactory()
    secret = issue_ticket(user=user, actor=holder_of(Role.HELPDESK_ADMINISTRATOR))
    save(RoleFactory(), administrator, approval_required=True, stages=[stage([user])])
    with pytest.raises(ValidationError):
        open_ticket(secret)


@pytest.mark.parametrize("key", [Role.HELPDESK_ADMINISTRATOR, Role.SECURITY_READER])
def test_only_role_administrators_change_settings(key):
    role, actor = RoleFactory(), holder_of(key)
    with refused("not_allowed"):
        save(role, actor, approval_required=True)


def test_role_that_becomes_privileged_withdraws_links_of_the_helpdesk(administrator):
    role, helpdesk = RoleFactory(), holder_of(Role.HELPDESK_ADMINISTRATOR)
    holders = [EligibleFactory(role=role).user, ActiveFactory(role=role).user]
    secrets = [issue_ticket(user=user, actor=helpdesk) for user in [*holders, UserFactory()]]
    services.update_role(role=role, actor=administrator, name=role.name, description="", is_privileged=True)
    for secret in secrets[:2]:
        with pytest.raises(ValidationError):
            open_ticket(secret)
    assert open_ticket(secrets[2])
