from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from accounts.factors import digest
from accounts.models import EnrolmentTicket, StepUpProof, User
from accounts.rules import (
    THROTTLES,
    NotAllowed,
    check_factor_can_go,
    check_proof,
    check_ticket,
    intent_digest,
    says_nothing,
    throttle_keys,
)
from tests.refusals import code_of_refusal

AT = datetime(2026, 11, 21, 18, 40, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("kind", "failures", "seconds"),
    [
        ("both", 4, 0),
        ("both", 5, 1),
        ("both", 6, 2),
        ("both", 10, 32),
        ("both", 14, 512),
        ("both", 15, 900),
        ("both", 10**6, 900),
        ("name", 19, 0),
        ("name", 20, 1),
        ("name", 25, 32),
        ("name", 26, 60),
        ("address", 49, 0),
        ("address", 50, 1),
        ("address", 58, 256),
        ("address", 59, 300),
    ],
)
def test_throttle_waits(kind, failures, seconds):
    assert THROTTLES[kind].wait(failures) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("ana", "192.0.2.1"), (" ANA ", "192.0.2.1"), {"name", "address", "both"}),
        (("ana", "192.0.2.1"), ("ana", "192.0.2.2"), {"name"}),
        (("ana", "192.0.2.1"), ("kim", "192.0.2.1"), {"address"}),
        (("ana", "2001:db8::1"), ("ana", "2001:db8:0:0:ffff::2"), {"name", "address", "both"}),
        (("ana", "2001:db8::1"), ("ana", "2001:db8:0:1::1"), {"name"}),
        (("ana", ""), ("ana", "no address"), {"name", "address", "both"}),
        (("\ud800", "192.0.2.1"), ("\ud800", "192.0.2.1"), {"name", "address", "both"}),
    ],
)
def test_throttle_keys_count_together(one, other, same):
    first, second = throttle_keys(*one), throttle_keys(*other)
    assert {kind for kind in first if first[kind] == second[kind]} == same


def test_throttle_keys_do_not_show_what_was_typed():
    assert all(len(key) == 64 for key in throttle_keys("my secret password", "192.0.2.1").values())


USER = User(pk=uuid4())
FITTING = {
    "user": USER,
    "session_digest": digest("s"),
    "intent_digest": "i",
    "created_at": AT - 120 * SECOND,
    "consumed_at": None,
}


@pytest.mark.parametrize("created_at", [AT, AT - 120 * SECOND])
def test_check_proof_takes_one_of_two_minutes(created_at):
    check_proof(StepUpProof(**FITTING | {"created_at": created_at}), user=USER, intent="i", session="s", at=AT)


@pytest.mark.parametrize(
    "differs",
    [
        {"user": User(pk=uuid4())},
        {"session_digest": digest("another")},
        {"intent_digest": "another"},
        {"created_at": AT - 121 * SECOND},
        {"created_at": AT + timedelta(microseconds=1)},
        {"consumed_at": AT - SECOND},
    ],
    ids=lambda differs: next(iter(differs)),
)
def test_check_proof_refuses_one_made_for_anything_else(differs):
    proof = StepUpProof(**FITTING | differs)
    assert code_of_refusal(check_proof, proof, user=USER, intent="i", session="s", at=AT) == "mfa_required"


def test_check_proof_refuses_none():
    assert code_of_refusal(check_proof, None, user=USER, intent="i", session="s", at=AT) == "mfa_required"


def test_intent_digest_depends_on_each_fact():
    facts = {"role": uuid4(), "starts_at": AT, "duration": timedelta(hours=1), "ticket": ""}
    others = [{"role": uuid4()}, {"starts_at": None}, {"duration": timedelta(hours=2)}, {"ticket": "T-1"}]
    digests = [intent_digest("a", **facts), intent_digest("b", **facts)]
    digests += [intent_digest("a", **facts | other) for other in others]
    assert len(set(digests)) == 6
    assert digests[0] == intent_digest("a", **dict(reversed(facts.items())))


@pytest.mark.parametrize(
    ("differs", "valid"),
    [
        ({}, True),
        ({"used_at": AT}, False),
        ({"expires_at": AT}, False),
        ({"expires_at": AT + timedelta(microseconds=1)}, True),
        ({"issued_at": AT + SECOND}, False),
        ({"user": User(is_active=False)}, False),
    ],
)
def test_check_ticket(differs, valid):
    ticket = EnrolmentTicket(**{"user": User(), "issued_at": AT, "expires_at": AT + SECOND} | differs)
    assert code_of_refusal(check_ticket, ticket, at=AT) == (None if valid else "ticket_invalid")


def test_check_ticket_refuses_none():
    assert code_of_refusal(check_ticket, None, at=AT) == "ticket_invalid"


@pytest.mark.parametrize(("apps", "code"), [(0, "last_factor"), (1, "last_factor"), (2, None)])
def test_check_factor_can_go(apps, code):
    assert code_of_refusal(check_factor_can_go, apps) == code


def test_not_allowed_says_what_to_do_and_has_a_code():
    assert (NotAllowed().code, NotAllowed("Ask Kim.").code) == ("not_allowed", "not_allowed")
    assert "Activate the role" in str(NotAllowed())


@pytest.mark.parametrize(
    ("text", "nothing"),
    [
        ("", True),
        (" \t\n", True),
        ("\u200b\u2060", True),
        ("\u00a0", True),
        ("…", True),
        ("- .", True),
        ("Stuck", False),
        ("7", False),
        ("не работает", False),
    ],
    ids=ascii,
)
def test_says_nothing(text, nothing):
    assert says_nothing(text) is nothing
