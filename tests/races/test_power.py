"""Somebody comes to power while others judge by what they were: who comes second finds what the first did."""

import threading
from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection
from django.utils.timezone import now

from accounts.models import EnrolmentTicket
from approvals.services import assign_eligible
from assignments.models import EligibleAssignment
from assignments.services import assigning, issue_enrolment, people, update_group, update_person
from roles.models import Role
from roles.services import delegate_decisions, save_settings, update_role
from tests.factories import EligibleFactory, GroupFactory, RoleFactory, UserFactory, holder_of, proof_for, stage

from .guards import no_row_locks
from .test_meeting import until_done_or_waiting

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def meet(patch, place, name, first, second):
    """Do `first`, and `second` as far as it goes when `first` is about to call `name`."""

    def come_second():
        try:
            second()
        finally:
            connection.close()

    other = threading.Thread(target=come_second)
    original = getattr(place, name)

    def about_to(*args, **kwargs):
        if not other.ident and threading.current_thread() is threading.main_thread():
            other.start()
            until_done_or_waiting(other)
        return original(*args, **kwargs)

    with patch.context() as patched:
        patched.setattr(place, name, about_to)
        try:
            first()
        except (ValidationError, PermissionDenied):
            pass
        other.join(20)


# --- a link that helpdesk staff issue, and a role that its person is given ---------------------------------------


def given_a_role(user, administrator):
    role = RoleFactory(is_privileged=True)
    return lambda: assign_eligible(holder=user, role=role, scope=role.resource, actor=administrator)


def put_into_a_protected_group(user, administrator):
    group = GroupFactory()
    facts = {"name": group.name, "description": "", "owners": [], "is_protected": True}
    return lambda: update_group(group=group, actor=administrator, members=[user], **facts)


def named_as_approver(user, administrator):
    role = RoleFactory()
    terms = {"approval_required": True, "stages": [stage([user])]}
    return lambda: save_settings(role=role, scope=role.resource, actor=administrator, **terms)


def holding_what_becomes_privileged(user, administrator):
    role = EligibleFactory(user=user).role
    facts = {"name": role.name, "description": "", "is_privileged": True}
    return lambda: update_role(role=role, actor=administrator, **facts)


def deciding_for_a_colleague(user, administrator):
    return lambda: delegate_decisions(actor=administrator, delegate=user, ends_at=now() + timedelta(days=1))


def manager_who_approves(user, administrator):
    report = UserFactory()
    RoleFactory(settings__stages=[stage(asks_manager=True)])
    return lambda: update_person(user=report, actor=administrator, manager=user)


POWER = [
    given_a_role,
    put_into_a_protected_group,
    named_as_approver,
    holding_what_becomes_privileged,
    deciding_for_a_colleague,
    manager_who_approves,
]


def weak_links(patch, come_to_power):
    """How many links by helpdesk staff count for somebody who came to power while one was issued."""
    user, helpdesk = UserFactory(), holder_of(Role.HELPDESK_ADMINISTRATOR)
    proof = proof_for(helpdesk, "enrolment.issued", person=user.pk, justification="Lost the phone.")
    facts = {"user": user, "actor": helpdesk, "justification": "Lost the phone.", "proof": proof}
    come = come_to_power(user, holder_of(Role.GLOBAL_ADMINISTRATOR))
    meet(patch, people.accounts, "issue_ticket", lambda: issue_enrolment(session="this session", **facts), come)
    return EnrolmentTicket.objects.filter(used_at=None).count()


@pytest.mark.parametrize("come_to_power", POWER)
def test_link_does_not_outlast_power_that_comes_while_it_is_issued(monkeypatch, come_to_power):
    assert weak_links(monkeypatch, come_to_power) == 0


@pytest.mark.parametrize("come_to_power", POWER)
def test_control_without_row_locks_it_does(monkeypatch, come_to_power):
    with no_row_locks():
        assert weak_links(monkeypatch, come_to_power) == 1


# --- a role given to a group that helpdesk staff fill, while it becomes privileged ------------------------------


def held_by_unprotected_groups(patch):
    role, administrator = RoleFactory(), holder_of(Role.GLOBAL_ADMINISTRATOR)
    group = GroupFactory(is_protected=False)
    facts = {"name": role.name, "description": "", "is_privileged": True}
    meet(
        patch,
        assigning,
        "_insert",
        lambda: assign_eligible(holder=group, role=role, scope=role.resource, actor=administrator),
        lambda: update_role(role=Role.objects.get(pk=role.pk), actor=administrator, **facts),
    )
    held = EligibleAssignment.objects.filter(role__is_privileged=True, group__is_protected=False)
    return (held.count(), EligibleAssignment.objects.count(), Role.objects.get(pk=role.pk).is_privileged)


def test_role_that_becomes_privileged_is_given_to_no_unprotected_group(monkeypatch):
    assert held_by_unprotected_groups(monkeypatch) == (0, 0, True)


def test_control_without_a_last_look_it_is(monkeypatch):
    monkeypatch.setattr(assigning, "_check_weight", lambda role: None)
    assert held_by_unprotected_groups(monkeypatch) == (1, 1, True)
