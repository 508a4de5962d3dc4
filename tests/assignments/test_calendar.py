"""A scheduled activation in a calendar, as RFC 5545 wants it."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail
from django.urls import reverse
from django.utils.timezone import now

from approvals import services
from assignments.calendar import calendar_of
from notifications.tasks import deliver_due
from tests.client import signed_in
from tests.factories import ActivationFactory, EligibleFactory, RoleFactory

pytestmark = pytest.mark.django_db

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def unfolded(text):
    return text.replace("\r\n ", "").split("\r\n")


def test_event_has_its_times_and_its_words_escaped():
    eligible = EligibleFactory(role=RoleFactory(name="Reader; of ledgers, \\ all"))
    active = ActivationFactory(eligible_assignment=eligible, starts_at=START, ends_at=START + timedelta(hours=2))

    lines = unfolded(calendar_of(active, url="https://pim.example.org/"))

    assert lines[0] == "BEGIN:VCALENDAR"
    assert {"DTSTART:20261123T090000Z", "DTEND:20261123T110000Z", "URL:https://pim.example.org/"} <= set(lines)
    assert "SUMMARY:Reader\\; of ledgers\\, \\\\ all" in lines


def test_long_lines_are_folded_between_characters():
    eligible = EligibleFactory(role=RoleFactory(name="ü" * 90))
    text = calendar_of(ActivationFactory(eligible_assignment=eligible), url="https://pim.example.org/")

    assert max(len(line.encode()) for line in text.split("\r\n")) <= 75
    assert f"SUMMARY:{'ü' * 90}" in unfolded(text)


def test_scheduled_activation_comes_with_a_calendar(client):
    eligible = EligibleFactory()
    later = now() + timedelta(days=1)
    asked = {"duration": timedelta(hours=1), "starts_at": later, "justification": "Maintenance."}
    made = services.activate(eligible=eligible, actor=eligible.user, **asked)
    deliver_due()
    (attached,) = mail.outbox[0].attachments
    signed_in(client, eligible.user)
    url = reverse("approvals:active-calendar", args=[made.active_assignment.pk])

    answer = client.get(url)

    assert url in client.get("/").text
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
    assert f"DTSTART:{later:%Y%m%dT%H%M%SZ}" in answer.text
    assert (attached[0], attached[1]) == ("calendar.ics", answer.text)
