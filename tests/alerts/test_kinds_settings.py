"""Settings beside what was saved last."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from accounts.models import Group, User
from alerts.kinds import settings
from audit.models import Event, Head
from audit.sealing import seal
from audit.stated import restate
from roles.models import ApprovalStage, Role, RoleSettings
from roles.services import create_role, remove_settings, save_settings
from tests.alerts.finding import rows, words
from tests.factories import GroupFactory, HookFactory, ResourceFactory, RoleFactory, UserFactory, holder_of, root, stage

pytestmark = pytest.mark.django_db


@pytest.fixture
def administrator():
    return holder_of(Role.GLOBAL_ADMINISTRATOR)


@pytest.fixture
def beneath():
    return ResourceFactory(name="Vault")


@pytest.fixture
def role(administrator, beneath):
    """Saved twice, with a stage, and once more at a scope beneath."""
    first = {"approval_required": True, "stages": [stage([UserFactory()], [GroupFactory()])], "hook": HookFactory()}
    role = create_role(actor=administrator, resource=root(), name="Payer", **first)
    save_settings(role=role, scope=root(), actor=administrator, ticket_required=True)
    save_settings(role=role, scope=beneath, actor=administrator, justification_required=False)
    return role


def in_use(role, scope=None):
    return RoleSettings.objects.current().filter(role=role, scope=scope or root())


def test_what_was_saved_here_is_not_found_whoever_is_renamed(administrator, role, beneath):
    User.objects.update(display_name="Renamed")
    Group.objects.update(name="Renamed")
    for person in User.objects.all():
        User.objects.filter(pk=person.pk).update(username=f"{person.username}-renamed")
    RoleSettings.objects.current().get(role=role, scope=root()).hook.__class__.objects.update(name="Renamed")
    remove_settings(role=role, scope=beneath, actor=administrator)
    save_settings(
        role=Role.objects.built_in(Role.SECURITY_READER), scope=root(), actor=administrator, ticket_required=True
    )

    assert rows("settings_outside") == set()


CHANGES = {
    "approval_required": False,
    "activation_authentication": "none",
    "activation_max_duration": timedelta(hours=24),
    "decision_mfa_required": True,
    "emergency_allowed": True,
    "auto_approve_within_hours": 9,
    "permanent_active_allowed": False,
    "ticket_required": False,
    "notifications": {},
}


def test_each_column_that_is_changed_past_the_site_is_named(role):
    in_use(role).update(**CHANGES)

    assert words("settings_outside") == [
        f"Payer is used at Organisation under settings that nobody saved here: {', '.join(sorted(CHANGES))}"
    ]


STAGE = {
    "quorum": lambda stage: ApprovalStage.objects.filter(pk=stage.pk).update(quorum=2),
    "manager": lambda stage: ApprovalStage.objects.filter(pk=stage.pk).update(asks_manager=True),
    "approver": lambda stage: stage.approvers.add(UserFactory()),
    "group": lambda stage: stage.approver_groups.set([GroupFactory()]),
    "others": lambda stage: stage.escalation_approvers.add(UserFactory()),
    "stage": lambda stage: stage.delete(),
    "hook": lambda stage: RoleSettings.objects.filter(pk=stage.settings_id).update(hook=None),
}


@pytest.mark.parametrize("change", STAGE.values(), ids=STAGE)
def test_stage_or_hook_that_is_changed_past_the_site_is_found(role, change):
    change(in_use(role).get().stages.get())

    assert rows("settings_outside") == {role}


def test_older_version_that_is_in_use_again_is_found_also_when_it_is_archived(role):
    old = RoleSettings.objects.get(role=role, scope=root(), version=1)
    in_use(role).update(superseded_at=now())
    RoleSettings.objects.filter(pk=old.pk).update(superseded_at=None)
    assert rows("settings_outside") == {role}

    say_again()

    assert rows("settings_outside") == {role}


@pytest.mark.parametrize("taken", [lambda rows: rows.update(superseded_at=now()), lambda rows: rows.delete()])
def test_scope_whose_own_settings_were_taken_away_is_found(role, beneath, taken):
    taken(in_use(role, beneath))

    assert words("settings_outside") == ["Payer is used at /Vault under settings that nobody saved here: *"]


def test_settings_of_which_nothing_tells_are_found_and_those_of_a_built_in_role_as_it_came_are_not(role):
    outside = RoleFactory()
    assert rows("settings_outside") == {outside}

    reader = Role.objects.built_in(Role.SECURITY_READER)
    in_use(reader).update(approval_required=True)

    assert rows("settings_outside") == {outside, reader}


def test_saving_what_should_be_repairs_it(administrator, role):
    in_use(role).update(approval_required=False)
    assert rows("settings_outside") == {role}

    save_settings(role=role, scope=root(), actor=administrator, approval_required=True)

    assert rows("settings_outside") == set()


def test_what_is_saved_while_it_is_looked_for_is_not_found(administrator, role, monkeypatch):
    look, saved = settings.newest_settings, []

    def saved_meanwhile():
        last = look()
        if not saved:
            saved.append(save_settings(role=role, scope=root(), actor=administrator, ticket_required=False))
        return last

    monkeypatch.setattr(settings, "newest_settings", saved_meanwhile)

    assert (rows("settings_outside"), len(saved)) == (set(), 1)


def say_again():
    while seal():
        pass
    restate(1, Head.events())


def test_what_is_said_again_before_archiving_is_the_same(role):
    say_again()

    told = Event.objects.filter(action="settings.restated").values_list("target_id", flat=True)
    assert set(told) == {str(row.pk) for row in RoleSettings.objects.current().filter(role=role)}
    assert rows("settings_outside") == set()
