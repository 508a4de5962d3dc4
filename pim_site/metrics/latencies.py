"""How long requests take: counted in each process, and added to the common rows every few seconds."""

import logging
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from threading import Lock
from time import monotonic

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.db import DatabaseError, transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse

from pim_site.models import RequestTimes

log = logging.getLogger(__name__)

# Upper ends in milliseconds; what took longer than all of them is kept under 0.
BUCKETS = (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)
WRITTEN_EVERY = 10.0  # seconds
_AREAS = {"/api/v1/access/check": "access_check", "/api/": "api", "/console/": "console", "/": "pages"}
_LEFT_OUT = ("/metrics", "/healthz", "/readyz", f"/{settings.STATIC_URL.strip('/')}/")

Key = tuple[str, str, int]  # area, class of the status, upper end


class Tally:
    """What this process has counted and not written yet."""

    def __init__(self) -> None:
        self.lock, self.written_at = Lock(), monotonic()
        self.counts: Counter[Key] = Counter()
        self.microseconds: Counter[Key] = Counter()

    def add(self, key: Key, seconds: float) -> None:
        with self.lock:
            self.counts[key] += 1
            self.microseconds[key] += int(seconds * 1_000_000)

    def write(self) -> None:
        """Add it to the rows. If the database cannot, it is kept for the next time."""
        with self.lock:
            counts, microseconds = self.counts, self.microseconds
            self.counts, self.microseconds, self.written_at = Counter(), Counter(), monotonic()
        try:
            _add(counts, microseconds)
        except DatabaseError:
            log.warning("request times could not be written; they are kept", exc_info=True)
            with self.lock:
                self.counts.update(counts)
                self.microseconds.update(microseconds)

    @property
    def is_due(self) -> bool:
        return monotonic() - self.written_at >= WRITTEN_EVERY


@transaction.atomic
def _add(counts: Counter[Key], microseconds: Counter[Key]) -> None:
    for area, status, upto in sorted(counts):  # in one order, so that no two processes wait for each other
        key = (area, status, upto)
        more = {"count": F("count") + counts[key], "microseconds": F("microseconds") + microseconds[key]}
        row = {"area": area, "status": status, "upto": upto}
        RequestTimes.objects.bulk_create([RequestTimes(**row)], ignore_conflicts=True)
        RequestTimes.objects.filter(**row).update(**more)


tally = Tally()


class LatencyMiddleware:
    """Outermost, so that all that a request takes is counted; not there where nobody may ask for the numbers."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        if not settings.METRICS_TOKEN:
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = monotonic()
        response = self.get_response(request)
        if not request.path.startswith(_LEFT_OUT):
            seconds = monotonic() - began
            tally.add((_area(request.path), f"{response.status_code // 100}xx", _bucket(seconds)), seconds)
            if tally.is_due:
                tally.write()
        return response


def _area(path: str) -> str:
    return next(area for start, area in _AREAS.items() if path.startswith(start) or start == "/")


def _bucket(seconds: float) -> int:
    place = bisect_left(BUCKETS, seconds * 1000)
    return BUCKETS[place] if place < len(BUCKETS) else 0
