"""A role that asks another system first: against a real server, from the request to what becomes of it."""

import json
from datetime import UTC, timedelta
from time import monotonic

import pytest
import time_machine
from django.utils.timezone import now

from accounts.models import User
from approvals import services
from approvals.hooks import ATTEMPTS, LONGEST_WAIT, Reply, read_reply
from approvals.models import HookCall
from approvals.tasks import check_due, time_out_due
from approvals.timeline import timeline
from assignments.models import ActiveAssignment, EligibleAssignment
from audit.models import Event
from notifications.models import Message
from notifications.outgoing import Answer, signature
from pim_site.duties import tasks_due
from roles.hooks import Hook
from roles.models import Role
from roles.services import disable_hook, save_settings
from tests.factories import EligibleFactory, HookFactory, RoleFactory, UserFactory, holder_of
from tests.listener import listening
from tests.refusals import refused

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture
def listener(settings):
    settings.OUTGOING_NETWORKS, settings.OUTGOING_HTTP = ["127.0.0.0/8"], True
    with listening() as listener:
        yield listener


@pytest.fixture
def approver():
    return UserFactory()


def ask(listener, approver, **settings):
    """A request for a role that asks this listener first."""
    hook = HookFactory(url=listener.url())
    values = {"settings__approval_required": True, **{f"settings__{name}": each for name, each in settings.items()}}
    role = RoleFactory(settings__hook=hook, settings__approvers=[approver], **values)
    eligible = EligibleFactory(role=role)
    return services.activate(eligible=eligible, actor=eligible.user, duration=HOUR, justification="The job is stuck.")


def says(listener, decision, *reasons):
    listener.then(200, json.dumps({"decision": decision, "reasons": reasons}).encode())


def after_all_attempts():
    """Let the worker come by often enough, and late enough each time."""
    for _attempt in range(ATTEMPTS + 1):
        check_due()
        with_pause = HookCall.objects.filter(outcome="")
        with_pause.update(next_attempt_at=now() - timedelta(seconds=1))


def mails(kind):
    return list(Message.objects.filter(kind=kind).values_list("to_address", flat=True))


def test_request_waits_without_calling_anybody(listener, approver):
    request = ask(listener, approver)

    assert (request.status, request.expires_at - request.requested_at) == ("pending_hook", LONGEST_WAIT)
    assert (listener.asked, mails("approval_asked")) == ([], [])
    assert "approvals.tasks.check_due" in tasks_due(now())


def test_question_is_signed_and_says_what_the_documentation_says(listener, approver):
    request = ask(listener, approver)
    check_due()

    [(_path, headers, body)] = listener.asked
    told, hook, person = json.loads(body), request.settings.hook, request.person
    assert (told["type"], set(told)) == ("request.pending", {"type", "timestamp", "data"})
    assert told["data"] == {
        "request": {
            "id": str(request.pk),
            "reference": request.reference,
            "requested_at": request.requested_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "starts_at": None,
            "duration": 3600,
            "justification": "The job is stuck.",
            "ticket": "",
            "ticket_system": "",
            "proved_with": "",
        },
        "user": {
            "id": str(person.pk),
            "username": person.username,
            "name": person.display_name,
            "email": person.email,
        },
        "role": {"id": str(request.role_id), "name": request.role.name, "privileged": False},
        "scope": {"id": str(request.scope_id), "path": "/"},
    }
    at = now().fromtimestamp(int(headers["webhook-timestamp"]), tz=now().tzinfo)
    signed = signature(hook.secrets(at), message_id=f"req_{request.pk.hex}", at=at, body=body)
    assert (headers["webhook-id"], headers["webhook-signature"]) == (f"req_{request.pk.hex}", signed)


@pytest.mark.parametrize(
    ("decision", "approval", "status", "asked", "granted"),
    [
        ("approved", True, "pending_approval", 1, 0),
        ("approved", False, "provisioned", 0, 1),
        ("auto_approved", True, "provisioned", 0, 1),
        ("auto_approved", False, "provisioned", 0, 1),
        ("denied", True, "denied", 0, 0),
        ("denied", False, "denied", 0, 0),
    ],
)
def test_answer_is_followed(listener, approver, decision, approval, status, asked, granted):
    request = ask(listener, approver, approval_required=approval)
    says(listener, decision, "Known case.")

    assert check_due() == 1

    request.refresh_from_db()
    facts = (request.status, len(mails("approval_asked")), ActiveAssignment.objects.in_force(now()).count())
    assert facts == (status, asked, granted)
    event = Event.objects.get(action="request.checked")
    told = {"hook": str(request.settings.hook), "outcome": decision, "error": "", "attempts": 1}
    told |= {"denied": status == "denied"}
    assert (event.facts["after"], event.justification) == (told, "Known case.")
    assert check_due() == 0


@pytest.mark.parametrize(("decision", "approval"), [("auto_approved", True), ("approved", False), ("denied", True)])
def test_request_is_settled_at_the_moment_of_the_answer(listener, approver, decision, approval):
    request = ask(listener, approver, approval_required=approval)
    says(listener, decision)
    answered_at = request.requested_at + timedelta(minutes=3)
    with time_machine.travel(answered_at, tick=False):
        check_due()
    request.refresh_from_db()
    assert (request.settled_at, request.hook_call.answered_at) == (answered_at, answered_at)


def test_denial_tells_the_requester_why(listener, approver):
    request = ask(listener, approver)
    says(listener, "denied", "Not on call.", "Ask the lead.")
    check_due()

    request.refresh_from_db()
    step = timeline(request, at=now())[1]
    assert (step.tone, step.words) == ("refused", "Not on call.\nAsk the lead.")
    message = Message.objects.get(kind="request_decided")
    assert (message.to_address, "Ask the lead." in message.context) == (request.user.email, True)


def test_people_decide_after_a_hook_without_objection(listener, approver):
    request = ask(listener, approver)
    says(listener, "approved")
    check_due()

    services.approve(request=request, actor=approver, justification="Fine.")

    assert ActiveAssignment.objects.in_force(now()).count() == 1


FAULTS = {
    "denies with a status": lambda listener: listener.then(403),
    "fails": lambda listener: listener.then(500),
    "redirects": lambda listener: listener.then(302, Location=listener.url(path="/elsewhere")),
    "sends 10 MB": lambda listener: listener.then(200, b" " * 10_000_000),
    "sends no JSON": lambda listener: listener.then(200, b"<html>"),
    "sends another word": lambda listener: listener.then(200, b'{"decision": "yes"}'),
    "sends a list": lambda listener: listener.then(200, b"[]"),
    "nests deeply": lambda listener: listener.then(200, b"[" * 60_000),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize(("choice", "status"), [("deny", "denied"), ("ask", "pending_approval")])
def test_no_answer_ends_as_the_role_chose(listener, approver, fault, choice, status):
    request = ask(listener, approver, hook_unanswered=choice)
    fault(listener)

    after_all_attempts()

    request.refresh_from_db()
    assert (request.status, len(listener.asked)) == (status, ATTEMPTS)
    assert ActiveAssignment.objects.count() == 0
    assert {path for path, _headers, _body in listener.asked} == {"/hook"}


def test_slow_hook_blocks_nobody_and_ends_as_the_role_chose(listener, approver, monkeypatch):
    monkeypatch.setattr("notifications.outgoing.SECONDS", 0.1)
    monkeypatch.setattr("notifications.outgoing.post.__kwdefaults__", {"seconds": 0.1})
    listener.silent.clear()
    began = monotonic()
    request = ask(listener, approver, hook_unanswered="ask")
    assert monotonic() - began < 1
    after_all_attempts()
    request.refresh_from_db()
    assert (request.status, request.hook_call.last_error) == ("pending_approval", "timed_out")


def test_address_that_lies_is_never_called(listener, approver, settings):
    settings.OUTGOING_NETWORKS = []
    request = ask(listener, approver)
    after_all_attempts()
    request.refresh_from_db()
    assert (request.status, request.hook_call.last_error, listener.asked) == ("denied", "address_refused", [])


def test_disabled_hook_is_as_one_that_does_not_answer(listener, approver):
    request = ask(listener, approver)
    disable_hook(hook=request.settings.hook, actor=None)
    check_due()
    request.refresh_from_db()
    assert (request.status, request.hook_call.last_error, listener.asked) == ("denied", "disabled", [])


def test_people_are_asked_in_its_stead_even_where_the_role_asks_nobody(listener, approver):
    request = ask(listener, approver, approval_required=False, hook_unanswered="ask")
    listener.then(500)
    after_all_attempts()
    request.refresh_from_db()
    assert (request.status, mails("approval_asked")) == ("pending_approval", [approver.email])


def test_pauses_grow_and_the_message_stays_the_same(listener, approver):
    listener.answers = [(500, b"", {}), (200, b'{"decision": "auto_approved"}', {})]
    with time_machine.travel(now(), tick=False) as clock:
        request = ask(listener, approver)
        assert (check_due(), check_due()) == (1, 0)
        clock.shift(timedelta(seconds=15))
        assert check_due() == 1
    request.refresh_from_db()
    assert request.status == "provisioned"
    assert {headers["webhook-id"] for _path, headers, _body in listener.asked} == {f"req_{request.pk.hex}"}


def test_worker_that_died_is_followed_by_another(listener, approver):
    request = ask(listener, approver)
    HookCall.objects.update(attempts=1, next_attempt_at=now() + timedelta(seconds=60))
    assert check_due() == 0
    with time_machine.travel(now() + timedelta(seconds=61)):
        assert check_due() == 1
    request.refresh_from_db()
    assert len(listener.asked) == 1


def test_late_answer_of_an_earlier_attempt_changes_nothing(listener, approver):
    request = ask(listener, approver)
    HookCall.objects.update(attempts=2)
    assert services.hear(request=request, actor=None, reply=Reply("auto_approved"), attempt=1) is False
    assert services.hear(request=request, actor=None, reply=Reply("denied"), attempt=2) is True
    assert services.hear(request=request, actor=None, reply=Reply("auto_approved"), attempt=2) is False
    request.refresh_from_db()
    assert (request.status, ActiveAssignment.objects.count()) == ("denied", 0)


def test_request_that_was_canceled_is_not_asked_about(listener, approver):
    request = ask(listener, approver)
    services.cancel(request=request, actor=request.user)
    assert (check_due(), listener.asked) == (0, [])


def test_request_that_nobody_asked_about_times_out(listener, approver):
    request = ask(listener, approver)
    with time_machine.travel(now() + LONGEST_WAIT + timedelta(seconds=1)):
        assert (check_due(), time_out_due()) == (0, 1)
    request.refresh_from_db()
    assert (request.status, listener.asked) == ("timed_out", [])


def test_request_waiting_for_a_hook_counts_as_asked(listener, approver):
    request = ask(listener, approver)
    with refused("already_pending"):
        services.activate(
            eligible=request.eligible_assignment, actor=request.user, duration=HOUR, justification="Once more."
        )


def disable(request):
    User.objects.filter(pk=request.user_id).update(is_active=False)


def end_eligibility(request):
    EligibleAssignment.objects.filter(pk=request.eligible_assignment_id).update(ended_at=now(), end_reason="removed")


def ask_for_code(request):
    save_settings(role=request.role, scope=request.scope, actor=None, activation_authentication="mfa")


@pytest.mark.parametrize(
    ("happens", "code"),
    [(disable, "holder_disabled"), (end_eligibility, "not_eligible"), (ask_for_code, "mfa_required")],
)
def test_what_fell_away_is_not_granted_whatever_the_hook_says(listener, approver, happens, code):
    request = ask(listener, approver)
    says(listener, "auto_approved")
    happens(request)
    check_due()
    request.refresh_from_db()
    assert (request.status, request.failure_code, ActiveAssignment.objects.count()) == ("failed", code, 0)


def test_hook_that_is_named_while_people_decide_must_have_been_asked(approver):
    role = RoleFactory(settings__approval_required=True, settings__approvers=[approver])
    eligible = EligibleFactory(role=role)
    request = services.activate(eligible=eligible, actor=eligible.user, duration=HOUR, justification="Stuck.")
    save_settings(role=role, scope=role.resource, actor=None, hook=HookFactory())

    request = services.approve(request=request, actor=approver, justification="Fine.")

    assert (request.status, request.failure_code) == ("failed", "hook_required")


def test_hook_that_the_settings_let_go_is_not_asked(listener, approver):
    request = ask(listener, approver)
    save_settings(role=request.role, scope=request.scope, actor=None, hook=None)
    check_due()
    request.refresh_from_db()
    assert (request.status, listener.asked) == ("pending_approval", [])


def test_settings_refuse_a_hook_without_a_secret():
    role, hook = RoleFactory(), HookFactory(secret="")
    administrator = holder_of(Role.GLOBAL_ADMINISTRATOR)
    with refused("hook_unusable"):
        save_settings(role=role, scope=role.resource, actor=administrator, hook=hook)


def test_reasons_are_cut_and_cleaned():
    body = json.dumps({"decision": "denied", "reasons": ["a\x00b\nc", 7, "x" * 5000, *["more"] * 20]}).encode()
    lines = read_reply(Answer(200, body)).reasons.split("\n")
    assert [len(line) for line in lines] == [len(lines[0]), 200, *[4] * 8]
    assert "\x00" not in lines[0]


def test_no_secret_is_told(listener, approver):
    request = ask(listener, approver)
    check_due()
    secret = request.settings.hook.secrets(now())[0]
    told = repr([*Event.objects.values_list(), *Message.objects.values_list(), *Hook.objects.values_list()])
    assert secret not in told
    assert str(request.pk) in told
