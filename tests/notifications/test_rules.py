"""Which mail may wait, and until when."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from notifications.models import Kind
from notifications.rules import MAY_WAIT, may_wait, next_morning
from roles.mails import AUDIENCES, MAILS


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "moment", "morning"),
    [
        ("Europe/Berlin", "2026-11-21 05:59:59", "2026-11-21 06:00"),
        ("Europe/Berlin", "2026-11-21 06:00:00", "2026-11-22 06:00"),
        ("Europe/Berlin", "2026-03-28 12:00:00", "2026-03-29 05:00"),  # summer time began in the night
        ("Asia/Kolkata", "2026-11-21 23:00:00", "2026-11-22 01:30"),
        ("Pacific/Auckland", "2026-11-21 17:00:00", "2026-11-21 18:00"),  # the next day there
        ("America/Toronto", "2026-11-21 23:30:00", "2026-11-22 12:00"),
    ],
)
def test_next_morning_is_seven_o_clock_where_they_are(zone, moment, morning):
    assert next_morning(at(moment), ZoneInfo(zone)) == at(morning)


def test_what_somebody_must_act_on_never_waits():
    assert [mail for mail, critical in MAILS.items() if critical and may_wait(mail[0], mail[2])] == []


@pytest.mark.parametrize("kind", ["factors_changed", "emergency_used", "delegation_made", "digest", "not_known"])
def test_what_is_not_declared_never_waits(kind):
    assert not any(may_wait(kind, audience) for audience in ("", *AUDIENCES))


def test_what_others_do_to_ones_access_never_waits():
    assert [kind for kind in MAY_WAIT if "requestor" in MAY_WAIT[kind]] == [
        Kind.STAGE_PASSED,
        Kind.ROLE_ACTIVATED,
        Kind.ACTIVATION_EXTENDED,
    ]
