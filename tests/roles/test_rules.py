import uuid
from datetime import timedelta

import pytest

from accounts.models import Group, User
from roles.mails import default_notifications
from roles.models import Resource, Role, RoleSettings
from roles.rules import RoleRefused, check_role_change, check_scope, check_settings, check_weight
from tests.refusals import code_of_refusal

HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)


def check(approvers=(), groups=(), group_people=0, **values):
    settings = RoleSettings(**values)
    return code_of_refusal(check_settings, settings, approvers=approvers, groups=groups, group_people=group_people)


TOLD = {"default": True, "also": [], "level": "all"}


def with_cell(event="activated", audience="admin", **differs):
    cells = default_notifications()
    cells[event][audience] |= differs
    return cells


@pytest.mark.parametrize(
    ("values", "allowed"),
    [
        ({}, True),
        ({"activation_max_duration": 30 * MINUTE}, True),
        ({"activation_max_duration": 24 * HOUR}, True),
        ({"activation_max_duration": 29 * MINUTE}, False),
        ({"activation_max_duration": 45 * MINUTE}, False),
        ({"activation_max_duration": 24.5 * HOUR}, False),
        ({"activation_max_duration": -HOUR}, False),
        ({"activation_max_duration": timedelta.max}, False),
        ({"activation_max_duration": HOUR + timedelta(microseconds=1)}, False),
        *(({"eligible_max_days": days}, True) for days in (15, 30, 90, 180, 365)),
        *(({"eligible_max_days": days}, False) for days in (0, 14, 366, -30)),
        *(({"active_max_days": days}, False) for days in (0, 16, 10**6)),
        ({"approval_timeout": 5 * MINUTE}, True),
        ({"approval_timeout": 14 * DAY}, True),
        ({"approval_timeout": 5 * MINUTE - timedelta(microseconds=1)}, False),
        ({"approval_timeout": 14 * DAY + timedelta(microseconds=1)}, False),
        ({"approval_timeout": timedelta(0)}, False),
        ({"notifications": {}}, False),
        ({"notifications": None}, False),
        ({"notifications": []}, False),
        ({"notifications": default_notifications() | {"activated": []}}, False),
        ({"notifications": default_notifications() | {"activated": {"admin": TOLD}}}, False),
        ({"notifications": default_notifications() | {"more": {"admin": TOLD}}}, False),
        ({"notifications": with_cell(default=1)}, False),
        ({"notifications": with_cell(also="a@example.org")}, False),
        ({"notifications": with_cell(also=[7])}, False),
        ({"notifications": with_cell(level="some")}, False),
        ({"notifications": with_cell(level=[])}, False),
        ({"notifications": with_cell(more=True)}, False),
        ({"notifications": with_cell(default=False, also=["a@example.org"], level="critical")}, True),
    ],
    ids=str,
)
def test_check_settings_ranges(values, allowed):
    assert check(**values) == (None if allowed else "out_of_range")


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ({"also": ["soc@example.org", "desk@example.org"]}, None),
        ({"also": [f"a{number}@example.org" for number in range(10)]}, None),
        ({"also": [f"a{number}@example.org" for number in range(11)]}, "too_many_addresses"),
        ({"also": ["soc"]}, "address_invalid"),
        ({"also": ["soc@example.org\nBcc: all@example.org"]}, "address_invalid"),
        ({"also": ["soc@example.org", "SOC@example.org"]}, "address_invalid"),
        ({"also": [""]}, "address_invalid"),
        ({"audience": "approver", "also": ["soc@example.org"]}, "no_addresses"),
        ({"audience": "approver", "event": "eligible_assigned", "also": ["soc@example.org"]}, None),
    ],
)
def test_check_settings_of_further_addresses(cell, code):
    assert check(notifications=with_cell(**cell)) == code


PERSON, DISABLED = User(pk=uuid.UUID(int=1)), User(pk=uuid.UUID(int=2), is_active=False)
SERVICE = User(pk=uuid.UUID(int=3), kind=User.Kind.SERVICE)
PROTECTED, OPEN = Group(pk=uuid.UUID(int=4), is_protected=True), Group(pk=uuid.UUID(int=5))


@pytest.mark.parametrize(
    ("approvers", "groups", "group_people", "code"),
    [
        ([], [], 0, None),  # left to the administrators
        ([PERSON], [], 0, None),
        ([DISABLED, PERSON], [], 0, None),
        ([DISABLED], [], 0, "nobody_could_approve"),
        ([SERVICE], [], 0, "nobody_could_approve"),
        ([], [PROTECTED], 0, "nobody_could_approve"),
        ([], [PROTECTED], 1, None),
        ([DISABLED], [PROTECTED], 1, None),
        ([PERSON], [PROTECTED], 0, None),
        ([PERSON], [OPEN], 1, "group_not_protected"),
        ([], [PROTECTED, OPEN], 2, "group_not_protected"),
    ],
)
def test_check_settings_asks_for_somebody_who_can_decide(approvers, groups, group_people, code):
    assert check(approvers, groups, group_people, approval_required=True) == code
    assert check(approvers, groups, group_people, approval_required=False) is None


@pytest.mark.parametrize(
    ("built_in", "differs", "code"),
    [
        ("global_administrator", {}, None),
        ("global_administrator", {"name": "King"}, "built_in"),
        ("global_administrator", {"is_privileged": False}, "built_in"),
        (None, {"name": "King", "is_privileged": False}, None),
    ],
)
def test_check_role_change(built_in, differs, code):
    role = Role(name="Global Administrator", is_privileged=True, built_in_key=built_in)
    facts = {"name": role.name, "is_privileged": True} | differs
    assert code_of_refusal(check_role_change, role, **facts) == code


@pytest.mark.parametrize(
    ("is_privileged", "codenames", "code"),
    [
        (False, [], None),
        (False, ["view_user", "export_event"], None),
        (False, ["view_user", "change_user"], "must_be_privileged"),
        (False, ["assign_active"], "must_be_privileged"),
        (True, ["assign_active", "view_user"], None),
    ],
)
def test_check_weight(is_privileged, codenames, code):
    assert code_of_refusal(check_weight, is_privileged=is_privileged, codenames=codenames) == code


@pytest.mark.parametrize(
    ("scope", "code"), [("/a/", None), ("/a/b/", None), ("/", "scope_invalid"), ("/ab/", "scope_invalid")]
)
def test_check_scope_is_the_roles_resource_or_beneath(scope, code):
    role = Role(resource=Resource(path="/a/"))
    assert code_of_refusal(check_scope, role, Resource(path=scope), refusal=RoleRefused) == code
