"""With every worker stopped, a role ends at its time: for permissions, for pages, and for whoever asks the tables."""

from datetime import timedelta

import pytest
import time_machine
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import User
from assignments.models import ActiveAssignment
from assignments.tasks import expire_due
from audit.models import Event
from notifications.models import Message
from roles.models import Role
from tests.client import signed_in
from tests.factories import ActivationFactory, EligibleFactory

pytestmark = pytest.mark.django_db

MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
def active():
    """Somebody who has activated Security Reader for an hour; nobody else holds anything."""
    eligible = EligibleFactory(role=Role.objects.built_in(Role.SECURITY_READER))
    return ActivationFactory(eligible_assignment=eligible)


def gives(active, client):
    """What the role gives at this moment: the right, the page, the row in force, the word on the home page."""
    user = User.objects.get(pk=active.user_id)
    signed_in(client, user)
    return (
        user.has_perm("audit.view_event"),
        client.get(reverse("admin:audit_event_changelist")).status_code == 200,
        ActiveAssignment.objects.in_force(now()).exists(),
        b"Active now" in client.get(reverse("home")).content,
    )


def test_role_gives_everything_until_its_last_microsecond(active, client):
    with time_machine.travel(active.ends_at - MICROSECOND, tick=False):
        assert gives(active, client) == (True, True, True, True)


@pytest.mark.parametrize("late", [timedelta(0), timedelta(minutes=1), timedelta(days=30)])
def test_role_gives_nothing_from_its_end_on_although_its_row_is_open(active, client, late):
    with time_machine.travel(active.ends_at + late, tick=False):
        assert gives(active, client) == (False, False, False, False)

    active.refresh_from_db()
    assert active.ended_at is None


def test_worker_that_comes_back_notes_the_end_once(active):
    with time_machine.travel(active.ends_at + timedelta(days=7), tick=False):
        assert [expire_due(), expire_due()] == [1, 0]

    active.refresh_from_db()
    assert (active.ended_at, active.end_reason) == (active.ends_at, "expired")
    assert list(Event.objects.values_list("action", "subject_id")) == [("assignment.expired", active.user_id)]
    assert list(Message.objects.values_list("kind", "user_id")) == [("role_ended", active.user_id)]
