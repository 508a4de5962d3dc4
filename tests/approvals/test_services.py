"""The main job, through the door that all doors call."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from approvals import services
from approvals.models import Request
from assignments.models import ActiveAssignment
from audit.models import Event
from notifications.models import Message
from tests.factories import EligibleFactory, RoleFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_activate_puts_role_in_force():
    eligible = EligibleFactory()

    request = services.activate(
        eligible=eligible, actor=eligible.user, duration=timedelta(hours=1), justification="The nightly job is stuck."
    )

    active = ActiveAssignment.objects.in_force(now()).get()
    assert (active.user, active.role, active.eligible_assignment) == (eligible.user, eligible.role, eligible)
    assert active.ends_at - active.starts_at == timedelta(hours=1)
    assert (request.status, request.active_assignment) == (Request.Status.PROVISIONED, active)


def test_activate_records_and_tells():
    eligible = EligibleFactory()

    services.activate(
        eligible=eligible, actor=eligible.user, duration=timedelta(hours=1), justification="The nightly job is stuck."
    )

    actions = list(Event.objects.order_by("id").values_list("action", "outcome", "subject_id"))
    assert actions == [
        ("activation.requested", "success", eligible.user_id),
        ("assignment.activated", "success", eligible.user_id),
    ]
    assert list(Message.objects.values_list("kind", "to_address")) == [("role_activated", eligible.user.email)]


def test_approve_grants_what_was_asked():
    approver = UserFactory()
    role = RoleFactory(settings__approval_required=True, settings__approvers=[approver])
    eligible = EligibleFactory(role=role)
    request = services.activate(
        eligible=eligible, actor=eligible.user, duration=timedelta(hours=1), justification="The nightly job is stuck."
    )
    assert request.status == Request.Status.PENDING_APPROVAL
    assert list(Message.objects.values_list("kind", "to_address")) == [("approval_asked", approver.email)]

    request = services.approve(request=request, actor=approver, justification="Go on.")

    assert request.status == Request.Status.PROVISIONED
    assert ActiveAssignment.objects.in_force(now()).get() == request.active_assignment
