"""A kind of alert that finds what a test says."""

from functools import partial

import pytest

from alerts.models import Alert, Incident
from alerts.registry import KINDS, Finding, Kind, Severity, Threshold
from alerts.services import scan


class Watched:
    """The alert, and what its next scan finds: findings, or an error to be raised."""

    def __init__(self):
        self.findings = []
        self.asked_with = []

    def answer(self, at, **thresholds):
        self.asked_with.append(thresholds)
        if isinstance(self.findings, Exception):
            raise self.findings
        yield from self.findings

    def finds(self, *keys, about=None):
        self.findings = [Finding(key, about, {"what": f"the thing {key}"}) for key in keys]
        return self

    def scan(self, actor=None):
        return scan(alert=self.row, actor=actor)

    @property
    def row(self):
        return Alert.objects.get(pk="watched")

    @property
    def states(self):
        return dict(Incident.objects.filter(alert="watched").order_by("raised_at").values_list("key", "state"))


WORDS = {"title": "Watched", "why": "It matters.", "advice": "Look.", "sentence": "Found: %(what)s"}


@pytest.fixture
def watched(db, monkeypatch):
    watched = Watched()
    limit = Threshold("days", "Days", default=30, low=1, high=365)
    kind = partial(Kind, "watched", Severity.MEDIUM, scan=watched.answer, thresholds=(limit,), **WORDS)
    watched.repaired_by = lambda repair: monkeypatch.setitem(KINDS, "watched", kind(repair=repair))
    watched.repaired_by(None)
    Alert.objects.create(key="watched", severity=Severity.MEDIUM)
    return watched
