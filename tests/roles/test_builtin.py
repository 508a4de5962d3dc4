import pytest

from roles import builtin
from roles.models import Resource, Role, RoleSettings
from tests.factories import root

pytestmark = pytest.mark.django_db


def rights(key):
    pairs = Role.objects.built_in(key).permissions.values_list("content_type__app_label", "codename")
    return {f"{app_label}.{codename}" for app_label, codename in pairs}


def test_built_in_roles_are_there_from_the_first_migration_on():
    assert list(Role.objects.order_by("name").values_list("name", "is_privileged", "resource__path")) == [
        ("Global Administrator", True, "/"),
        ("Helpdesk Administrator", True, "/"),
        ("Privileged Role Administrator", True, "/"),
        ("Security Reader", False, "/"),
    ]
    assert RoleSettings.objects.current().filter(scope=root()).count() == 4


def test_install_again_changes_nothing_but_lost_rights():
    role = Role.objects.built_in(Role.HELPDESK_ADMINISTRATOR)
    before = rights(role.built_in_key)
    role.permissions.clear()
    builtin.install()
    assert rights(role.built_in_key) == before
    assert (Role.objects.count(), Resource.objects.count(), RoleSettings.objects.count()) == (4, 1, 4)


def test_install_keeps_settings_that_were_changed():
    RoleSettings.objects.update(ticket_required=True)
    builtin.install()
    assert set(RoleSettings.objects.values_list("ticket_required", flat=True)) == {True}


def test_security_reader_changes_nothing():
    reads = rights(Role.SECURITY_READER)
    assert {"audit.view_event", "audit.export_event", "accounts.view_user"} <= reads
    assert all(right.split(".")[1].startswith(("view_", "export_")) for right in reads)


def test_helpdesk_cannot_reach_roles_settings_or_approvers():
    assert rights(Role.HELPDESK_ADMINISTRATOR) == {
        "accounts.view_user",
        "accounts.add_user",
        "accounts.change_user",
        "accounts.disable_user",
        "accounts.enrol_user",
        "accounts.view_group",
        "accounts.add_group",
        "accounts.change_group",
        "roles.view_resource",
        "roles.view_role",
        "roles.view_rolesettings",
        "assignments.view_eligibleassignment",
        "assignments.view_activeassignment",
        "assignments.assign_ordinary_eligible",
        "assignments.end_activation",
        "approvals.view_request",
        "approvals.cancel_request",
        "notifications.view_message",
    }


def test_global_administrator_has_all_that_the_others_have():
    others = [Role.PRIVILEGED_ROLE_ADMINISTRATOR, Role.HELPDESK_ADMINISTRATOR, Role.SECURITY_READER]
    assert set().union(*map(rights, others)) < rights(Role.GLOBAL_ADMINISTRATOR)


def test_no_role_reaches_into_other_packages():
    apps = {right.split(".")[0] for right in rights(Role.GLOBAL_ADMINISTRATOR)}
    assert apps <= {
        "accounts",
        "roles",
        "assignments",
        "approvals",
        "reviews",
        "alerts",
        "notifications",
        "audit",
        "webhooks",
        "pim_site",
    }
