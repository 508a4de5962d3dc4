"""Emergencies, the worker and the audit."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils.timezone import now
from django_q.models import Schedule

from accounts.services import note_sign_in
from alerts.models import Alert
from alerts.registry import KINDS
from approvals.services import review_emergency
from audit.checkpoints import checkpoint
from audit.models import Event, Head, Reader
from audit.sealing import seal
from audit.tasks import archive_due, look_due
from notifications.models import Message
from pim_site.models import Heartbeat
from pim_site.siem.tasks import stream_due
from pim_site.tasks import beat
from roles.models import Role
from tests.alerts.finding import found, rows, words
from tests.audit.logs import SECRET, tampering
from tests.factories import EmergencyUseFactory, UserFactory, holder_of
from tests.receivers import receiving

pytestmark = pytest.mark.django_db


def ago(**span):
    return now() - timedelta(**span)


def test_emergency_use_is_found_until_somebody_has_reviewed_it():
    use = EmergencyUseFactory()
    assert rows("emergency_used") == {use}

    reviewer = holder_of(Role.GLOBAL_ADMINISTRATOR)
    review_emergency(use=use, actor=reviewer, finding="justified", justification="Read the log.")

    assert rows("emergency_used") == set()


def test_sign_in_with_an_emergency_account_is_found_for_some_days(time_machine):
    account = UserFactory(is_emergency_access=True, display_name="Break glass")
    note_sign_in(user=account, session="a", method="totp")
    note_sign_in(user=UserFactory(), session="b", method="totp")
    assert rows("emergency_account_signed_in") == {account}
    assert words("emergency_account_signed_in")[0].startswith("Break glass signed in on ")

    time_machine.move_to(now() + timedelta(days=7))

    assert rows("emergency_account_signed_in") == set()


QUEUED = {"kind": "role_ended", "context": "{}", "time_zone": "UTC", "language": "en"}


def scanned(key):
    Alert.objects.filter(key=key).update(scanned_at=ago(minutes=15))


def test_worker_that_works_is_no_finding():
    beat()
    words("worker_unwell")

    assert words("worker_unwell") == []


def test_worker_without_a_heartbeat_with_old_duties_and_other_schedules_is_found():
    Heartbeat.objects.create(name="worker", at=ago(seconds=91))
    Schedule.objects.first().delete()
    Message.objects.create(**QUEUED, next_attempt_at=ago(hours=1))

    scanned("worker_unwell")

    assert set(found("worker_unwell")) == {"heartbeat", "overdue", "schedules"}


def test_worker_that_has_just_been_installed_may_catch_up_first():
    beat()
    Message.objects.create(**QUEUED, next_attempt_at=ago(hours=1))

    assert found("worker_unwell") == {}


def test_worker_that_did_nothing_for_half_an_hour_is_found_once():
    beat()
    Alert.objects.filter(key="worker_unwell").update(scanned_at=ago(minutes=31))

    assert words("worker_unwell") == ["The worker did nothing for a while, until just now."]
    assert words("worker_unwell") == []


def test_audit_that_is_whole_and_signed_is_no_finding(settings):
    settings.AUDIT_KEYS = [SECRET]
    words("emergency_account_signed_in")
    checkpoint()

    assert found("audit_unwell") == {}


def test_audit_that_is_not_signed_numbered_or_written_to_its_file_is_found(settings, time_machine, tmp_path):
    settings.AUDIT_KEYS = [SECRET]
    checkpoint()
    settings.AUDIT_CHECKPOINT_FILE = str(tmp_path / "notes")
    EmergencyUseFactory()
    words("emergency_used")

    time_machine.move_to(now() + timedelta(minutes=80))
    scanned("audit_unwell")

    assert set(found("audit_unwell")) == {"unsigned", "unsealed", "unfiled"}


def facts_of_audit():
    Alert.objects.filter(key="audit_unwell").update(scanned_at=now() - timedelta(minutes=15))
    return [finding.facts["fault"] for finding in KINDS["audit_unwell"].scan(now())]


@pytest.fixture
def closed():
    """An address at which nobody listens."""
    with receiving() as receiver:
        pass
    return f"tcp://localhost:{receiver.port}"


def write():
    EmergencyUseFactory()
    words("emergency_used")
    seal()


def test_destination_that_takes_nothing_for_an_hour_is_found_with_its_cause(settings, time_machine, closed, tmp_path):
    settings.AUDIT_STREAMS = [closed, f"file://{tmp_path}/audit.jsonl"]
    stream_due()
    write()
    stream_due()
    assert facts_of_audit() == []

    time_machine.move_to(now() + timedelta(minutes=61))
    stream_due()

    [text] = facts_of_audit()
    assert text.startswith(f"{closed} has not taken what happened more than an hour ago. It cannot be reached")


def test_destination_that_is_slow_is_found_once_it_lags_by_an_hour(settings, time_machine, tmp_path):
    settings.AUDIT_STREAMS = [f"file://{tmp_path}/audit.jsonl"]
    stream_due()
    write()
    time_machine.move_to(now() + timedelta(minutes=61))
    assert facts_of_audit() == [f"file://{tmp_path}/audit.jsonl has not taken what happened more than an hour ago."]

    stream_due()

    assert facts_of_audit() == []


def test_checkpoint_that_is_not_posted_for_an_hour_is_found(settings, time_machine):
    settings.AUDIT_KEYS, settings.AUDIT_CHECKPOINT_URL = [SECRET], "https://witness.example.org/pim"
    checkpoint()
    assert facts_of_audit() == []
    time_machine.move_to(now() + timedelta(minutes=61))
    assert facts_of_audit() == ["Checkpoints cannot be posted to their address; the log of the worker says why."]


def test_archiving_that_fails_for_a_day_is_found_with_who_holds_it_back(settings, time_machine, closed, tmp_path):
    settings.AUDIT_KEYS, settings.AUDIT_KEEP_DAYS = [SECRET], 90
    settings.AUDIT_ARCHIVE_DIR = str(tmp_path / "not there")
    write()
    checkpoint()
    time_machine.move_to(now() + timedelta(days=120, hours=1))
    checkpoint()
    assert (archive_due(), facts_of_audit()) == (0, [])  # as the next run may do it

    time_machine.move_to(now() + timedelta(days=1))
    checkpoint()
    said = "Old events were to go into files a day ago, and have not."
    assert (archive_due(), facts_of_audit()) == (0, [f"{said} Is the disk full? The log of the worker says why."])

    settings.AUDIT_STREAMS, settings.AUDIT_ARCHIVE_DIR = [closed], str(tmp_path)
    Reader.objects.create(name=closed, n=0, next_attempt_at=now())
    assert (archive_due(), facts_of_audit()[-1]) == (0, f"{said} They wait for: {closed}.")

    settings.AUDIT_STREAMS = []
    assert (archive_due(), facts_of_audit()) == (1, [])


def test_event_that_is_gone_since_the_last_checkpoint_is_found(settings):
    settings.AUDIT_KEYS = [SECRET]
    checkpoint()
    EmergencyUseFactory()
    words("emergency_used")
    seal()
    assert found("audit_unwell") == {}

    Head.objects.update(size=F("size") - 1)

    assert "head_differs" in found("audit_unwell")


def test_event_of_the_past_that_was_changed_is_found_once_the_worker_came_by(settings):
    settings.AUDIT_KEYS = [SECRET]
    EmergencyUseFactory()
    words("emergency_used")
    checkpoint()
    with tampering():
        Event.objects.update(ticket="INC-1")
        assert found("audit_unwell") == {}
        look_due()
        assert set(found("audit_unwell")) == {"column_differs"}


def test_worker_that_does_not_read_the_past_is_found(time_machine):
    look_due()
    time_machine.move_to(now() + timedelta(hours=1))
    look_due()
    scanned("audit_unwell")
    assert found("audit_unwell") == {}
    time_machine.move_to(now() + timedelta(hours=2, seconds=1))
    scanned("audit_unwell")
    assert set(found("audit_unwell")) == {"unread"}
