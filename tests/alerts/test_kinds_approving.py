"""Approvals that nobody can give, and people who give them to each other."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from approvals import unanswerable
from approvals.models import Decision, Request
from roles.models import Role
from tests.alerts.finding import found, repaired, rows, words
from tests.factories import EligibleFactory, GroupFactory, RequestFactory, RoleFactory, UserFactory, holder_of, stage

pytestmark = pytest.mark.django_db


def gone():
    return UserFactory(is_active=False)


def asked(*stages, person=None, **values):
    """A request that waits at the first of these stages."""
    role = RoleFactory(settings__approval_required=True, settings__stages=stages)
    return RequestFactory(eligible_assignment=EligibleFactory(role=role, user=person or UserFactory()), **values)


def said(request, person, verdict="approved", **values):
    facts = {"justification": "Agreed.", "decided_at": now()} | values
    return Decision.objects.create(request=request, person=person, verdict=verdict, **facts)


def agrees():
    """What all requests together say is what each says of itself."""
    at = now()
    each = {row for row in Request.objects.pending() if not row.awaited(at).exists()}
    assert set(unanswerable.requests(at)) == each
    return each


def test_requests_whose_approvers_have_left_or_have_answered_are_found():
    first = UserFactory()
    someone = UserFactory()
    waiting = {
        asked(stage([gone()])),
        asked(stage(approver_groups=[GroupFactory(members=[gone()])])),
        asked(stage(approver_groups=[GroupFactory(members=[UserFactory()], is_protected=False)])),
        asked(stage([someone]), person=someone),
        asked(stage(asks_manager=True)),  # nobody is an administrator yet
        asked(stage([first, gone()], quorum=2)),
    }
    said(Request.objects.get(settings__stages__quorum=2), first)

    assert agrees() == waiting == rows("unanswerable_requests")


def test_requests_that_somebody_can_still_answer_are_not_found():
    lead = UserFactory()
    asked(stage([gone(), UserFactory()]))
    asked(stage(approver_groups=[GroupFactory(members=[UserFactory()])]))
    asked(stage(asks_manager=True), person=UserFactory(manager=lead))
    later = stage([gone()], escalates_after=timedelta(hours=1), escalation_approvers=(lead,))
    asked(later, escalates_at=now() - timedelta(minutes=1))
    asked(stage([gone()]), expires_at=now() + timedelta(seconds=1), requested_at=now(), status="pending_hook")

    assert agrees() == set() == rows("unanswerable_requests")


def test_those_who_are_asked_later_do_not_count_before():
    later = stage(
        [gone()], escalates_after=timedelta(hours=1), escalation_groups=(GroupFactory(members=[UserFactory()]),)
    )
    waiting = asked(later, escalates_at=now() + timedelta(minutes=1))

    assert agrees() == {waiting}


def test_stage_without_names_is_for_administrators():
    waiting = asked(stage())
    assert agrees() == {waiting}

    holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR)

    assert agrees() == set()


def test_all_requests_are_asked_at_once(django_assert_max_num_queries):
    for _each in range(5):
        asked(stage([gone()], escalates_after=timedelta(hours=1), escalation_approvers=(gone(),)))

    with django_assert_max_num_queries(9):
        assert len(found("unanswerable_requests")) == 5


def test_repair_cancels_the_request():
    administrator, waiting = holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR), asked(stage([gone()]))

    incident = repaired("unanswerable_requests", about=waiting, actor=administrator)

    waiting.refresh_from_db()
    assert (incident.resolution, waiting.status) == ("repaired", "canceled")


def settings_of(*stages, **values):
    return RoleFactory(settings__stages=stages, **{"settings__approval_required": True} | values).settings.get()


def test_settings_that_could_not_be_saved_any_more_are_found():
    left = settings_of(stage([gone()]), name="Root")
    unprotected = settings_of(stage(approver_groups=[GroupFactory(members=[UserFactory()], is_protected=False)]))
    few = settings_of(stage([UserFactory(), gone()], quorum=2))

    assert rows("unanswerable_settings") == {left, unprotected, few}
    assert any(text.startswith("Root at") and "could ever decide" in text for text in words("unanswerable_settings"))


def test_settings_with_people_enough_or_without_approval_are_not_found():
    settings_of(stage([UserFactory(), gone()]))
    settings_of(stage(approver_groups=[GroupFactory(members=[UserFactory(), gone()])]))
    settings_of(stage())
    settings_of(stage([gone()]), settings__approval_required=False)
    settings_of(stage([gone()]), settings__superseded_at=now())

    assert rows("unanswerable_settings") == set()


def approved(person, by, times, **values):
    for _each in range(times):
        said(
            RequestFactory(eligible_assignment=EligibleFactory(user=person), status="denied", stage=None), by, **values
        )


def test_two_who_approve_each_other_are_found():
    ada, bob = UserFactory(display_name="Ada"), UserFactory(display_name="Bob")
    approved(ada, bob, 3)
    approved(bob, ada, 4)

    [text] = words("mutual_approvals")
    assert {"Ada", "Bob"} < set(text.replace("'", " ").split())
    assert ("3 and 4 times" in text) == text.startswith("Bob")
    assert rows("mutual_approvals", count=4) == set()


def test_one_way_denials_and_what_is_long_ago_are_not_found():
    ada, bob, eve = UserFactory(), UserFactory(), UserFactory()
    approved(ada, bob, 3)
    approved(bob, ada, 2)
    approved(bob, ada, 1, decided_at=now() - timedelta(days=31))
    approved(eve, ada, 3)
    approved(ada, eve, 3, verdict="denied")

    assert rows("mutual_approvals") == set()
    assert rows("mutual_approvals", days=32) == {min(ada, bob, key=lambda person: person.pk)}
