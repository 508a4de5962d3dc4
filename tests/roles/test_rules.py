import uuid
from datetime import timedelta

import pytest

from accounts.models import Group, User
from roles.mails import default_notifications
from roles.models import Resource, Role, RoleSettings
from roles.rules import RoleRefused, check_role_change, check_scope, check_settings, check_weight
from tests.factories import stage
from tests.refusals import code_of_refusal

HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)


def check(*stages, members=None, **values):
    return code_of_refusal(check_settings, RoleSettings(**values), stages, members=members or {})


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


ANA, KIM, LEE = (User(pk=uuid.UUID(int=number)) for number in (6, 7, 8))
GROUP_A, GROUP_B = (Group(pk=uuid.UUID(int=number), is_protected=True) for number in (9, 10))


@pytest.mark.parametrize(
    ("terms", "allowed"),
    [
        ({"timeout": 5 * MINUTE}, True),
        ({"timeout": 14 * DAY}, True),
        ({"timeout": 5 * MINUTE - timedelta(microseconds=1)}, False),
        ({"timeout": 14 * DAY + timedelta(microseconds=1)}, False),
        ({"timeout": timedelta(0)}, False),
        ({"quorum": 0}, False),
        ({"quorum": 10}, True),
        ({"quorum": 11}, False),
        ({"escalates_after": HOUR, "escalation_approvers": [PERSON]}, True),
        ({"escalates_after": HOUR, "escalation_groups": [PROTECTED]}, True),
        ({"escalates_after": HOUR}, False),
        ({"escalation_approvers": [PERSON]}, False),
        ({"escalates_after": DAY, "escalation_approvers": [PERSON]}, False),
        ({"escalates_after": timedelta(0), "escalation_approvers": [PERSON]}, False),
        ({"one_from_each_group": True}, False),
        ({"one_from_each_group": True, "approver_groups": [PROTECTED]}, True),
    ],
    ids=str,
)
def test_check_settings_ranges_of_a_stage(terms, allowed):
    assert check(stage(**terms)) == (None if allowed else "out_of_range")
    assert check(stage(), stage(**terms)) == (None if allowed else "out_of_range")


def test_check_settings_takes_three_stages():
    assert check(*[stage()] * 3) is None
    assert check(*[stage()] * 4) == "out_of_range"


@pytest.mark.parametrize(
    ("approvers", "groups", "members", "code"),
    [
        ([], [], {}, None),  # left to the administrators
        ([PERSON], [], {}, None),
        ([DISABLED, PERSON], [], {}, None),
        ([DISABLED], [], {}, "nobody_could_approve"),
        ([SERVICE], [], {}, "nobody_could_approve"),
        ([], [PROTECTED], {PROTECTED: []}, "nobody_could_approve"),
        ([], [PROTECTED], {PROTECTED: [PERSON]}, None),
        ([DISABLED], [PROTECTED], {PROTECTED: [PERSON]}, None),
        ([PERSON], [PROTECTED], {PROTECTED: []}, None),
        ([PERSON], [OPEN], {OPEN: [PERSON]}, "group_not_protected"),
        ([], [PROTECTED, OPEN], {PROTECTED: [PERSON], OPEN: [PERSON]}, "group_not_protected"),
    ],
)
def test_check_settings_asks_for_somebody_who_can_decide(approvers, groups, members, code):
    stages = [stage(approvers, groups)]
    assert check(*stages, members=members, approval_required=True) == code
    assert check(*stages, members=members, approval_required=False) is None


def test_check_settings_looks_at_groups_that_are_asked_later():
    later = stage([PERSON], escalates_after=HOUR, escalation_groups=[OPEN])
    assert check(later, members={OPEN: [PERSON]}, approval_required=True) == "group_not_protected"


QUORUMS = {
    "two of two": ([stage([ANA, KIM], quorum=2)], None),
    "two of one": ([stage([ANA], quorum=2)], "quorum_unreachable"),
    "two, one of them disabled": ([stage([ANA, DISABLED], quorum=2)], "quorum_unreachable"),
    "two, one of them asked later": (
        [stage([ANA], quorum=2, escalates_after=HOUR, escalation_approvers=[KIM])],
        None,
    ),
    "two of the administrators": ([stage(quorum=2)], "quorum_unreachable"),
    "the manager": ([stage(asks_manager=True)], None),
    "the manager and one more": ([stage([ANA], asks_manager=True, quorum=2)], None),
    "the manager and two more of one": ([stage([ANA], asks_manager=True, quorum=3)], "quorum_unreachable"),
    "one and then another": ([stage([ANA]), stage([KIM])], None),
    "the same twice": ([stage([ANA]), stage([ANA])], "quorum_unreachable"),
    "one of two, and then one of them": ([stage([ANA, KIM]), stage([ANA])], "quorum_unreachable"),
    "one of two twice": ([stage([ANA, KIM]), stage([ANA, KIM])], None),
    "one of two three times": ([stage([ANA, KIM])] * 3, "quorum_unreachable"),
    "the administrators twice": ([stage(), stage()], "quorum_unreachable"),
    "one from each of two groups": ([stage([], [GROUP_A, GROUP_B], one_from_each_group=True)], None),
    "one from each, after the only other member": (
        [stage([LEE, KIM]), stage([], [GROUP_B, GROUP_B], one_from_each_group=True)],
        "quorum_unreachable",
    ),
    "one from each and two more": (
        [stage([], [GROUP_A, GROUP_B], one_from_each_group=True, quorum=4)],
        "quorum_unreachable",
    ),
}


@pytest.mark.parametrize(("stages", "code"), QUORUMS.values(), ids=QUORUMS)
def test_check_settings_asks_for_enough_different_people(stages, code):
    members = {GROUP_A: [ANA, KIM], GROUP_B: [KIM, LEE]}
    assert check(*stages, members=members, approval_required=True) == code


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
