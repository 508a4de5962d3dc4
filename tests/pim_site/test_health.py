from datetime import timedelta

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.db import DatabaseError, connection
from django.utils import timezone
from django_q.models import Schedule

from audit.checkpoints import checkpoint
from notifications.models import Message
from pim_site import health
from pim_site.duties import DUTIES
from pim_site.tasks import beat
from roles.models import Role
from tests.audit.logs import SECRET
from tests.factories import ActiveFactory

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.pim_site.pages")]


@pytest.fixture
def alive():
    beat()


def unready():
    return {name for name, well in health.readiness(timezone.now()).items() if not well}


def ago(**past):
    return timezone.now().replace(microsecond=0) - timedelta(**past)


def test_process_answers_without_the_database(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert client.get("/healthz").json() == {"status": "ok"}


def test_process_answers_a_browser_and_leaves_its_session_alone(signed_in, django_assert_num_queries):
    client = signed_in(age=13 * 3600)

    with django_assert_num_queries(0):
        answer = client.get("/healthz")

    assert (answer.status_code, answer["Content-Length"]) == (200, str(len(answer.content)))
    assert Session.objects.count() == 1


def test_ready(client, alive):
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_readiness_costs_few_queries(client, alive, django_assert_max_num_queries):
    client.get("/readyz")
    with django_assert_max_num_queries(len(DUTIES) + 5):  # one for each kind of duty
        client.get("/readyz")


def test_audit_that_is_not_signed_any_more_is_seen(client, alive, settings):
    settings.AUDIT_KEYS = [SECRET]
    checkpoint()
    assert unready() == set()
    with time_machine.travel(timezone.now() + timedelta(minutes=80)):
        assert "audit" in unready()


def test_stranger_learns_one_word(client):
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable"})


def test_security_reader_learns_which_part(signed_in, person):
    ActiveFactory(user=person, role=Role.objects.built_in(Role.SECURITY_READER))
    parts = {"database": True, "migrations": True, "worker": False, "duties": True, "schedules": True, "audit": True}
    assert signed_in().get("/readyz").json() == {"status": "unavailable", "parts": parts}


def test_signed_in_without_the_right_learns_one_word(signed_in):
    assert signed_in().get("/readyz").json() == {"status": "unavailable"}


def test_unready_without_a_heartbeat():
    assert unready() == {"worker"}


def test_unready_with_an_old_heartbeat(alive):
    later = timezone.now() + timedelta(seconds=91)
    assert not health.readiness(later)["worker"]


def test_unready_where_the_clock_was_set_back_and_nothing_was_done_since(alive, settings):
    settings.AUDIT_KEYS = [SECRET]
    checkpoint()
    earlier = timezone.now() - timedelta(hours=3)
    assert [name for name, well in health.readiness(earlier).items() if not well] == ["worker", "audit"]


def test_unready_with_mail_that_waits(alive):
    Message.objects.create(kind="account_created", context="{}", next_attempt_at=ago(minutes=6))
    assert unready() == {"duties"}


def test_ready_with_mail_that_waits_for_a_later_attempt(alive):
    Message.objects.create(kind="account_created", context="{}", next_attempt_at=ago(minutes=-10))
    assert unready() == set()


def test_unready_with_an_expiry_that_waits(alive):
    ActiveFactory(starts_at=ago(hours=2), ends_at=ago(minutes=6))
    assert unready() == {"duties"}


def test_ready_with_an_expiry_of_just_now(alive):
    ActiveFactory(starts_at=ago(hours=2), ends_at=ago(minutes=1))
    assert unready() == set()


def test_unready_with_a_foreign_schedule(alive):
    Schedule.objects.create(name="mine", func="os.system", args="('true',)")
    assert unready() == {"schedules"}


def test_unready_with_a_changed_schedule(alive):
    Schedule.objects.filter(name="expire").update(func="os.system")
    assert unready() == {"schedules"}


def test_unready_with_a_migration_to_come(alive, monkeypatch):
    shipped = health.shipped_migrations() | {("assignments", "9999_to_come")}
    monkeypatch.setattr(health, "shipped_migrations", lambda: shipped)
    assert unready() == {"migrations"}


def test_unready_without_a_database(client, alive):
    """Nothing but the first part is asked, and a stranger gets an answer rather than a trace."""

    def broken(*args):
        raise DatabaseError("the server went away")

    with connection.execute_wrapper(broken):
        assert unready() == {"database"}
        assert client.get("/readyz").status_code == 503


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_only_reads(client, path):
    assert client.post(path).status_code == 405
