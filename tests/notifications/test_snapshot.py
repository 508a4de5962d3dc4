from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from django.utils.translation import gettext_lazy
from hypothesis import given
from hypothesis import strategies as st

from notifications.snapshot import Unreadable, decode, encode
from tests.texts import text

AT = datetime(2026, 11, 21, 18, 40, tzinfo=UTC)
VALUES = [
    (None, None),
    (True, True),
    (3600, 3600),
    ("Zoë <b>", "Zoë <b>"),
    (timedelta(hours=1), 3600),
    (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (gettext_lazy("Role"), "Role"),
    (["a", {"b": timedelta(1)}], ["a", {"b": 86_400}]),
    (("a",), ["a"]),
    ("a\x00\ud800", "a\ufffd\ufffd"),
]


class Broken:
    def __str__(self):
        raise ZeroDivisionError("no text")

    __repr__ = __str__


@pytest.mark.parametrize(("value", "expected"), VALUES, ids=lambda value: ascii(value)[:40])
def test_encode_and_decode(value, expected):
    assert decode(encode({"key": value})) == {"key": expected}


@pytest.mark.parametrize("at", [AT, AT.astimezone(timezone(timedelta(hours=5, minutes=30))), AT.replace(tzinfo=None)])
def test_decode_gives_aware_moments(at):
    assert decode(encode({"ends_at": at})) == {"ends_at": AT}


@pytest.mark.parametrize("empty", [None, ""])
def test_decode_of_no_moment(empty):
    assert decode(encode({"ends_at": empty})) == {"ends_at": None}


def test_decode_refuses_a_moment_that_is_none():
    with pytest.raises(ValueError, match="soon"):
        decode(encode({"ends_at": "soon"}))


def circle():
    content = {}
    content["self"] = content
    return content


@pytest.mark.parametrize(
    ("context", "cause"), [({"role": Broken()}, "ZeroDivisionError"), (circle(), "RecursionError")]
)
def test_encode_describes_what_it_cannot_encode(context, cause):
    text = encode(context)
    assert cause in text
    with pytest.raises(Unreadable, match=cause):
        decode(text)


@given(st.dictionaries(text(), text() | st.floats() | st.integers() | st.none()))
def test_encode_gives_text_that_can_be_stored(context):
    text = encode(context)
    assert "\x00" not in text
    assert text.encode()
