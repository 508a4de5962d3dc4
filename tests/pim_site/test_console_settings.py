"""The pages of role settings: reviewed before they are saved, at scopes beneath, compared, restored and removed."""

from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.urls import reverse

from accounts.models import User
from audit.models import Event
from roles.models import Role, RoleSettings
from roles.services import save_settings
from tests.client import signed_in
from tests.factories import EligibleFactory, RequestFactory, ResourceFactory, RoleFactory, UserFactory, holder_of

from .test_console_changes import settings_data

pytestmark = pytest.mark.django_db


@pytest.fixture
def console(client):
    signed_in(client, holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR, display_name="Rolla Admin"))
    return client


@pytest.fixture
def role():
    return RoleFactory()


@pytest.fixture
def unit():
    return ResourceFactory(name="Finance")


def page(role, name="settings", /, **query):
    url = reverse(f"admin:roles_role_{name}", args=[role.pk])
    return f"{url}?{urlencode(query)}" if query else url


def seen(role, scope=None):
    return RoleSettings.objects.applying_to(role, scope or role.resource)[0].pk


def sent(role, step, scope=None, **changes):
    return settings_data(**{"activation_authentication": "none"} | changes) | {"seen": seen(role, scope), "step": step}


# --- review, then save ----------------------------------------------------------------------------------------


def test_review_shows_what_changes_and_saves_nothing(console, role):
    answer = console.post(page(role), sent(role, "review", activation_max_duration=3600, ticket_required="on"))

    lines = {str(line.label): (line.left, line.right) for line in answer.context["lines"]}
    assert lines == {"Longest activation": ("8 h", "1 h"), "Ask for a ticket": ("no", "yes")}
    assert role.settings.count() == 1
    assert not Event.objects.filter(action="settings.changed").exists()


def test_what_was_reviewed_can_be_saved_or_edited_again(console, role):
    answer = console.post(page(role), sent(role, "review", activation_max_duration=3600))
    hidden = {}
    for name, value in answer.context["sent"]:
        hidden.setdefault(name, []).append(value)

    again = console.post(page(role), hidden | {"step": "edit"})
    assert again.context["form"]["activation_max_duration"].value() == "3600"
    assert not again.context["form"].errors
    assert role.settings.count() == 1

    console.post(page(role), hidden | {"step": "save"})
    assert role.settings.current().get().activation_max_duration == timedelta(hours=1)
    assert role.settings.current().get().notifications == role.settings.get(version=1).notifications


def test_review_of_no_change_says_so(console, role):
    answer = console.post(page(role), sent(role, "review"), follow=True)

    assert "Nothing was changed." in answer.content.decode()


def test_save_over_what_somebody_saved_meanwhile_is_refused_and_nothing_is_lost(console, role):
    data = sent(role, "save", activation_max_duration=3600)
    theirs = save_settings(role=role, scope=role.resource, actor=None, ticket_required=True)

    answer = console.post(page(role), data)

    assert "Somebody has saved other settings meanwhile." in str(answer.context["form"].errors)
    assert [str(line.label) for line in answer.context["meanwhile"]] == ["Ask for a ticket"]
    assert answer.context["form"]["activation_max_duration"].value() == "3600"
    assert role.settings.current().get() == theirs
    assert f'name="seen" value="{theirs.pk}"' in answer.content.decode()


def test_form_that_does_not_say_what_it_began_with_is_refused(console, role):
    console.post(page(role), settings_data(ticket_required="on") | {"step": "save"})

    assert role.settings.count() == 1


# --- presets and restoring ------------------------------------------------------------------------------------


def test_preset_fills_in_the_form_and_keeps_the_approvers(console):
    approver = UserFactory()
    role = RoleFactory(settings__approvers=[approver])

    form = console.get(page(role, preset="highly_privileged")).context["form"]

    shown = [form[name].value() for name in ("activation_max_duration", "approval_required", "stage1_approvers")]
    assert shown == [3600, True, [approver.pk]]
    assert role.settings.count() == 1


def test_preset_of_a_new_role(console):
    form = console.get(reverse("admin:roles_role_add") + "?preset=low_risk").context["adminform"].form

    assert [form[name].value() for name in ("activation_max_duration", "justification_required")] == [86400, False]


@pytest.mark.parametrize("query", [{"preset": "none"}, {"version": "x"}, {"person": "x"}, {"person": "\x00"}])
def test_odd_queries_are_answered(console, role, query):
    assert console.get(page(role, **query)).status_code == 200


@pytest.mark.parametrize("query", [{"version": "9"}, {"scope": "x"}, {"scope": "00000000-0000-0000-0000-000000000007"}])
def test_unknown_places_are_not_found(console, role, query):
    assert console.get(page(role, **query)).status_code == 404


def test_scope_of_another_tree_is_not_found(console, unit):
    role = RoleFactory(resource=ResourceFactory())

    assert console.get(page(role, scope=unit.pk)).status_code == 404


def test_earlier_version_can_be_restored(console, role):
    save_settings(role=role, scope=role.resource, actor=None, ticket_required=True)

    version = console.get(reverse("admin:roles_role_version", args=[role.pk, 1]))
    form = console.get(version.context["restore"]).context["form"]

    assert form["ticket_required"].value() is False


# --- scopes ---------------------------------------------------------------------------------------------------


def test_scope_without_settings_says_where_they_come_from_and_can_get_its_own(console, role, unit):
    text = console.get(page(role, scope=unit.pk)).content.decode()
    assert "/Finance has no settings of its own: all of it comes from" in text

    console.post(page(role, scope=unit.pk), sent(role, "save", unit, ticket_required="on"))

    own = RoleSettings.objects.current().get(role=role, scope=unit)
    assert (own.version, own.ticket_required) == (1, True)
    assert "/Finance</a>" in console.get(page(role)).content.decode()
    lines = console.get(page(role, scope=unit.pk)).context["lines"]
    assert [str(line.label) for line in lines if line.differs] == ["Ask for a ticket"]


def test_settings_of_a_scope_removed(console, role, unit):
    own = save_settings(role=role, scope=unit, actor=None, ticket_required=True)
    where = page(role, "remove", scope=unit.pk)

    shown = console.get(where)
    assert [(str(line.label), line.left, line.right) for line in shown.context["lines"]] == [
        ("Ask for a ticket", "yes", "no")
    ]
    console.post(where, {"seen": own.pk})

    assert not RoleSettings.objects.current().filter(scope=unit).exists()
    assert Event.objects.latest("id").action == "settings.removed"


def test_removal_of_settings_that_changed_meanwhile_is_refused(console, role, unit):
    own = save_settings(role=role, scope=unit, actor=None, ticket_required=True)
    save_settings(role=role, scope=unit, actor=None, approval_required=True)

    answer = console.post(page(role, "remove", scope=unit.pk), {"seen": own.pk})

    assert "Somebody has saved other settings meanwhile." in answer.content.decode()
    assert RoleSettings.objects.current().filter(scope=unit).exists()


# --- compare, and who could approve -----------------------------------------------------------------------------


def test_two_versions_compared(console, role):
    save_settings(role=role, scope=role.resource, actor=None, ticket_required=True)

    lines = console.get(page(role, "compare", left=1, right=2)).context["lines"]

    assert [(str(line.label), line.left, line.right) for line in lines if line.differs] == [
        ("Ask for a ticket", "no", "yes")
    ]


def test_two_sides_that_say_the_same_are_said_to(console, role):
    shown = console.get(page(role, "compare", left=1, right=1)).text
    assert "They say the same" in shown
    assert "Address of tickets</td>" in shown, "“optional” is for the form"


def test_two_roles_compared(console, role):
    other = RoleFactory(settings__activation_max_duration=timedelta(hours=1))

    lines = console.get(page(role, "compare", role=other.pk)).context["lines"]

    assert [(str(line.label), line.left, line.right) for line in lines if line.differs] == [
        ("Longest activation", "8 h", "1 h")
    ]


def test_settings_copied_to_many_roles_with_a_result_for_each(console):
    source = RoleFactory(settings__ticket_required=True)
    first, same = RoleFactory(), RoleFactory(settings__ticket_required=True)
    targets = {"roles": [first.pk, same.pk]}

    reviewed = console.post(page(source, "copy"), targets).context["targets"]
    assert [(each["role"], len(each["lines"])) for each in reviewed] == [(first, 1), (same, 0)]
    assert first.settings.count() == 1

    results = console.post(page(source, "copy"), targets | {"step": "save"}).context["results"]
    assert [(each["row"], each["state"], each["text"]) for each in results] == [
        (first, "success", "Version 2."),
        (same, "success", "It said the same already."),
    ]
    assert first.settings.current().get().ticket_required


def test_copy_refused_for_one_role_stops_no_other(console):
    approver = UserFactory()
    source = RoleFactory(settings__approval_required=True, settings__approvers=[approver])
    User.objects.filter(pk=approver.pk).update(is_active=False)

    results = console.post(page(source, "copy"), {"roles": [RoleFactory().pk], "step": "save"}).context["results"]

    assert [(each["state"], each["text"]) for each in results] == [
        ("refused", "Nobody among these approvers could ever decide: name at least one enabled person.")
    ]


def test_settings_are_not_copied_to_the_role_itself(console, role):
    answer = console.post(page(role, "copy"), {"roles": [role.pk], "step": "save"})

    assert "Choose up to 50 other roles." in answer.content.decode()


def test_compare_asks_for_two_sides(console, role):
    assert "Choose two versions" in console.get(page(role, "compare", left=1)).content.decode()


def test_who_could_approve_a_request_of_somebody(console):
    holder, approver = UserFactory(), UserFactory(display_name="Ada Approver")
    role = RoleFactory(settings__approval_required=True, settings__approvers=[holder, approver])

    (stage, able), *others = console.get(page(role, person=holder.pk)).context["able"]
    assert (stage.number, able, others) == (1, [approver], [])
    text = console.get(page(role, person=approver.pk)).content.decode()
    assert "could be approved by" in text
    User.objects.filter(pk=approver.pk).update(is_active=False)
    assert "Nobody could approve in stage 1." in console.get(page(role, person=holder.pk)).content.decode()


def test_review_names_what_waits(console, role):
    request = RequestFactory(eligible_assignment=EligibleFactory(role=role), duration=timedelta(hours=4))

    answer = console.post(page(role), sent(role, "review", ticket_required="on", activation_max_duration=3600))

    text = " ".join(answer.context["effects"])
    assert f"closes as failed when it is approved: {request.reference}." in text
    assert "1 of them asks for longer than allowed now" in text


def test_pages_of_a_role_lead_to_each_other(console, role):
    tabs = [page(role, name) for name in ("change", "settings", "history")]

    for tab in tabs:
        text = console.get(tab).content.decode()
        assert [f'<a href="{other}"' in text for other in tabs] == [True, True, True]


def test_history_of_a_role(console, role):
    save_settings(role=role, scope=role.resource, actor=None, ticket_required=True)

    rows = console.get(page(role, "history")).context["section"].rows

    assert len(rows) == 1
    assert "Role settings changed" in rows[0][1]
