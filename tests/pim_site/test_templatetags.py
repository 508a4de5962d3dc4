"""The words for times and states."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.template import engines
from django.utils import timezone, translation

from pim_site.templatetags import pim

NOW = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _clock(time_machine):
    time_machine.move_to(NOW, tick=False)
    with timezone.override(ZoneInfo("Europe/Berlin")), translation.override("en"):
        yield


def in_(**span):
    return NOW + timedelta(**span)


def test_moment_text_names_the_zone():
    assert pim.moment_text(in_(minutes=40)) == "21 Nov 2026, 18:40 CET"


def test_moment_text_follows_summer_time():
    assert pim.moment_text(datetime(2026, 7, 1, 10, 0, tzinfo=UTC)) == "1 Jul 2026, 12:00 CEST"


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("America/Sao_Paulo", "21 Nov 2026, 14:00 UTC-03:00"),
        ("Asia/Kathmandu", "21 Nov 2026, 22:45 UTC+05:45"),
        ("UTC", "21 Nov 2026, 17:00 UTC"),
    ],
)
def test_moment_text_in_the_active_zone(zone, text):
    with timezone.override(ZoneInfo(zone)):
        assert pim.moment_text(NOW) == text


def test_moment_of_today_is_short_and_keeps_the_full_text():
    assert pim.moment(in_(minutes=40)) == (
        '<time datetime="2026-11-21T17:40:00+00:00" title="21 Nov 2026, 18:40 CET">today 18:40 CET</time>'
    )


@pytest.mark.parametrize(
    ("span", "text"),
    [({"minutes": 40}, "today 18:40 CET"), ({"days": 3}, "24 Nov 2026"), ({"days": -30}, "22 Oct 2026")],
)
def test_day_leaves_the_time_out_except_for_today(span, text):
    assert f">{text}</time>" in pim.day(in_(**span))


def test_day_of_nothing_is_empty():
    assert pim.day(None) == ""


def test_moment_judges_today_in_the_active_zone():
    late = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)
    assert ">22 Nov 2026, 00:30 CET<" in pim.moment(late)
    with timezone.override(UTC):
        assert ">today 23:30 UTC<" in pim.moment(late)


@pytest.mark.parametrize(
    ("span", "text"),
    [
        ({"seconds": 59}, "in less than a minute"),
        ({"seconds": 60}, "in 1 min"),
        ({"minutes": 42, "seconds": 59}, "in 42 min"),
        ({"hours": 8}, "in 8 h"),
        ({"hours": 7, "minutes": 58}, "in 7 h 58 min"),
        ({"hours": 36, "minutes": 5}, "in 36 h"),
        ({"hours": 48}, "in 2 d"),
        ({"days": 12, "hours": 3}, "in 12 d"),
        ({}, "just now"),
        ({"seconds": -59}, "just now"),
        ({"minutes": -1}, "1 min ago"),
        ({"hours": -3, "minutes": -50}, "3 h ago"),
        ({"days": -2}, "2 d ago"),
    ],
)
def test_until(span, text):
    assert pim.until(in_(**span)) == text


@pytest.mark.parametrize(
    ("span", "text"),
    [
        ({"minutes": 42}, "42 min left"),
        ({"hours": 1, "minutes": 1}, "1 h 1 min left"),
        ({"seconds": 30}, "less than a minute left"),
        ({}, "ended"),
        ({"hours": -2}, "ended"),
    ],
)
def test_countdown_says_what_is_left(span, text):
    assert f">{text}</time>" in pim.countdown(in_(**span))


def test_countdown_tells_the_script_the_end():
    assert 'data-ends="2026-11-21T17:42:00+00:00"' in pim.countdown(in_(minutes=42))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(hours=1, minutes=30), "1 h 30 min"),
        (5400, "1 h 30 min"),
        (timedelta(hours=8), "8 h"),
        (timedelta(hours=24), "24 h"),
        (timedelta(days=2), "2 d"),
        (timedelta(days=365), "365 d"),
        (timedelta(days=2, hours=5, minutes=1), "2 d 5 h 1 min"),
        (45, "45 s"),
        (0, "0 s"),
    ],
)
def test_duration(value, text):
    assert pim.duration(value) == text


@pytest.mark.parametrize("word", [pim.moment, pim.moment_text, pim.until, pim.countdown, pim.duration])
def test_no_time_gives_no_text(word):
    assert word(None) == ""


def test_dot_says_the_state_in_words():
    assert pim.dot("pending_approval") == '<span class="pim-dot pim-dot--waiting">Waiting for approval</span>'


def test_dot_takes_the_word_of_the_model():
    assert pim.dot("provisioned", "In force") == '<span class="pim-dot pim-dot--active">In force</span>'


def test_dot_shows_an_unknown_state_and_escapes_it():
    assert pim.dot("<b>") == '<span class="pim-dot pim-dot--ended">&lt;b&gt;</span>'


def test_words_are_built_into_every_template():
    template = engines["django"].from_string("{{ at|moment_text }} · {{ span|duration }} · {{ state|dot }}")
    text = template.render({"at": NOW, "span": 60, "state": "failed"})
    assert text == '21 Nov 2026, 18:00 CET · 1 min · <span class="pim-dot pim-dot--failed">Failed</span>'
