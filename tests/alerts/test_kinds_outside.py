"""Access given past the site."""

from datetime import timedelta
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import Permission
from django.utils.timezone import now

from accounts.models import User
from accounts.services import create_group
from approvals import services
from approvals.models import Request
from assignments.models import ActiveAssignment, EligibleAssignment
from assignments.services import create_person, recorded, update_group, update_person
from audit.archiving import archive_next
from audit.checkpoints import checkpoint
from audit.models import Checkpoint, Event
from audit.services import record
from roles.models import Role
from roles.services import create_role, update_role
from tests.alerts.finding import repaired, rows, words
from tests.factories import (
    ActiveFactory,
    EligibleFactory,
    GroupFactory,
    ResourceFactory,
    RoleFactory,
    UserFactory,
    holder_of,
    root,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def administrator():
    """Whose own role was given here."""
    person = holder_of(Role.GLOBAL_ADMINISTRATOR)
    row = ActiveAssignment.objects.get(user=person)
    about = {"role": row.role, "scope": row.scope}
    states = {"action": "admin_assign", "status": "provisioned", "requested_at": row.starts_at}
    asked = Request.objects.create(
        requester=None, user=person, settings=row.role.settings.get(), active_assignment=row, **about, **states
    )
    record("active.assigned", actor=None, target=row, subject=person, request=asked, after=recorded(row), **about)
    return person


def given(administrator, assign=services.assign_eligible, **terms):
    asked = {"holder": UserFactory(), "role": RoleFactory(), "scope": root(), "justification": "Needed."} | terms
    return assign(**asked, actor=administrator)


def test_what_stands_there_without_an_event_is_found(administrator):
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


OTHER = {"role": RoleFactory, "scope": ResourceFactory, "user": UserFactory}


@pytest.mark.parametrize("column", OTHER)
@pytest.mark.parametrize("assign", [services.assign_eligible, services.assign_active])
def test_what_was_given_here_as_something_else_is_found(administrator, assign, column):
    made = given(administrator, assign)
    changed = made.eligible_assignment or made.active_assignment
    type(changed).objects.filter(pk=changed.pk).update(**{column: OTHER[column]()})

    assert rows("assigned_outside") == {changed}


def test_what_was_given_to_a_group_here_is_not_found_until_it_is_another_group(administrator):
    first, second = GroupFactory(), GroupFactory()
    changed = given(administrator, holder=first).eligible_assignment
    assert rows("assigned_outside") == set()

    EligibleAssignment.objects.filter(pk=changed.pk).update(group=second)

    assert rows("assigned_outside") == {changed}


def test_request_changed_with_its_assignment_is_not_what_the_audit_tells_of(administrator):
    made, role = given(administrator), RoleFactory()
    EligibleAssignment.objects.filter(pk=made.eligible_assignment_id).update(role=role)
    Request.objects.filter(pk=made.pk).update(role=role)

    assert rows("assigned_outside") == {made.eligible_assignment}


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


def test_role_that_owns_its_resource_past_the_site_is_found_until_that_is_saved_here(administrator):
    owned = ResourceFactory()
    create_role(actor=administrator, resource=owned, name="Owner", is_privileged=True, owns_resource=True)
    role = create_role(actor=administrator, resource=owned, name="Desk", is_privileged=True)
    assert rows("rights_outside") == set()
    Role.objects.filter(pk=role.pk).update(owns_resource=True)
    assert words("rights_outside") == ["Desk gives rights that nobody gave it here: owns_resource"]

    about = {"name": "Desk", "description": "", "is_privileged": True}
    update_role(role=role, actor=administrator, **about, owns_resource=False)

    assert rows("rights_outside") == set()


def test_rights_of_a_role_that_nobody_made_here_are_found(administrator):
    role = RoleFactory(name="Ghost")
    role.permissions.add(ours("view_user"))

    assert words("rights_outside") == ["Ghost gives rights that nobody gave it here: view_user"]


PLAIN = {"description": "", "owners": [], "is_protected": True}


@pytest.fixture
def keepers(administrator):
    """A protected group of one person, who has another name by now."""
    person = UserFactory()
    group = create_group(actor=administrator, name="Keepers", members=[], **PLAIN)
    update_group(group=group, actor=administrator, name="Keepers", members=[person], **PLAIN)
    User.objects.filter(pk=person.pk).update(display_name="Renamed")
    return group


@pytest.mark.parametrize("part", ["members", "owners"])
def test_person_who_was_written_into_a_group_past_the_site_is_found(keepers, part):
    assert rows("members_outside") == set()

    getattr(keepers, part).add(UserFactory(display_name="Mallory", username="mallory"))

    [text] = words("members_outside")
    assert text.startswith("Keepers has 1 members or owners whom nobody put there, among: Mallory")


def test_member_who_was_exchanged_for_another_is_found(keepers):
    keepers.members.set([UserFactory()])

    assert rows("members_outside") == {keepers}


def test_protected_group_that_nobody_made_here_is_found(administrator):
    group = GroupFactory(members=[UserFactory()], is_protected=True)

    assert rows("members_outside") == {group}


@pytest.mark.parametrize(("holding", "compared"), [(False, False), (True, True)])
def test_group_is_compared_once_it_holds_a_role(administrator, holding, compared):
    group = create_group(actor=administrator, name="Choir", members=[UserFactory()], is_protected=False)
    group.members.add(UserFactory())
    if holding:
        given(administrator, holder=group)

    assert rows("members_outside") == ({group} if compared else set())


@pytest.fixture
def emergency(administrator):
    names = {"username": "glass", "display_name": "Glass", "email": "glass@example.org"}
    return create_person(actor=administrator, is_emergency_access=True, **names)


def test_account_that_was_marked_for_emergencies_here_is_not_found(emergency):
    assert rows("emergency_outside") == set()


def test_account_that_was_marked_for_emergencies_past_the_site_is_found(administrator, emergency):
    update_person(user=emergency, actor=administrator, is_emergency_access=False)
    unknown = UserFactory()
    User.objects.filter(pk__in=[emergency.pk, unknown.pk]).update(is_emergency_access=True)

    assert rows("emergency_outside") == {emergency, unknown}


def test_what_is_archived_is_still_compared(administrator, keepers, emergency, tmp_path, settings):
    settings.AUDIT_KEYS, settings.AUDIT_ORIGIN = [Fernet.generate_key().decode()], "pim.example.org"
    create_role(actor=administrator, resource=root(), name="Desk", permissions=[ours("view_group")])
    changed, extended = (given(administrator).eligible_assignment for _each in range(2))
    outside = EligibleFactory()
    for row in (extended, outside):
        told = {"actor": administrator, "justification": "Longer."}
        services.update(assignment=row, ends_at=now() + timedelta(days=500), **told)
    long_ago = now() - timedelta(days=400)
    for _each in range(2):  # what was noted for the first archive goes with the second
        checkpoint()
        Checkpoint.objects.update(at=long_ago)
        archive_next(before=now() - timedelta(days=365), folder=tmp_path)
    gone = ["group.updated", "role.created", "person.created", "eligible.assigned", "assignment.updated"]
    assert not Event.objects.filter(action__in=gone).exists()
    compared = ("members_outside", "rights_outside", "emergency_outside", "assigned_outside")
    assert [rows(key) for key in compared] == [set(), set(), set(), {outside}]

    keepers.members.set([UserFactory()])
    EligibleAssignment.objects.filter(pk=changed.pk).update(ends_at=now() + timedelta(days=900))

    assert [rows(key) for key in compared] == [{keepers}, set(), set(), {outside, changed}]
