"""Who holds roles that could harm, and how."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from alerts.registry import KINDS
from assignments.models import ActiveAssignment, EligibleAssignment
from roles.models import Role, RoleSettings
from roles.services import govern_group
from tests.alerts.finding import repaired, rows, words
from tests.factories import (
    ActivationFactory,
    ActiveFactory,
    EligibleFactory,
    GroupFactory,
    RoleFactory,
    UserFactory,
    holder_of,
)

pytestmark = pytest.mark.django_db

PLENTY = {"count": 2, "share": 0}


def ago(**span):
    return now() - timedelta(**span)


@pytest.fixture
def administrator():
    """One who is no finding: for emergencies, and seen today."""
    return holder_of(Role.GLOBAL_ADMINISTRATOR, is_emergency_access=True, last_sign_in_at=now())


@pytest.fixture
def top():
    return Role.objects.built_in(Role.GLOBAL_ADMINISTRATOR)


@pytest.fixture
def privileged():
    return RoleFactory(name="Root", is_privileged=True)


# --- too many global administrators ---------------------------------------------------------------------------


def test_global_administrators_are_found_from_the_count_on(administrator, top):
    one = EligibleFactory(role=top)
    assert rows("too_many_global_administrators", **PLENTY) == set()

    group = ActiveFactory(role=top, user=None, group=GroupFactory(members=[UserFactory(), one.user]))

    assert rows("too_many_global_administrators", **PLENTY) == {one, group}
    assert rows("too_many_global_administrators", count=3, share=0) == set()


def test_global_administrators_are_found_only_where_their_share_is_reached_too(administrator, top):
    EligibleFactory.create_batch(2, role=top)
    EligibleFactory()  # of four assignments, with the one for emergencies, two are theirs

    assert len(rows("too_many_global_administrators", count=2, share=50)) == 2
    assert rows("too_many_global_administrators", count=2, share=51) == set()
    assert words("too_many_global_administrators", count=2, share=50)[0].endswith(
        "is one of 2 global administrators (50 % of all assignments)."
    )


def test_activated_global_administrators_count_once(top):
    eligible = EligibleFactory(role=top)
    ActivationFactory(eligible_assignment=eligible)
    EligibleFactory(role=top, user__is_active=False)

    assert rows("too_many_global_administrators", **PLENTY) == set()


def test_repair_takes_one_global_administrator_away(administrator, top):
    extra = EligibleFactory(role=top)
    EligibleFactory(role=top)

    incident = repaired("too_many_global_administrators", about=extra, actor=administrator, **PLENTY)

    extra.refresh_from_db()
    assert (incident.resolution, extra.end_reason) == ("repaired", "removed")
    assert words("too_many_global_administrators", **PLENTY) == []


# --- stale people ---------------------------------------------------------------------------------------------


def test_person_who_has_not_signed_in_for_so_long_is_found_with_each_privileged_role(privileged):
    stale = UserFactory(last_sign_in_at=ago(days=31), created_at=ago(days=99))
    expected = {EligibleFactory(user=stale, role=privileged), ActiveFactory(user=stale, role=privileged)}

    assert rows("stale_people") == expected
    assert rows("stale_people", days=32) == set()


def test_person_who_never_signed_in_counts_from_the_day_when_they_were_made(privileged):
    never = EligibleFactory(role=privileged, user__created_at=ago(days=31))
    EligibleFactory(role=privileged, user__created_at=ago(days=29))

    assert rows("stale_people") == {never}


@pytest.mark.parametrize(
    "person", [{"kind": "service"}, {"is_emergency_access": True}, {"is_active": False}, {"last_sign_in_at": now()}]
)
def test_service_accounts_emergency_accounts_disabled_and_present_people_are_not_stale(privileged, person):
    ActiveFactory(role=privileged, user=UserFactory(created_at=ago(days=400), **person))

    assert rows("stale_people") == set()


def test_ordinary_roles_and_activations_do_not_make_stale(privileged):
    stale = UserFactory(last_sign_in_at=ago(days=99))
    EligibleFactory(user=stale)

    assert rows("stale_people") == set()


def test_repair_removes_the_assignment_of_a_stale_person(administrator, privileged):
    row = ActiveFactory(role=privileged, user__created_at=ago(days=99))

    assert repaired("stale_people", about=row, actor=administrator).resolution == "repaired"
    assert ActiveAssignment.objects.get(pk=row.pk).end_reason == "removed"


# --- permanently active ---------------------------------------------------------------------------------------


def test_permanent_active_assignment_of_a_privileged_role_is_found(privileged, top):
    person = UserFactory()
    expected = {
        ActiveFactory(role=privileged),
        ActiveFactory(role=top, user=person),
        ActiveFactory(role=privileged, user=None, group=GroupFactory(members=[person])),
    }

    assert rows("permanent_active") == expected


def test_what_ends_is_ordinary_activated_for_emergencies_or_of_a_program_is_not_found(administrator, privileged):
    ActiveFactory(role=privileged, ends_at=now() + timedelta(days=1))
    ActiveFactory()
    ActivationFactory(eligible_assignment=EligibleFactory(role=privileged))
    ActiveFactory(role=privileged, user__kind="service")

    assert rows("permanent_active") == set()


def test_repair_makes_eligible_instead(administrator, privileged):
    row = ActiveFactory(role=privileged)

    assert repaired("permanent_active", about=row, actor=administrator).resolution == "repaired"
    assert ActiveAssignment.objects.get(pk=row.pk).end_reason == "removed"
    made = EligibleAssignment.objects.get(user=row.user)
    assert (made.role, made.ends_at) == (privileged, None)


def test_repair_makes_eligible_for_as_long_as_the_settings_allow(administrator, privileged, time_machine):
    time_machine.move_to(now().replace(microsecond=0), tick=False)
    privileged.settings.update(permanent_eligible_allowed=False, eligible_max_days=90)
    row = ActiveFactory(role=privileged)
    assert next(iter(KINDS["permanent_active"].repair.says(row))).endswith("for 90 days, the longest allowed.")

    assert repaired("permanent_active", about=row, actor=administrator).resolution == "repaired"
    assert EligibleAssignment.objects.get(user=row.user).ends_at == now() + timedelta(days=90)


# --- no proof -------------------------------------------------------------------------------------------------


def test_privileged_role_without_a_proof_is_found(privileged):
    assert rows("no_mfa") == {privileged.settings.get()}


def test_membership_that_leads_to_a_privileged_role_is_found(administrator, privileged):
    privileged.settings.update(activation_authentication="mfa")
    group = GroupFactory(members=[UserFactory()])
    EligibleFactory(role=privileged, user=None, group=group)
    resource = govern_group(group=group, actor=administrator)
    RoleSettings.objects.filter(role__group_part="member").update(activation_authentication="none")

    assert rows("no_mfa") == {RoleSettings.objects.get(role__resource=resource, role__group_part="member")}


def test_role_with_a_proof_ordinary_roles_and_former_settings_are_not_found(privileged):
    RoleFactory(is_privileged=True, settings__activation_authentication="phishing_resistant")
    RoleFactory()
    privileged.settings.update(superseded_at=now())

    assert rows("no_mfa") == set()


def test_repair_asks_for_a_proof_and_leaves_all_else(administrator, privileged):
    assert repaired("no_mfa", about=privileged.settings.get(), actor=administrator).resolution == "repaired"

    former, present = RoleSettings.objects.filter(role=privileged).order_by("version")
    assert (former.activation_authentication, present.activation_authentication) == ("none", "mfa")
    assert present.activation_max_duration == former.activation_max_duration
