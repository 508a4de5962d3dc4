"""What is said of a change of settings before it is saved, and that it is true."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from pim_site.effects import Reach, dead_ends, effects
from roles.models import Role, RoleSettings
from roles.services import save_settings, values_of
from roles.stages import StageTerms
from tests.factories import (
    ActivationFactory,
    ActiveFactory,
    EligibleFactory,
    GroupFactory,
    RequestFactory,
    ResourceFactory,
    RoleFactory,
    UserFactory,
    holder_of,
    root,
)

pytestmark = pytest.mark.django_db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def said(role, scope=None, **changes):
    scope = scope or role.resource
    before = values_of(RoleSettings.objects.applying_to(role, scope)[0])
    return " ".join(effects(Reach(role, scope, now()), before, before | changes))


def test_nothing_runs():
    assert said(RoleFactory(), ticket_required=True) == "No request waits for a decision. Nobody is eligible here."


LACKING = {
    "ticket": ({"ticket_required": True}, {"ticket": ""}, True),
    "ticket of another kind": ({"ticket_pattern": "CHG[0-9]+"}, {"ticket": "INC1"}, True),
    "ticket as asked": ({"ticket_pattern": "CHG[0-9]+", "ticket_required": True}, {"ticket": "CHG1"}, False),
    "reason": ({"justification_required": True}, {"justification": ""}, True),
    "code": ({"activation_authentication": "mfa"}, {"proved_with": ""}, True),
    "code given": ({"activation_authentication": "mfa"}, {"proved_with": "totp"}, False),
}


@pytest.mark.parametrize(("changes", "asked", "fails"), LACKING.values(), ids=LACKING)
def test_waiting_requests_that_lack_something_are_named(changes, asked, fails):
    request = RequestFactory(**asked)
    text = said(request.role, **changes)
    assert "1 request waits." in text
    assert (f"closes as failed when it is approved: {request.reference}." in text) is fails


def test_waiting_requests_that_are_shortened_are_counted():
    request = RequestFactory(duration=4 * HOUR)
    RequestFactory(eligible_assignment=EligibleFactory(role=request.role), duration=HOUR)
    text = said(request.role, activation_max_duration=HOUR)
    assert "2 requests wait." in text
    assert "1 of them asks for longer" in text


def test_running_activations_are_not_cut():
    role = RoleFactory()
    active = ActivationFactory(eligible_assignment=EligibleFactory(role=role))
    assert "1 activation runs or is scheduled. It is neither ended nor shortened." in said(
        role, activation_max_duration=HOUR / 2
    )
    before = active.ends_at
    save_settings(role=role, scope=role.resource, actor=None, activation_max_duration=HOUR / 2)
    active.refresh_from_db()
    assert (active.ends_at, active.ended_at) == (before, None)


def test_assignments_that_are_too_long_now_are_counted_and_stay():
    role = RoleFactory()
    EligibleFactory(role=role)
    EligibleFactory(role=role, ends_at=now() + 40 * DAY)
    EligibleFactory(role=role, ends_at=now() + 10 * DAY)
    ActiveFactory(role=role)
    text = said(role, permanent_eligible_allowed=False, eligible_max_days=30)
    assert "3 eligible assignments stay as they are" in text
    assert "2 of them are permanent or longer than allowed now." in text
    assert "1 active assignment stays as it is." in text
    assert text.count("than allowed now") == 1


def test_only_what_these_settings_govern_is_counted():
    role, unit = RoleFactory(), ResourceFactory()
    leaf = ResourceFactory(parent=unit)
    for scope in (root(), unit, leaf):
        EligibleFactory(role=role, scope=scope)
    EligibleFactory()
    save_settings(role=role, scope=leaf, actor=None, ticket_required=True)
    assert "2 eligible assignments" in said(role)
    assert "1 eligible assignment " in said(role, unit)
    assert "1 eligible assignment " in said(role, leaf)


def ends(role, *stages, **changes):
    values = values_of(role.settings.get()) | {"approval_required": True} | changes
    values |= {"stages": list(stages)} if stages else {}
    return " ".join(dead_ends(Reach(role, role.resource, now()), values))


def test_dead_end_where_the_only_approver_is_the_only_one_eligible():
    role, other = RoleFactory(), UserFactory()
    person = EligibleFactory(role=role, user__display_name="Ada").user
    assert ends(role, StageTerms(approvers=(person,))) == (
        "Without Ada nobody could approve, and only Ada is eligible: every request gets stuck."
    )
    assert ends(role, StageTerms(approvers=(person, other))) == ""
    assert ends(role, StageTerms(approvers=(other,))) == ""
    assert ends(role, StageTerms(approvers=(person,), asks_manager=True)) == ""
    assert ends(role, StageTerms(approvers=(person,)), approval_required=False) == ""
    EligibleFactory(role=role)
    assert "their own requests get stuck" in ends(role, StageTerms(approvers=(person,)))


def test_dead_end_of_a_stage_that_needs_everybody():
    role, other = RoleFactory(), UserFactory()
    person = EligibleFactory(role=role).user
    assert "Without" in ends(role, StageTerms(approvers=(other,)), StageTerms(approvers=(person, other), quorum=2))


def test_dead_end_of_a_group_with_one_member():
    role = RoleFactory()
    person = EligibleFactory(role=role).user
    assert "Without" in ends(role, StageTerms(approver_groups=(GroupFactory(members=[person]),)))


def test_dead_end_where_nobody_is_left():
    role = RoleFactory()
    assert ends(role, StageTerms()) == "Too few people can approve at this moment."
    holder_of(Role.GLOBAL_ADMINISTRATOR)
    assert ends(role, StageTerms()) == ""
