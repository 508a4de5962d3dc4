"""The first page: what one holds, waits for and may ask for."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now

from roles.models import Role, RoleSettings
from tests.client import signed_in
from tests.factories import (
    ActivationFactory,
    ActiveFactory,
    EligibleFactory,
    GroupFactory,
    RequestFactory,
    ResourceFactory,
    RoleFactory,
    UserFactory,
    holder_of,
)
from tests.passkeys import passkey_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def person():
    return UserFactory(display_name="Robin Requester")


@pytest.fixture
def home(client, person):
    signed_in(client, person)
    return lambda **query: client.get("/", query)


def text_of(response):
    return " ".join(re.sub(r"<[^>]+>", " ", response.text).split())


def roles_of(response):
    return [row.assignment.role.name for row in response.context["eligible"]]


def test_home_of_nobody_asks_to_sign_in(client):
    assert client.get("/").url == f"{reverse('accounts:sign-in')}?next=/"


def test_home_takes_no_post(client, person):
    signed_in(client, person)

    assert client.post("/").status_code == 405


def test_home_of_somebody_without_roles_says_the_next_step(home):
    assert "You are not eligible for any role." in home().text


def test_home_shows_ones_own_only(home):
    EligibleFactory()
    ActivationFactory()
    RequestFactory()

    context = home().context

    assert not any(context[name] for name in ("active", "waiting", "scheduled", "eligible"))


def test_home_says_beforehand_what_it_takes(home, person):
    leads = GroupFactory(name="Finance leads")
    role = RoleFactory(
        settings__activation_authentication="mfa",
        settings__activation_max_duration=timedelta(hours=4),
        settings__ticket_required=True,
        settings__approval_required=True,
        settings__approver_groups=[leads],
    )
    eligible = EligibleFactory(user=person, role=role)

    page = home()

    assert "up to 4 h reason ticket code or passkey approval by Finance leads" in text_of(page)
    assert reverse("approvals:eligible-activate", args=[eligible.pk]) in page.text
    assert ">Request<" in page.text


@pytest.mark.parametrize(
    ("has_one", "words"), [(False, "passkey You have no passkey yet: add one first"), (True, "passkey")]
)
def test_home_says_what_a_role_for_passkeys_alone_takes(home, person, has_one, words):
    EligibleFactory(user=person, role=RoleFactory(settings__activation_authentication="phishing_resistant"))
    if has_one:
        passkey_of(person)

    found = text_of(home())

    assert f"up to 8 h reason {words}" in found
    assert ("add one first" in found) is not has_one


def test_home_offers_activate_where_nobody_approves(home, person):
    EligibleFactory(user=person)

    assert ">Activate<" in home().text


def test_home_names_administrators_where_no_approver_is_named(home, person):
    EligibleFactory(user=person, role=RoleFactory(settings__approval_required=True))

    assert "approval by the administrators" in text_of(home())


def test_home_cuts_a_long_list_of_approvers(home, person):
    people = [UserFactory(display_name=name) for name in ("Ada", "Bea", "Cy", "Dee")]
    EligibleFactory(user=person, role=RoleFactory(settings__approval_required=True, settings__approvers=people))

    assert "approval by Ada, Bea and 2 more" in text_of(home())


def test_home_takes_the_settings_of_the_nearest_scope(home, person):
    role, near = RoleFactory(), ResourceFactory()
    beneath = ResourceFactory(parent=near)
    longest = timedelta(minutes=30)
    RoleSettings.objects.create(role=role, scope=near, created_at=now(), activation_max_duration=longest)
    for scope in (role.resource, beneath):
        EligibleFactory(user=person, role=role, scope=scope)

    found = {row.assignment.scope: row.settings.activation_max_duration for row in home().context["eligible"]}

    assert found == {role.resource: timedelta(hours=8), beneath: longest}


def test_home_shows_active_with_its_end_and_a_way_out(home, person):
    active = ActivationFactory(eligible_assignment__user=person)

    page = home()

    assert page.context["active"] == [active]
    assert reverse("approvals:active-end", args=[active.pk]) in page.text
    assert "pim-countdown" in page.text
    assert reverse("approvals:eligible-activate", args=[active.eligible_assignment_id]) not in page.text


def test_home_does_not_show_what_is_over_though_nobody_closed_it(home, person):
    past = now() - timedelta(hours=1)
    ActivationFactory(eligible_assignment__user=person, starts_at=past - timedelta(hours=1), ends_at=past)

    page = home()

    assert page.context["active"] == []
    assert page.context["eligible"][0].active is None


def test_home_shows_assigned_roles_without_end_button(home, person):
    active = ActiveFactory(user=person)

    page = home()

    assert "assigned" in page.text
    assert "permanent" in page.text
    assert reverse("approvals:active-end", args=[active.pk]) not in page.text


def test_home_shows_waiting_with_who_was_asked(home, person):
    approver = UserFactory(display_name="Ada Approver")
    role = RoleFactory(settings__approval_required=True, settings__approvers=[approver])
    request = RequestFactory(eligible_assignment__role=role, eligible_assignment__user=person)

    page = home()

    assert [row.request for row in page.context["waiting"]] == [request]
    assert "asked: Ada Approver" in text_of(page)
    assert reverse("approvals:request-cancel", args=[request.pk]) in page.text
    assert reverse("approvals:eligible-activate", args=[request.eligible_assignment_id]) not in page.text


def test_home_does_not_wait_for_what_nobody_decided_in_time(home, person):
    ago = now() - timedelta(days=2)
    request = RequestFactory(eligible_assignment__user=person, requested_at=ago, expires_at=ago + timedelta(hours=1))

    page = home()

    assert page.context["waiting"] == []
    assert reverse("approvals:eligible-activate", args=[request.eligible_assignment_id]) in page.text


def test_home_shows_scheduled_with_cancel(home, person):
    start = now() + timedelta(days=1)
    active = ActivationFactory(eligible_assignment__user=person, starts_at=start)
    request = RequestFactory(
        eligible_assignment=active.eligible_assignment, status="scheduled", active_assignment=active, settled_at=now()
    )

    page = home()

    assert page.context["scheduled"] == [(active, request)]
    assert page.context["active"] == []
    assert reverse("approvals:request-cancel", args=[request.pk]) in page.text


def test_home_shows_future_eligibility_without_button(home, person):
    eligible = EligibleFactory(user=person, starts_at=now() + timedelta(days=1))

    page = home()

    assert "eligible from" in page.text
    assert reverse("approvals:eligible-activate", args=[eligible.pk]) not in page.text


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("database", ["Database Operator"]),
        ("PAYROLL", ["Reader"]),
        ("reader pay", ["Reader"]),
        ("x", []),
        ("data\0", ["Database Operator"]),
    ],
)
def test_home_search_without_script(home, person, words, found):
    EligibleFactory(user=person, role=RoleFactory(name="Database Operator"))
    EligibleFactory(user=person, role=RoleFactory(name="Reader", resource=ResourceFactory(name="Payroll")))

    assert roles_of(home(q=words)) == found


def test_home_search_without_result_says_so(home, person):
    EligibleFactory(user=person)

    page = home(q="<nothing>")

    assert "No role matches." in page.text
    assert "<nothing>" not in page.text


def test_home_says_how_many_requests_wait_for_me(home, person):
    RequestFactory(
        eligible_assignment__role=RoleFactory(settings__approval_required=True, settings__approvers=[person])
    )

    assert "1 request waits for your decision" in home().text


def test_home_takes_the_same_queries_for_1_and_200_roles(home, person):
    EligibleFactory(user=person, role=_role(person))
    _one_of_each(person)
    home()  # the first one notes in the session that it is in use
    few = _queries(home)
    for _ in range(199):
        EligibleFactory(user=person, role=_role(person))
    for _ in range(5):
        _one_of_each(person)

    assert _queries(home) == few


def _role(person):
    return RoleFactory(settings__approval_required=True, settings__approvers=[UserFactory()])


def _one_of_each(person):
    ActivationFactory(eligible_assignment__user=person)
    RequestFactory(eligible_assignment__role=_role(person), eligible_assignment__user=person)
    later = ActivationFactory(eligible_assignment__user=person, starts_at=now() + timedelta(days=1))
    RequestFactory(eligible_assignment=later.eligible_assignment, status="scheduled", active_assignment=later)


def _queries(home):
    with CaptureQueriesContext(connection) as captured:
        assert home().status_code == 200
    return len(captured)


def test_no_console_says_the_next_step(client, person):
    signed_in(client, person)

    page = client.get(reverse("no-console"))

    assert page.status_code == 403
    assert "activate it, then open the console again" in page.text


def test_console_sends_people_without_a_right_there(client, person):
    signed_in(client, person)

    assert client.get("/console/", follow=True).redirect_chain[-1][0].startswith(reverse("no-console"))


def test_console_link_is_shown_to_those_with_a_right_in_force(client, home):
    assert reverse("admin:index") not in home().text
    signed_in(client, holder_of(Role.HELPDESK_ADMINISTRATOR))
    assert reverse("admin:index") in client.get("/").text
