import uuid
from datetime import UTC, datetime, timedelta

import pytest

from accounts.models import Group, User
from assignments.models import ActiveAssignment, EligibleAssignment
from assignments.rules import (
    ActivationRefused,
    Terms,
    check_ask,
    check_assignment,
    check_eligible,
    check_grant,
    check_holder,
    check_not_last,
    check_not_self,
    check_open,
    whole_second,
)
from roles.models import Resource, Role, RoleSettings
from tests.refusals import code_of_refusal

AT = datetime(2026, 11, 21, 18, 40, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
ROOT, UNIT = Resource(path="/"), Resource(path="/a/")
LEAF, SIBLING = Resource(path="/a/b/"), Resource(path="/ab/")
ROLE = Role(name="Operator", resource=UNIT)
ANA, KIM = User(pk=uuid.UUID(int=1), username="ana"), User(pk=uuid.UUID(int=2), username="kim")
LATEST = datetime.max.replace(tzinfo=UTC)
EARLIEST = datetime.min.replace(tzinfo=UTC)


def test_whole_second_is_the_one_that_has_begun():
    assert whole_second(AT + timedelta(microseconds=999_999)) == AT


@pytest.mark.parametrize(("actor", "code"), [(ANA, "self_assignment"), (KIM, None), (None, None)])
def test_check_not_self(actor, code):
    assert code_of_refusal(check_not_self, ANA, actor) == code


@pytest.mark.parametrize(
    ("differs", "eligible", "code"),
    [
        ({}, True, None),
        ({"is_active": False}, True, "holder_disabled"),
        ({"is_active": False}, False, "holder_disabled"),
        ({"kind": "service"}, True, "holder_invalid"),
        ({"kind": "service"}, False, None),
    ],
)
def test_check_holder(differs, eligible, code):
    assert code_of_refusal(check_holder, User(**differs), Role(), eligible=eligible) == code


@pytest.mark.parametrize("eligible", [True, False])
@pytest.mark.parametrize(
    ("is_protected", "role", "code"),
    [
        (False, {}, None),
        (True, {"is_privileged": True}, None),
        (False, {"is_privileged": True}, "group_not_protected"),
        (True, {"group_part": "member"}, "holder_invalid"),
        (True, {"group_part": "owner"}, "holder_invalid"),
    ],
)
def test_check_holder_group(is_protected, role, eligible, code):
    group = Group(is_protected=is_protected)
    assert code_of_refusal(check_holder, group, Role(**role), eligible=eligible) == code


# --- assigning ------------------------------------------------------------------------------------------------

ANY_LENGTH = {"permanent_eligible_allowed": True, "permanent_active_allowed": True}
LIMITED = {"permanent_eligible_allowed": False, "permanent_active_allowed": False}


def assigned(settings=ANY_LENGTH, **differs):
    eligible = differs.pop("eligible", True)
    facts = {"holder": ANA, "role": ROLE, "scope": UNIT, "starts_at": AT, "justification": "Takes over."}
    terms = Terms(**facts | differs)
    return code_of_refusal(check_assignment, RoleSettings(role=ROLE, **settings), terms, eligible=eligible, at=AT)


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "code"),
    [
        (AT, None, None),
        (AT, AT + 5 * MINUTE, None),
        (AT, AT + 5 * MINUTE - SECOND, "too_short"),
        (AT, AT, "schedule_invalid"),
        (AT, AT - SECOND, "schedule_invalid"),
        (AT - 5 * MINUTE, None, None),
        (AT - 5 * MINUTE - SECOND, None, "schedule_invalid"),
        (AT - 5 * MINUTE, AT + 4 * MINUTE, "too_short"),  # counted from now, not from a start gone by
        (AT + 30 * DAY, AT + 31 * DAY, None),
        (AT + 30 * DAY, AT + 29 * DAY, "schedule_invalid"),
        (AT, AT + 3653 * DAY, None),
        (AT, AT + 3653 * DAY + SECOND, "schedule_invalid"),
        (LATEST, None, "schedule_invalid"),
        (AT, LATEST, "schedule_invalid"),
        (EARLIEST, None, "schedule_invalid"),
        (AT.replace(tzinfo=None), None, "schedule_invalid"),
        (AT, (AT + DAY).replace(tzinfo=None), "schedule_invalid"),
    ],
)
@pytest.mark.parametrize("eligible", [True, False])
def test_check_assignment_schedule(starts_at, ends_at, code, eligible):
    assert assigned(starts_at=starts_at, ends_at=ends_at, eligible=eligible) == code


@pytest.mark.parametrize(
    ("eligible", "days", "code"),
    [
        (True, None, "permanent_not_allowed"),
        (True, 365, None),
        (True, 366, "too_long"),
        (False, None, "permanent_not_allowed"),
        (False, 180, None),
        (False, 181, "too_long"),
    ],
)
def test_check_assignment_length(eligible, days, code):
    ends_at = days and AT + days * DAY
    assert assigned(LIMITED, eligible=eligible, ends_at=ends_at) == code
    assert assigned(LIMITED, eligible=eligible, starts_at=AT + DAY, ends_at=days and ends_at + DAY) == code


@pytest.mark.parametrize(
    ("scope", "code"), [(UNIT, None), (LEAF, None), (ROOT, "scope_invalid"), (SIBLING, "scope_invalid")]
)
def test_check_assignment_scope(scope, code):
    assert assigned(scope=scope) == code


@pytest.mark.parametrize(
    ("eligible", "required", "justification", "code"),
    [
        (False, True, "", "justification_required"),
        (False, True, " \u200b", "justification_required"),
        (False, True, "Why", None),
        (False, False, "", None),
        (True, True, "", None),
    ],
)
def test_check_assignment_reason(eligible, required, justification, code):
    settings = ANY_LENGTH | {"assign_active_justification_required": required}
    assert assigned(settings, eligible=eligible, justification=justification) == code


# --- activating -----------------------------------------------------------------------------------------------


def eligibility(**differs):
    facts = {"user": ANA, "role": ROLE, "scope": UNIT, "starts_at": AT - HOUR, "ends_at": AT + HOUR}
    return EligibleAssignment(**facts | differs)


def asked(settings=None, eligible=None, **differs):
    facts = {"user": ANA, "reaches": True, "scope": UNIT, "starts_at": AT, "duration": HOUR}
    facts |= {"justification": "Stuck.", "ticket": ""}
    arguments = eligible or eligibility(), RoleSettings(**settings or {})
    return code_of_refusal(check_ask, *arguments, **facts | {"at": AT} | differs)


@pytest.mark.parametrize(
    ("differs", "code"),
    [
        ({}, None),
        ({"ends_at": None}, None),
        ({"starts_at": AT}, None),
        ({"starts_at": AT + SECOND}, "not_eligible"),
        ({"ends_at": AT}, "not_eligible"),
        ({"ends_at": AT + SECOND}, None),
        ({"ended_at": AT}, "not_eligible"),
        ({"ended_at": AT - DAY}, "not_eligible"),
    ],
    ids=str,
)
def test_check_eligible(differs, code):
    assert code_of_refusal(check_eligible, eligibility(**differs), user=ANA, reaches=True, at=AT) == code
    assert asked(eligible=eligibility(**differs)) == code


def test_check_eligible_refuses_whom_it_does_not_reach():
    assert code_of_refusal(check_eligible, eligibility(), user=ANA, reaches=False, at=AT) == "not_eligible"
    assert asked(reaches=False) == "not_eligible"


def test_check_eligible_refuses_who_is_disabled():
    disabled = User(pk=ANA.pk, is_active=False)
    assert (
        code_of_refusal(check_eligible, eligibility(user=disabled), user=disabled, reaches=True, at=AT)
        == "holder_disabled"
    )


@pytest.mark.parametrize(
    ("scope", "code"), [(UNIT, None), (LEAF, None), (ROOT, "scope_invalid"), (SIBLING, "scope_invalid")]
)
def test_check_ask_scope(scope, code):
    assert asked(scope=scope) == code


def test_check_ask_scope_is_the_eligibilitys_not_the_roles():
    assert asked(eligible=eligibility(scope=LEAF), scope=UNIT) == "scope_invalid"


@pytest.mark.parametrize(
    ("duration", "code"),
    [
        (5 * MINUTE, None),
        (8 * HOUR, None),
        (5 * MINUTE - timedelta(microseconds=1), "too_short"),
        (timedelta(0), "too_short"),
        (-HOUR, "too_short"),
        (timedelta.min, "too_short"),
        (8 * HOUR + timedelta(microseconds=1), "too_long"),
        (timedelta.max, "too_long"),
    ],
    ids=str,
)
def test_check_ask_duration(duration, code):
    assert asked(duration=duration) == code


@pytest.mark.parametrize(
    ("starts_at", "code"),
    [
        (AT - 5 * MINUTE, None),
        (AT - 5 * MINUTE - SECOND, "schedule_invalid"),
        (AT + HOUR - SECOND, None),
        (AT + HOUR, "schedule_invalid"),
        (AT.replace(tzinfo=None), "schedule_invalid"),
        (EARLIEST, "schedule_invalid"),
    ],
    ids=str,
)
def test_check_ask_start(starts_at, code):
    assert asked(starts_at=starts_at) == code


@pytest.mark.parametrize("starts_at", [LATEST, AT + 3653 * DAY + SECOND], ids=str)
def test_check_ask_start_within_the_calendar_although_permanent(starts_at):
    assert asked(eligible=eligibility(ends_at=None), starts_at=starts_at) == "schedule_invalid"


@pytest.mark.parametrize(
    ("settings", "texts", "code"),
    [
        ({}, {"justification": ""}, "justification_required"),
        ({}, {"justification": " \n"}, "justification_required"),
        ({"justification_required": False}, {"justification": ""}, None),
        ({"ticket_required": True}, {}, "ticket_required"),
        ({"ticket_required": True}, {"ticket": " # "}, "ticket_required"),
        ({"ticket_required": True}, {"ticket": "INC-7"}, None),
    ],
)
def test_check_ask_texts(settings, texts, code):
    assert asked(settings, **texts) == code


@pytest.mark.parametrize(
    ("settings", "differs", "code"),
    [
        ({}, {}, None),
        ({}, {"needed": 1}, "approval_required"),
        ({}, {"needed": 1, "approvers": [ANA]}, "approval_required"),
        ({}, {"needed": 1, "approvers": [ANA, KIM]}, None),
        ({}, {"needed": 2, "approvers": [KIM, KIM, ANA]}, "approval_required"),
        ({}, {"proved_with": ""}, "mfa_required"),
        ({"activation_authentication": "none"}, {"proved_with": ""}, None),
        ({"activation_authentication": "phishing_resistant"}, {"proved_with": ""}, "mfa_required"),
        ({"activation_authentication": "phishing_resistant"}, {"proved_with": "totp"}, "phishing_resistant_required"),
        (
            {"activation_authentication": "phishing_resistant"},
            {"proved_with": "recovery"},
            "phishing_resistant_required",
        ),
        ({"activation_authentication": "phishing_resistant"}, {"proved_with": "passkey"}, None),
        ({}, {"proved_with": "passkey"}, None),
        ({}, {"justification": ""}, "justification_required"),
        ({"ticket_required": True}, {}, "ticket_required"),
        ({}, {"reaches": False}, "not_eligible"),
        ({}, {"at": AT + HOUR}, "not_eligible"),
    ],
)
def test_check_grant(settings, differs, code):
    facts = {"user": ANA, "reaches": True, "approvers": [], "needed": 0, "justification": "Stuck.", "ticket": ""}
    facts |= {"proved_with": "totp", "at": AT} | differs
    assert code_of_refusal(check_grant, eligibility(), RoleSettings(**settings), **facts) == code


def test_refusal_names_the_limit():
    with pytest.raises(ActivationRefused, match="at most 1 h 30 min"):
        check_ask(
            eligibility(),
            RoleSettings(activation_max_duration=1.5 * HOUR),
            user=ANA,
            reaches=True,
            scope=UNIT,
            starts_at=AT,
            duration=2 * HOUR,
            justification="Stuck.",
            ticket="",
            at=AT,
        )


# --- ending ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "code"),
    [
        ({"ends_at": None}, None),
        ({"ends_at": AT + SECOND}, None),
        ({"ends_at": AT}, "already_ended"),
        ({"ends_at": None, "ended_at": AT - SECOND}, "already_ended"),
    ],
    ids=str,
)
def test_check_open(times, code):
    assert code_of_refusal(check_open, ActiveAssignment(**times), at=AT) == code


@pytest.mark.parametrize(
    ("key", "others", "code"),
    [
        ("global_administrator", 0, "last_administrator"),
        ("privileged_role_administrator", 0, "last_administrator"),
        ("global_administrator", 1, None),
        ("helpdesk_administrator", 0, None),
        (None, 0, None),
    ],
)
def test_check_not_last(key, others, code):
    assert code_of_refusal(check_not_last, Role(built_in_key=key), others=others) == code
