"""What the console offers for assignments that there are: other dates, another kind, and the end."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils.timezone import localtime, now

from approvals.models import Request
from assignments.models import EligibleAssignment
from roles.models import Role
from tests.client import signed_in
from tests.factories import ActiveFactory, EligibleFactory, RoleFactory, code_of, holder_of

pytestmark = pytest.mark.django_db

LIST = reverse("admin:assignments_eligibleassignment_changelist")


@pytest.fixture
def console(client):
    client.device = signed_in(client, holder_of(Role.GLOBAL_ADMINISTRATOR))
    return client


def in_two_months():
    return localtime(now() + timedelta(days=60)).strftime("%Y-%m-%dT%H:%M")


def ending(factory, **differs):
    return factory(starts_at=now() - timedelta(days=60), ends_at=now() + timedelta(days=7), **differs)


def act_page(row, slug):
    return reverse(f"admin:assignments_{row.noun}assignment_{slug}", args=[row.pk])


LATER = {"lasting": "until", "justification": "Still on call."}


@pytest.mark.parametrize("factory", [EligibleFactory, ActiveFactory])
@pytest.mark.parametrize(("slug", "action"), [("update", "admin_update"), ("extend", "admin_extend")])
def test_dates_are_changed_on_the_page_of_an_assignment(console, factory, slug, action):
    row = ending(factory, role=RoleFactory(settings__assign_active_mfa_required=False))
    assert "starts_at" not in console.get(act_page(row, slug)).context["form"].fields
    answer = console.post(act_page(row, slug), LATER | {"ends_at": in_two_months()})
    assert answer.status_code == 302
    row.refresh_from_db()
    assert row.ends_at > now() + timedelta(days=50)
    assert Request.objects.get().action == action


def test_renew_on_the_page_of_what_has_run_out(console):
    row = EligibleFactory(starts_at=now() - timedelta(days=60), ends_at=now() - timedelta(days=2))
    assert act_page(row, "renew") in console.get(act_page(row, "change")).content.decode()
    console.post(act_page(row, "renew"), LATER | {"ends_at": in_two_months()})
    assert EligibleAssignment.objects.in_force(now()).get().user == row.user


def test_extend_in_bulk_says_what_became_of_each(console):
    near, endless = ending(EligibleFactory), EligibleFactory()
    facts = LATER | {"action": "extend", "_selected_action": [near.pk, endless.pk], "confirmed": "yes"}
    answer = console.post(LIST, facts | {"ends_at": in_two_months()})
    assert sorted(result["state"] for result in answer.context["results"]) == ["refused", "success"]
    near.refresh_from_db()
    assert near.ends_at > now() + timedelta(days=50)


def test_extend_in_bulk_takes_one_code_for_all_that_ask_for_one(console):
    asks = RoleFactory(settings__assign_active_mfa_required=True)
    rows = [ending(ActiveFactory, role=asks), ending(ActiveFactory, role=asks), ending(ActiveFactory)]
    page = reverse("admin:assignments_activeassignment_changelist")
    facts = LATER | {"action": "extend", "_selected_action": [row.pk for row in rows], "ends_at": in_two_months()}
    assert "code" in console.post(page, facts).context["form"].fields

    answer = console.post(page, facts | {"confirmed": "yes", "code": code_of(console.device)})
    assert [result["state"] for result in answer.context["results"]] == ["success"] * 3
    assert {request.active_assignment_id for request in Request.objects.all()} == {row.pk for row in rows}


def test_extend_in_bulk_with_a_wrong_code_extends_nothing(console):
    row = ending(ActiveFactory, role=RoleFactory(settings__assign_active_mfa_required=True))
    page = reverse("admin:assignments_activeassignment_changelist")
    facts = LATER | {"action": "extend", "_selected_action": [row.pk], "ends_at": in_two_months(), "confirmed": "yes"}
    answer = console.post(page, facts | {"code": "000000"})
    assert "code" in answer.context["form"].errors or answer.context["form"].non_field_errors()
    assert not Request.objects.exists()


def test_bulk_removal_leaves_out_emergency_accounts_and_their_own_page_asks(console):
    row = EligibleFactory(user__is_emergency_access=True)
    facts = {"action": "remove", "_selected_action": [row.pk], "confirmed": "yes", "justification": "Tidying up."}
    answer = console.post(LIST, facts)
    assert [result["state"] for result in answer.context["results"]] == ["refused"]
    console.post(act_page(row, "remove"), {"justification": "Tidying up."})
    assert EligibleAssignment.objects.get().ended_at is None
    console.post(act_page(row, "remove"), {"justification": "Tidying up.", "emergency": "on"})
    assert EligibleAssignment.objects.get().end_reason == "removed"


@pytest.mark.parametrize("right", [True, False])
def test_active_assignment_is_extended_with_a_code_where_the_settings_ask(console, right):
    row = ending(ActiveFactory, role=RoleFactory(settings__assign_active_mfa_required=True))
    code = code_of(console.device) if right else "000000"
    answer = console.post(act_page(row, "extend"), LATER | {"ends_at": in_two_months(), "code": code})
    assert answer.status_code == (302 if right else 200)
    row.refresh_from_db()
    assert (row.ends_at > now() + timedelta(days=50)) == right


def test_make_eligible_instead(console):
    row = ActiveFactory()
    answer = console.post(act_page(row, "make-eligible"), {"justification": "Seldom needed."})
    assert answer.status_code == 302
    row.refresh_from_db()
    assert (row.end_reason, EligibleAssignment.objects.get().user) == ("removed", row.user)


def test_canceled_before_its_start_reads_so_in_the_list(console):
    EligibleFactory(starts_at=now() + timedelta(days=1), ended_at=now(), end_reason="canceled")
    assert "Canceled" in console.get(LIST).content.decode()


def test_page_of_an_act_that_is_too_late_says_so_and_has_no_button(console):
    ended = EligibleFactory(ended_at=now(), end_reason="removed")
    remove = reverse("admin:assignments_eligibleassignment_remove", args=[ended.pk])
    page = console.get(remove)

    assert page.context["sentences"] == [
        "As it is now, this cannot be done. Go back to see what has happened meanwhile."
    ]
    assert 'type="submit"' not in page.text.split("<main")[1]
    assert "This has ended already." in console.post(remove, {"justification": "Too late."}).text
