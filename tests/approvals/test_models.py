from datetime import timedelta

import factory
import pytest
from django.db import IntegrityError, transaction
from django.utils.timezone import now

from approvals.models import Decision, Request
from roles.models import Role, RoleSettings
from roles.services import save_settings
from tests.factories import (
    ActiveFactory,
    EligibleFactory,
    GroupFactory,
    RequestFactory,
    ResourceFactory,
    RoleFactory,
    UserFactory,
    holder_of,
    stage,
)

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def asked(approvers=(), groups=(), **kwargs):
    role = RoleFactory(
        settings__approval_required=True, settings__approvers=approvers, settings__approver_groups=groups
    )
    return RequestFactory(eligible_assignment=EligibleFactory(role=role), **kwargs)


def deciders(request, *people):
    """Who of these people may decide, by the request and by the list of what waits for each: the two must agree."""
    at = now()
    by_request = set(request.approvers(at))
    waiting = {person for person in people if request in Request.objects.awaiting(person, at)}
    assert by_request & set(people) == waiting
    return by_request


def test_approvers_are_those_named_and_those_in_named_groups():
    ana, kim, lee, stranger = UserFactory.create_batch(4)
    request = asked([ana], [GroupFactory(members=[kim]), GroupFactory(members=[lee, kim])])
    holder_of(Role.GLOBAL_ADMINISTRATOR)
    assert deciders(request, ana, kim, lee, stranger) == {ana, kim, lee}


def test_approvers_with_nobody_named_are_the_administrators_in_force():
    administrators = {holder_of(key) for key in Role.GUARDED}
    others = {holder_of(Role.HELPDESK_ADMINISTRATOR), UserFactory()}
    ended = ActiveFactory(role=Role.objects.built_in(Role.GLOBAL_ADMINISTRATOR), ends_at=now()).user
    assert deciders(asked(), *administrators, *others, ended) == administrators


def test_approver_is_never_who_asked():
    request = asked()
    request.user.member_groups.add(group := GroupFactory(members=[request.user]))
    save_settings(role=request.role, scope=request.scope, actor=None, stages=[stage([request.user], [group])])
    assert deciders(request, request.user) == set()


@pytest.mark.parametrize("differs", [{"is_active": False}, {"kind": "service"}], ids=str)
def test_approver_is_an_enabled_person(differs):
    approver = UserFactory(**differs)
    in_group = UserFactory(**differs)
    request = asked([approver, UserFactory()], [GroupFactory(members=[in_group])])
    assert approver not in deciders(request, approver, in_group)
    assert in_group not in deciders(request, approver, in_group)


def test_group_that_lost_its_protection_decides_nothing():
    member, group = UserFactory(), GroupFactory(is_protected=True)
    group.members.add(member)
    request = asked(groups=[group])
    assert deciders(request, member) == {member}
    type(group).objects.update(is_protected=False)
    assert deciders(request, member, holder_of(Role.GLOBAL_ADMINISTRATOR)) == set()


def test_approvers_are_those_of_the_settings_in_use_now():
    before, after = UserFactory.create_batch(2)
    request = asked([before])
    save_settings(role=request.role, scope=request.scope, actor=None, stages=[stage([after])])
    assert deciders(request, before, after) == {after}


def test_approvers_are_those_of_the_nearest_scope():
    above, near = UserFactory.create_batch(2)
    unit = ResourceFactory()
    request = asked([above], scope=ResourceFactory(parent=unit))
    elsewhere = asked([above])
    save_settings(role=request.role, scope=unit, actor=None, approval_required=True, stages=[stage([near])])
    assert deciders(request, above, near) == {near}
    assert deciders(elsewhere, above, near) == {above}


@pytest.mark.parametrize(
    "differs",
    [
        {"status": "denied", "expires_at": None},
        {"requested_at": now() - 2 * HOUR, "expires_at": now() - HOUR},
        {"eligible_assignment__user__is_active": False},
    ],
    ids=["settled", "overdue", "disabled"],
)
def test_awaiting_leaves_out(differs):
    approver = UserFactory()
    role = RoleFactory(settings__approvers=[approver])
    RequestFactory(eligible_assignment__role=role, **differs)
    assert not Request.objects.awaiting(approver, now()).exists()


def test_awaiting_leaves_out_what_one_has_decided():
    approver = UserFactory()
    request = asked([approver])
    Decision.objects.create(request=request, person=approver, verdict="approved", decided_at=now())
    assert not Request.objects.awaiting(approver, now()).exists()


def test_visible_to_those_whom_it_concerns():
    approver, stranger = UserFactory.create_batch(2)
    request, _foreign = asked([approver]), asked([UserFactory()])
    reader = holder_of(Role.SECURITY_READER)
    at = now()
    seen = {person: set(Request.objects.visible_to(person, at)) for person in (request.user, approver, stranger)}
    assert seen == {request.user: {request}, approver: {request}, stranger: set()}
    assert Request.objects.visible_to(reader, at).count() == 2


def test_awaiting_costs_the_same_for_any_number(django_assert_num_queries):
    approver = UserFactory()
    for _ in range(5):
        asked([approver])
    with django_assert_num_queries(3):
        assert len(Request.objects.awaiting(approver, now())) == 5


@pytest.mark.parametrize(
    ("name", "differs"),
    [
        ("request_pending_has_time_out", {"expires_at": None}),
        ("request_pending_has_time_out", {"settled_at": now()}),
        ("request_self_is_for_oneself", {"requester": None}),
        ("request_self_is_for_oneself", {"requester": factory.SubFactory(UserFactory)}),
    ],
)
def test_constraint(name, differs):
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        RequestFactory(**differs)


def test_one_open_request_for_each_eligibility():
    request = RequestFactory()
    with pytest.raises(IntegrityError), transaction.atomic():
        RequestFactory(eligible_assignment=request.eligible_assignment)
    RequestFactory(eligible_assignment=request.eligible_assignment, status="denied")


def test_one_decision_for_each_person():
    request, person = RequestFactory(), UserFactory()
    Decision.objects.create(request=request, person=person, verdict="denied", decided_at=now())
    with pytest.raises(IntegrityError), transaction.atomic():
        Decision.objects.create(request=request, person=person, verdict="approved", decided_at=now())


def test_request_remembers_the_version_that_it_was_asked_under():
    request = asked([UserFactory()])
    save_settings(role=request.role, scope=request.scope, actor=None, ticket_required=True)
    request.refresh_from_db()
    assert (request.settings.version, request.settings.ticket_required) == (1, False)
    assert RoleSettings.objects.current().get(role=request.role).version == 2
