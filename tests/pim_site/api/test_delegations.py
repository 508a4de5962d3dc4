"""Delegations by the API: what this door adds to the services."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from audit.models import Event
from roles.models import Delegation, Role
from tests.api import Program
from tests.factories import DelegationFactory, UserFactory, holder_of

pytestmark = [pytest.mark.django_db, pytest.mark.once]
DAY = timedelta(days=1)


@pytest.fixture
def approver():
    return UserFactory()


@pytest.fixture
def program(approver):
    return Program(approver)


def asked(**differs):
    return {"delegate": "dina", "ends_at": (now() + DAY).isoformat(), "justification": "Away."} | differs


@pytest.mark.parametrize("name", ["dina", " Dina@Example.org "])
def test_decisions_are_delegated_to_who_is_named_as_on_the_page(approver, program, name):
    dina = UserFactory(username="dina", email="dina@example.org")

    status, made = program.post("delegations", asked(delegate=name))

    row = Delegation.objects.get(pk=made["id"])
    assert (status, row.delegator, row.delegate, made["state"]) == (201, approver, dina, "active")
    event = Event.objects.get(action="delegation.created")
    assert (event.actor_id, event.subject_id, event.justification) == (approver.pk, approver.pk, "Away.")


def test_delegation_looked_at_beforehand_is_not_made(program):
    UserFactory(username="dina")
    later = (now() + timedelta(hours=2)).isoformat()

    status, seen = program.post("delegations", asked(validate_only=True, starts_at=later))

    assert (status, seen["id"], seen["state"]) == (200, None, "scheduled")
    assert not Delegation.objects.exists()


@pytest.mark.parametrize(
    ("differs", "answer"),
    [
        ({"delegate": "nobody"}, (422, "delegate_invalid")),
        ({"delegate": "asker"}, (422, "delegate_invalid")),
        ({"ends_at": "2020-01-01T10:00:00Z"}, (422, "schedule_invalid")),
        ({}, (409, "already_delegated")),
    ],
)
def test_delegation_that_the_rules_refuse_is_not_made(differs, answer):
    approver = UserFactory(username="asker")
    DelegationFactory(delegator=approver, delegate=UserFactory(username="dina"))

    status, refused = Program(approver).post("delegations", asked(**differs))

    assert ((status, refused["code"]), Delegation.objects.count()) == (answer, 1)


def test_one_sees_those_one_gave_and_was_given_by_their_state(approver, program):
    at = now()
    given = DelegationFactory(delegator=approver)
    received = DelegationFactory(delegate=approver, starts_at=at + DAY)
    over = DelegationFactory(delegator=approver, starts_at=at - 2 * DAY)
    early = DelegationFactory(delegator=approver, ended_at=at)
    foreign = DelegationFactory()

    found = {
        state: {row["id"] for row in program.get("delegations", state=state)[1]["results"]}
        for state in ("active", "scheduled", "ended")
    }

    assert found == {"active": {given.pk}, "scheduled": {received.pk}, "ended": {over.pk, early.pk}}
    assert program.get(f"delegations/{foreign.pk}")[0] == program.post(f"delegations/{foreign.pk}/end")[0] == 404
    _, page = program.get("delegations", delegate=str(approver.pk), expand="delegator")
    assert [row["delegator"]["display_name"] for row in page["results"]] == [received.delegator.display_name]


@pytest.mark.parametrize("who", ["delegator", "delegate"])
def test_delegation_is_ended_by_either_and_once(who):
    given = DelegationFactory()
    program = Program(getattr(given, who))

    status, ended = program.post(f"delegations/{given.pk}/end")
    again = program.post(f"delegations/{given.pk}/end")

    assert (status, ended["state"], again[0], again[1]["code"]) == (200, "ended", 409, "already_ended")


def test_delegation_of_others_is_ended_with_the_right_to_and_a_reason():
    given, admin = DelegationFactory(), Program(holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR))
    reader, path = Program(holder_of(Role.SECURITY_READER)), f"delegations/{given.pk}/end"

    without = admin.post(path)
    foreign = reader.post(path, {"justification": "No."})
    status, ended = admin.post(path, {"justification": "Left the team."})

    assert (without[0], without[1]["code"], foreign[0]) == (422, "justification_required", 403)
    assert (status, ended["state"]) == (200, "ended")
    event = Event.objects.get(action="delegation.ended", outcome="success")
    assert event.justification == "Left the team."
