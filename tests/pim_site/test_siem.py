"""Every event reaches the destination, in order, at least once, whatever the destination does meanwhile."""

import json
import socket
from datetime import timedelta
from hashlib import sha256
from threading import Event as Signal

import pytest
import time_machine
from django.utils.timezone import now

from approvals import services
from approvals.models import Request
from approvals.tasks import start_due
from assignments.models import ActiveAssignment
from audit.merkle import leaf_hash
from audit.models import Archive, Entry, Event, Reader, stream_name
from audit.sealing import seal
from audit.services import record
from notifications.outgoing import new_secret, signature
from pim_site.checks import audit_keys
from pim_site.siem import destinations, streaming, tasks
from pim_site.siem.records import Record, ecs
from pim_site.siem.tasks import stream_due
from roles.models import Role
from tests.audit.test_verifying import tampering
from tests.factories import (
    ActivationFactory,
    ActiveFactory,
    EligibleFactory,
    RequestFactory,
    RoleFactory,
    UserFactory,
    holder_of,
)
from tests.listener import certificate, listening
from tests.receivers import receiving

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _origin(settings, monkeypatch):
    settings.AUDIT_ORIGIN, settings.AUDIT_KEYS = "pim.example.org", []
    monkeypatch.setattr(destinations, "SECONDS", 0.5)


def write(count=1, **facts):
    for n in range(count):
        record("role.created", actor=None, target=None, ticket=f"INC-{n}", justification="schön\n", **facts)
    seal()


def begin(settings, address):
    settings.AUDIT_STREAMS = [address]
    stream_due()
    return Reader.objects.get(name=stream_name(address))


def numbers(lines):
    return [json.loads(line)["event"]["sequence"] for line in lines]


def told(receiver):
    return [message.split(b" - ", 1)[1].partition(b"- ")[2] for message in receiver.messages]


def later():
    return time_machine.travel(now() + timedelta(minutes=6))


@pytest.fixture(params=["tcp", "tls"])
def syslog(request, settings, tmp_path, monkeypatch):
    """A receiver over TCP or TLS, whose certificate a CA of the operator's own has signed, and its address."""
    context = None
    if request.param == "tls":
        file, context = certificate(tmp_path, name="localhost")
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with receiving(context) as receiver:
        receiver.address = f"{request.param}://localhost:{receiver.port}"
        yield receiver


def test_syslog_gets_each_event_once_and_in_order(syslog, settings, monkeypatch):
    write(2)
    reader = begin(settings, syslog.address)
    assert (reader.n, syslog.messages) == (2, [])  # what was before stands in an export
    monkeypatch.setattr(streaming, "BATCH", 2)
    write(5)
    assert (stream_due(), stream_due()) == (5, 0)
    assert numbers(told(syslog)) == [3, 4, 5, 6, 7]
    begins = f"<110>1 {Event.objects.order_by('pk')[2].facts['at']} pim.example.org pim - role.created - {{".encode()
    assert syslog.messages[0].startswith(begins)


@pytest.mark.parametrize("mood", ["stall", "break_off"])
def test_syslog_that_stalls_or_breaks_gets_everything_when_it_is_back(syslog, settings, mood):
    begin(settings, syslog.address)
    write(3)
    syslog.mood = mood
    assert stream_due() == 0
    reader = Reader.objects.get()
    assert (reader.n, reader.failures, bool(reader.failing_since), bool(reader.last_outcome)) == (0, 1, True, True)
    assert stream_due() == 0  # left alone for a while
    assert Reader.objects.get().failures == 1
    syslog.mood = "take"
    syslog.over.set()
    with later():
        assert stream_due() == 3
    assert numbers(told(syslog))[-3:] == [1, 2, 3]
    reader = Reader.objects.get()
    assert (reader.n, reader.failures, reader.failing_since, reader.last_outcome) == (3, 0, None, "")


def test_receiver_that_ends_without_a_word_of_tls_has_confirmed_nothing(settings, tmp_path, monkeypatch):
    file, context = certificate(tmp_path, name="localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with receiving(context) as receiver:
        receiver.mood = "take_silently"
        begin(settings, f"tls://localhost:{receiver.port}")
        write(2)
        assert (stream_due(), numbers(told(receiver))) == (0, [1, 2])
    assert Reader.objects.get().last_outcome == "not_confirmed"


def test_syslog_over_tls_is_not_spoken_to_without_a_certificate_that_holds(settings, tmp_path, monkeypatch):
    _file, context = certificate(tmp_path, name="localhost")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with receiving(context) as receiver:
        begin(settings, f"tls://localhost:{receiver.port}")
        write()
        assert (stream_due(), receiver.messages) == (0, [])
    assert Reader.objects.get().last_outcome == "tls_failed"


def test_destination_that_is_down_for_a_day_loses_nothing(settings):
    with receiving() as closed:
        address = f"tcp://localhost:{closed.port}"
    reader = begin(settings, address)
    start, attempts = now(), 0
    for hour in range(24):
        with time_machine.travel(start + timedelta(hours=hour)):
            write()
            attempts += stream_due() == 0
    reader.refresh_from_db()
    assert (attempts, reader.n, reader.failures) == (24, 0, 24)
    assert reader.next_attempt_at <= start + timedelta(hours=24)


def test_one_that_fails_keeps_no_other_waiting(settings, tmp_path):
    with receiving() as closed:
        pass
    there = f"file://{tmp_path}/audit.jsonl"
    settings.AUDIT_STREAMS = [f"tcp://localhost:{closed.port}", there]
    stream_due()
    write(2)
    assert stream_due() == 2
    assert dict(Reader.objects.values_list("name", "n")) == {settings.AUDIT_STREAMS[0]: 0, there: 2}


@pytest.mark.parametrize(
    "address", ["tcp://sie\u0301m..example.org:514", "tls://siem.example.org:port", "udp://siem:514"]
)
def test_address_that_cannot_be_read_stops_no_other(settings, tmp_path, address):
    settings.AUDIT_STREAMS = [address, f"file://{tmp_path}/audit.jsonl"]
    stream_due()
    write(2)
    assert (stream_due(), Reader.objects.get(name=address).last_outcome) == (2, "malformed")


def test_name_that_nobody_resolves_ends_with_the_time_of_an_attempt(settings, monkeypatch):
    over = Signal()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: over.wait(10) and [])
    begin(settings, "tcp://siem.example.org:514")
    write()
    assert (stream_due(), Reader.objects.get().last_outcome, over.is_set()) == (0, "timed_out", False)
    over.set()


def test_round_begins_no_attempt_after_its_time(settings, monkeypatch):
    settings.AUDIT_STREAMS = [f"tcp://siem{n}.example.org:514" for n in range(4)]
    stream_due()
    write()
    clock, tried = iter(range(0, 90, 9)), []
    monkeypatch.setattr(tasks, "monotonic", lambda: next(clock))
    monkeypatch.setattr(tasks, "send_next", lambda name: tried.append(name) or 0)
    stream_due()
    assert tried == settings.AUDIT_STREAMS[:1]


@pytest.fixture
def file(settings, tmp_path):
    path = tmp_path / "audit.jsonl"
    begin(settings, f"file://{path}")
    return path


def test_file_is_begun_anew_when_it_was_moved_away(file):
    write(2)
    stream_due()
    file.rename(file.with_suffix(".1"))
    write()
    stream_due()
    assert numbers(file.with_suffix(".1").read_text().splitlines()) == [1, 2]
    assert numbers(file.read_text().splitlines()) == [3]


def test_full_disk_leaves_the_file_as_it_was(file, monkeypatch):
    write()
    stream_due()
    before = file.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("audit.files.os.write", lambda descriptor, content: 9)
        write()
        assert stream_due() == 0
    assert (file.read_bytes(), Reader.objects.get().last_outcome) == (before, "failed: No space left on device")
    with later():
        assert stream_due() == 1
    assert numbers(file.read_text().splitlines()) == [1, 2]


def test_two_workers_send_a_batch_once(file, monkeypatch):
    write()
    reader = Reader.objects.get()
    assert streaming._claimed(reader, now())
    assert (streaming._claimed(reader, now()), stream_due()) == (False, 0)


@pytest.fixture
def hook(settings):
    settings.OUTGOING_NETWORKS, settings.OUTGOING_HTTP = ["127.0.0.0/8"], True
    settings.AUDIT_WEBHOOK_SECRETS = [new_secret()]
    with listening() as listener:
        begin(settings, listener.url())
        yield listener


def test_webhook_gets_signed_batches_under_a_name_that_stays(hook, settings):
    write(2)
    hook.then(503)
    assert stream_due() == 0
    assert Reader.objects.get().last_outcome == "http_503"
    hook.then(200)
    with later():
        assert stream_due() == 2
    (_path, _headers, first), (_path, headers, second) = hook.asked
    assert (first, [event["event"]["sequence"] for event in json.loads(second)["events"]]) == (second, [1, 2])
    assert {headers["webhook-id"] for _path, headers, _body in hook.asked} == {"pim.example.org/1-2"}
    at = now().fromtimestamp(int(headers["webhook-timestamp"]))
    signed = signature(settings.AUDIT_WEBHOOK_SECRETS, message_id=headers["webhook-id"], at=at, body=second)
    assert headers["webhook-signature"] == signed


def test_webhook_of_a_private_network_is_not_called(hook, settings):
    settings.OUTGOING_NETWORKS = []
    write()
    assert (stream_due(), hook.asked, Reader.objects.get().last_outcome) == (0, [], "address_refused")


# --- what is sent ----------------------------------------------------------------------------------------------


def sent(action, target, **facts):
    event = record(action, actor=target.user, subject=target.user, role=target.role, target=target, **facts)
    return ecs(Record(7, leaf_hash(event.canonical.encode()), event.canonical)), event


def test_event_is_sent_with_who_what_and_its_proof():
    target = ActiveFactory()
    found, event = sent("assignment.removed", target, ticket="INC-1", justification="Left.", code="", after={})
    person = {"id": str(target.user.pk), "name": str(target.user)}
    assert found["event"] == {
        "id": "pim.example.org/7",
        "sequence": 7,
        "kind": "event",
        "category": ["iam"],
        "type": ["user", "change"],
        "action": "assignment.removed",
        "outcome": "success",
        "reason": "Left.",
        "provider": "pim",
        "dataset": "pim.audit",
        "original": event.canonical,
        "hash": leaf_hash(event.canonical.encode()).hex(),
    }
    assert (found["user"], found["pim"]["ticket"]) == (person | {"target": person}, "INC-1")
    assert found["pim"]["role"] == {"id": str(target.role.pk), "name": str(target.role)}
    assert ("source" in found, "tags" in found, "access" in found["pim"]) == (False, False, False)


@pytest.mark.parametrize(
    ("action", "make", "after", "kind", "types"),
    [
        ("assignment.activated", ActivationFactory, {"ends_at": "2026-01-01"}, "activation", ["user", "info"]),
        ("eligible.assigned", EligibleFactory, {"ends_at": None}, "eligibility", ["user", "info"]),
        ("active.assigned", ActiveFactory, {"ends_at": "2026-01-01"}, "time_bound_access", ["user", "info"]),
        ("active.assigned", ActiveFactory, {"ends_at": None}, "standing_access", ["user", "change"]),
    ],
)
def test_only_what_stays_is_sent_as_a_standing_grant(action, make, after, kind, types):
    found, _event = sent(action, make(), after=after)
    temporary = kind != "standing_access"
    assert (found["tags"], found["event"]["type"]) == ([kind], types)
    assert (found["pim"]["access"]["kind"], found["pim"]["access"]["temporary"]) == (kind, temporary)


def held(days=7):
    return ActiveFactory(starts_at=now() - timedelta(days=60), ends_at=now() + timedelta(days=days))


def changed(service, row, **asked):
    service(assignment=row, actor=holder_of(Role.GLOBAL_ADMINISTRATOR), justification="Needed.", **asked)


def made_permanent():
    changed(services.update, held(), ends_at=None)


def extended_for_good():
    changed(services.extend, held(), ends_at=None)


def extended():
    changed(services.extend, held(), ends_at=now() + timedelta(days=30))


def renewed():
    changed(services.renew, held(-2), ends_at=now() + timedelta(days=30))


def renewed_for_good():
    changed(services.renew, held(-2), ends_at=None)


def eligible_for_good():
    changed(services.update, EligibleFactory(ends_at=now() + timedelta(days=7)), ends_at=None)


def cut_short():
    at = now().replace(microsecond=0)
    eligible = EligibleFactory(ends_at=at + timedelta(days=7))
    ActivationFactory(eligible_assignment=eligible, ends_at=at + timedelta(hours=8))
    changed(services.update, eligible, ends_at=at + timedelta(hours=4))


def prolonged():
    at = now().replace(microsecond=0)
    row = ActivationFactory(starts_at=at - timedelta(hours=1), ends_at=at + timedelta(minutes=10))
    asked = {"duration": timedelta(hours=1), "justification": "Still stuck."}
    services.extend_activation(active=row, actor=row.user, session="", proof=None, **asked)


def activation_begun():
    active = ActivationFactory()
    times = {"status": Request.Status.SCHEDULED, "active_assignment": active}
    RequestFactory(eligible_assignment=active.eligible_assignment, **times)
    start_due()


def assignment_begun():
    with time_machine.travel(now() - timedelta(days=1)):
        role, actor = RoleFactory(), holder_of(Role.GLOBAL_ADMINISTRATOR)
        asked = {"role": role, "scope": role.resource, "starts_at": now() + timedelta(hours=1), "ends_at": None}
        services.assign_active(holder=UserFactory(), actor=actor, justification="Takes over.", **asked)
    start_due()


@pytest.mark.parametrize(
    ("change", "action", "kinds"),
    [
        (made_permanent, "assignment.updated", ["standing_access"]),
        (extended_for_good, "assignment.extended", ["standing_access"]),
        (extended, "assignment.extended", ["time_bound_access"]),
        (renewed, "assignment.renewed", ["time_bound_access"]),
        (renewed_for_good, "assignment.renewed", ["standing_access"]),
        (eligible_for_good, "assignment.updated", ["eligibility"]),
        (cut_short, "assignment.updated", ["activation", "eligibility"]),
        (prolonged, "assignment.extended", ["activation"]),
        (activation_begun, "assignment.started", ["activation"]),
        (assignment_begun, "assignment.started", ["standing_access"]),
    ],
)
def test_change_is_sent_as_the_access_there_is_after_it(change, action, kinds):
    change()
    texts = Event.objects.filter(action=action, outcome="success").values_list("canonical", flat=True)
    assert sorted(tag for text in texts for tag in ecs(Record(7, b"", text))["tags"]) == kinds


def test_event_that_says_nothing_of_an_end_is_no_standing_grant():
    found, _event = sent("assignment.started", ActiveFactory())
    assert ("tags" in found, "access" in found["pim"]) == (False, False)


def test_refusal_is_sent_as_a_failure_that_gives_nothing():
    found, event = sent("assignment.activated", ActivationFactory(), outcome="refused", code="mfa_required", after={})
    assert (found["event"]["outcome"], found["event"]["code"], "tags" in found) == ("failure", "mfa_required", False)
    assert Record(7, b"", event.canonical).syslog.split(b" ")[1] == b"<108>1"
    assert ActiveAssignment.objects.count() == 1


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("udp://siem.example.org:514", "none of"),
        ("tls://siem.example.org", "port"),
        ("tls://user:secret@siem.example.org:6514", "password"),
        ("https://siem.example.org/in?token=secret", "question mark"),
        ("tls://siem.example.org:port", "Port"),
        ("file://log/audit.jsonl", "whole path"),
        ("https://siem.example.org/in", "PIM_AUDIT_WEBHOOK_SECRETS"),
        ("http://siem.example.org/in", "https://"),
    ],
)
def test_address_that_cannot_be_sent_to_is_told_at_the_start(settings, address, words):
    settings.AUDIT_STREAMS = [address]
    said = str([finding.msg for finding in audit_keys()])
    assert (words in said, "secret" in said) == (True, False)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("tls://siem.example.org:6514", "tls://siem.example.org:6514"),
        ("file:///var/log/pim/audit.jsonl", "file:///var/log/pim/audit.jsonl"),
        ("https://siem.example.org:8443/in/secret", "https://siem.example.org:8443#"),
        ("https://siem.example.org?secret", "https://siem.example.org#"),
        ("tls://user:secret@siem.example.org:6514", "tls://siem.example.org:6514#"),
        ("https:/siem.example.org/secret", "#"),
    ],
)
def test_name_of_a_destination_shows_no_secret_and_is_its_own(address, name):
    shown = stream_name(address)
    assert shown == (name if name == address else name + sha256(address.encode()).hexdigest()[:8])


def test_path_of_a_webhook_is_in_no_log_and_no_row(hook, caplog):
    write()
    hook.then(503)
    stream_due()
    assert (hook.url() in caplog.text + str(Reader.objects.values()), "http_503" in caplog.text) == (False, True)


def archive(last):
    at = now()
    names = {"file": "", "digest": "", "note": "", "frontier": b""}
    Archive.objects.create(first=1, last=last, at=at, oldest_at=at, newest_at=at, **names)


def test_destination_whose_events_were_archived_goes_on_after_them(file, monkeypatch, caplog):
    write(3)
    archive(2)
    monkeypatch.setattr(streaming, "archived_edge", lambda: type("Edge", (), {"size": 2}))
    assert stream_due() == 1
    assert numbers(file.read_text().splitlines()) == [3]
    assert "archives" in caplog.text
    assert Entry.objects.count() == 3


def test_archive_that_nobody_signed_lets_no_destination_skip_events(file, caplog):
    write(3)
    archive(2)
    assert (stream_due(), numbers(file.read_text().splitlines())) == (3, [1, 2, 3])
    assert "no destination goes on" in caplog.text


@pytest.mark.parametrize("gone", ["entry", "event", "the_last"])
def test_missing_event_stops_the_stream_before_it_and_is_told(file, gone, caplog):
    write(3)
    missing = Entry.objects.get(n=3 if gone == "the_last" else 2)
    with tampering():
        (Event.objects.filter(pk=missing.event_id) if gone == "event" else Entry.objects.filter(pk=missing.pk)).delete()
        stream_due()
        before = list(range(1, missing.n))
        assert (numbers(file.read_text().splitlines()), Reader.objects.get().n) == (before, missing.n - 1)
        assert (Reader.objects.get().last_outcome, "missing_event" in caplog.text) == ("missing_event", True)
        with later():
            assert Reader.objects.due(now()).exists()


def test_batch_that_is_too_large_for_the_other_side_gets_smaller(file, monkeypatch):
    sizes = []

    def most(address, records, *, at):
        sizes.append(len(records))
        if len(records) > 1:
            raise destinations.StreamFailed("http_413")

    monkeypatch.setattr(streaming, "BATCH", 4)
    monkeypatch.setattr(streaming, "send", most)
    write(4)
    for minutes in (0, 6, 12, 18):
        with time_machine.travel(now() + timedelta(minutes=minutes)):
            stream_due()
    assert (sizes, Reader.objects.get().n) == ([4, 2, 1, 2, 1, 2], 2)


def test_bytes_of_a_batch_are_bounded(file, monkeypatch):
    monkeypatch.setattr(streaming, "LARGEST", 1)
    write(2)
    reader = Reader.objects.get()
    assert [record.n for record in streaming._next(reader)] == [1]
    assert stream_due() == 2
