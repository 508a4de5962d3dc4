"""What people ask for when what they hold ends, and what administrators say to it."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.utils.timezone import now

from approvals import services, tasks
from approvals.models import Request
from approvals.services.extending import grant_facts
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
    ResourceFactory,
    RoleFactory,
    UserFactory,
    holder_of,
    proof_for,
)
from tests.refusals import refused, snapshot

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 21, 18, 40, tzinfo=UTC)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
WHY = "On call until spring."
BOTH = pytest.mark.parametrize("factory", [EligibleFactory, ActiveFactory])


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(AT, tick=False) as clock:
        yield clock


@pytest.fixture
def administrator():
    return holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR, username="zz")


def held(factory, ends=7 * DAY, **differs):
    return factory(**{"starts_at": AT - 60 * DAY, "ends_at": AT + ends} | differs)


def ask(row, **differs):
    verb = services.self_extend if row.ends_at is None or row.ends_at > AT else services.self_renew
    return verb(**{"assignment": row, "actor": row.user, "justification": WHY} | differs)


def asked(row, **differs):
    return ExtensionFactory(
        action="self_extend" if row.ends_at > AT else "self_renew",
        **{"eligible_assignment": None, f"{row.noun}_assignment": row},
        **{"user": row.user, "role": row.role, "scope": row.scope} | differs,
    )


def grant(request, actor, **differs):
    return services.grant_extension(
        **{"request": request, "actor": actor, "ends_at": AT + 90 * DAY, "justification": "Right."} | differs
    )


def actions():
    return list(Event.objects.order_by("id").values_list("action", flat=True))


def mails():
    return sorted(Message.objects.values_list("kind", "to_address"))


# --- asking ---------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(("ends", "verb"), [(7 * DAY, "extension"), (-7 * DAY, "renewal")])
def test_ask_waits_for_an_administrator_and_tells_them(factory, ends, verb, administrator):
    row = held(factory, ends)
    request = ask(row)
    request.refresh_from_db()
    assert (request.status, request.assignment, request.person) == ("pending_admin_decision", row, row.user)
    assert (actions(), mails()) == ([f"{verb}.requested"], [("extension_asked", administrator.email)])


WINDOWS = {
    "15 days before": (15 * DAY, "outside_window"),
    "14 days and a second before": (14 * DAY + SECOND, "outside_window"),
    "14 days before": (14 * DAY, None),
    "a second before": (SECOND, None),
    "at the end": (0 * DAY, None),
    "30 days less a second after": (-30 * DAY + SECOND, None),
    "30 days after": (-30 * DAY, "outside_window"),
}


@BOTH
@pytest.mark.parametrize(("ends", "code"), WINDOWS.values(), ids=WINDOWS)
def test_ask_in_its_window_only(factory, ends, code):
    row = held(factory, ends)
    if code is None:
        assert ask(row).status == "pending_admin_decision"
        return
    with refused(code):
        ask(row)


def test_ask_to_extend_what_has_ended_or_to_renew_what_has_not():
    over, going_on = held(EligibleFactory, -DAY), held(EligibleFactory)
    with refused("outside_window"):
        services.self_extend(assignment=over, actor=over.user, justification=WHY)
    with refused("outside_window"):
        services.self_renew(assignment=going_on, actor=going_on.user, justification=WHY)


def in_a_group(user):
    return held(EligibleFactory, user=None, group=GroupFactory(members=[user]))


def test_what_came_through_a_group_is_not_ones_own():
    user = UserFactory()
    row = in_a_group(user)
    with refused("not_own"):
        ask(row, actor=user)


def test_what_somebody_else_holds_is_not_ones_own(administrator):
    row = held(EligibleFactory)
    with refused("not_own"):
        ask(row, actor=administrator)


NOT_ASKED = {
    "permanent": (EligibleFactory, "outside_window"),
    "an activation": (lambda: ActivationFactory(starts_at=AT - DAY, ends_at=AT + DAY), "outside_window"),
    "removed": (lambda: held(EligibleFactory, ended_at=AT - DAY, end_reason="removed"), "outside_window"),
    "scheduled": (lambda: EligibleFactory(starts_at=AT + DAY, ends_at=AT + 2 * DAY), "outside_window"),
    "disabled": (lambda: held(EligibleFactory, user__is_active=False), "outside_window"),
    "removed before it could run out": (
        lambda: held(EligibleFactory, -DAY, ended_at=AT - 2 * DAY, end_reason="removed"),
        "outside_window",
    ),
}


@pytest.mark.parametrize(("made", "code"), NOT_ASKED.values(), ids=NOT_ASKED)
def test_ask_refused(made, code):
    row = made()
    with refused(code):
        ask(row)


@pytest.mark.parametrize("justification", ["", " ", "…"])
def test_ask_needs_a_reason(justification):
    row = held(EligibleFactory)
    with refused("justification_required"):
        ask(row, justification=justification)


@BOTH
@pytest.mark.parametrize("ends", [7 * DAY, -7 * DAY])
def test_ask_twice_refused(factory, ends):
    row = held(factory, ends)
    ask(row)
    with refused("already_pending"):
        ask(row)


@BOTH
def test_the_database_keeps_one_that_waits(factory):
    request = asked(held(factory))
    request.pk = None
    with pytest.raises(IntegrityError, match=r"one_extension|UNIQUE"), transaction.atomic():
        request.save(force_insert=True)


def test_ask_again_after_a_no(administrator):
    row = held(EligibleFactory)
    services.deny_extension(request=ask(row), actor=administrator, justification="No more.")
    assert ask(row).status == "pending_admin_decision"


def test_ask_to_renew_what_is_held_again_refused():
    row = held(EligibleFactory, -DAY, ended_at=AT - DAY, end_reason="expired")
    EligibleFactory(user=row.user, role=row.role)
    with refused("already_assigned"):
        ask(row)


def test_ask_validate_only_stores_nothing():
    row = held(EligibleFactory)
    before = snapshot()
    assert ask(row, validate_only=True).status == "pending_admin_decision"
    assert snapshot() == before


# --- deciding -------------------------------------------------------------------------------------------------


@BOTH
def test_grant_extends_to_the_end_that_the_administrator_chose(factory, administrator):
    row = held(factory)
    request = grant(asked(row), administrator)
    row.refresh_from_db()
    assert (row.starts_at, row.ends_at) == (AT - 60 * DAY, AT + 90 * DAY)
    assert (request.status, request.assignment) == ("provisioned", row)
    assert actions() == ["assignment.extended", "extension.granted"]
    assert ("extension_decided", row.user.email) in mails()
    said = request.decisions.get()
    assert (said.person, said.verdict, said.justification) == (administrator, "approved", "Right.")


@BOTH
def test_grant_of_what_has_run_out_makes_it_anew(factory, administrator):
    row = held(factory, -7 * DAY)
    request = grant(asked(row), administrator, starts_at=AT + DAY)
    made = request.assignment
    assert (made.user, made.starts_at, made.ends_at) == (row.user, AT + DAY, AT + 90 * DAY)
    assert (request.status, made.pk == row.pk) == ("scheduled", False)


def test_grant_of_an_extension_whose_assignment_ran_out_meanwhile_makes_it_anew(clock, administrator):
    row = held(EligibleFactory)
    request = ask(row)
    clock.move_to(AT + 8 * DAY)
    made = grant(request, administrator).assignment
    assert (made.starts_at, made.pk == row.pk) == (AT + 8 * DAY, False)


@pytest.mark.parametrize(
    ("factory", "other"), [(EligibleFactory, ActiveAssignment), (ActiveFactory, EligibleAssignment)]
)
@pytest.mark.parametrize("ends", [7 * DAY, -7 * DAY])
def test_grant_may_change_the_kind(factory, other, ends, administrator):
    row = held(factory, ends)
    made = grant(asked(row), administrator, eligible=other is EligibleAssignment).assignment
    row.refresh_from_db()
    assert (type(made), made.user, made.ends_at) == (other, row.user, AT + 90 * DAY)
    assert row.state(AT) == "ended"


def test_grant_may_make_it_permanent(administrator):
    row = held(EligibleFactory)
    grant(asked(row), administrator, ends_at=None)
    row.refresh_from_db()
    assert row.ends_at is None


LIMITED = {"settings__permanent_eligible_allowed": False}
GRANT_REFUSED = {
    "permanent": ({"ends_at": None}, "permanent_not_allowed"),
    "too long": ({"ends_at": AT + 366 * DAY}, "too_long"),
    "no later": ({"ends_at": AT + 7 * DAY}, "schedule_invalid"),
    "another start": ({"starts_at": AT + DAY}, "schedule_invalid"),
    "no reason": ({"justification": ""}, "justification_required"),
}


@pytest.mark.parametrize(("differs", "code"), GRANT_REFUSED.values(), ids=GRANT_REFUSED)
def test_grant_refused_leaves_the_request_waiting(differs, code, administrator):
    request = asked(held(EligibleFactory, role=RoleFactory(**LIMITED)))
    with refused(code):
        grant(request, administrator, **differs)


@pytest.mark.parametrize("verb", [services.grant_extension, services.deny_extension])
def test_nobody_decides_their_own(verb, administrator):
    request = asked(held(EligibleFactory, user=administrator))
    later = {"ends_at": AT + 90 * DAY} if verb is services.grant_extension else {}
    with refused("own_request"):
        verb(request=request, actor=administrator, justification="Right.", **later)


def test_deciding_is_for_who_may_assign():
    helpdesk, reader = holder_of(Role.HELPDESK_ADMINISTRATOR), holder_of(Role.SECURITY_READER)
    privileged = asked(held(EligibleFactory, role=RoleFactory(is_privileged=True)))
    active, ordinary = asked(held(ActiveFactory)), asked(held(EligibleFactory))
    assert set(Request.objects.awaiting_administrator(helpdesk, now())) == {ordinary}
    assert set(Request.objects.awaiting_administrator(reader, now())) == set()
    for request, actor in [(privileged, helpdesk), (active, helpdesk), (ordinary, reader)]:
        with refused("not_allowed"):
            grant(request, actor)
    with refused("not_allowed"):
        grant(ordinary, helpdesk, eligible=False)
    assert grant(ordinary, helpdesk).status == "provisioned"


def owner_of(place):
    return ActiveFactory(role=RoleFactory(resource=place, owns_resource=True, is_privileged=True)).user


def test_owners_decide_about_what_is_at_or_beneath_their_resource_and_nothing_else():
    finance, technology = ResourceFactory(), ResourceFactory()
    payroll, owner = ResourceFactory(parent=finance), owner_of(finance)
    roles = [RoleFactory(resource=place) for place in (finance, payroll, technology)]
    mine, beneath, foreign = [asked(held(EligibleFactory, role=role)) for role in roles]
    from_above = asked(held(ActiveFactory, role=RoleFactory(), scope=payroll))
    built_in = asked(held(ActiveFactory, role=Role.objects.built_in(Role.SECURITY_READER)))
    own = asked(held(EligibleFactory, role=roles[0], user=owner))
    assert set(Request.objects.awaiting_administrator(owner, now())) == {mine, beneath, from_above}
    assert set(Request.objects.visible_to(owner, now())) == {mine, beneath, from_above, own}
    for request, code in [(foreign, "not_allowed"), (built_in, "not_allowed"), (own, "own_request")]:
        with refused(code):
            grant(request, owner)
    assert [grant(each, owner).status for each in (mine, from_above)] == ["provisioned"] * 2
    assert services.deny_extension(request=beneath, actor=owner, justification="No.").status == "denied"


def test_owners_of_a_group_decide_about_membership_of_it():
    owner = UserFactory()
    group, other = GroupFactory(), GroupFactory()
    group.owners.add(owner)
    places = [ResourceFactory(kind="group", group=each) for each in (group, other)]
    mine, foreign = [
        asked(held(EligibleFactory, role=RoleFactory(resource=place, group_part="member"))) for place in places
    ]
    assert list(Request.objects.awaiting_administrator(owner, now())) == [mine]
    with refused("not_allowed"):
        grant(foreign, owner)
    assert grant(mine, owner).status == "provisioned"


def test_owners_are_asked_with_the_administrators(administrator):
    finance = ResourceFactory()
    owner, other = owner_of(finance), owner_of(ResourceFactory())
    group_owner = ActiveFactory(
        user=None, group=GroupFactory(members=[UserFactory()]), role=owner.active_assignments.get().role
    ).group.members.get()
    ask(held(EligibleFactory, role=RoleFactory(resource=finance)))
    told = set(Message.objects.filter(kind="extension_asked").values_list("user_id", flat=True))
    assert told == {administrator.pk, owner.pk, group_owner.pk}
    assert other.pk not in told


def test_approvers_of_the_role_have_no_part(administrator):
    approver = UserFactory()
    role = RoleFactory(settings__approval_required=True, settings__approvers=[approver])
    request = asked(held(EligibleFactory, role=role))
    assert not Request.objects.asking(approver, AT).exists()
    assert list(Request.objects.awaiting_administrator(administrator, now())) == [request]
    with refused("not_allowed"):
        grant(request, approver)


def test_the_second_administrator_is_told_who_was_first(administrator):
    request, second = asked(held(EligibleFactory)), holder_of(Role.GLOBAL_ADMINISTRATOR)
    grant(request, administrator)
    with refused("already_decided") as refusal:
        services.deny_extension(request=request, actor=second, justification="No more.")
    assert str(administrator) in str(refusal.value)


def test_deny_leaves_the_end_as_it_was(administrator):
    row = held(EligibleFactory)
    request = services.deny_extension(request=asked(row), actor=administrator, justification="No more.")
    row.refresh_from_db()
    assert (request.status, row.ends_at, actions()) == ("denied", AT + 7 * DAY, ["extension.denied"])


def test_grant_of_what_was_taken_away_meanwhile_refused(administrator):
    row = held(EligibleFactory)
    request = asked(row)
    EligibleAssignment.objects.update(ended_at=AT, end_reason="removed")
    with refused("outside_window"):
        grant(request, administrator)


def test_grant_as_active_asks_for_a_proof_where_the_settings_do(administrator):
    row = held(ActiveFactory, role=RoleFactory(settings__assign_active_mfa_required=True))
    request = asked(row)
    decided = {"starts_at": None, "ends_at": AT + 90 * DAY, "justification": "Right.", "eligible": False}
    with refused("mfa_required"):
        grant(request, administrator)
    assert grant(request, administrator, validate_only=True).status == "provisioned"
    proof = proof_for(administrator, "extension.granted", **grant_facts(request, **decided | {"eligible": True}))
    with refused("mfa_required"):
        grant(request, administrator, proof=proof, session="this session")
    proof = proof_for(administrator, "extension.granted", **grant_facts(request, **decided))
    assert grant(request, administrator, proof=proof, session="this session").status == "provisioned"


# --- other ends -----------------------------------------------------------------------------------------------


@BOTH
def test_cancel_ends_the_request_and_not_the_assignment(factory):
    row = held(factory)
    request = services.cancel(request=ask(row), actor=row.user)
    row.refresh_from_db()
    assert (request.status, row.ended_at) == ("canceled", None)


@BOTH
def test_lapse_when_it_can_be_renewed_no_more(factory, clock):
    request = ask(held(factory))
    clock.move_to(AT + 37 * DAY - SECOND)
    assert tasks.time_out_due() == 0
    clock.move_to(AT + 37 * DAY)
    assert [tasks.time_out_due() for _ in range(2)] == [1, 0]
    request.refresh_from_db()
    assert (request.status, request.settled_at) == ("timed_out", AT + 37 * DAY)
    assert ("request_timed_out", request.user.email) in mails()
