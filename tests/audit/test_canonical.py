import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from django.utils.translation import gettext_lazy
from hypothesis import given
from hypothesis import strategies as st

from audit.canonical import clean, dumps, plain
from audit.models import Event
from tests.texts import text

VALUES = [
    (None, None),
    (True, True),
    (7, 7),
    ("Zoë", "Zoë"),
    (1.5, "1.5"),
    (float("nan"), "nan"),
    (Decimal("1.10"), "1.10"),
    (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (datetime(2026, 11, 21, 18, 40, tzinfo=UTC), "2026-11-21T18:40:00.000000Z"),
    (datetime(2026, 11, 21, 19, 40, 0, 5, tzinfo=timezone(timedelta(hours=1))), "2026-11-21T18:40:00.000005Z"),
    (datetime(2026, 11, 21, 18, 40), "2026-11-21T18:40:00.000000Z"),
    (date(2026, 11, 21), "2026-11-21"),
    (timedelta(hours=1, milliseconds=900), 3600),
    (Event.Outcome.REFUSED, "refused"),
    (gettext_lazy("Refused"), "Refused"),
    ((1, [2.0]), [1, ["2.0"]]),
    ({"b", "a"}, ["a", "b"]),
    ({1: {"x": None}}, {"1": {"x": None}}),
    ("a\x00b\ud800c", "a\ufffdb\ufffdc"),
]


@pytest.mark.parametrize(("value", "expected"), VALUES, ids=lambda value: ascii(value)[:40])
def test_plain(value, expected):
    assert plain(value) == expected


def test_dumps_is_sorted_and_dense_and_keeps_characters():
    assert dumps({"b": 1, "a": "ü<"}) == '{"a":"ü<","b":1}'


def test_dumps_refuses_what_is_no_json_number():
    with pytest.raises(ValueError, match="Out of range"):
        dumps(float("inf"))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | text() | st.datetimes() | st.timedeltas(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text(), inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_dumps_of_plain_can_be_stored_and_read_back_the_same(value):
    text = dumps(plain(value))
    assert "\x00" not in text
    assert text.encode()
    assert dumps(plain(json.loads(text))) == text


@given(st.dictionaries(text(), st.integers()))
def test_dumps_does_not_depend_on_the_order_of_keys(facts):
    backwards = dict(reversed(facts.items()))
    assert dumps(facts) == dumps(backwards)


@given(text())
def test_clean_changes_nothing_but_what_cannot_be_stored(text):
    kept = [(new, old) for new, old in zip(clean(text), text, strict=True) if new != old]
    assert all(new == "\ufffd" and (old == "\x00" or 0xD800 <= ord(old) <= 0xDFFF) for new, old in kept)
