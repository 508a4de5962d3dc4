"""Asking for what ends, from the first page to the decision of an administrator."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils.timezone import localtime, now

from approvals.models import Request
from approvals.services import move_resource
from assignments.models import ActiveAssignment, EligibleAssignment
from roles.models import Role
from tests.client import signed_in
from tests.factories import (
    ActivationFactory,
    ActiveFactory,
    EligibleFactory,
    ExtensionFactory,
    GroupFactory,
    ResourceFactory,
    RoleFactory,
    UserFactory,
    code_of,
    holder_of,
)

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
KINDS = pytest.mark.parametrize("factory", [EligibleFactory, ActiveFactory])


@pytest.fixture
def administrator():
    return holder_of(Role.GLOBAL_ADMINISTRATOR)


def held(factory, ends=7, **differs):
    at = now().replace(microsecond=0)
    return factory(**{"starts_at": at - 60 * DAY, "ends_at": at + ends * DAY} | differs)


def page_of(row):
    return reverse(f"approvals:{row.noun}-extend", args=[row.pk])


@KINDS
@pytest.mark.parametrize(("ends", "action", "word"), [(7, "self_extend", "Extend"), (-7, "self_renew", "Renew")])
def test_home_leads_to_the_page_and_the_page_to_the_request(client, factory, ends, action, word, administrator):
    row = held(factory, ends)
    signed_in(client, row.user)
    home = client.get("/").content.decode()
    assert page_of(row) in home
    assert word in home
    assert word in client.get(page_of(row)).content.decode()

    answer = client.post(page_of(row), {"justification": "On call until June."})

    request = Request.objects.get()
    assert (request.action, request.assignment, request.status) == (action, row, "pending_admin_decision")
    assert answer.url == reverse("approvals:request-detail", args=[request.pk])
    assert "The administrators were asked." in client.get(answer.url).content.decode()
    home = client.get("/").content.decode()
    assert page_of(row) not in home
    assert "Waiting for an administrator" in home


@KINDS
@pytest.mark.parametrize("ends", [15, -30])
def test_home_offers_nothing_outside_the_window(client, factory, ends):
    row = held(factory, ends)
    signed_in(client, row.user)
    assert page_of(row) not in client.get("/").content.decode()
    page = client.get(page_of(row)).content.decode()
    assert "It is not the time for this." in page
    assert "<textarea" not in page


def test_home_offers_nothing_for_what_came_through_a_group(client):
    user = UserFactory()
    row = held(EligibleFactory, user=None, group=GroupFactory(members=[user]))
    signed_in(client, user)
    assert page_of(row) not in client.get("/").content.decode()
    assert "You have this through" in client.get(page_of(row)).content.decode()


def test_home_offers_no_renewal_of_what_is_held_again(client):
    row = held(EligibleFactory, -7, ended_at=now(), end_reason="expired")
    EligibleFactory(user=row.user, role=row.role)
    signed_in(client, row.user)
    assert page_of(row) not in client.get("/").content.decode()


def test_page_says_that_it_is_held_again(client):
    row = held(EligibleFactory, -7, ended_at=now(), end_reason="expired")
    EligibleFactory(user=row.user, role=row.role)
    signed_in(client, row.user)
    page = client.get(page_of(row)).content.decode()
    assert "You have this role again already." in page
    assert "<textarea" not in page


@KINDS
def test_neither_home_nor_page_offers_to_renew_where_the_scope_has_moved_away(client, factory):
    scope = ResourceFactory(parent=ResourceFactory())
    over = {"ended_at": now(), "end_reason": "expired"}
    row = held(factory, -7, role=RoleFactory(resource=scope.parent), scope=scope, **over)
    elsewhere = ResourceFactory()
    signed_in(client, row.user)
    assert page_of(row) in client.get("/").content.decode()

    move_resource(resource=scope, parent=elsewhere, actor=holder_of(Role.GLOBAL_ADMINISTRATOR), justification="Sold.")

    assert page_of(row) not in client.get("/").content.decode()
    page = client.get(page_of(row)).content.decode()
    assert f"is not beneath {row.role.resource} any more." in page
    assert "<textarea" not in page


def test_asking_without_a_reason_comes_back_with_the_form(client):
    row = held(EligibleFactory)
    signed_in(client, row.user)
    answer = client.post(page_of(row), {"justification": " "})
    assert "Say why" in answer.content.decode()
    assert not Request.objects.exists()


def test_page_of_a_stranger_is_not_there(client):
    row = held(EligibleFactory)
    signed_in(client, UserFactory())
    assert client.get(page_of(row)).status_code == 404
    assert client.post(page_of(row), {"justification": "Mine."}).status_code == 404


def asked(factory=EligibleFactory, **differs):
    row = held(factory, **differs)
    about = {"eligible_assignment": None, f"{row.noun}_assignment": row}
    return ExtensionFactory(**about, user=row.user, role=row.role, scope=row.scope)


def typed(moment):
    return localtime(moment).strftime("%Y-%m-%dT%H:%M")


def test_administrator_finds_it_among_the_approvals_and_grants_another_end(client, administrator):
    request = asked()
    signed_in(client, administrator)
    detail = reverse("approvals:request-detail", args=[request.pk])
    assert detail in client.get("/approvals/").content.decode()
    assert reverse("approvals:extension-grant", args=[request.pk]) in client.get(detail).content.decode()
    ends_at = now().replace(second=0, microsecond=0) + 90 * DAY
    form = {
        "kind": "eligible",
        "lasting": "until",
        "ends_at": typed(ends_at),
        "justification": "Until the project ends.",
    }

    answer = client.post(reverse("approvals:extension-grant", args=[request.pk]), form)

    assert answer.url == detail
    assert EligibleAssignment.objects.get().ends_at == ends_at
    assert "approved" in client.get(detail).content.decode()


def test_grant_that_is_refused_comes_back_with_what_was_typed(client, administrator):
    request = asked(role=RoleFactory(settings__permanent_eligible_allowed=False))
    signed_in(client, administrator)
    form = {"kind": "eligible", "ends_at": typed(now() + 400 * DAY), "justification": "Until the project ends."}
    answer = client.post(reverse("approvals:extension-grant", args=[request.pk]), form)
    assert "365 days" in answer.content.decode()
    assert "Until the project ends." in answer.content.decode()
    request.refresh_from_db()
    assert request.status == "pending_admin_decision"


@pytest.mark.parametrize(("right", "status"), [(True, "provisioned"), (False, "pending_admin_decision")])
def test_grant_as_active_takes_a_code_where_the_settings_ask(client, administrator, right, status):
    request = asked(ActiveFactory, role=RoleFactory(settings__assign_active_mfa_required=True))
    device = signed_in(client, administrator)
    form = {"kind": "active", "lasting": "permanent", "justification": "Stays."}
    code = code_of(device) if right else "000000"
    client.post(reverse("approvals:extension-grant", args=[request.pk]), form | {"code": code})
    request.refresh_from_db()
    assert request.status == status


def test_deny(client, administrator):
    request = asked()
    signed_in(client, administrator)
    client.post(reverse("approvals:extension-deny", args=[request.pk]), {"justification": "No more."})
    request.refresh_from_db()
    assert (request.status, request.decisions.get().justification) == ("denied", "No more.")


def test_deny_without_a_reason_says_so(client, administrator):
    request = asked()
    signed_in(client, administrator)
    answer = client.post(reverse("approvals:extension-deny", args=[request.pk]), {}, follow=True)
    assert "Say why" in answer.content.decode()
    request.refresh_from_db()
    assert request.status == "pending_admin_decision"


def test_requester_sees_no_decision_form_and_can_cancel(client):
    request = asked()
    signed_in(client, request.user)
    detail = reverse("approvals:request-detail", args=[request.pk])
    assert reverse("approvals:extension-grant", args=[request.pk]) not in client.get(detail).content.decode()
    client.post(reverse("approvals:request-cancel", args=[request.pk]))
    request.refresh_from_db()
    assert request.status == "canceled"


# --- a running activation -------------------------------------------------------------------------------------


def running(minutes, **settings):
    at = now().replace(microsecond=0)
    role = RoleFactory(**{f"settings__{name}": value for name, value in settings.items()})
    times = {"starts_at": at - timedelta(hours=1), "ends_at": at + timedelta(minutes=minutes)}
    return ActivationFactory(eligible_assignment=EligibleFactory(role=role), **times)


def test_activation_near_its_end_is_extended_with_a_code(client):
    row = running(4, activation_authentication="mfa")
    app = signed_in(client, row.user)
    home = client.get("/").text
    assert page_of(row) in home
    assert "ends in a few minutes" in home

    asked = {"duration": "30", "justification": "Still stuck.", "code": code_of(app)}
    page = client.post(page_of(row), asked, follow=True)

    assert Request.objects.get().proved_with == "totp"
    assert "The role is active." in page.text
    assert ActiveAssignment.objects.get().ends_at == row.ends_at + timedelta(minutes=30)


def test_activation_with_time_left_cannot_be_extended_yet(client):
    row = running(30)
    signed_in(client, row.user)

    assert page_of(row) not in client.get("/").text
    assert "in its last 15 minutes" in client.get(page_of(row)).text


def test_activation_that_lasted_longest_says_what_to_do(client):
    row = running(4, activation_max_duration=timedelta(hours=1))
    signed_in(client, row.user)

    assert "activate it anew when it has ended" in client.get(page_of(row)).text


def test_activation_with_approval_says_that_it_is_to_be_extended(client):
    approver = UserFactory()
    row = running(4, approval_required=True, approvers=[approver])
    signed_in(client, row.user)
    client.post(page_of(row), {"duration": "30", "justification": "Still stuck."})
    assert page_of(row) not in client.get("/").text

    signed_in(client, approver)

    assert f"{row.user} asks to keep {row.role} for longer" in client.get(reverse("approvals:approval-list")).text
