"""Numbers for Prometheus: who reads them, what they say, and that the processes of a server add up."""

import re
from datetime import timedelta

import pytest
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpResponse
from django.test import RequestFactory as WebRequest
from django.utils.timezone import now

from audit.models import Reader
from audit.sealing import seal
from audit.services import record
from notifications.models import Message
from notifications.services import queue
from pim_site.metrics import latencies
from pim_site.metrics.latencies import LatencyMiddleware, Tally
from pim_site.models import Heartbeat, RequestTimes
from pim_site.tasks import WORKER, beat
from tests.factories import (
    ActivationFactory,
    ActiveFactory,
    DeliveryFactory,
    IncidentFactory,
    RequestFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
TOKEN = "a token for the metrics, long enough"


@pytest.fixture(autouse=True)
def _configured(settings, monkeypatch):
    settings.METRICS_TOKEN = TOKEN
    tally = Tally()
    monkeypatch.setattr(latencies, "tally", tally)
    monkeypatch.setattr("pim_site.metrics.views.tally", tally)


def numbers(client):
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    lines = [line for line in answer.content.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_metrics_are_not_there_unless_configured(client, settings):
    settings.METRICS_TOKEN = ""

    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404
    with pytest.raises(MiddlewareNotUsed):
        LatencyMiddleware(lambda request: HttpResponse())


@pytest.mark.parametrize("header", ["", "Bearer ", "Bearer wrong", f"Basic {TOKEN}"])
def test_metrics_without_the_token_are_refused(client, header):
    answer = client.get("/metrics", headers={"Authorization": header} if header else {})

    assert (answer.status_code, answer.content) == (401, b"")


def test_metrics_count_what_there_is(client):
    ActivationFactory()
    standing = ActiveFactory.create_batch(2)
    RequestFactory(requested_at=now() - timedelta(days=2), expires_at=now() - timedelta(hours=1))
    queue("role_ended", to=[UserFactory()], context={})
    Message.objects.update(state=Message.State.FAILED)
    DeliveryFactory(state="given_up")
    IncidentFactory()
    beat()
    Heartbeat.objects.update(at=now() - timedelta(seconds=50))

    found = numbers(client)

    said = {name: value for name, value in found.items() if value and "heartbeat" not in name and "http" not in name}
    assert said == {
        'pim_active_assignments{kind="activated"}': 1,
        'pim_active_assignments{kind="assigned"}': len(standing),
        'pim_pending_requests{status="pending_approval"}': 1,
        'pim_overdue{task="approvals.tasks.time_out_due"}': 1,
        'pim_mail_backlog{state="failed"}': 1,
        'pim_webhook_backlog{state="given_up"}': 1,
        'pim_active_incidents{severity="low"}': 1,
    }
    assert 50 <= found[f'pim_heartbeat_age_seconds{{name="{WORKER}"}}'] < 90
    assert found["pim_queue_depth"] == 0


def test_times_of_several_processes_add_up(client):
    first, second = Tally(), Tally()
    for seconds in (0.004, 0.02, 30):
        first.add(("api", "2xx", latencies._bucket(seconds)), seconds)
    second.add(("api", "2xx", latencies._bucket(0.02)), 0.02)
    first.write()
    second.write()

    found = numbers(client)

    buckets = {
        re.search('le="(.*)"', name)[1]: value
        for name, value in found.items()
        if name.startswith('pim_http_request_duration_seconds_bucket{area="api"')
    }
    assert (buckets["0.005"], buckets["0.01"], buckets["0.025"], buckets["10"], buckets["+Inf"]) == (1, 1, 3, 3, 4)
    of_api = '{area="api",status="2xx"}'
    assert found[f"pim_http_request_duration_seconds_count{of_api}"] == 4
    assert found[f"pim_http_request_duration_seconds_sum{of_api}"] == pytest.approx(30.044)


@pytest.mark.parametrize(
    ("path", "area"),
    [("/api/v1/access/check", "access_check"), ("/api/v1/roles", "api"), ("/console/", "console"), ("/", "pages")],
)
def test_request_is_counted_where_it_belongs(path, area):
    middleware = LatencyMiddleware(lambda request: HttpResponse(status=404))
    middleware(WebRequest().get(path))
    middleware(WebRequest().get("/metrics"))

    assert [key[:2] for key in latencies.tally.counts] == [(area, "4xx")]
    assert not RequestTimes.objects.exists()


def test_times_are_written_after_a_while_and_kept_if_that_fails(monkeypatch):
    from django.db import DatabaseError

    middleware = LatencyMiddleware(lambda request: HttpResponse())
    monkeypatch.setattr(latencies, "WRITTEN_EVERY", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(
            latencies.RequestTimes.objects, "bulk_create", lambda *args, **kwargs: (_ for _ in ()).throw(DatabaseError)
        )
        middleware(WebRequest().get("/"))
    before = sum(latencies.tally.counts.values())
    middleware(WebRequest().get("/"))

    assert (before, sum(latencies.tally.counts.values())) == (1, 0)
    assert sum(RequestTimes.objects.values_list("count", flat=True)) == 2


def test_metrics_say_how_far_a_destination_is_behind(client, settings):
    settings.AUDIT_STREAMS = ["tls://siem.example.org:6514", "tcp://other.example.org:514"]
    since = {"next_attempt_at": now(), "failing_since": now() - timedelta(minutes=5)}
    Reader.objects.create(name="tls://siem.example.org:6514", n=0, **since)
    Reader.objects.create(name="tcp://gone.example.org:514", n=0, **since)
    for _event in range(3):
        record("role.created", actor=None, target=None)
    seal()
    found = {name: value for name, value in numbers(client).items() if name.startswith("pim_audit_stream")}
    said = '{destination="tls://siem.example.org:6514"}'
    assert found.pop(f"pim_audit_stream_failing_seconds{said}") >= 300
    assert found == {f"pim_audit_stream_lag{said}": 3}
