"""Every change that the console offers, through the client: done by a service, or refused in the form."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils.timezone import localtime, now

from accounts.models import EnrolmentTicket, Group, StepUpProof, TotpDevice, User
from approvals.models import Request
from assignments.models import ActiveAssignment, EligibleAssignment
from audit.models import Event
from notifications.models import Message
from pim_site.admin.stages import FIELD_NAMES
from roles.mails import AUDIENCES, EVENTS
from roles.models import Delegation, Resource, Role
from roles.services import PLAIN_FIELDS, delegate_decisions
from tests.client import signed_in
from tests.factories import (
    ActivationFactory,
    ActiveFactory,
    EligibleFactory,
    GroupFactory,
    RequestFactory,
    ResourceFactory,
    RoleFactory,
    TotpDeviceFactory,
    UserFactory,
    code_of,
    holder_of,
    root,
    stage,
)
from tests.passkeys import passkey_of

pytestmark = pytest.mark.django_db

PERSON = {
    "username": "mara",
    "display_name": "Mara Lindt",
    "email": "mara@example.org",
    "kind": "person",
    "manager": "",
    "time_zone": "Europe/Berlin",
}
REASON = {"justification": "Left the team, HR-2211."}


@pytest.fixture
def helpdesk(client):
    client.person = holder_of(Role.HELPDESK_ADMINISTRATOR, display_name="Hale Desk")
    client.device = signed_in(client, client.person)
    return client


@pytest.fixture
def role_admin(client):
    client.person = holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR, display_name="Rolla Admin")
    client.device = signed_in(client, client.person)
    return client


@pytest.fixture
def left_behind():
    """Assignments that ran out, and whose place was moved away from beneath the resource of their role since."""
    role, place = RoleFactory(resource=ResourceFactory()), ResourceFactory()
    ran_out = now() - timedelta(days=5)
    over = {"starts_at": ran_out - timedelta(days=5), "ends_at": ran_out, "ended_at": ran_out, "end_reason": "expired"}
    return [factory(role=role, scope=place, **over) for factory in (EligibleFactory, ActiveFactory)]


def url(row, page="change"):
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{page}", args=[row.pk])


def errors(answer):
    context = answer.context
    form = context["adminform"].form if "adminform" in context else context["form"]
    return str(form.errors)


def last_event():
    return Event.objects.order_by("id").last()


# --- people and groups ---------------------------------------------------------------------------------------


def test_add_person(helpdesk):
    answer = helpdesk.post(reverse("admin:accounts_user_add"), PERSON)

    person = User.objects.get(username="mara")
    assert (answer.status_code, answer.url) == (302, url(person))
    assert (person.time_zone, person.has_usable_password()) == ("Europe/Berlin", False)
    assert (last_event().action, last_event().actor_id) == ("person.created", helpdesk.person.pk)


def test_add_person_begins_with_the_zone_of_the_site(helpdesk):
    form = helpdesk.get(reverse("admin:accounts_user_add")).context["adminform"].form

    assert form["time_zone"].value() == "UTC"


def test_add_person_with_a_taken_address_refused_in_the_form(helpdesk):
    UserFactory(email="mara@example.org")

    answer = helpdesk.post(reverse("admin:accounts_user_add"), PERSON)

    assert "Somebody has this e-mail address already." in errors(answer)
    assert not User.objects.filter(username="mara").exists()


def test_change_person(helpdesk):
    person, manager = UserFactory(), UserFactory()

    helpdesk.post(url(person), PERSON | {"manager": manager.pk})

    person.refresh_from_db()
    assert (person.display_name, person.manager) == ("Mara Lindt", manager)
    assert last_event().action == "person.updated"


def test_change_person_without_a_change_writes_nothing(helpdesk):
    person = UserFactory(**PERSON | {"manager": None})

    assert helpdesk.post(url(person), PERSON).status_code == 302
    assert not Event.objects.exists()


def test_emergency_access_not_for_helpdesk(helpdesk):
    helpdesk.post(reverse("admin:accounts_user_add"), PERSON | {"is_emergency_access": "on"})

    assert not User.objects.get(username="mara").is_emergency_access


def test_state_is_not_a_field(helpdesk):
    person = UserFactory()

    helpdesk.post(url(person), PERSON | {"is_active": "", "password": "x"})

    person.refresh_from_db()
    assert person.is_active
    assert person.check_password("a long and fictional password")


def test_disable_says_what_ends(helpdesk):
    activation = ActivationFactory()

    page = helpdesk.get(url(activation.user, "disable")).content.decode()

    assert f"{activation.role} at {activation.scope} ends at once." in page
    assert User.objects.get(pk=activation.user_id).is_active


def test_disable_and_enable(helpdesk):
    person = ActivationFactory().user

    assert helpdesk.post(url(person, "disable"), REASON).url == url(person)
    person.refresh_from_db()
    assert not person.is_active
    assert not ActiveAssignment.objects.open().filter(user=person).exists()
    assert last_event().justification == REASON["justification"]

    helpdesk.post(url(person, "enable"), REASON)
    person.refresh_from_db()
    assert person.is_active


def test_disable_without_reason_refused(helpdesk):
    person = UserFactory()

    answer = helpdesk.post(url(person, "disable"), {"justification": "  "})

    assert "This field is required." in errors(answer)
    assert User.objects.get(pk=person.pk).is_active


def test_disable_oneself_refused_in_the_form_and_noted(helpdesk):
    answer = helpdesk.post(url(helpdesk.person, "disable"), REASON)

    assert answer.status_code == 200
    assert "Nobody gives a role to themselves" in errors(answer)
    assert (last_event().action, last_event().outcome, last_event().code) == (
        "person.disabled",
        "refused",
        "self_assignment",
    )


def test_buttons_are_those_that_make_sense(helpdesk):
    person = UserFactory()
    gone = UserFactory(is_active=False)

    assert labels(helpdesk.get(url(person))) == ["Issue enrolment link", "Disable", "Assign eligible"]
    assert labels(helpdesk.get(url(gone))) == ["Enable", "Assign eligible"]


def labels(answer):
    return [str(button.label) for button in answer.context["buttons"]]


def proved_reason(console):
    """What the form of an act takes that asks for a reason and a code."""
    app = TotpDevice.objects.get(user=console.session["_auth_user_id"])
    return {"justification": "Lost the phone.", "code": code_of(app)}


@pytest.mark.parametrize("missing", ["justification", "code"])
def test_enrolment_link_needs_a_reason_and_a_code(helpdesk, missing):
    person, filled = UserFactory(), proved_reason(helpdesk)

    answer = helpdesk.post(url(person, "enrol"), filled | {missing: ""})

    assert missing in answer.context["form"].errors
    assert not EnrolmentTicket.objects.exists()


def test_enrolment_link_with_a_passkey(helpdesk):
    person, me = UserFactory(), User.objects.get(pk=helpdesk.session["_auth_user_id"])
    _row, key = passkey_of(me)
    reason = {"justification": "Lost the phone."}

    options = helpdesk.post(url(person, "enrol"), reason | {"passkey": "ask"}).json()
    helpdesk.post(url(person, "enrol"), reason | {"passkey": key.sign(options)})

    assert EnrolmentTicket.objects.get().user == person


def test_enrolment_link_is_shown_once(helpdesk):
    person = UserFactory()

    answer = helpdesk.post(url(person, "enrol"), proved_reason(helpdesk))

    shown = answer.context["result"]["link"]
    assert shown in answer.content.decode()
    assert "/enrol/" in shown
    assert EnrolmentTicket.objects.get(user=person).is_valid(now())
    assert shown.split("/")[-2] not in helpdesk.get(url(person)).content.decode()
    assert (last_event().action, last_event().subject_id) == ("enrolment.issued", person.pk)


def test_enrolment_link_for_privileged_person_refused_to_helpdesk(helpdesk):
    person = EligibleFactory(role=RoleFactory(is_privileged=True)).user

    answer = helpdesk.post(url(person, "enrol"), proved_reason(helpdesk))

    assert "a role administrator must issue the link" in errors(answer)
    assert not EnrolmentTicket.objects.exists()
    assert not StepUpProof.objects.exists()


def test_get_of_an_act_changes_nothing(helpdesk):
    person = UserFactory()

    for page in ("enrol", "disable"):
        assert helpdesk.get(url(person, page)).status_code == 200
    assert not EnrolmentTicket.objects.exists()
    assert not Event.objects.exists()


def test_person_page_links_to_what_belongs_to_them(role_admin):
    activation = ActivationFactory()
    request = RequestFactory(eligible_assignment=activation.eligible_assignment)

    page = role_admin.get(url(activation.user)).content.decode()

    for row in (activation, activation.eligible_assignment, request):
        assert url(row) in page


def test_person_page_shows_only_what_one_may_see(helpdesk):
    titles = [section.title for section in helpdesk.get(url(UserFactory())).context["sections"]]

    own = ["Holds now", "Can activate", "Scheduled, and ended lately", "Member of"]
    assert titles == [*own, "Delegated decisions", "API tokens", "Requests"]


def test_add_and_change_group(helpdesk):
    member = UserFactory()
    helpdesk.post(reverse("admin:accounts_group_add"), {"name": "On call", "members": [member.pk]})
    group = Group.objects.get(name="On call")
    assert list(group.members.all()) == [member]

    helpdesk.post(url(group), {"name": "On call", "description": "Nights", "owners": [member.pk]})

    group.refresh_from_db()
    assert (group.description, list(group.owners.all()), group.members.count()) == ("Nights", [member], 0)


def test_protected_group_not_for_helpdesk(helpdesk):
    group = GroupFactory()

    assert helpdesk.get(url(group)).status_code == 200
    assert helpdesk.post(url(group), {"name": "Mine", "members": [helpdesk.person.pk]}).status_code == 403
    assert Group.objects.get(pk=group.pk).name == group.name


def test_protected_group_not_for_oneself(role_admin):
    group = GroupFactory()

    answer = role_admin.post(url(group), {"name": group.name, "members": [role_admin.person.pk], "is_protected": "on"})

    assert "Nobody puts themselves into a group that has power" in errors(answer)
    assert group.members.count() == 0
    assert last_event().code == "self_assignment"


# --- resources, roles, settings ------------------------------------------------------------------------------


def test_add_and_rename_resource(role_admin):
    role_admin.post(reverse("admin:roles_resource_add"), {"parent": root().pk, "name": "Ledger", "kind": "application"})
    resource = Resource.objects.get(name="Ledger")
    assert resource.label == "/Ledger"

    role_admin.post(url(resource), {"name": "Books", "kind": "other"})

    resource.refresh_from_db()
    assert (resource.label, resource.kind) == ("/Books", "other")


def test_root_keeps_its_kind(role_admin):
    role_admin.post(url(root()), {"name": "Meridian", "kind": "other"})

    assert (root().name, root().kind) == ("Meridian", "organisation")


def test_resource_name_taken_refused_in_the_form(role_admin):
    ResourceFactory(name="Ledger")

    answer = role_admin.post(
        reverse("admin:roles_resource_add"), {"parent": root().pk, "name": "Ledger", "kind": "other"}
    )

    assert "There is a resource with this name here already." in errors(answer)


def settings_data(**changes):
    """What the form of the settings sends, as it is shown for a new role."""
    data = {
        "activation_max_duration": 8 * 3600,
        "activation_authentication": "mfa",
        "hook_unanswered": "deny",
        "emergency_duration": 3600,
        "justification_required": "on",
        **{
            f"stage{number}_{name}": value
            for number in (1, 2, 3)
            for name, value in (("quorum", 1), ("timeout", 86400))
        },
        "permanent_eligible_allowed": "on",
        "eligible_max_days": 365,
        "permanent_active_allowed": "on",
        "active_max_days": 180,
        "assign_active_justification_required": "on",
    }
    cells = [f"{event}_{each}" for event in EVENTS for each in AUDIENCES]
    data |= {f"notifications_{cell}": "on" for cell in cells} | changes
    return {name: value for name, value in data.items() if value is not None}


def test_add_role_with_its_settings(role_admin):
    group = GroupFactory(members=[UserFactory()])
    changes = {"activation_max_duration": 3600, "approval_required": "on", "stage1_approver_groups": [group.pk]}
    basics = {"resource": root().pk, "name": "Database Operator", "is_privileged": "on"}

    role_admin.post(
        reverse("admin:roles_role_add"), settings_data(**changes, notifications_activated_admin=None) | basics
    )

    role = Role.objects.get(name="Database Operator")
    settings = role.settings.get()
    assert role.is_privileged
    assert (settings.activation_max_duration, settings.approval_required) == (timedelta(hours=1), True)
    assert list(settings.stages.get().approver_groups.all()) == [group]
    assert (settings.cell("activated", "admin").default, settings.cell("activated", "requestor").default) == (
        False,
        True,
    )


def test_add_role_with_settings_that_make_no_sense_leaves_nothing(role_admin):
    group = GroupFactory(is_protected=False)
    data = settings_data(approval_required="on", stage1_approver_groups=[group.pk])

    answer = role_admin.post(reverse("admin:roles_role_add"), data | {"resource": root().pk, "name": "Operator"})

    assert "Only protected groups can approve" in errors(answer)
    assert not Role.objects.filter(name="Operator").exists()
    assert (last_event().action, last_event().code) == ("role.created", "group_not_protected")


def test_change_role(role_admin):
    role = RoleFactory()

    role_admin.post(url(role), {"name": "Operator", "description": "Operates.", "is_privileged": "on"})

    role.refresh_from_db()
    assert (role.name, role.description, role.is_privileged) == ("Operator", "Operates.", True)


def test_built_in_role_keeps_name_and_rights(role_admin):
    role = Role.objects.built_in(Role.HELPDESK_ADMINISTRATOR)
    rights = set(role.permissions.all())

    role_admin.post(url(role), {"name": "Mine", "description": "New words.", "permissions": []})

    role.refresh_from_db()
    assert (role.name, role.description) == ("Helpdesk Administrator", "New words.")
    assert set(role.permissions.all()) == rights


def test_role_cannot_be_given_a_right_that_one_lacks(role_admin):
    from django.contrib.auth.models import Permission

    right = Permission.objects.get(codename="add_user")
    role = RoleFactory()

    answer = role_admin.post(url(role), {"name": role.name, "permissions": [right.pk]})

    assert "You do not hold these rights yourself" in errors(answer)
    assert not role.permissions.exists()


def save_settings(client, role, step="save", **changes):
    seen = role.settings.current().get(scope=role.resource).pk
    return client.post(url(role, "settings"), settings_data(**changes) | {"seen": seen, "step": step})


def test_settings_form_shows_what_is_in_use_and_saves_nothing_new(role_admin):
    role = RoleFactory(settings__stages=[stage(timeout=timedelta(minutes=45)), stage(quorum=2)])
    form = role_admin.get(url(role, "settings")).context["form"]
    data = settings_data(activation_authentication="none", stage1_timeout=45 * 60)
    data |= {"stage2_used": "on", "stage2_quorum": 2}

    data |= {"seen": role.settings.get().pk, "step": "save"}
    role_admin.post(url(role, "settings"), data)

    assert (form["stage1_timeout"].value(), form["stage2_quorum"].value()) == (45 * 60, 2)
    assert set(form.fields) == {*PLAIN_FIELDS, *FIELD_NAMES}
    assert role.settings.count() == 1


def test_settings_saved_as_a_new_version(role_admin):
    role = RoleFactory()

    save_settings(role_admin, role, activation_max_duration=1800, ticket_required="on")

    current = role.settings.current().get()
    assert (current.version, current.activation_max_duration) == (2, timedelta(minutes=30))
    assert (current.ticket_required, current.changed_by_label) == (True, "Rolla Admin")
    page = role_admin.get(url(role, "settings")).content.decode()
    assert "saved by Rolla Admin" in page
    assert "Version 1" in page


def test_settings_earlier_version_is_kept(role_admin):
    role = RoleFactory()
    save_settings(role_admin, role, activation_max_duration=1800)

    page = role_admin.get(reverse("admin:roles_role_version", args=[role.pk, 1]))

    assert dict(page.context["facts"])["Longest activation"] == "8 h"
    assert role_admin.get(reverse("admin:roles_role_version", args=[role.pk, 9])).status_code == 404


def test_settings_refused_in_the_form(role_admin):
    disabled = UserFactory(is_active=False)

    answer = save_settings(role_admin, RoleFactory(), "review", approval_required="on", stage1_approvers=[disabled.pk])

    assert "Nobody among these approvers could ever decide" in errors(answer)


def test_settings_are_read_only_for_helpdesk(helpdesk):
    role = RoleFactory()

    assert "Review before saving" not in helpdesk.get(url(role, "settings")).content.decode()
    assert helpdesk.post(url(role, "settings"), settings_data()).status_code == 403
    assert role.settings.count() == 1
    assert (last_event().action, last_event().code) == ("settings.changed", "not_allowed")


# --- assignments ---------------------------------------------------------------------------------------------


def assign(kind, **query):
    page = reverse(f"admin:assignments_{kind}assignment_assign")
    return f"{page}?" + "&".join(f"{name}={value.pk}" for name, value in query.items())


def typed(at):
    return localtime(at).strftime("%Y-%m-%dT%H:%M")


def test_assign_eligible_permanently(helpdesk):
    user, role = UserFactory(), RoleFactory()

    answer = helpdesk.post(assign("eligible", user=user, role=role), {"lasting": "permanent"} | REASON)

    made = EligibleAssignment.objects.get(user=user)
    assert (answer.status_code, answer.url) == (302, url(made))
    assert (made.role, made.scope, made.ends_at) == (role, root(), None)


def test_assign_eligible_at_a_scope_for_a_time(role_admin):
    user, role, scope = UserFactory(), RoleFactory(), ResourceFactory()
    start, end = now() + timedelta(days=1), now() + timedelta(days=30)
    times = {"starts_at": typed(start), "lasting": "until", "ends_at": typed(end)}

    role_admin.post(assign("eligible", user=user, role=role, scope=scope), times)

    made = EligibleAssignment.objects.get(user=user)
    assert (made.scope, made.state(now())) == (scope, "scheduled")
    assert made.ends_at == end.replace(second=0, microsecond=0)


def test_assign_asks_first_who_and_what(role_admin):
    role = RoleFactory()

    answer = role_admin.get(assign("eligible", role=role))

    assert "Step 1 of 2" in answer.content.decode()
    assert answer.context["form"]["role"].value() == str(role.pk)


def test_assign_at_a_scope_elsewhere_refused(role_admin):
    role = RoleFactory(resource=ResourceFactory())

    answer = role_admin.get(assign("eligible", user=UserFactory(), role=role, scope=ResourceFactory()))

    assert "choose that or something beneath it as the scope" in errors(answer)


def test_assign_longer_than_allowed_names_the_limit(role_admin):
    role = RoleFactory(settings__permanent_eligible_allowed=False, settings__eligible_max_days=30)
    page = assign("eligible", user=UserFactory(), role=role)

    assert "At most 30 days" in role_admin.get(page).content.decode()
    answer = role_admin.post(page, {"ends_at": typed(now() + timedelta(days=31))})

    assert "longer than the 30 days" in errors(answer)
    assert not EligibleAssignment.objects.exists()
    assert (last_event().action, last_event().code) == ("eligible.assigned", "too_long")


@pytest.mark.parametrize(
    ("times", "sentence"),
    [
        ({"lasting": "until"}, "Say until when."),
        ({"lasting": "until", "ends_at": "soon"}, "Enter a valid date/time."),
        ({"lasting": "until", "ends_at": "2020-01-01T10:00"}, "The end must come after the start."),
        ({"lasting": "permanent", "starts_at": "2020-01-01T10:00"}, "The start has passed already."),
    ],
)
def test_assign_with_wrong_times_refused(role_admin, times, sentence):
    answer = role_admin.post(assign("eligible", user=UserFactory(), role=RoleFactory()), times)

    assert sentence in errors(answer)
    assert not EligibleAssignment.objects.exists()


def test_assign_to_oneself_refused(role_admin):
    page = assign("eligible", user=role_admin.person, role=RoleFactory())

    assert "Nobody gives a role to themselves" in errors(role_admin.post(page, {"lasting": "permanent"}))


def test_assign_privileged_role_refused_to_helpdesk(helpdesk):
    page = assign("eligible", user=UserFactory(), role=RoleFactory(is_privileged=True))

    answer = helpdesk.post(page, {"lasting": "permanent"})

    assert "Your roles in force do not allow this." in errors(answer)
    assert last_event().code == "not_allowed"


def test_assign_active(role_admin):
    user, role = UserFactory(), RoleFactory()

    role_admin.post(assign("active", user=user, role=role), {"lasting": "permanent"} | REASON)

    assert ActiveAssignment.objects.in_force(now()).get(user=user).role == role


def test_assign_active_without_reason_refused(role_admin):
    answer = role_admin.post(assign("active", user=UserFactory(), role=RoleFactory()), {"lasting": "permanent"})

    assert "this role asks for a reason" in errors(answer)


@pytest.fixture
def guarded():
    return RoleFactory(settings__assign_active_mfa_required=True)


def test_assign_active_with_a_code(role_admin, guarded):
    user = UserFactory()
    code = {"code": code_of(role_admin.device)}

    role_admin.post(assign("active", user=user, role=guarded), {"lasting": "permanent"} | REASON | code)

    assert ActiveAssignment.objects.in_force(now()).filter(user=user, role=guarded).exists()
    assert Request.objects.get(user=user).proved_with == "totp"


def test_assign_active_with_a_code_of_another_app(role_admin, guarded):
    user, second = UserFactory(), TotpDeviceFactory(user=role_admin.device.user)
    code = {"app": second.pk, "code": code_of(second)}

    role_admin.post(assign("active", user=user, role=guarded), {"lasting": "permanent"} | REASON | code)

    assert Request.objects.get(user=user).proved_with == "totp"


@pytest.mark.parametrize("code", ["", "000000"])
def test_assign_active_without_the_right_code_refused(role_admin, guarded, code):
    terms = {"lasting": "permanent", "code": code} | REASON

    answer = role_admin.post(assign("active", user=UserFactory(), role=guarded), terms)

    assert "code" in errors(answer)
    assert not Request.objects.exists()


def test_assign_active_that_is_refused_does_not_use_up_the_code(role_admin, guarded):
    page = assign("active", user=UserFactory(), role=guarded)
    terms = {"lasting": "permanent", "code": code_of(role_admin.device)}

    assert "asks for a reason" in errors(role_admin.post(page, terms))
    assert role_admin.post(page, terms | REASON).status_code == 302


def test_code_is_asked_only_where_the_settings_say_so(role_admin, guarded):
    user = UserFactory()

    assert "code" in role_admin.get(assign("active", user=user, role=guarded)).context["form"].fields
    assert "code" not in role_admin.get(assign("eligible", user=user, role=guarded)).context["form"].fields
    assert "code" not in role_admin.get(assign("active", user=user, role=RoleFactory())).context["form"].fields


def test_remove_eligible_ends_its_activation(role_admin):
    activation = ActivationFactory()
    eligible = activation.eligible_assignment
    assert "ends at once" in role_admin.get(url(eligible, "remove")).content.decode()

    role_admin.post(url(eligible, "remove"), REASON)

    eligible.refresh_from_db()
    activation.refresh_from_db()
    assert (eligible.end_reason, activation.end_reason) == ("removed", "eligibility_ended")


def test_remove_active(role_admin):
    active = ActiveFactory()

    role_admin.post(url(active, "remove"), REASON)

    active.refresh_from_db()
    assert active.end_reason == "removed"


def test_remove_last_administrator_refused(role_admin):
    last = ActiveAssignment.objects.get(user=role_admin.person)

    answer = role_admin.post(url(last, "remove"), REASON)

    assert "leave nobody who holds" in errors(answer)
    assert ActiveAssignment.objects.in_force(now()).filter(pk=last.pk).exists()


def test_end_activation_by_helpdesk(helpdesk):
    activation = ActivationFactory()

    helpdesk.post(url(activation, "end"), REASON)

    activation.refresh_from_db()
    assert activation.end_reason == "deactivated"


def test_remove_without_the_permission_refused_and_noted(helpdesk):
    eligible = EligibleFactory()

    assert helpdesk.post(url(eligible, "remove"), REASON).status_code == 403
    assert EligibleAssignment.objects.get(pk=eligible.pk).ended_at is None
    assert (last_event().action, last_event().code) == ("eligible.removed", "not_allowed")


def test_ended_row_has_no_button_and_a_second_removal_is_refused(role_admin):
    eligible = EligibleFactory(starts_at=now() - timedelta(days=2), ends_at=now() - timedelta(days=1))

    assert "Remove" not in labels(role_admin.get(url(eligible)))
    assert "This has ended already." in errors(role_admin.post(url(eligible, "remove"), REASON))


CHANGELIST = "admin:assignments_eligibleassignment_changelist"


def bulk(rows, **data):
    return {"action": "remove", "_selected_action": [row.pk for row in rows], **data}


def test_bulk_removal_asks_first(role_admin):
    rows = [EligibleFactory(), EligibleFactory()]

    page = role_admin.post(reverse(CHANGELIST), bulk(rows)).content.decode()

    for row in rows:
        assert f"<strong>{row}</strong><br>{row.user} can no longer activate {row.role} at {row.scope}" in page
        assert f'name="_selected_action" value="{row.pk}"' in page
    assert EligibleAssignment.objects.open().count() == 2


def test_bulk_removal_leaves_out_what_has_ended(role_admin):
    ended = EligibleFactory(starts_at=now() - timedelta(days=2), ends_at=now() - timedelta(days=1))
    lasting = EligibleFactory()

    page = role_admin.post(reverse(CHANGELIST), bulk([ended, lasting])).text
    none = role_admin.post(reverse(CHANGELIST), bulk([ended])).text

    assert "Nothing will happen to this one" in page
    assert f"<strong>{ended}</strong><br>As it is now, this cannot be done" in page
    assert re.findall('name="_selected_action" value="([^"]+)"', page) == [str(lasting.pk)]
    assert 'name="confirmed"' not in none


@pytest.mark.parametrize("act", ["extend", "make-eligible", "remove"])
def test_bulk_page_says_where_an_activation_ends(role_admin, act):
    active = ActivationFactory()
    chosen = bulk([active], action=act)
    page = role_admin.post(reverse("admin:assignments_activeassignment_changelist"), chosen).text
    assert f"<strong>{active}</strong><br>This is an activation: open it, and end it there." in page
    assert 'name="confirmed"' not in page


def test_bulk_removal_tells_the_result_of_each(role_admin):
    ended = EligibleFactory(starts_at=now() - timedelta(days=2), ends_at=now() - timedelta(days=1))
    rows = [EligibleFactory(), ended, EligibleFactory()]

    answer = role_admin.post(reverse(CHANGELIST), bulk(rows, confirmed="yes") | REASON)

    results = {result["row"].pk: result["state"] for result in answer.context["results"]}
    assert results == {rows[0].pk: "success", ended.pk: "refused", rows[2].pk: "success"}
    assert EligibleAssignment.objects.filter(end_reason="removed").count() == 2


def test_bulk_removal_without_reason_refused(role_admin):
    answer = role_admin.post(reverse(CHANGELIST), bulk([EligibleFactory()], confirmed="yes"))

    assert "This field is required." in errors(answer)
    assert EligibleAssignment.objects.open().count() == 1


def test_bulk_removal_not_for_helpdesk(helpdesk):
    helpdesk.post(reverse(CHANGELIST), bulk([EligibleFactory()], confirmed="yes") | REASON)

    assert EligibleAssignment.objects.open().count() == 1


@pytest.fixture
def eligibles():
    day = timedelta(days=1)
    return {
        "active": EligibleFactory(ends_at=now() + 300 * day),
        "soon": EligibleFactory(ends_at=now() + 3 * day),
        "permanent": EligibleFactory(),
        "scheduled": EligibleFactory(starts_at=now() + day),
        "over": EligibleFactory(starts_at=now() - 2 * day, ends_at=now() - day),
        "disabled": EligibleFactory(user=UserFactory(is_active=False)),
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("state=active", {"active", "soon", "permanent"}),
        ("state=scheduled", {"scheduled"}),
        ("state=ended", {"over", "disabled"}),
        ("ends=soon", {"soon"}),
        ("ends=never", {"permanent", "scheduled", "disabled"}),
    ],
)
def test_filters_judge_by_times(role_admin, eligibles, query, expected):
    shown = role_admin.get(f"{reverse(CHANGELIST)}?{query}").context["cl"].result_list

    assert {name for name, row in eligibles.items() if row in shown} == expected


def test_activation_whose_eligibility_is_over_shows_as_ended(role_admin):
    past = now() - timedelta(minutes=1)
    activation = ActivationFactory(eligible_assignment__starts_at=past - timedelta(days=1))
    EligibleAssignment.objects.filter(pk=activation.eligible_assignment_id).update(ends_at=past)
    page = reverse("admin:assignments_activeassignment_changelist")

    assert activation in role_admin.get(f"{page}?state=ended").context["cl"].result_list
    assert "pim-dot--ended" in role_admin.get(url(activation)).content.decode()


# --- requests, messages --------------------------------------------------------------------------------------


def test_cancel_request(helpdesk):
    request = RequestFactory(role=RoleFactory(settings__approval_required=True))
    assert labels(helpdesk.get(url(request))) == ["Cancel request", "Open the request"]

    helpdesk.post(url(request, "cancel"), REASON)

    request.refresh_from_db()
    assert request.status == "canceled"


def test_cancel_decided_request_refused(helpdesk):
    request = RequestFactory(status="denied")

    assert labels(helpdesk.get(url(request))) == ["Open the request"]
    assert "not waiting any more" in errors(helpdesk.post(url(request, "cancel"), REASON))


@pytest.fixture
def failed():
    return Message.objects.create(
        kind="role_ended", to_address="a@example.org", time_zone="UTC", language="en", context="{}", state="failed"
    )


def test_send_again(client, failed):
    signed_in(client, holder_of(Role.GLOBAL_ADMINISTRATOR))

    assert client.post(url(failed, "send-again")).status_code == 302

    failed.refresh_from_db()
    assert failed.state == "queued"
    assert (last_event().action, last_event().target_id) == ("message.requeued", str(failed.pk))


def test_page_of_sending_again_says_what_is_not_sent(client, failed):
    signed_in(client, holder_of(Role.GLOBAL_ADMINISTRATOR))
    Message.objects.update(state="sent")
    assert "Only a mail that has failed is sent again." in client.get(url(failed, "send-again")).text


def test_send_again_not_for_helpdesk(helpdesk, failed):
    assert helpdesk.post(url(failed, "send-again")).status_code == 403

    failed.refresh_from_db()
    assert failed.state == "failed"


def test_history_is_the_audit(role_admin):
    group = GroupFactory()

    assert role_admin.get(url(group, "history")).url.endswith(f"?target_type=accounts.group&target_id={group.pk}")


# --- delegations ----------------------------------------------------------------------------------------------


def test_person_shows_who_decides_for_whom_and_the_chosen_one_ends(role_admin):
    ada, dina, else_ = (UserFactory(display_name=name) for name in ("Ada Approver", "Dina Deputy", "Elsa Elsewhere"))
    until = now() + timedelta(days=3)
    given, kept = (delegate_decisions(actor=ada, delegate=each, ends_at=until) for each in (dina, else_))
    foreign = delegate_decisions(actor=dina, delegate=else_, ends_at=until)
    page = reverse("admin:accounts_user_end-delegation", args=[ada.pk])
    shown = role_admin.get(reverse("admin:accounts_user_change", args=[ada.pk])).text
    assert all(words in shown for words in ("Delegated decisions", "Dina Deputy", "Elsa Elsewhere", page))

    refused = role_admin.post(page, REASON | {"delegation": foreign.pk})
    done = role_admin.post(page, REASON | {"delegation": given.pk})

    assert (refused.status_code, done.status_code) == (200, 302)
    assert list(Delegation.objects.filter(ended_at=None).order_by("pk")) == [kept, foreign]
    event = Event.objects.get(action="delegation.ended")
    assert (event.actor_id, event.facts["justification"]) == (role_admin.person.pk, REASON["justification"])


def test_person_without_delegations_offers_no_end_of_one(role_admin):
    person = UserFactory()

    shown = role_admin.get(reverse("admin:accounts_user_change", args=[person.pk])).text

    assert reverse("admin:accounts_user_end-delegation", args=[person.pk]) not in shown


@pytest.mark.parametrize("page", ["update", "extend", "renew"])
def test_dates_of_what_was_left_behind_are_refused_in_words(role_admin, left_behind, page):
    later = {"starts_at": "", "lasting": "until", "ends_at": f"{now() + timedelta(days=30):%Y-%m-%dT%H:%M}"}
    for row in left_behind:
        assert role_admin.get(url(row, page)).status_code == 200
        assert url(row, "renew") not in role_admin.get(url(row)).content.decode()

        refused = role_admin.post(url(row, page), REASON | later).content.decode()

        assert f"{row.role} belongs to {row.role.resource}: choose that or something beneath it" in refused
