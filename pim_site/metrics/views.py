"""The page that Prometheus reads, and the numbers on it."""

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.utils.timezone import now
from django.views.decorators.http import require_safe
from django_q.models import OrmQ

from alerts.models import Incident
from alerts.registry import Severity
from approvals.models import Request
from assignments.models import ActiveAssignment
from audit.models import Head, Reader
from notifications.models import Message
from pim_site.api.authentication import bearer_of
from pim_site.duties import DUTIES
from pim_site.health import OVERDUE
from pim_site.models import Heartbeat, RequestTimes
from webhooks.models import Delivery

from .latencies import BUCKETS, tally
from .text import Family, Sample, written

WAITING = (Request.Status.PENDING_HOOK, Request.Status.PENDING_APPROVAL, Request.Status.PENDING_ADMIN_DECISION)


@login_not_required
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer whoever has the configured token; without one, the page is not there."""
    if not settings.METRICS_TOKEN:
        raise Http404
    if not constant_time_compare(bearer_of(request), settings.METRICS_TOKEN):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    tally.write()
    return HttpResponse(written(families(now())), content_type="text/plain; version=0.0.4; charset=utf-8")


def families(at: datetime) -> Iterator[Family]:
    active = ActiveAssignment.objects.in_force(at)
    kinds = [({"kind": "activated"}, active.activated()), ({"kind": "assigned"}, active.assigned())]
    counted: list[Sample] = [("", labels, rows.count()) for labels, rows in kinds]
    yield Family("pim_active_assignments", "gauge", "Active assignments in force.", counted)
    waiting = _by(Request.objects.all(), "status", WAITING)
    yield Family("pim_pending_requests", "gauge", "Requests that wait for a decision.", waiting)
    yield Family("pim_overdue", "gauge", "Rows that are due since five minutes and longer.", _overdue(at))
    yield Family("pim_queue_depth", "gauge", "Tasks that wait for the worker.", [("", {}, OrmQ.objects.count())])
    mail = _by(Message.objects.all(), "state", (Message.State.QUEUED, Message.State.SENDING, Message.State.FAILED))
    yield Family("pim_mail_backlog", "gauge", "Mails that were not sent.", mail)
    told = _by(Delivery.objects.all(), "state", (Delivery.State.PENDING, Delivery.State.GIVEN_UP))
    yield Family("pim_webhook_backlog", "gauge", "Webhook messages that were not delivered.", told)
    yield Family("pim_active_incidents", "gauge", "Incidents of alerts that are to be looked at.", _incidents())
    yield Family("pim_audit_stream_lag", "gauge", "Numbered events that a destination has not taken.", _lags())
    failing: list[Sample] = [
        ("", {"destination": row.name}, (at - row.failing_since).total_seconds() if row.failing_since else 0)
        for row in Reader.objects.configured()
    ]
    yield Family(
        "pim_audit_stream_failing_seconds", "gauge", "Since a destination takes nothing; 0 if it does.", failing
    )
    ages: list[Sample] = [("", {"name": beat.name}, (at - beat.at).total_seconds()) for beat in Heartbeat.objects.all()]
    yield Family("pim_heartbeat_age_seconds", "gauge", "Since the worker last showed that it works.", ages)
    yield Family("pim_http_request_duration_seconds", "histogram", "How long requests took.", _latencies())


def _by(
    rows: "QuerySet[Request] | QuerySet[Message] | QuerySet[Delivery]", column: str, values: tuple[str, ...]
) -> list[Sample]:
    """Count rows for each of these values of a column, those that nothing has included."""
    found = dict(rows.filter(**{f"{column}__in": values}).order_by().values_list(column).annotate(Count("pk")))
    return [("", {column: str(value)}, found.get(str(value), 0)) for value in values]


def _incidents() -> list[Sample]:
    rows = Incident.objects.active().order_by().values_list("alert__severity")
    counts = dict(rows.annotate(Count("pk")))
    return [("", {"severity": each.name.lower()}, counts.get(each.value, 0)) for each in Severity]


def _overdue(at: datetime) -> list[Sample]:
    counts: dict[str, int] = {}
    for task, due in DUTIES:
        counts[task] = counts.get(task, 0) + due(at - OVERDUE).count()
    return [("", {"task": task}, count) for task, count in counts.items()]


def _lags() -> list[Sample]:
    size = Head.events()
    return [("", {"destination": row.name}, row.behind(size)) for row in Reader.objects.configured()]


def _latencies() -> Iterator[Sample]:
    rows = RequestTimes.objects.order_by("area", "status")
    for (area, status), of_both in groupby(rows, lambda row: (row.area, row.status)):
        found = {row.upto: row for row in of_both}
        labels, below = {"area": area, "status": status}, 0
        for upto in (*BUCKETS, 0):
            below += found[upto].count if upto in found else 0
            yield "_bucket", labels | {"le": f"{upto / 1000:g}" if upto else "+Inf"}, below
        yield "_sum", labels, sum(row.microseconds for row in found.values()) / 1_000_000
        yield "_count", labels, below
