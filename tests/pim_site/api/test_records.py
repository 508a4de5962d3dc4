"""Events of the audit by the API: what this door adds to the log."""

import pytest

from audit.merkle import leaf_hash
from audit.models import Event
from audit.sealing import seal
from audit.services import record
from roles.models import Role
from tests.api import Program
from tests.factories import holder_of

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def reader():
    return Program(holder_of(Role.SECURITY_READER))


def test_event_says_its_place_in_the_log_once_it_has_one(reader):
    event = record("role.created", actor=None, target=None)
    address, leaf = f"audit_events/{event.pk}", leaf_hash(event.canonical.encode()).hex()
    _, before = reader.get(address)
    assert (before["number"], before["hash"]) == (None, None)

    seal()

    _, after = reader.get(address)
    assert (after["number"], after["hash"]) == (event.entry.n, leaf)
    assert event.entry.n == Event.objects.filter(pk__lte=event.pk).count()


def test_events_are_found_by_their_ticket(reader):
    found, _other = (record("role.created", actor=None, target=None, ticket=f"INC-{n}") for n in (1, 2))

    _, page = reader.get("audit_events?ticket=INC-1")

    assert [(row["id"], row["ticket"]) for row in page["results"]] == [(found.pk, "INC-1")]
