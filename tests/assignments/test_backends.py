from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import AnonymousUser, Permission
from django.utils.timezone import now

from accounts.models import User
from assignments.backends import AssignmentBackend
from roles.models import Role
from tests.factories import (
    ActivationFactory,
    ActiveFactory,
    EligibleFactory,
    ResourceFactory,
    RoleFactory,
    UserFactory,
    holder_of,
    root,
)

pytestmark = pytest.mark.django_db

READ = "audit.view_event"


def reader(**kwargs):
    """A role that gives one right in this site."""
    role = RoleFactory(**kwargs)
    role.permissions.add(Permission.objects.get(codename="view_event"))
    return role


def permissions(user):
    return User.objects.get(pk=user.pk).get_all_permissions()


def test_role_in_force_gives_its_permissions():
    user = ActiveFactory(role=reader()).user
    assert permissions(user) == {READ}
    assert (user.has_perm(READ), user.has_perm("audit.export_event"), user.is_staff) == (True, False, True)
    assert (user.has_module_perms("audit"), user.has_module_perms("roles")) == (True, False)


def test_roles_in_force_add_up():
    user = ActiveFactory(role=reader()).user
    role = RoleFactory()
    role.permissions.add(Permission.objects.get(codename="export_event"))
    ActiveFactory(role=role, user=user)
    assert permissions(user) == {READ, "audit.export_event"}


def test_eligibility_gives_nothing():
    user = EligibleFactory(role=reader()).user
    assert (permissions(user), user.is_staff) == (set(), False)


def test_role_held_beneath_the_organisation_gives_nothing_here():
    assert permissions(ActiveFactory(role=reader(), scope=ResourceFactory()).user) == set()
    assert permissions(ActiveFactory(role=reader(resource=ResourceFactory())).user) == set()


def test_rights_vanish_at_the_end_without_a_worker():
    active = ActivationFactory(eligible_assignment__role=reader())
    with time_machine.travel(active.ends_at - timedelta(microseconds=1), tick=False):
        assert permissions(active.user) == {READ}
    with time_machine.travel(active.ends_at, tick=False):
        assert permissions(active.user) == set()
        assert active.user.has_perm(READ) is False
    active.refresh_from_db()
    assert active.ended_at is None


def test_scheduled_role_gives_nothing_yet():
    active = ActiveFactory(role=reader(), starts_at=now() + timedelta(hours=1))
    assert permissions(active.user) == set()
    with time_machine.travel(active.starts_at, tick=False):
        assert permissions(active.user) == {READ}


def test_disabled_person_has_no_permission_whatever_was_loaded_before():
    user = ActiveFactory(role=reader()).user
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert user.is_active
    assert (user.get_all_permissions(), user.has_perm(READ)) == (set(), False)


def test_nobody_is_superuser():
    user = holder_of(Role.GLOBAL_ADMINISTRATOR)
    assert (user.is_superuser, user.has_perm("anything.at_all")) == (False, False)
    with pytest.raises(AttributeError):
        user.is_superuser = True


def test_permissions_are_about_the_site_and_not_about_one_object():
    user = ActiveFactory(role=reader()).user
    assert user.has_perm(READ, obj=root()) is False


def test_backend_knows_enabled_people_only():
    user, backend = UserFactory(), AssignmentBackend()
    assert backend.get_user(user.pk) == user
    User.objects.update(is_active=False)
    assert backend.get_user(user.pk) is None
    assert backend.get_all_permissions(AnonymousUser()) == set()


def test_permissions_cost_one_query_however_many_roles(django_assert_num_queries):
    user = UserFactory()
    for _ in range(5):
        ActiveFactory(user=user, role=reader())
    with django_assert_num_queries(1):
        user.get_all_permissions()
