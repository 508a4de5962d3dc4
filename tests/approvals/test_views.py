"""The pages of everyday work, through the client: what they show, take and refuse."""

import csv
import re
from datetime import timedelta

import pytest
import time_machine
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.timezone import now

from accounts.models import PasskeyChallenge, StepUpProof
from approvals import services
from approvals.models import Decision, Request
from assignments.models import ActiveAssignment
from audit.models import Event
from audit.services import record
from notifications.models import Message
from roles.models import Role, RoleSettings
from tests.client import signed_in
from tests.factories import (
    ActivationFactory,
    EligibleFactory,
    RequestFactory,
    ResourceFactory,
    RoleFactory,
    TotpDeviceFactory,
    UserFactory,
    code_of,
    holder_of,
)
from tests.passkeys import passkey_of

pytestmark = pytest.mark.django_db

REASON = "The nightly job is stuck."


def activate_url(eligible):
    return reverse("approvals:eligible-activate", args=[eligible.pk])


def detail_url(request):
    return reverse("approvals:request-detail", args=[request.pk])


def url(verb, request):
    return reverse(f"approvals:request-{verb}", args=[request.pk])


def filled(**values):
    return {"duration": "60", "when": "now", "justification": REASON} | values


def errors(response):
    return {name: [error.code for error in data] for name, data in response.context["form"].errors.as_data().items()}


@pytest.fixture
def eligible():
    return EligibleFactory(role=RoleFactory(name="Database Operator"))


@pytest.fixture
def guarded():
    """An eligibility whose use takes a one-time code."""
    return EligibleFactory(role=RoleFactory(settings__activation_authentication="mfa"))


@pytest.fixture
def approver():
    return UserFactory(display_name="Ada Approver")


@pytest.fixture
def asked(approver):
    """A request that waits for `approver`."""
    role = RoleFactory(settings__approval_required=True, settings__approvers=[approver])
    return RequestFactory(eligible_assignment__role=role)


# --- activate -------------------------------------------------------------------------------------------------


def test_activate_page_says_what_it_takes(client):
    role = RoleFactory(settings__activation_authentication="mfa", settings__activation_max_duration=timedelta(hours=3))
    eligible = EligibleFactory(role=role)
    signed_in(client, eligible.user)

    page = client.get(activate_url(eligible))

    assert [value for value, _ in page.context["form"].fields["duration"].choices] == [
        "30",
        "60",
        "120",
        "180",
        "other",
    ]
    assert 'autocomplete="one-time-code"' in page.text
    assert "up to 3 h" in page.text


def test_activate_puts_role_in_force_and_shows_what_happened(client, eligible):
    signed_in(client, eligible.user)

    page = client.post(activate_url(eligible), filled(), follow=True)

    request = Request.objects.get()
    assert page.redirect_chain == [(detail_url(request), 302)]
    assert ActiveAssignment.objects.in_force(now()).get().user == eligible.user
    assert "The role is active." in page.text


def test_activate_with_a_code(client, guarded):
    app = signed_in(client, guarded.user)

    client.post(activate_url(guarded), filled(code=code_of(app)))

    assert Request.objects.get().proved_with == "totp"
    assert ActiveAssignment.objects.in_force(now()).exists()


def test_activate_with_a_passkey_asked_in_the_same_form(client, guarded):
    signed_in(client, guarded.user)
    _row, key = passkey_of(guarded.user)

    options = client.post(activate_url(guarded), filled(passkey="ask")).json()
    assert not Request.objects.exists()
    client.post(activate_url(guarded), filled(passkey=key.sign(options)))

    assert Request.objects.get().proved_with == "passkey"


def test_activate_with_the_answer_to_another_form_is_refused(client, guarded):
    signed_in(client, guarded.user)
    _row, key = passkey_of(guarded.user)

    options = client.post(activate_url(guarded), filled(passkey="ask")).json()
    page = client.post(activate_url(guarded), filled(passkey=key.sign(options), justification="Something else."))

    assert errors(page) == {"code": ["passkey_expired"]}
    assert not Request.objects.exists()


def test_activate_that_would_be_refused_asks_for_no_passkey(client, guarded):
    signed_in(client, guarded.user)
    passkey_of(guarded.user)

    page = client.post(activate_url(guarded), filled(passkey="ask", justification=""))

    assert errors(page) == {"justification": ["justification_required"]}
    assert not PasskeyChallenge.objects.exists()


@pytest.fixture
def strict():
    """An eligibility whose use takes a passkey and nothing else."""
    return EligibleFactory(role=RoleFactory(settings__activation_authentication="phishing_resistant"))


def test_activate_says_what_to_do_without_a_passkey(client, strict):
    signed_in(client, strict.user)

    page = client.get(activate_url(strict)).text

    assert "you have none yet" in page
    assert "/security/passkeys/add/" in page
    assert "one-time-code" not in page


def test_activate_refuses_a_code_where_a_passkey_is_asked_and_leaves_it_unused(client, strict):
    app = signed_in(client, strict.user)
    passkey_of(strict.user)

    page = client.post(activate_url(strict), filled(code=code_of(app)))

    assert errors(page) == {"__all__": ["phishing_resistant_required"]}
    app.refresh_from_db()
    assert app.last_step == -1


def test_activate_with_a_passkey_where_nothing_else_will_do(client, strict):
    signed_in(client, strict.user)
    _row, key = passkey_of(strict.user)

    options = client.post(activate_url(strict), filled(passkey="ask")).json()
    client.post(activate_url(strict), filled(passkey=key.sign(options)))

    assert ActiveAssignment.objects.in_force(now()).get().user == strict.user


def test_code_that_was_refused_is_not_shown_again(client, guarded):
    signed_in(client, guarded.user)

    assert "000000" not in client.post(activate_url(guarded), filled(code="000000")).text


def test_activate_with_the_chosen_app(client, guarded):
    signed_in(client, guarded.user)
    second = TotpDeviceFactory(user=guarded.user, name="Tablet")

    client.post(activate_url(guarded), filled(code=code_of(second), app=second.pk))

    assert Request.objects.get().proved_with == "totp"


def test_activate_wrong_code_leaves_nothing(client, guarded):
    signed_in(client, guarded.user)

    page = client.post(activate_url(guarded), filled(code="000000"))

    assert errors(page) == {"code": ["mfa_invalid"]}
    assert not Request.objects.exists()
    assert not ActiveAssignment.objects.exists()
    assert not StepUpProof.objects.exists()


def test_activate_reused_code_leaves_nothing(client, guarded):
    app = signed_in(client, guarded.user)
    code = code_of(app)
    client.post(activate_url(guarded), filled(code=code))
    services.deactivate(active=ActiveAssignment.objects.get(), actor=guarded.user)

    page = client.post(activate_url(guarded), filled(code=code))

    assert errors(page) == {"code": ["mfa_reused"]}
    assert not ActiveAssignment.objects.in_force(now()).exists()


def test_activate_missing_code_is_asked_for(client, guarded):
    signed_in(client, guarded.user)

    assert errors(client.post(activate_url(guarded), filled())) == {"code": ["mfa_required"]}


def test_activate_throttled_after_many_wrong_codes(client, guarded):
    signed_in(client, guarded.user)
    client.post(activate_url(guarded), filled(code="000000"))

    assert errors(client.post(activate_url(guarded), filled(code="000000"))) == {"code": ["throttled"]}


def test_activate_too_long_does_not_burn_the_code(client, guarded):
    app = signed_in(client, guarded.user)
    code = code_of(app)

    page = client.post(activate_url(guarded), filled(code=code, duration="other", hours="9"))
    assert errors(page) == {"duration": ["too_long"]}
    client.post(activate_url(guarded), filled(code=code))

    assert ActiveAssignment.objects.in_force(now()).exists()


@pytest.mark.parametrize(
    ("values", "refused"),
    [
        ({"justification": " "}, {"justification": ["justification_required"]}),
        ({"duration": "other", "minutes": "4"}, {"duration": ["too_short"]}),
        ({"duration": "other"}, {"hours": [None]}),
        ({"duration": "soon"}, {"duration": ["invalid_choice"]}),
        ({"duration": ""}, {"duration": ["required"]}),
        ({"duration": "other", "hours": "-1"}, {"hours": ["min_value"]}),
        ({"when": "later"}, {"start": [None]}),
        ({"when": "later", "start": "2001-01-01T08:00"}, {"start": ["schedule_invalid"]}),
        ({"when": "later", "start": "tomorrow"}, {"start": ["invalid"]}),
        ({"justification": "x" * 2001}, {"__all__": ["too_long_text"]}),
    ],
)
def test_activate_refusal_stands_beside_its_field(client, eligible, values, refused):
    signed_in(client, eligible.user)

    page = client.post(activate_url(eligible), filled(**values))

    assert errors(page) == refused
    assert not Request.objects.exists()


def test_activate_refused_without_ticket(client):
    eligible = EligibleFactory(role=RoleFactory(settings__ticket_required=True))
    signed_in(client, eligible.user)

    assert errors(client.post(activate_url(eligible), filled())) == {"ticket": ["ticket_required"]}


def test_activate_says_what_tickets_look_like(client):
    eligible = EligibleFactory(role=RoleFactory(settings__ticket_pattern="CHG-[0-9]+"))
    signed_in(client, eligible.user)

    assert "Numbers look like this: CHG-[0-9]+" in client.get(activate_url(eligible)).content.decode()
    assert errors(client.post(activate_url(eligible), filled(ticket="INC-1"))) == {"ticket": ["ticket_invalid"]}


def test_request_links_its_ticket(client, eligible):
    signed_in(client, eligible.user)
    eligible.role.settings.update(ticket_link="https://tickets.example.org/?id={ticket}")
    client.post(activate_url(eligible), filled(ticket="<4 7>", ticket_system="Desk"))

    page = client.get(reverse("approvals:request-detail", args=[Request.objects.get().pk])).content.decode()

    link = '<a href="https://tickets.example.org/?id=%3C4%207%3E" rel="noreferrer">&lt;4 7&gt; (Desk)</a>'
    assert link in page


def test_activate_keeps_ticket_and_system(client, eligible):
    signed_in(client, eligible.user)

    client.post(activate_url(eligible), filled(ticket="4711", ticket_system="Desk"))

    assert Request.objects.get().ticket_text == "4711 (Desk)"


def test_activate_own_duration(client, eligible):
    signed_in(client, eligible.user)

    client.post(activate_url(eligible), filled(duration="other", hours="1", minutes="20"))

    assert Request.objects.get().duration == timedelta(minutes=80)


def test_activate_offers_the_last_duration_first(client, eligible):
    signed_in(client, eligible.user)
    RequestFactory(eligible_assignment=eligible, duration=timedelta(minutes=45), status="denied", settled_at=now())

    field = client.get(activate_url(eligible)).context["form"].fields["duration"]

    assert field.initial == "45"
    assert ("45", "45 min") in field.choices


def test_activate_later_in_the_persons_zone(client, eligible):
    eligible.user.time_zone = "Asia/Kolkata"
    eligible.user.save()
    signed_in(client, eligible.user)
    start = (now() + timedelta(days=1)).replace(second=0, microsecond=0)
    local = timezone.localtime(start, timezone.zoneinfo.ZoneInfo("Asia/Kolkata"))

    page = client.post(activate_url(eligible), filled(when="later", start=f"{local:%Y-%m-%dT%H:%M}"), follow=True)

    assert ActiveAssignment.objects.get().starts_at == start
    assert "The role starts by itself" in page.text
    assert "Time in Asia/Kolkata." in client.get(activate_url(EligibleFactory(user=eligible.user))).text


def test_activate_start_beside_now_does_not_count(client, eligible):
    signed_in(client, eligible.user)

    client.post(activate_url(eligible), filled(when="now", start="2001-01-01T08:00"))

    assert ActiveAssignment.objects.in_force(now()).exists()


def test_activate_at_a_narrower_scope(client, eligible):
    narrow = ResourceFactory(name="Payroll")
    signed_in(client, eligible.user)
    assert "Payroll" in client.get(activate_url(eligible)).text

    client.post(activate_url(eligible), filled(scope=narrow.pk))

    assert ActiveAssignment.objects.get().scope == narrow


def test_activate_page_says_that_only_places_beneath_are_left(client, eligible):
    ResourceFactory(name="Payroll")
    ActivationFactory(eligible_assignment=eligible)
    signed_in(client, eligible.user)
    page = client.get(activate_url(eligible))

    assert "This role is active or scheduled at" in page.text
    assert "You can ask for it at a place beneath only." in page.text


def test_activate_scope_elsewhere_refused(client):
    eligible = EligibleFactory(scope=ResourceFactory(), role=RoleFactory())
    ResourceFactory(parent=eligible.scope)
    signed_in(client, eligible.user)

    assert errors(client.post(activate_url(eligible), filled(scope=ResourceFactory().pk))) == {
        "scope": ["invalid_choice"]
    }


def test_activate_stricter_settings_beneath_ask_for_their_code(client, eligible):
    narrow = ResourceFactory()
    RoleSettings.objects.create(role=eligible.role, scope=narrow, created_at=now())
    app = signed_in(client, eligible.user)

    assert errors(client.post(activate_url(eligible), filled(scope=narrow.pk))) == {"code": ["mfa_required"]}
    client.post(activate_url(eligible), filled(scope=narrow.pk, code=code_of(app)))

    assert Request.objects.get().proved_with == "totp"


def test_activate_asks_approvers_and_says_whom(client, approver):
    role = RoleFactory(settings__approval_required=True, settings__approvers=[approver])
    eligible = EligibleFactory(role=role)
    signed_in(client, eligible.user)
    assert "approval by Ada Approver" in text_of(client.get(activate_url(eligible)))

    page = client.post(activate_url(eligible), filled(), follow=True)

    assert Message.objects.get().to_address == approver.email
    assert "1 approver was asked: Ada Approver" in text_of(page)
    assert not ActiveAssignment.objects.exists()


def text_of(response):
    return " ".join(re.sub(r"<[^>]+>", " ", response.text).split())


def test_activate_foreign_eligibility_is_not_there(client, eligible):
    signed_in(client, UserFactory())

    assert client.get(activate_url(eligible)).status_code == 404
    assert client.post(activate_url(eligible), filled()).status_code == 404
    assert not Request.objects.exists()


def test_activate_foreign_eligibility_is_not_there_for_administrators(client, eligible):
    signed_in(client, holder_of(Role.GLOBAL_ADMINISTRATOR))

    assert client.get(activate_url(eligible)).status_code == 404


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ({"ended_at": now(), "end_reason": "removed"}, "Your eligibility has ended."),
        ({"starts_at": now() + timedelta(days=2)}, "Your eligibility begins later"),
    ],
)
def test_activate_page_without_form_when_not_eligible_now(client, when, said):
    eligible = EligibleFactory(**when)
    signed_in(client, eligible.user)

    page = client.get(activate_url(eligible))

    assert said in page.text
    assert 'name="justification"' not in page.text


def test_activate_page_points_to_the_pending_request(client, asked):
    signed_in(client, asked.user)

    page = client.get(activate_url(asked.eligible_assignment))

    assert detail_url(asked) in page.text
    assert 'name="justification"' not in page.text


def test_activate_twice_refused(client, eligible):
    ActivationFactory(eligible_assignment=eligible)
    signed_in(client, eligible.user)

    assert errors(client.post(activate_url(eligible), filled())) == {"__all__": ["already_active"]}


def test_activate_while_pending_refused(client, asked):
    signed_in(client, asked.user)

    page = client.post(activate_url(asked.eligible_assignment), filled())

    assert errors(page) == {"__all__": ["already_pending"]}


# --- end ------------------------------------------------------------------------------------------------------


def end_url(active):
    return reverse("approvals:active-end", args=[active.pk])


def test_end_takes_the_role_back_and_says_so(client):
    active = ActivationFactory()
    signed_in(client, active.user)

    page = client.post(end_url(active), follow=True)

    assert page.redirect_chain == [("/", 302)]
    assert "has ended. You do not hold it any more." in page.text
    assert not ActiveAssignment.objects.in_force(now()).exists()


def test_end_twice_says_that_nothing_changed(client):
    active = ActivationFactory()
    signed_in(client, active.user)
    client.post(end_url(active))

    assert "Nothing was changed." in client.post(end_url(active), follow=True).text


def test_end_of_others_is_not_there(client):
    active = ActivationFactory()
    signed_in(client, holder_of(Role.GLOBAL_ADMINISTRATOR))

    assert client.post(end_url(active)).status_code == 404
    assert ActiveAssignment.objects.in_force(now()).filter(pk=active.pk).exists()


# --- one request ----------------------------------------------------------------------------------------------


def test_request_is_not_there_for_strangers(client, asked):
    signed_in(client, UserFactory())

    assert client.get(detail_url(asked)).status_code == 404
    for verb in ("approve", "deny", "cancel"):
        assert client.post(url(verb, asked), {"justification": "No."}).status_code == 404
    asked.refresh_from_db()
    assert asked.is_pending


def test_request_shows_requester_whom_was_asked_and_cancel(client, asked):
    signed_in(client, asked.user)

    page = client.get(detail_url(asked))

    assert "Ada Approver" in page.text
    assert url("cancel", asked) in page.text
    assert url("approve", asked) not in page.text


def test_request_shows_approver_what_they_need(client, asked, approver):
    earlier = ActivationFactory(eligible_assignment=asked.eligible_assignment)
    RequestFactory(
        eligible_assignment=asked.eligible_assignment,
        status="provisioned",
        settled_at=now(),
        active_assignment=earlier,
        justification="The time before.",
    )
    signed_in(client, approver)

    page = client.get(detail_url(asked))

    assert url("approve", asked) in page.text
    assert REASON in page.text
    assert "The time before." in page.text


def test_request_shows_last_five_activations_of_the_same_role_only(client, asked, approver):
    for _ in range(6):
        row = ActivationFactory(
            eligible_assignment__role=asked.role,
            eligible_assignment__user=asked.user,
            ended_at=now(),
            end_reason="expired",
            eligible_assignment__ended_at=now(),
            eligible_assignment__end_reason="expired",
        )
        RequestFactory(eligible_assignment=row.eligible_assignment, status="provisioned", active_assignment=row)
    other = ActivationFactory(eligible_assignment__user=asked.user)
    RequestFactory(eligible_assignment=other.eligible_assignment, status="provisioned", active_assignment=other)
    signed_in(client, approver)

    earlier = client.get(detail_url(asked)).context["earlier"]

    assert len(earlier) == 5
    assert {request.role for request, _ in earlier} == {asked.role}


def test_cancel_takes_the_request_back(client, asked):
    signed_in(client, asked.user)

    page = client.post(url("cancel", asked), follow=True)

    asked.refresh_from_db()
    assert asked.status == Request.Status.CANCELED
    assert f"{asked.user} canceled" in page.text


def test_cancel_too_late_says_who_decided(client, asked, approver):
    services.deny(request=asked, actor=approver, justification="Not today.")
    signed_in(client, asked.user)

    page = client.post(url("cancel", asked), follow=True)

    assert "Ada Approver has decided this request already: denied." in page.text


def test_cancel_by_approver_refused(client, asked, approver):
    signed_in(client, approver)

    assert client.post(url("cancel", asked)).status_code == 403
    asked.refresh_from_db()
    assert asked.is_pending


def test_request_that_ended_is_not_shown_as_active(client, eligible):
    signed_in(client, eligible.user)
    client.post(activate_url(eligible), filled())
    client.post(end_url(ActiveAssignment.objects.get()))

    page = client.get(detail_url(Request.objects.get(action="self_activate")))

    assert page.context["state"] == "ended"
    assert "Ended by hand" in page.text
    assert activate_url(eligible) in page.text  # ask again


def test_request_of_an_administrator_tells_its_course(client):
    administrator, person = holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR, display_name="Pat Admin"), UserFactory()
    role = RoleFactory()
    made = services.assign_eligible(holder=person, role=role, scope=role.resource, actor=administrator)
    services.remove_eligible(eligible=made.eligible_assignment, actor=administrator, justification="Left the team.")
    signed_in(client, person)

    first, last = (client.get(detail_url(row)) for row in Request.objects.order_by("requested_at"))

    assert [step.what for step in first.context["steps"]] == ["Pat Admin made the assignment", "Eligible", "Removed"]
    assert [step.what for step in last.context["steps"]] == ["Pat Admin took the role away"]
    assert "Left the team." in last.text
    assert first.context["state"] == "ended"


def test_request_past_its_time_is_not_shown_as_waiting(client, asked, approver):
    signed_in(client, asked.user)
    signed_in_at = now()
    with time_machine.travel(signed_in_at + timedelta(hours=2)):
        asked.expires_at = signed_in_at + timedelta(hours=1)
        asked.save()

        page = client.get(detail_url(asked))

    assert "Nobody decided in time." in page.text
    assert url("cancel", asked) not in page.text


# --- deciding -------------------------------------------------------------------------------------------------


def test_approve_grants(client, asked, approver):
    signed_in(client, approver)

    page = client.post(url("approve", asked), {"justification": "Go on."}, follow=True)

    assert ActiveAssignment.objects.in_force(now()).get().user == asked.user
    assert "Ada Approver approved" in page.text
    assert "Go on." in page.text
    assert f"{asked.role} for {asked.user}</h1>" in page.text


def test_approve_shorter(client, asked, approver):
    signed_in(client, approver)

    client.post(url("approve", asked), {"justification": "Half of it.", "duration": "30"})

    active = ActiveAssignment.objects.get()
    assert active.ends_at - active.starts_at == timedelta(minutes=30)


def test_approve_longer_is_no_choice(client, asked, approver):
    signed_in(client, approver)

    page = client.post(url("approve", asked), {"justification": "More.", "duration": "120"})

    assert errors(page) == {"duration": ["invalid_choice"]}
    assert not Decision.objects.exists()


def test_deny_closes_with_the_reason(client, asked, approver):
    signed_in(client, approver)

    client.post(url("deny", asked), {"justification": "Not today."})

    asked.refresh_from_db()
    assert asked.status == Request.Status.DENIED
    signed_in(client, asked.user)
    assert "Not today." in client.get(detail_url(asked)).text


@pytest.mark.parametrize("verb", ["approve", "deny"])
def test_decide_without_reason_refused(client, asked, approver, verb):
    signed_in(client, approver)

    page = client.post(url(verb, asked), {"justification": "  "})

    assert errors(page) == {"justification": ["justification_required"]}
    assert page.status_code == 200
    assert not Decision.objects.exists()


@pytest.mark.parametrize("verb", ["approve", "deny"])
def test_decide_own_request_refused(client, asked, verb):
    asked.settings.stages.get().approvers.add(asked.user)
    signed_in(client, asked.user)

    page = client.post(url(verb, asked), {"justification": "Mine."})

    assert errors(page) == {"__all__": ["own_request"]}
    assert "Nobody decides their own request." in page.text
    assert not Decision.objects.exists()


@pytest.mark.parametrize("verb", ["approve", "deny"])
def test_decide_meanwhile_decided_says_by_whom(client, asked, approver, verb):
    second = UserFactory()
    asked.settings.stages.get().approvers.add(second)
    services.approve(request=asked, actor=approver, justification="Go on.")
    signed_in(client, second)

    page = client.post(url(verb, asked), {"justification": "Also."})

    assert errors(page) == {"__all__": ["already_decided"]}
    assert "Ada Approver has decided this request already: approved." in page.text
    assert "Please correct" not in page.text
    assert Decision.objects.get().person == approver


def test_decide_by_viewer_without_being_asked_is_forbidden(client, asked):
    signed_in(client, holder_of(Role.SECURITY_READER))

    assert client.get(detail_url(asked)).status_code == 200
    assert client.post(url("approve", asked), {"justification": "Go on."}).status_code == 403
    assert not Decision.objects.exists()


def test_approve_that_cannot_be_granted_says_why(client, asked, approver):
    asked.eligible_assignment.ended_at, asked.eligible_assignment.end_reason = now(), "removed"
    asked.eligible_assignment.save()
    signed_in(client, approver)

    page = client.post(url("approve", asked), {"justification": "Go on."}, follow=True)

    assert "Approved, but the role could not be granted." in page.text
    assert not ActiveAssignment.objects.exists()


def test_approvals_list_what_waits_and_what_was_decided(client, asked, approver):
    RequestFactory()  # waits for somebody else
    signed_in(client, approver)
    page = client.get(reverse("approvals:approval-list"))
    assert list(page.context["page_obj"]) == [asked]

    client.post(url("deny", asked), {"justification": "Not today."})

    page = client.get(reverse("approvals:approval-list"))
    assert not page.context["page_obj"].object_list
    assert [decision.request for decision in page.context["decided"]] == [asked]


# --- lists ----------------------------------------------------------------------------------------------------


def test_my_requests_are_mine_filtered_and_paged(client, asked):
    mine = [asked, *(RequestFactory(eligible_assignment__user=asked.user, status="denied") for _ in range(26))]
    RequestFactory()
    signed_in(client, asked.user)

    everything = client.get(reverse("approvals:request-list")).context["page_obj"].paginator
    waiting = client.get(reverse("approvals:request-list"), {"status": "pending_approval"}).context["page_obj"]
    of_role = client.get(reverse("approvals:request-list"), {"role": asked.role_id}).context["page_obj"]

    assert (everything.count, everything.num_pages) == (len(mine), 2)
    assert list(waiting) == [asked]
    assert list(of_role) == [asked]


def test_my_requests_offer_no_role_of_others(client, asked):
    other = RequestFactory()
    signed_in(client, asked.user)

    page = client.get(reverse("approvals:request-list"), {"role": other.role_id})

    assert errors(page) == {"role": ["invalid_choice"]}


def test_history_is_ones_own_with_filters(client, eligible):
    signed_in(client, eligible.user)
    client.post(activate_url(eligible), filled())
    client.post(activate_url(eligible), filled())
    EligibleFactory()

    page = client.get(reverse("approvals:history"))
    refused = client.get(reverse("approvals:history"), {"outcome": "refused", "period": "1"})
    activated = client.get(reverse("approvals:history"), {"action": "assignment.activated"})

    assert page.context["page_obj"].paginator.count == 3
    assert [event.code for event, *_ in refused.context["rows"]] == ["already_active"]
    assert "active already" in text_of(refused)
    assert [str(words) for _, words, *_ in activated.context["rows"]] == ["Role activated"]


def test_history_says_who_did_what_others_did(client, asked, approver):
    services.approve(request=asked, actor=approver, justification="Go on.")
    signed_in(client, asked.user)

    assert "by Ada Approver" in text_of(client.get(reverse("approvals:history")))


def test_history_links_the_ticket_to_its_page(client, eligible):
    RoleSettings.objects.update(ticket_link="https://tickets.example.org/{ticket}")
    signed_in(client, eligible.user)
    client.post(activate_url(eligible), filled(ticket="CHG-1"))

    page = client.get(reverse("approvals:history")).content.decode()

    assert page.count('<a href="https://tickets.example.org/CHG-1" rel="noreferrer">CHG-1</a>') == 2


def test_history_offers_what_happened_to_this_person_by_what_it_is_about(client, eligible):
    signed_in(client, eligible.user)
    client.post(activate_url(eligible), filled())
    with transaction.atomic():
        record("role.deleted", actor=UserFactory(), target=eligible.role)

    page = client.get(reverse("approvals:history"))
    unheard_of = client.get(reverse("approvals:history"), {"action": "role.deleted"})

    assert list(page.context["form"].fields["action"].choices) == [
        ("", "Everything"),
        ("Requests and approvals", [("activation.requested", "Activation asked for")]),
        ("Assignments and activations", [("assignment.activated", "Role activated")]),
    ]
    assert errors(unheard_of) == {"action": ["invalid_choice"]}


def test_history_period_leaves_out_what_is_older(client, eligible):
    with time_machine.travel(now() - timedelta(days=8)):
        services.activate(
            eligible=EligibleFactory(user=eligible.user),
            actor=eligible.user,
            duration=timedelta(hours=1),
            justification=REASON,
        )
    signed_in(client, eligible.user)

    assert client.get(reverse("approvals:history"), {"period": "7"}).context["page_obj"].paginator.count == 0
    assert client.get(reverse("approvals:history"), {"period": "30"}).context["page_obj"].paginator.count == 2


def test_history_as_csv_has_no_formulas(client, eligible):
    eligible.role.name = '=HYPERLINK("https://example.org")'
    eligible.role.save()
    signed_in(client, eligible.user)
    client.post(activate_url(eligible), filled(justification="@SUM(A1)\n+1", ticket="-4711"))

    answer = client.get(reverse("approvals:history"), {"format": "csv"})

    rows = list(csv.DictReader(answer.getvalue().decode().splitlines(keepends=True)))
    assert answer.streaming
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="history.csv"'
    assert [row["action"] for row in rows] == ["assignment.activated", "activation.requested"]
    assert rows[0]["role"] == """'=HYPERLINK("https://example.org")"""
    assert (rows[0]["justification"], rows[0]["ticket"]) == ("'@SUM(A1)\n+1", "'-4711")
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for row in rows for cell in row.values())


def test_history_as_csv_follows_the_filters_and_leaves_out_others(client, eligible):
    signed_in(client, eligible.user)
    client.post(activate_url(eligible), filled())
    other = EligibleFactory()
    services.activate(eligible=other, actor=other.user, duration=timedelta(hours=1), justification=REASON)

    answer = client.get(reverse("approvals:history"), {"format": "csv", "action": "activation.requested"})

    assert len(answer.getvalue().decode().splitlines()) == 2


# --- all ------------------------------------------------------------------------------------------------------


def test_changes_take_a_post(client, asked):
    active = ActivationFactory(eligible_assignment__user=asked.user)
    signed_in(client, asked.user)

    for address in (*(url(verb, asked) for verb in ("approve", "deny", "cancel")), end_url(active)):
        assert client.get(address).status_code == 405
    assert not Event.objects.exists()


def test_looking_changes_nothing(client, asked, approver):
    addresses = [detail_url(asked), *(reverse(f"approvals:{name}") for name in LISTS)]
    for person in (asked.user, approver):
        signed_in(client, person)
        for address in addresses:
            assert client.get(address).status_code == 200
    assert not Event.objects.exists()


LISTS = ["request-list", "approval-list", "history"]


@pytest.mark.parametrize("name", LISTS)
def test_lists_send_strangers_to_sign_in(client, name):
    assert client.get(reverse(f"approvals:{name}")).url.startswith(reverse("accounts:sign-in"))


def lists_of(person, number):
    for _ in range(number):
        role = RoleFactory(settings__approval_required=True, settings__approvers=[person])
        RequestFactory(eligible_assignment__role=role)
        RequestFactory(eligible_assignment__user=person)
        decided = RequestFactory(status="denied", settled_at=now())
        Decision.objects.create(request=decided, person=person, verdict="denied", justification="-", decided_at=now())
        own = EligibleFactory(user=person)
        services.activate(eligible=own, actor=person, duration=timedelta(hours=1), justification=REASON)


@pytest.mark.parametrize("name", LISTS)
def test_lists_take_the_same_queries_for_many_rows(client, name):
    person = UserFactory()
    signed_in(client, person)
    lists_of(person, 1)
    client.get(reverse(f"approvals:{name}"))  # the first one notes in the session that it is in use
    first = queries(client, reverse(f"approvals:{name}"))
    lists_of(person, 8)

    assert queries(client, reverse(f"approvals:{name}")) == first


def queries(client, address):
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    return len(captured)


def test_activation_goes_on_under_a_new_session_key(client):
    eligible = EligibleFactory(role=RoleFactory(settings__activation_authentication="mfa"))
    device = signed_in(client, eligible.user)
    before = client.session.session_key

    client.post(
        reverse("approvals:eligible-activate", args=[eligible.pk]),
        {"duration": "60", "when": "now", "justification": "The nightly job is stuck.", "code": code_of(device)},
    )

    assert eligible.activations.count() == 1
    assert client.session.session_key not in (None, before)
