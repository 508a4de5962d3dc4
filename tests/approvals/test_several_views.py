"""Several roles in one act: one reason and one proof, a result for each; favourites, and sets with a name."""

from datetime import timedelta

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import StepUpProof
from approvals.models import Favourite, Request, RoleSet
from assignments.models import ActiveAssignment
from tests.client import signed_in
from tests.factories import ActivationFactory, EligibleFactory, RequestFactory, RoleFactory, UserFactory, code_of
from tests.passkeys import passkey_of

pytestmark = pytest.mark.django_db

URL = reverse("approvals:eligible-activate-several")
REASON = "Incident: the ledger stands still."


@pytest.fixture
def person():
    return UserFactory()


@pytest.fixture
def app(client, person):
    return signed_in(client, person)


def eligible_for(person, name, **settings):
    asks = {f"settings__{key}": value for key, value in ({"activation_authentication": "mfa"} | settings).items()}
    return EligibleFactory(user=person, role=RoleFactory(name=name, **asks))


def filled(*rows, **values):
    durations = {f"duration_{row.pk.hex}": "30" for row in rows}
    return {"eligible": [row.pk for row in rows], "justification": REASON} | durations | values


def said(response):
    return [(message.level_tag, str(message)) for message in get_messages(response.wsgi_request)]


def named(row):
    return f"{row.role} · {row.scope}"


def test_several_with_one_code_each_by_itself(client, person, app):
    plain, other = eligible_for(person, "Plain"), eligible_for(person, "Other", activation_authentication="none")
    guarded = eligible_for(person, "Guarded", approval_required=True, approvers=[UserFactory()])
    active = eligible_for(person, "Active")
    ActivationFactory(eligible_assignment=active)

    answer = client.post(URL, filled(plain, other, guarded, active, code=code_of(app)))

    assert answer.url == "/"
    asked = {each.eligible_assignment: each for each in Request.objects.filter(user=person)}
    assert {row: (each.status, each.proved_with, each.justification) for row, each in asked.items()} == {
        plain: ("provisioned", "totp", REASON),
        other: ("provisioned", "", REASON),
        guarded: ("pending_approval", "totp", REASON),
    }
    assert StepUpProof.objects.filter(consumed_at=None).count() == 0
    assert said(answer) == [
        ("warning", "3 of 4 could be had. What became of each is said below."),
        ("error", f"{named(active)}: refused. This role is active or scheduled at this scope already."),
        ("info", f"{named(guarded)}: waiting for approval."),
        ("success", f"{named(other)}: active now."),
        ("success", f"{named(plain)}: active now."),
    ]


def test_several_with_a_wrong_code_change_nothing(client, person, app):
    rows = [eligible_for(person, "One"), eligible_for(person, "Two")]

    page = client.post(URL, filled(*rows, code="000000"))

    assert [error.code for error in page.context["form"].errors.as_data()["code"]] == ["mfa_invalid"]
    assert not Request.objects.exists()


def test_several_that_can_be_mended_use_up_no_code(client, person, app):
    rows = [eligible_for(person, "One"), eligible_for(person, "Two", ticket_required=True, ticket_pattern=r"INC-\d+")]

    page = client.post(URL, filled(*rows, ticket_0="nonsense", code=code_of(app)))

    assert {name: [each.code for each in data] for name, data in page.context["form"].errors.as_data().items()} == {
        "ticket_0": ["ticket_invalid"]
    }
    assert not StepUpProof.objects.exists()
    client.post(URL, filled(*rows, ticket_0="INC-7", code=code_of(app)))
    assert sorted(Request.objects.values_list("ticket", flat=True)) == ["", "INC-7"]


def test_several_with_a_passkey_where_one_takes_nothing_else(client, person, app):
    strict = eligible_for(person, "Strict", activation_authentication="phishing_resistant")
    rows = [eligible_for(person, "Plain"), strict]
    _row, key = passkey_of(person)

    options = client.post(URL, filled(*rows, passkey="ask")).json()
    client.post(URL, filled(*rows, passkey=key.sign(options)))

    assert list(Request.objects.values_list("proved_with", "status")) == [("passkey", "provisioned")] * 2


def test_several_with_a_code_where_one_takes_a_passkey_gives_the_other(client, person, app):
    strict = eligible_for(person, "Strict", activation_authentication="phishing_resistant")
    plain = eligible_for(person, "Plain")

    client.post(URL, filled(plain, strict, code=code_of(app)))

    assert Request.objects.get().eligible_assignment == plain


def test_several_of_somebody_else_are_not_found(client, app):
    answer = client.post(URL, filled(EligibleFactory(), code=code_of(app)))

    assert answer.url == "/"
    assert not Request.objects.exists()


def test_several_page_leaves_out_what_cannot_be_had(client, person, app):
    free, active, later = (eligible_for(person, name) for name in ("Free", "Active", "Later"))
    ActivationFactory(eligible_assignment=active)
    type(later).objects.filter(pk=later.pk).update(starts_at=now() + timedelta(days=1))

    page = client.get(URL, {"eligible": [free.pk, active.pk, later.pk, "nonsense"]})

    assert [row.eligible for row in page.context["form"].rows] == [free]
    assert page.context["chosen"].left_out == [
        (named(active), "It is active or scheduled already."),
        (named(later), "You are not eligible for it yet."),
    ]


def test_several_page_without_a_tick_sends_home(client, app):
    assert client.get(URL).url == "/"


def test_several_page_is_filled_in_as_the_last_time(client, person, app):
    row, new = eligible_for(person, "Old"), eligible_for(person, "New")
    common = {"eligible_assignment": row, "status": "provisioned"}
    RequestFactory(**common, justification="First.", requested_at=now() - timedelta(days=2))
    RequestFactory(**common, justification="Last.", duration=timedelta(hours=2))

    form = client.get(URL, {"eligible": [row.pk, new.pk]}).context["form"]

    assert form["justification"].initial == "Last."
    assert [form.fields[f"duration_{each.pk.hex}"].initial for each in (row, new)] == ["120", "60"]


def test_several_page_takes_the_same_queries_for_2_and_20_roles(client, person, app):
    rows = [eligible_for(person, f"Role no. {number}") for number in range(20)]
    client.get("/")

    def queries(rows):
        with CaptureQueriesContext(connection) as captured:
            client.get(URL, {"eligible": [row.pk for row in rows]})
        return len(captured)

    assert queries(rows[:2]) == queries(rows)


# --- favourites and sets --------------------------------------------------------------------------------------


def test_favourite_stands_first_until_it_is_none(client, person, app):
    eligible_for(person, "A"), (last := eligible_for(person, "Z"))
    url = reverse("approvals:favourite-change", args=[last.pk])

    client.post(url, {"pinned": "yes"})
    client.post(url, {"pinned": "yes"})
    assert [row.assignment.role.name for row in client.get("/").context["eligible"]] == ["Z", "A"]

    client.post(url, {"pinned": "no"})
    assert not Favourite.objects.exists()


def test_set_is_kept_used_renamed_and_removed(client, person, app):
    rows = [eligible_for(person, name) for name in ("One", "Two", "Three")]
    client.post(reverse("approvals:set-save"), {"name": "Incident response", "eligible": [row.pk for row in rows]})
    kept = RoleSet.objects.get(user=person)
    ActivationFactory(eligible_assignment=rows[0])
    type(rows[1]).objects.filter(pk=rows[1].pk).update(ended_at=now(), end_reason="removed")

    page = client.get(URL, {"set": kept.pk})

    assert [row.eligible for row in page.context["form"].rows] == [rows[2]]
    assert page.context["chosen"].left_out == [
        (named(rows[0]), "It is active or scheduled already."),
        (named(rows[1]), "You are not eligible for it any more."),
    ]
    client.post(reverse("approvals:set-change", args=[kept.pk]), {"name": "Night shift"})
    assert "Night shift" in client.get("/").text
    client.post(reverse("approvals:set-remove", args=[kept.pk]))
    assert not RoleSet.objects.exists()
    assert ActiveAssignment.objects.count() == 1


def test_set_of_somebody_else_is_not_found(client, app):
    kept = RoleSet.objects.create(user=UserFactory(), name="Theirs")

    answers = [client.post(reverse(f"approvals:set-{verb}", args=[kept.pk])) for verb in ("change", "remove")]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert client.get(URL, {"set": kept.pk}).url == "/"
