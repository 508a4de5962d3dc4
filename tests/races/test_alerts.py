"""Several workers, and somebody at the console, scan the same alert at the same moment."""

import pytest

from alerts.models import Alert, Incident
from alerts.rules import AlertRefused
from alerts.services import scan, tell
from notifications.models import Message
from roles.models import Role
from tests.factories import RoleFactory, holder_of

from .guards import count, no_constraint, no_row_locks

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def scans_at_once(run_in_threads):
    """How many incidents eight scans raise about one role, and what became of the scans."""
    RoleFactory(is_privileged=True)
    Incident.objects.all().delete()
    alert = Alert.objects.get(key="no_mfa")
    outcomes = run_in_threads(8, lambda number: scan(alert=alert, actor=None))
    roles = Incident.objects.order_by().values("key").distinct().count()
    return Incident.objects.count() - roles, outcomes


def test_eight_scans_raise_each_incident_once(run_in_threads):
    for _round in range(5):
        doubled, outcomes = scans_at_once(run_in_threads)
        assert doubled == 0
        assert count(outcomes, Alert) + count(outcomes, AlertRefused) == 8


def test_control_without_row_locks_and_constraint_incidents_are_doubled(run_in_threads):
    with no_constraint(Incident, "incident_one_open_each"), no_row_locks():
        assert any(scans_at_once(run_in_threads)[0] for _round in range(10))


def mails_of_one_incident(run_in_threads):
    Message.objects.all().delete()
    Incident.objects.update(told_at=None)
    run_in_threads(4, lambda number: tell())
    return Message.objects.filter(kind="alerts_raised").count()


@pytest.fixture
def incident(transactional_db):
    holder_of(Role.GLOBAL_ADMINISTRATOR)
    RoleFactory(is_privileged=True)
    scan(alert=Alert.objects.get(key="no_mfa"), actor=None)


def test_four_workers_tell_of_it_once(run_in_threads, incident):
    assert [mails_of_one_incident(run_in_threads) for _round in range(5)] == [1] * 5


def test_control_without_row_locks_it_is_told_several_times(run_in_threads, incident):
    with no_row_locks():
        assert any(mails_of_one_incident(run_in_threads) > 1 for _round in range(10))
