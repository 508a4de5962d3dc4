"""The approvers' pages: several requests at once, with and without a proof, who is looking, and delegation."""

from datetime import timedelta
from uuid import uuid4

import pytest
import time_machine
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.timezone import localtime, now

from accounts.models import StepUpProof
from approvals import services
from approvals.models import Decision, Request
from notifications.models import Message
from roles.models import Delegation
from roles.services import delegate_decisions
from tests.approvals.test_views import detail_url, errors, url
from tests.client import signed_in
from tests.factories import RequestFactory, RoleFactory, UserFactory, code_of, stage

pytestmark = pytest.mark.django_db

LIST = "approvals:approval-list"


@pytest.fixture
def approver():
    return UserFactory(username="ada", display_name="Ada Approver")


def waiting(*approvers, quorum=1, **settings):
    """A request that waits for these people."""
    settings = {f"settings__{name}": value for name, value in settings.items()}
    stages = [stage(approvers, quorum=quorum)]
    role = RoleFactory(settings__approval_required=True, settings__stages=stages, **settings)
    return RequestFactory(eligible_assignment__role=role)


def chosen(*requests, verdict="approved", justification="Seen all of them.", **more):
    return {"requests": [row.pk for row in requests], "verdict": verdict, "justification": justification} | more


def statuses(*requests):
    return [Request.objects.get(pk=row.pk).status for row in requests]


def said(page):
    return [(message.level_tag, message.message) for message in page.context["messages"]]


@pytest.mark.parametrize(("verdict", "status"), [("approved", "provisioned"), ("denied", "denied")])
def test_row_is_decided_with_a_result_for_each(client, approver, verdict, status):
    first, second, left = waiting(approver), waiting(approver), waiting(approver)
    signed_in(client, approver)

    page = client.post(reverse(LIST), chosen(first, second, verdict=verdict), follow=True)

    assert statuses(first, second, left) == [status, status, "pending_approval"]
    words = Request.Status(status).label
    assert sorted(said(page)) == sorted(("success", f"{row}: {words}.") for row in (first, second))
    assert {(row.person, row.justification) for row in Decision.objects.all()} == {(approver, "Seen all of them.")}


def test_row_goes_on_after_one_that_fails(client, approver):
    gone, more, good = waiting(approver), waiting(approver, UserFactory(), quorum=2), waiting(approver)
    gone.eligible_assignment.ended_at, gone.eligible_assignment.end_reason = now(), "removed"
    gone.eligible_assignment.save()
    signed_in(client, approver)

    page = client.post(reverse(LIST), chosen(gone, more, good), follow=True)

    assert statuses(gone, more, good) == ["failed", "pending_approval", "provisioned"]
    assert {text for _level, text in said(page)} == {
        f"{gone}: failed.",
        f"{more}: noted. More people must approve.",
        f"{good}: granted.",
    }


@pytest.mark.parametrize(
    ("differs", "refused"),
    [
        ({"requests": []}, {"requests": ["required"]}),
        ({"requests": ["no id"]}, {"requests": ["invalid"]}),
        ({"verdict": ""}, {"verdict": ["required"]}),
        ({"verdict": "perhaps"}, {"verdict": ["invalid_choice"]}),
        ({"justification": " "}, {"justification": ["required"]}),
    ],
)
def test_row_that_is_not_whole_decides_nothing(client, approver, differs, refused):
    request = waiting(approver)
    signed_in(client, approver)

    page = client.post(reverse(LIST), chosen(request) | differs)

    assert errors(page) == refused
    assert statuses(request) == ["pending_approval"]


def test_row_with_a_request_of_others_decides_nothing(client, approver):
    mine, foreign = waiting(approver), waiting(UserFactory())
    signed_in(client, approver)

    page = client.post(reverse(LIST), chosen(mine, foreign))

    assert errors(page) == {"requests": ["invalid_choice"]}
    assert statuses(mine, foreign) == ["pending_approval", "pending_approval"]
    assert str(foreign.role) not in page.text


def test_row_keeps_what_was_ticked_when_it_is_refused(client, approver):
    ticked, other = waiting(approver), waiting(approver)
    signed_in(client, approver)

    page = client.post(reverse(LIST), chosen(ticked, verdict=""))

    assert [page.text.count(f'value="{row.pk}" form="decide"') for row in (ticked, other)] == [1, 1]
    assert page.text.count(" checked>") == 1


def test_row_takes_one_proof_for_all(client, approver):
    guarded = [waiting(approver, decision_mfa_required=True) for _ in range(2)]
    plain = waiting(approver)
    device = signed_in(client, approver)
    assert 'name="code"' in client.get(reverse(LIST)).text

    client.post(reverse(LIST), chosen(*guarded, plain, code=code_of(device)))

    assert statuses(*guarded, plain) == ["provisioned"] * 3
    assert StepUpProof.objects.get().user == approver


@pytest.mark.parametrize("code", ["", "000000"])
def test_row_without_its_proof_decides_nothing(client, approver, code):
    guarded, plain = waiting(approver, decision_mfa_required=True), waiting(approver)
    signed_in(client, approver)

    page = client.post(reverse(LIST), chosen(guarded, plain, code=code))

    assert list(errors(page)) == ["code"]
    assert statuses(guarded, plain) == ["pending_approval", "pending_approval"]


def test_row_asks_no_proof_where_no_settings_want_it(client, approver):
    waiting(approver)
    signed_in(client, approver)

    assert 'name="code"' not in client.get(reverse(LIST)).text


@pytest.mark.parametrize("verb", ["approve", "deny"])
def test_guarded_request_is_not_decided_by_the_form_without_a_proof(client, approver, verb):
    guarded = waiting(approver, decision_mfa_required=True)
    signed_in(client, approver)
    assert 'name="code"' in client.get(detail_url(guarded)).text

    page = client.post(url(verb, guarded), {"justification": "Seen."})

    assert errors(page) == {"__all__": ["mfa_required"]}
    assert statuses(guarded) == ["pending_approval"]


# --- who is looking -------------------------------------------------------------------------------------------


def test_claim_is_shown_to_the_others(client, approver):
    second = UserFactory(display_name="Sam Second")
    request = waiting(approver, second)
    signed_in(client, approver)
    assert url("claim", request) in client.get(detail_url(request)).text

    page = client.post(url("claim", request), follow=True)

    assert url("claim", request) not in page.text
    assert Request.objects.get().claimed_by == approver
    signed_in(client, second)
    page = client.get(detail_url(request))
    assert "Ada Approver is looking at this" in page.text
    assert url("approve", request) in page.text


def test_claim_of_another_is_said(client, approver):
    second = UserFactory()
    request = waiting(approver, second)
    services.claim(request=request, actor=approver)
    signed_in(client, second)

    page = client.post(url("claim", request), follow=True)

    assert [level for level, _text in said(page)] == ["error"]
    assert Request.objects.get().claimed_by == approver


# --- delegation -----------------------------------------------------------------------------------------------


def lasting(**differs):
    ends = localtime(now() + timedelta(days=3))
    return {"colleague": "dina", "ends_at": date_format(ends, "Y-m-d\\TH:i"), "justification": "Away."} | differs


@pytest.fixture
def dina():
    return UserFactory(username="dina", display_name="Dina Deputy")


def lent(delegator, delegate):
    return delegate_decisions(actor=delegator, delegate=delegate, ends_at=now() + timedelta(days=3))


@pytest.mark.parametrize("name", ["dina", "DINA", " dina@example.org "])
def test_delegation_is_made_by_its_page(client, approver, dina, name):
    request = waiting(approver)
    signed_in(client, approver)

    page = client.post(reverse("approvals:delegation-list"), lasting(colleague=name), follow=True)

    made = Delegation.objects.get()
    assert (made.delegator, made.delegate, made.justification) == (approver, dina, "Away.")
    assert [state for _row, state in page.context["rows"]] == ["active"]
    assert set(Message.objects.values_list("to_address", flat=True)) == {approver.email, dina.email}
    signed_in(client, dina)
    client.post(url("approve", request), {"justification": "For Ada."})
    assert Decision.objects.get().who == "Dina Deputy for Ada Approver"


@pytest.mark.parametrize(
    ("differs", "refused"),
    [
        ({"colleague": "nobody"}, {"colleague": ["delegate_invalid"]}),
        ({"colleague": ""}, {"colleague": ["required"]}),
        ({"ends_at": ""}, {"ends_at": ["required"]}),
        ({"ends_at": "tomorrow"}, {"ends_at": ["invalid"]}),
    ],
)
def test_delegation_that_is_not_whole_is_not_made(client, approver, dina, differs, refused):
    signed_in(client, approver)

    page = client.post(reverse("approvals:delegation-list"), lasting(**differs))

    assert errors(page) == refused
    assert not Delegation.objects.exists()


@pytest.mark.parametrize(
    ("differs", "refused"),
    [
        ({"colleague": "ada"}, {"colleague": ["delegate_invalid"]}),
        ({"ends_at": "2020-01-01T10:00"}, {"__all__": ["schedule_invalid"]}),
    ],
)
def test_delegation_that_the_rules_refuse_is_not_made(client, approver, dina, differs, refused):
    signed_in(client, approver)

    page = client.post(reverse("approvals:delegation-list"), lasting(**differs))

    assert errors(page) == refused
    assert not Delegation.objects.exists()


@pytest.mark.parametrize("who", ["delegator", "delegate"])
def test_delegation_is_ended_by_either(client, approver, dina, who):
    made, request = lent(approver, dina), waiting(approver)
    signed_in(client, getattr(made, who))

    page = client.post(reverse("approvals:delegation-end", args=[made.pk]), follow=True)

    assert [state for _row, state in page.context["rows"]] == ["ended"]
    signed_in(client, dina)
    assert client.get(detail_url(request)).status_code == 404


def test_delegation_ended_twice_says_so(client, approver, dina):
    made = lent(approver, dina)
    signed_in(client, approver)
    end = reverse("approvals:delegation-end", args=[made.pk])
    client.post(end)
    ended_at = Delegation.objects.get().ended_at

    page = client.post(end, follow=True)

    assert said(page)[-1] == ("error", "This delegation has ended already.")
    assert Delegation.objects.get().ended_at == ended_at


def test_delegation_of_others_is_not_shown(client, approver, dina):
    lent(approver, dina)
    signed_in(client, UserFactory())

    page = client.get(reverse("approvals:delegation-list"))

    assert page.context["rows"] == []
    assert "Dina Deputy" not in page.text


# --- foreign objects ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["detail", "claim", "approve", "deny", "cancel"])
def test_foreign_request_is_not_there(client, approver, verb):
    request = waiting(approver)
    signed_in(client, UserFactory())

    for address in (url(verb, request), reverse(f"approvals:request-{verb}", args=[uuid4()])):
        visit = client.get if verb == "detail" else client.post
        assert visit(address, {"justification": "Mine now."}).status_code == 404
    assert statuses(request) == ["pending_approval"]
    assert Request.objects.get().claimed_by is None


def test_foreign_delegation_is_not_there(client, approver, dina):
    made = lent(approver, dina)
    signed_in(client, UserFactory())

    for pk in (made.pk, made.pk + 1):
        assert client.post(reverse("approvals:delegation-end", args=[pk])).status_code == 404
    assert Delegation.objects.get().ended_at is None


# --- past its time --------------------------------------------------------------------------------------------


def test_request_past_its_time_is_timed_out_before_anybody_closed_it(client, approver):
    request = waiting(approver)
    signed_in(client, approver)

    with time_machine.travel(request.expires_at, tick=False):
        assert request.state(now()) == "timed_out"
    assert request.state(request.expires_at - timedelta(microseconds=1)) == "pending_approval"
    assert statuses(request) == ["pending_approval"]
