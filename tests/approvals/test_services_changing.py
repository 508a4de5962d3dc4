"""What administrators do with assignments that there are."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from approvals import services
from approvals.models import Request
from approvals.services.changing import change_facts
from assignments.models import ActiveAssignment, EligibleAssignment
from audit.models import Event
from notifications.models import Message
from roles.models import Role
from tests.factories import (
    ActivationFactory,
    ActiveFactory,
    EligibleFactory,
    ExtensionFactory,
    GroupFactory,
    RoleFactory,
    UserFactory,
    holder_of,
    proof_for,
)
from tests.refusals import refused, snapshot

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 21, 18, 40, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WHY = "Still needed."
BOTH = pytest.mark.parametrize("factory", [EligibleFactory, ActiveFactory])
LIMITED = {"settings__permanent_eligible_allowed": False, "settings__permanent_active_allowed": False}


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(AT, tick=False) as clock:
        yield clock


@pytest.fixture
def administrator():
    return holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR, username="zz")


def held(factory, *, since=60, ends=7, **differs):
    ends_at = None if ends is None else AT + ends * DAY
    return factory(**{"starts_at": AT - since * DAY, "ends_at": ends_at} | differs)


def dates(row):
    row.refresh_from_db()
    return row.starts_at, row.ends_at


def actions():
    return list(Event.objects.order_by("id").values_list("action", flat=True))


def mails():
    return sorted(Message.objects.values_list("kind", "to_address"))


# --- update ---------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(("before", "after"), [(7, 30), (7, None), (None, 7), (30, 7)], ids=str)
def test_update_gives_another_end(factory, before, after, administrator):
    row = held(factory, ends=before, reminded_days=14)
    ends_at = None if after is None else AT + after * DAY
    request = services.update(assignment=row, actor=administrator, ends_at=ends_at, justification=WHY)
    assert dates(row) == (AT - 60 * DAY, ends_at)
    assert (row.reminded_days, actions()) == (None, ["assignment.updated"])
    assert (request.action, request.status, request.assignment) == ("admin_update", "provisioned", row)
    assert mails() == [("assignment_updated", row.user.email), ("assignment_updated", administrator.email)]


@BOTH
def test_update_of_what_is_scheduled_moves_its_start(factory, administrator):
    row = factory(starts_at=AT + DAY, ends_at=AT + 2 * DAY)
    services.update(
        assignment=row, actor=administrator, starts_at=AT + 3 * DAY, ends_at=AT + 5 * DAY, justification=WHY
    )
    assert dates(row) == (AT + 3 * DAY, AT + 5 * DAY)


REFUSED = {
    "start of what has begun": ({"starts_at": AT + DAY}, "schedule_invalid"),
    "end gone by": ({"ends_at": AT - DAY}, "schedule_invalid"),
    "four minutes": ({"ends_at": AT + timedelta(minutes=4)}, "too_short"),
    "no reason": ({"justification": "-"}, "justification_required"),
    "past the horizon": ({"ends_at": AT + 4000 * DAY}, "schedule_invalid"),
}


@BOTH
@pytest.mark.parametrize(("differs", "code"), REFUSED.values(), ids=REFUSED)
def test_update_refused(factory, differs, code, administrator):
    row = held(factory)
    with refused(code):
        services.update(
            **{"assignment": row, "actor": administrator, "ends_at": AT + 30 * DAY, "justification": WHY} | differs
        )


@pytest.mark.parametrize(
    ("factory", "days", "code"),
    [
        (EligibleFactory, 366, "too_long"),
        (EligibleFactory, None, "permanent_not_allowed"),
        (ActiveFactory, 181, "too_long"),
        (ActiveFactory, None, "permanent_not_allowed"),
    ],
)
def test_update_obeys_the_limits_of_the_settings_counted_from_now(factory, days, code, administrator):
    row = held(factory, since=300, role=RoleFactory(**LIMITED))
    with refused(code):
        services.update(assignment=row, actor=administrator, ends_at=days and AT + days * DAY, justification=WHY)
    longest = AT + (365 if factory is EligibleFactory else 180) * DAY
    services.update(assignment=row, actor=administrator, ends_at=longest, justification=WHY)
    assert row.__class__.objects.get(pk=row.pk).ends_at == longest


@BOTH
def test_nobody_changes_their_own(factory, administrator):
    row = held(factory, user=administrator)
    for verb in (services.update, services.extend):
        with refused("self_assignment"):
            verb(assignment=row, actor=administrator, ends_at=AT + 30 * DAY, justification=WHY)


def test_an_activation_has_no_other_dates(administrator):
    row = ActivationFactory()
    with refused("is_activated"):
        services.update(assignment=row, actor=administrator, ends_at=AT + 30 * DAY, justification=WHY)


@BOTH
def test_what_has_ended_is_not_changed(factory, administrator):
    row = held(factory, ended_at=AT - HOUR, end_reason="removed")
    with refused("already_ended"):
        services.update(assignment=row, actor=administrator, ends_at=AT + 30 * DAY, justification=WHY)


def test_helpdesk_changes_eligible_assignments_of_ordinary_roles_only():
    helpdesk = holder_of(Role.HELPDESK_ADMINISTRATOR)
    facts = {"actor": helpdesk, "ends_at": AT + 30 * DAY, "justification": WHY}
    services.extend(assignment=held(EligibleFactory), **facts)
    rows = [held(EligibleFactory, role=RoleFactory(is_privileged=True)), held(ActiveFactory)]
    for row in rows:
        with refused("not_allowed"):
            services.extend(assignment=row, **facts)


def test_update_of_the_last_administrator_keeps_them_permanent(administrator):
    row = ActiveAssignment.objects.get(user=holder_of(Role.GLOBAL_ADMINISTRATOR))
    with refused("last_administrator"):
        services.update(assignment=row, actor=administrator, ends_at=AT + DAY, justification=WHY)


def test_an_eligibility_that_ends_sooner_takes_its_activations_along(administrator):
    eligible = held(EligibleFactory)
    now = ActivationFactory(eligible_assignment=eligible, starts_at=AT - HOUR, ends_at=AT + 7 * HOUR)
    later = ActivationFactory(
        eligible_assignment=eligible, user=UserFactory(), starts_at=AT + 3 * HOUR, ends_at=AT + 4 * HOUR
    )
    services.update(assignment=eligible, actor=administrator, ends_at=AT + 2 * HOUR, justification=WHY)
    assert dates(now) == (AT - HOUR, AT + 2 * HOUR)
    later.refresh_from_db()
    assert later.end_reason == "eligibility_ended"


def test_update_of_a_group_tells_its_members(administrator):
    group = GroupFactory(members=[UserFactory(username="a1"), UserFactory(username="a2")])
    row = held(EligibleFactory, user=None, group=group)
    services.update(assignment=row, actor=administrator, ends_at=None, justification=WHY)
    told = [f"{name}@example.org" for name in ("a1", "a2", "zz")]
    assert mails() == [("assignment_updated", address) for address in told]


VERBS = {
    "update": (services.update, ActiveFactory, "assignment.updated"),
    "extend": (services.extend, ActiveFactory, "assignment.extended"),
    "renew": (services.renew, ActiveFactory, "assignment.renewed"),
}


@pytest.mark.parametrize("name", VERBS)
def test_active_assignments_ask_for_a_proof_where_the_settings_do(name, administrator):
    verb, factory, action = VERBS[name]
    row = held(factory, role=RoleFactory(settings__assign_active_mfa_required=True), ends=-1 if name == "renew" else 7)
    asked = {"ends_at": AT + 30 * DAY, "justification": WHY}
    with refused("mfa_required"):
        verb(assignment=row, actor=administrator, **asked)
    proof = proof_for(administrator, action, **change_facts(row, **asked | {"ends_at": AT + 31 * DAY}))
    with refused("mfa_required"):
        verb(assignment=row, actor=administrator, proof=proof, session="this session", **asked)
    proof = proof_for(administrator, action, **change_facts(row, **asked))
    made = verb(assignment=row, actor=administrator, proof=proof, session="this session", **asked)
    assert (made.status, made.proved_with) == ("provisioned", "totp")


@pytest.mark.parametrize("name", VERBS)
def test_validate_only_answers_alike_and_stores_nothing(name, administrator):
    verb, factory, _action = VERBS[name]
    row, asked = held(factory, ends=-1 if name == "renew" else 7), {"ends_at": AT + 30 * DAY, "justification": WHY}
    before = snapshot()
    assert verb(assignment=row, actor=administrator, validate_only=True, **asked).status == "provisioned"
    assert snapshot() == before
    with refused("schedule_invalid"):
        verb(assignment=row, actor=administrator, validate_only=True, **asked | {"ends_at": AT - DAY})


# --- extend, renew --------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("days", [7, 6, 1])
def test_extend_to_no_later_an_end_refused(factory, days, administrator):
    row = held(factory)
    with refused("schedule_invalid"):
        services.extend(assignment=row, actor=administrator, ends_at=AT + days * DAY, justification=WHY)


def test_extend_of_what_is_permanent_refused(administrator):
    row = held(EligibleFactory, ends=None)
    with refused("schedule_invalid"):
        services.extend(assignment=row, actor=administrator, ends_at=AT + DAY, justification=WHY)


@BOTH
@pytest.mark.parametrize("ends", [30, None])
def test_extend(factory, ends, administrator):
    row, ends_at = held(factory), ends and AT + ends * DAY
    request = services.extend(assignment=row, actor=administrator, ends_at=ends_at, justification=WHY)
    assert dates(row) == (AT - 60 * DAY, ends_at)
    assert (request.action, actions()) == ("admin_extend", ["assignment.extended"])


@BOTH
@pytest.mark.parametrize("noted", [True, False], ids=["noted by the worker", "not noted"])
def test_renew_makes_a_new_row_and_leaves_the_old_one(factory, noted, administrator):
    row = held(factory, ends=-3)
    if noted:
        type(row).objects.filter(pk=row.pk).update(ended_at=row.ends_at, end_reason="expired")
    request = services.renew(assignment=row, actor=administrator, ends_at=AT + 30 * DAY, justification=WHY)
    assert dates(row) == (AT - 60 * DAY, AT - 3 * DAY)
    made = request.assignment
    assert (made.user, made.role, made.scope, made.starts_at, made.ends_at) == (
        *(row.user, row.role, row.scope),
        *(AT, AT + 30 * DAY),
    )
    assert (request.action, made.pk == row.pk) == ("admin_renew", False)
    assert actions()[-1] == "assignment.renewed"


@BOTH
@pytest.mark.parametrize(
    ("differs", "code"),
    [
        ({"ends": -30}, "outside_window"),
        ({"ends": 1}, "outside_window"),
        ({"ends": None}, "outside_window"),
        ({"ends": 30, "ended_at": AT - DAY, "end_reason": "removed"}, "outside_window"),
    ],
    ids=str,
)
def test_renew_refused(factory, differs, code, administrator):
    row = held(factory, **differs)
    with refused(code):
        services.renew(assignment=row, actor=administrator, ends_at=AT + 30 * DAY, justification=WHY)


@BOTH
def test_renew_of_what_is_held_again_refused(factory, administrator):
    row = held(factory, ends=-3, ended_at=AT - 3 * DAY, end_reason="expired")
    factory(user=row.user, role=row.role)
    with refused("already_assigned"):
        services.renew(assignment=row, actor=administrator, ends_at=AT + 30 * DAY, justification=WHY)


def test_renew_up_to_the_last_second(administrator):
    row = held(EligibleFactory, ends_at=AT - 30 * DAY + timedelta(seconds=1))
    assert services.renew(assignment=row, actor=administrator, ends_at=None, justification=WHY).status == "provisioned"


# --- eligible instead of active -------------------------------------------------------------------------------


def test_make_eligible_is_one_act(administrator):
    active = held(ActiveFactory, ends=None)
    request = services.make_eligible(active=active, actor=administrator, justification="Seldom needed.")
    active.refresh_from_db()
    eligible = EligibleAssignment.objects.get()
    assert (active.end_reason, eligible.user, eligible.starts_at, eligible.ends_at) == (
        "removed",
        active.user,
        AT,
        None,
    )
    assert (request.action, request.active_assignment, request.eligible_assignment) == (
        *("admin_update", active),
        eligible,
    )
    assert actions() == ["eligible.assigned", "assignment.removed", "assignment.converted"]


MAKE_REFUSED = {
    "activation": (ActivationFactory, {}, "is_activated"),
    "service account": (ActiveFactory, {"user__kind": "service"}, "holder_invalid"),
    "emergency account": (ActiveFactory, {"user__is_emergency_access": True}, "emergency_access"),
    "ended": (ActiveFactory, {"ended_at": AT, "end_reason": "removed"}, "already_ended"),
}


@pytest.mark.parametrize(("factory", "differs", "code"), MAKE_REFUSED.values(), ids=MAKE_REFUSED)
def test_make_eligible_refused(factory, differs, code, administrator):
    active = factory(**differs)
    with refused(code):
        services.make_eligible(active=active, actor=administrator, justification=WHY)


def test_make_eligible_of_the_last_administrator_refused(administrator):
    active = ActiveAssignment.objects.get(user=holder_of(Role.GLOBAL_ADMINISTRATOR))
    with refused("last_administrator"):
        services.make_eligible(active=active, actor=administrator, justification=WHY)


def test_make_eligible_of_who_is_eligible_already_refused(administrator):
    active = held(ActiveFactory)
    EligibleFactory(user=active.user, role=active.role)
    with refused("already_assigned"):
        services.make_eligible(active=active, actor=administrator, justification=WHY)


# --- removal --------------------------------------------------------------------------------------------------


def removal(row):
    verb = services.remove_eligible if isinstance(row, EligibleAssignment) else services.remove_active
    return lambda **facts: verb(**{row.noun: row}, justification="Left.", **facts)


@BOTH
def test_emergency_accounts_lose_nothing_in_passing(factory, administrator):
    row = factory(user__is_emergency_access=True)
    remove = removal(row)
    with refused("emergency_access"):
        remove(actor=administrator)
    remove(actor=administrator, emergency=True)
    row.refresh_from_db()
    assert row.end_reason == "removed"


@pytest.mark.parametrize("verb", [services.assign_eligible, services.assign_active])
def test_removal_before_the_start_cancels(verb, administrator):
    role = RoleFactory()
    facts = {"holder": UserFactory(), "role": role, "scope": role.resource, "starts_at": AT + DAY}
    request = verb(actor=administrator, justification=WHY, **facts)
    row = request.assignment
    removal(row)(actor=administrator)
    row.refresh_from_db()
    request.refresh_from_db()
    assert (row.end_reason, request.status) == ("canceled", "canceled")


ENDINGS = {
    "update": lambda row, actor: services.update(assignment=row, actor=actor, ends_at=AT + 30 * DAY, justification=WHY),
    "extend": lambda row, actor: services.extend(assignment=row, actor=actor, ends_at=AT + 30 * DAY, justification=WHY),
    "remove": lambda row, actor: removal(row)(actor=actor),
}


@pytest.mark.parametrize("act", ENDINGS.values(), ids=ENDINGS)
def test_what_was_asked_closes_when_an_administrator_decides_otherwise(act, administrator):
    row = held(EligibleFactory)
    asked = ExtensionFactory(eligible_assignment=row)
    act(row, administrator)
    asked.refresh_from_db()
    assert (asked.status, asked.settled_at) == ("canceled", AT)
    assert ("request_canceled", row.user.email) in mails()
    assert not Request.objects.filter(status="pending_admin_decision").exists()
