import uuid
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from accounts.models import User
from approvals.models import Request
from approvals.rules import activation_facts, check_cancel, check_decision, check_shortened, check_text
from assignments.models import ActiveAssignment
from tests.refusals import code_of_refusal

AT = datetime(2026, 11, 21, 18, 40, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ANA, KIM, LEE = (User(pk=uuid.UUID(int=number)) for number in (1, 2, 3))


@pytest.mark.parametrize(
    ("texts", "required", "code"),
    [
        ({"justification": "Why"}, True, None),
        ({"justification": ""}, True, "justification_required"),
        ({"justification": " \u200b\t"}, True, "justification_required"),
        ({"justification": "..."}, True, "justification_required"),
        ({"justification": ""}, False, None),
        ({"justification": "x" * 2000}, True, None),
        ({"justification": "x" * 2001}, True, "too_long_text"),
        ({"justification": "", "ticket": "x" * 100, "ticket_system": "x" * 100}, False, None),
        ({"justification": "", "ticket": "x" * 101}, False, "too_long_text"),
        ({"justification": "", "ticket_system": "x" * 101}, False, "too_long_text"),
    ],
)
def test_check_text(texts, required, code):
    assert code_of_refusal(check_text, **texts, required=required) == code


@pytest.mark.parametrize(
    ("duration", "code"),
    [
        (HOUR, None),
        (5 * MINUTE, None),
        (HOUR + timedelta(microseconds=1), "too_long"),
        (timedelta.max, "too_long"),
        (5 * MINUTE - timedelta(microseconds=1), "too_short"),
        (timedelta(0), "too_short"),
        (-HOUR, "too_short"),
    ],
    ids=str,
)
def test_check_shortened(duration, code):
    assert code_of_refusal(check_shortened, duration, asked=HOUR) == code


def pending(**differs):
    facts = {"status": "pending_approval", "requester": ANA, "user": ANA, "expires_at": AT + HOUR}
    return Request(**facts | differs)


def decided(request=None, **differs):
    facts = {"actor": KIM, "is_approver": True, "has_decided": False, "justification": "Seen.", "at": AT} | differs
    return code_of_refusal(check_decision, request or pending(), **facts)


@pytest.mark.parametrize(
    ("differs", "code"),
    [
        ({}, None),
        ({"actor": ANA}, "own_request"),
        ({"is_approver": False}, "not_an_approver"),
        ({"has_decided": True}, "already_decided"),
        ({"justification": " "}, "justification_required"),
        ({"at": AT + HOUR - timedelta(microseconds=1)}, None),
    ],
    ids=str,
)
def test_check_decision(differs, code):
    assert decided(**differs) == code


@pytest.mark.parametrize("actor", [ANA, KIM])
def test_check_decision_is_for_neither_who_asked_nor_who_gets_it(actor):
    assert decided(pending(requester=ANA, user=KIM), actor=actor) == "own_request"


def closed(monkeypatch, **differs):
    nobody = SimpleNamespace(select_related=lambda *_: SimpleNamespace(last=lambda: None))
    monkeypatch.setattr(Request, "decisions", nobody)
    return pending(**differs)


WAITS_FOR_PEOPLE = ("pending_approval", "pending_admin_decision")


def test_check_decision_leaves_an_extension_to_an_administrators_grant():
    assert decided(pending(status="pending_admin_decision")) == "use_grant"


@pytest.mark.parametrize("status", [each for each in Request.Status if each not in WAITS_FOR_PEOPLE])
def test_check_decision_refuses_what_waits_no_more(status, monkeypatch):
    assert decided(closed(monkeypatch, status=status)) == "already_decided"


def test_check_decision_refuses_what_is_overdue_and_not_yet_closed(monkeypatch):
    request = closed(monkeypatch, expires_at=AT)
    with pytest.raises(Exception, match="timed out"):
        check_decision(request, actor=KIM, is_approver=True, has_decided=False, justification="Seen.", at=AT)


@pytest.mark.parametrize(
    ("action", "status", "code"),
    [
        ("self_activate", "pending_approval", None),
        ("self_activate", "scheduled", None),
        *(("self_activate", status, "already_decided") for status in ("provisioned", "denied", "canceled", "failed")),
        ("admin_assign", "scheduled", "not_canceled"),
        ("self_deactivate", "revoked", "not_canceled"),
    ],
)
def test_check_cancel(action, status, code, monkeypatch):
    request = closed(monkeypatch, action=action, status=status)
    assert code_of_refusal(check_cancel, request, at=AT) == code


@pytest.mark.parametrize(("late", "code"), [(timedelta(seconds=-1), None), (timedelta(0), "already_active")])
def test_check_cancel_until_the_role_has_begun(late, code):
    begun = ActiveAssignment(starts_at=AT - late)
    request = pending(action="self_activate", status="scheduled", active_assignment=begun)
    assert code_of_refusal(check_cancel, request, at=AT) == code


def test_activation_facts_hold_all_that_is_asked():
    thing = SimpleNamespace(pk=uuid.UUID(int=9))
    texts = {"justification": "Why", "ticket": "T", "ticket_system": "S"}
    facts = activation_facts(eligible=thing, scope=thing, starts_at=AT, duration=HOUR, **texts)
    assert facts == {"eligible": thing.pk, "scope": thing.pk, "starts_at": AT, "duration": HOUR, **texts}
