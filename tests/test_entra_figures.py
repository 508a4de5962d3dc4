"""The figures of Microsoft Entra PIM that are most easily got wrong, name by name, each as the product keeps it."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils.timezone import now

from approvals import services
from approvals.models import Request
from assignments import tasks
from assignments.models import ActiveAssignment, EligibleAssignment
from assignments.rules import SHORTEST, Terms, can_extend, can_renew, check_assignment
from notifications.models import Message
from roles.mails import AUDIENCES, EVENTS, MOST_MAILS
from roles.models import DAYS_OFFERED, HALF_HOUR, LONGEST_MAXIMUM, Role, RoleSettings
from tests.factories import (
    ActivationFactory,
    EligibleFactory,
    ExtensionFactory,
    GroupFactory,
    RoleFactory,
    UserFactory,
    holder_of,
)
from tests.refusals import code_of_refusal, refused

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 21, 18, 40, tzinfo=UTC)
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(AT, tick=False) as clock:
        yield clock


def activate(eligible, **differs):
    facts = {"actor": eligible.user, "duration": timedelta(hours=1), "justification": "Stuck."}
    return services.activate(eligible=eligible, **facts | differs)


def test_activation_lasts_8_hours_by_default_24_at_most_in_steps_of_30_minutes():
    default = RoleSettings().activation_max_duration
    assert (default, LONGEST_MAXIMUM, HALF_HOUR) == (timedelta(hours=8), timedelta(hours=24), timedelta(minutes=30))
    eligible = EligibleFactory(role=RoleFactory(settings__activation_max_duration=timedelta(hours=24)))
    with refused("too_long"):
        activate(eligible, duration=timedelta(hours=24) + SECOND)
    assert activate(eligible, duration=timedelta(hours=24)).active_assignment.ends_at == AT + DAY


def test_approval_times_out_after_24_hours_and_is_then_asked_anew(clock):
    holder_of(Role.GLOBAL_ADMINISTRATOR)
    request = activate(EligibleFactory(role=RoleFactory(settings__approval_required=True)))
    assert request.expires_at == AT + DAY
    clock.move_to(AT + DAY)
    request.refresh_from_db()
    assert request.is_overdue(now())
    assert activate(request.eligible_assignment).status == "pending_approval"


@pytest.mark.parametrize("eligible", [True, False])
def test_shortest_assignment_is_5_minutes(eligible):
    role = RoleFactory()

    def code(ends_at):
        terms = Terms(UserFactory(), role, role.resource, AT, ends_at, "Takes over.")
        return code_of_refusal(check_assignment, RoleSettings(role=role), terms, eligible=eligible, at=AT)

    assert SHORTEST == 5 * MINUTE
    assert [code(AT + 5 * MINUTE - SECOND), code(AT + 5 * MINUTE)] == ["too_short", None]


@pytest.mark.parametrize(("eligible", "days"), [(True, 365), (False, 180)])
def test_longest_assignment_by_default(eligible, days):
    role, settings = RoleFactory(), RoleSettings(permanent_eligible_allowed=False, permanent_active_allowed=False)

    def code(ends_at):
        terms = Terms(UserFactory(), role, role.resource, AT, ends_at, "Takes over.")
        return code_of_refusal(check_assignment, settings, terms, eligible=eligible, at=AT)

    assert [code(AT + days * DAY), code(AT + days * DAY + SECOND)] == [None, "too_long"]


def test_permanent_assignments_are_allowed_by_default():
    assert (RoleSettings().permanent_eligible_allowed, RoleSettings().permanent_active_allowed) == (True, True)


def test_expire_after_is_one_of_five_choices():
    assert DAYS_OFFERED == (15, 30, 90, 180, 365)


def ending(days, **differs):
    return EligibleFactory(**{"starts_at": AT - 90 * DAY, "ends_at": AT + days * DAY} | differs)


def test_extend_window_opens_14_days_before_the_end():
    assert [can_extend(ending(days), at=AT) for days in (15, 14, 1)] == [False, True, True]
    assert not can_extend(ending(14, ends_at=AT + 14 * DAY + SECOND), at=AT)


def test_mails_go_out_14_days_and_1_day_before_the_end_and_at_the_end(clock):
    row, told = ending(20), []
    for day in range(22):
        clock.move_to(AT + day * DAY)
        tasks.remind_due()
        tasks.expire_due()
        told += [(20 - day, kind) for kind in Message.objects.values_list("kind", flat=True)]
        Message.objects.all().delete()
    assert told == [(14, "assignment_expiring"), (1, "assignment_expiring"), (0, "assignment_expired")]
    assert EligibleAssignment.objects.get(pk=row.pk).end_reason == "expired"


def test_renew_window_lasts_30_days_after_the_end():
    last = ending(0, ends_at=AT - 30 * DAY + SECOND)
    assert [can_renew(row, at=AT) for row in (ending(0), last, ending(-30), ending(1))] == [True, True, False, False]


def test_deciders_of_extensions_are_administrators_and_not_the_approvers():
    approver, administrator = UserFactory(), holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR)
    role = RoleFactory(settings__approval_required=True, settings__approvers=[approver])
    request = ExtensionFactory(eligible_assignment=ending(7, role=role))
    assert not Request.objects.awaiting(approver, AT).exists()
    assert not Request.objects.awaiting_administrator(approver, now()).exists()
    assert list(Request.objects.awaiting_administrator(administrator, now())) == [request]


def test_without_named_approvers_both_administrators_in_force_decide():
    deciders = {holder_of(key) for key in Role.GUARDED}
    EligibleFactory(role=Role.objects.built_in(Role.GLOBAL_ADMINISTRATOR))
    request = activate(EligibleFactory(role=RoleFactory(settings__approval_required=True)))
    assert set(request.approvers(AT)) == deciders


def test_nobody_approves_for_themselves_not_even_through_a_group():
    user, other = UserFactory(), UserFactory()
    group = GroupFactory(members=[user, other])
    role = RoleFactory(settings__approval_required=True, settings__approver_groups=[group])
    request = activate(EligibleFactory(user=user, role=role))
    assert set(request.approvers(AT)) == {other}
    with refused("own_request"):
        services.approve(request=request, actor=user, justification="Mine.")


@pytest.mark.parametrize(("first", "status"), [("approve", "provisioned"), ("deny", "denied")])
def test_the_first_decision_wins_be_it_yes_or_no(first, status):
    people = [UserFactory(), UserFactory()]
    role = RoleFactory(settings__approval_required=True, settings__approvers=people)
    request = activate(EligibleFactory(role=role))
    getattr(services, first)(request=request, actor=people[0], justification="First.")
    for verb in (services.approve, services.deny):
        with refused("already_decided"):
            verb(request=request, actor=people[1], justification="Second.")
    request.refresh_from_db()
    assert request.status == status


def test_mfa_on_assigning_active_is_asked_of_the_administrator_and_not_of_the_holder():
    role = RoleFactory(settings__assign_active_mfa_required=True)
    facts = {"holder": UserFactory(), "role": role, "scope": role.resource, "justification": "Takes over."}
    administrator = holder_of(Role.GLOBAL_ADMINISTRATOR)
    with refused("mfa_required"):
        services.assign_active(actor=administrator, **facts)


def test_there_are_nine_notification_cells_all_on_by_default_at_level_all():
    cells = [RoleSettings().cell(event, audience) for event in EVENTS for audience in AUDIENCES]
    assert [(cell.default, cell.also, cell.level) for cell in cells] == [(True, [], "all")] * 9


def test_no_event_sends_more_than_1000_mails():
    assert MOST_MAILS == 1000


def test_the_eligibility_stays_when_it_is_activated_and_the_activation_is_a_second_row():
    eligible = EligibleFactory()
    active = activate(eligible).active_assignment
    eligible.refresh_from_db()
    assert (eligible.ended_at, active.eligible_assignment) == (None, eligible)
    assert ActiveAssignment.objects.activated().count() == EligibleAssignment.objects.count() == 1
    assert ActivationFactory(eligible_assignment=EligibleFactory()).is_activated
