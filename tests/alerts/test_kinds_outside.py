"""Access given past the site."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission
from django.utils.timezone import now

from accounts.models import User
from accounts.services import create_group
from approvals import services
from approvals.models import Request
from assignments.models import ActiveAssignment
from assignments.services import update_group
from roles.models import Role
from roles.services import create_role
from tests.alerts.finding import repaired, rows, words
from tests.factories import ActiveFactory, EligibleFactory, RequestFactory, RoleFactory, UserFactory, holder_of, root

pytestmark = pytest.mark.django_db


@pytest.fixture
def administrator():
    """Whose own role was given before the audit began."""
    person = holder_of(Role.GLOBAL_ADMINISTRATOR)
    asked = {"requester": person, "user": person, "action": "admin_assign", "status": "provisioned"}
    row = ActiveAssignment.objects.get(user=person)
    settings = row.role.settings.get()
    about = {"role": row.role, "scope": row.scope, "settings": settings, "active_assignment": row}
    Request.objects.create(**asked, **about, requested_at=row.starts_at)
    return person


def given(administrator, assign=services.assign_eligible, **terms):
    asked = {"holder": UserFactory(), "role": RoleFactory(), "scope": root(), "justification": "Needed."} | terms
    return assign(**asked, actor=administrator)


def test_what_stands_there_without_a_request_is_found(administrator):
    outside = {ActiveFactory(), EligibleFactory()}

    assert rows("assigned_outside") == outside


def test_what_was_given_here_by_any_way_is_not_found(administrator):
    given(administrator)
    active = given(administrator, services.assign_active).active_assignment
    services.make_eligible(active=active, actor=administrator, justification="Not always.")
    eligible = given(administrator).eligible_assignment
    services.activate(eligible=eligible, actor=eligible.user, duration=timedelta(hours=1), justification="Work.")

    assert rows("assigned_outside") == set()


def test_what_is_activated_extended_or_changed_here_was_not_given_here(administrator):
    outside = EligibleFactory(ends_at=now() + timedelta(days=5))
    services.activate(eligible=outside, actor=outside.user, duration=timedelta(hours=1), justification="Work.")
    asked = services.self_extend(assignment=outside, actor=outside.user, justification="Longer.")
    decided = {"actor": administrator, "justification": "Granted.", "ends_at": now() + timedelta(days=9)}
    assert rows("assigned_outside") == {outside}

    services.grant_extension(request=asked, **decided)
    services.update(assignment=outside, **decided)

    assert rows("assigned_outside") == {outside}


def test_what_was_renewed_or_given_as_the_other_kind_was_given_here(administrator, time_machine):
    ends_at = now() + timedelta(days=5)
    first, second = (given(administrator, ends_at=ends_at).eligible_assignment for _each in range(2))
    asked = services.self_extend(assignment=first, actor=first.user, justification="Longer.")
    later = {"actor": administrator, "justification": "Granted.", "ends_at": ends_at + timedelta(days=5)}
    services.grant_extension(request=asked, eligible=False, **later)
    time_machine.move_to(ends_at + timedelta(hours=1))
    services.renew(assignment=second, **later)

    assert (rows("assigned_outside"), len(ActiveAssignment.objects.lasting(now()))) == (set(), 2)


def test_what_is_older_than_the_audit_was_made_by_a_request_that_is_older_too(administrator):
    made_at = now() - timedelta(hours=3)
    outside, given_then = EligibleFactory.create_batch(2, created_at=made_at)
    common = {"status": "provisioned", "stage": None, "expires_at": None}
    RequestFactory(eligible_assignment=outside, requested_at=made_at + timedelta(hours=1), **common)
    RequestFactory(eligible_assignment=given_then, action="admin_assign", requested_at=made_at, **common)

    assert rows("assigned_outside") == {outside}


def test_request_that_the_audit_knows_nothing_of_is_no_request(administrator):
    given(administrator)
    outside = EligibleFactory()
    copied = Request.objects.exclude(eligible_assignment=None).get()
    copied.pk, copied.eligible_assignment, copied.requested_at, copied._state.adding = uuid4(), outside, now(), True
    copied.save()

    assert rows("assigned_outside") == {outside}


def test_what_is_over_is_not_found(administrator):
    EligibleFactory(ended_at=now(), end_reason="removed")
    ActiveFactory(ends_at=now())

    assert rows("assigned_outside") == set()


@pytest.mark.parametrize("make", [ActiveFactory, EligibleFactory])
def test_repair_removes_it(administrator, make):
    outside = make()

    incident = repaired("assigned_outside", about=outside, actor=administrator)

    outside.refresh_from_db()
    assert (incident.resolution, outside.end_reason) == ("repaired", "removed")


def ours(codename):
    return Permission.objects.get(codename=codename, content_type__app_label="accounts")


def test_right_that_was_written_past_the_site_is_found(administrator):
    may = ours("view_group")
    role = create_role(actor=administrator, resource=root(), name="Desk", permissions=[may], is_privileged=True)
    assert rows("rights_outside") == set()

    role.permissions.add(ours("view_user"))
    Role.objects.built_in(Role.SECURITY_READER).permissions.add(ours("change_group"))

    assert sorted(words("rights_outside")) == [
        "Desk gives rights that nobody gave it here: view_user",
        "Security Reader gives rights that nobody gave it here: change_group",
    ]


def test_member_who_was_written_past_the_site_is_found(administrator):
    first, second = UserFactory(), UserFactory()
    common = {"name": "Keepers", "description": "", "owners": [], "is_protected": True}
    group = create_group(actor=administrator, members=[first], **common)
    update_group(group=group, actor=administrator, members=[first, second], **common)
    User.objects.filter(pk=first.pk).update(display_name="Renamed")
    assert rows("members_outside") == set()

    group.members.add(UserFactory(display_name="Mallory"))

    [text] = words("members_outside")
    assert text.startswith("Keepers has 1 more members than anybody gave it here, among: Mallory")


def test_group_without_power_is_not_compared(administrator):
    group = create_group(actor=administrator, name="Choir", members=[UserFactory()], is_protected=False)
    group.members.add(UserFactory())

    assert rows("members_outside") == set()
