"""Lists that are narrowed by what no column says."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from roles.models import Role
from tests.api import Program
from tests.factories import ActivationFactory, ActiveFactory, EligibleFactory, TokenFactory, UserFactory, holder_of

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def reader():
    return Program(holder_of(Role.SECURITY_READER))


def ids(program, address, **query):
    return {row["id"] for row in program.get(address, **query)[1]["results"]}


def of_each_state(factory):
    at = now()
    over = [factory(starts_at=at - 2 * DAY, ends_at=at - DAY), factory(user=UserFactory(is_active=False))]
    return {"active": [factory()], "scheduled": [factory(starts_at=at + DAY)], "ended": over}


@pytest.mark.parametrize(
    ("address", "factory"), [("eligible_assignments", EligibleFactory), ("active_assignments", ActiveFactory)]
)
def test_state_is_told_by_times_and_by_who_is_disabled(reader, address, factory):
    rows = of_each_state(factory)
    mine = {str(row.pk) for several in rows.values() for row in several}

    found = {state: ids(reader, address, state=state) & mine for state in rows}

    assert found == {state: {str(row.pk) for row in several} for state, several in rows.items()}


def test_activation_ends_with_its_eligibility(reader):
    since = {"starts_at": now() - 2 * DAY}
    over = ActivationFactory(eligible_assignment=EligibleFactory(**since, ends_at=now() - DAY), **since)

    assert str(over.pk) in ids(reader, "active_assignments", state="ended")
    assert str(over.pk) not in ids(reader, "active_assignments", state="active")


def test_tokens_are_open_until_they_end_or_are_revoked():
    person = UserFactory()
    program = Program(person)
    at = now()
    made = {"created_at": at - 2 * DAY}
    over = [TokenFactory(user=person, **made, **terms).pk for terms in ({"revoked_at": at}, {"expires_at": at - DAY})]

    everything = ids(program, "tokens")

    assert ids(program, "tokens", open="false") == {str(pk) for pk in over}
    assert ids(program, "tokens", open="true") == everything - {str(pk) for pk in over} != set()
