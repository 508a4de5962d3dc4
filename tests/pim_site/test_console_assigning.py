"""Assigning one role to several people and groups at once, from the form and from their lists."""

from urllib.parse import urlencode

import pytest

from accounts.models import User
from assignments.models import ActiveAssignment, EligibleAssignment
from roles.models import Role
from tests.client import signed_in
from tests.factories import (
    ActiveFactory,
    EligibleFactory,
    GroupFactory,
    RoleFactory,
    UserFactory,
    code_of,
    holder_of,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def console(client):
    client.device = signed_in(client, holder_of(Role.GLOBAL_ADMINISTRATOR))
    return client


def address_to_assign(kind, role, *holders):
    chosen = [("user" if isinstance(each, User) else "group", each.pk) for each in holders]
    return f"/console/assignments/{kind}assignment/assign/?{urlencode([('role', role.pk), *chosen])}"


def results_of(response):
    return {result["row"]: result["state"] for result in response.context["results"]}


def test_several_are_assigned_after_a_look_and_one_refusal_stops_nobody(console):
    role, group, ada, otto = RoleFactory(), GroupFactory(), UserFactory(), UserFactory()
    EligibleFactory(user=otto, role=role)
    page = address_to_assign("eligible", role, ada, otto, group)
    terms = {"lasting": "permanent", "justification": "New team."}

    looked = console.post(page, terms)
    assert results_of(looked) == {ada: "ok", otto: "refused", group: "ok"}
    assert b"(already_assigned)" in looked.content
    assert EligibleAssignment.objects.filter(role=role).count() == 1

    done = console.post(page, terms | {"confirmed": "yes"})
    assert results_of(done) == {ada: "success", otto: "refused", group: "success"}
    assert EligibleAssignment.objects.filter(role=role).count() == 3


def test_privileged_role_is_refused_to_helpdesk_before_the_terms_are_asked(client):
    signed_in(client, holder_of(Role.HELPDESK_ADMINISTRATOR))
    ordinary, privileged, ada = RoleFactory(), RoleFactory(is_privileged=True), UserFactory()
    asked = {role: client.get(address_to_assign("eligible", role, ada)) for role in (ordinary, privileged)}

    assert [page.templates[0].name for page in asked.values()] == [
        "admin/assign_terms.html",
        "admin/assign_target.html",
    ]
    assert asked[privileged].context["form"].errors == {
        "role": ["Your roles in force do not let you assign a privileged role."]
    }


def test_one_code_serves_for_all_of_a_role_that_asks_for_a_proof(console):
    role, ada, otto, uma = RoleFactory(settings__assign_active_mfa_required=True), *UserFactory.create_batch(3)
    ActiveFactory(user=otto, role=role)
    page = address_to_assign("active", role, ada, otto, uma)
    terms = {"lasting": "permanent", "justification": "New team."}
    assert "code" not in console.get(page).context["form"].fields

    looked = console.post(page, terms)
    assert results_of(looked) == {ada: "ok", otto: "refused", uma: "ok"}
    assert [field.name for field in looked.context["form"].visible_fields()] == ["code"]

    done = console.post(page, terms | {"confirmed": "yes", "code": code_of(console.device)})
    assert results_of(done) == {ada: "success", otto: "refused", uma: "success"}
    assert set(ActiveAssignment.objects.filter(role=role).values_list("user", flat=True)) == {ada.pk, otto.pk, uma.pk}


@pytest.mark.parametrize("code", ["", "000000", "abc"])
def test_role_that_asks_for_a_proof_is_assigned_to_nobody_without(console, code):
    role = RoleFactory(settings__assign_active_mfa_required=True)
    page = address_to_assign("active", role, *UserFactory.create_batch(2))
    facts = {"lasting": "permanent", "justification": "New team.", "confirmed": "yes", "code": code}
    answer = console.post(page, facts)
    assert set(results_of(answer).values()) == {"ok"}
    assert answer.context["form"].errors
    assert not ActiveAssignment.objects.filter(role=role).exists()


@pytest.mark.parametrize(("path", "make", "name"), [("user", UserFactory, "user"), ("group", GroupFactory, "group")])
def test_lists_lead_to_the_form_with_those_who_were_chosen(console, path, make, name):
    chosen = sorted(str(make().pk) for _ in range(2))
    answer = console.post(f"/console/accounts/{path}/", {"action": "assign-eligible", "_selected_action": chosen})
    form = console.get(answer["Location"]).context["form"]
    assert sorted(form.initial[name]) == chosen
