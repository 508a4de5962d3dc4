import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.models import RoleSettings
from roles.rules import check_settings
from roles.tickets import MOST_STEPS, is_link, link_to, matches, shown, steps_of
from tests.refusals import code_of_refusal


@pytest.mark.parametrize(
    ("pattern", "takes", "refuses"),
    [
        ("", ["", "anything"], []),
        ("CHG", ["CHG"], ["", "CH", "CHGG", "chg", "xCHG"]),
        (r"CHG\d{7}", ["CHG0123456"], ["CHG012345", "CHG01234567", "CHG\u0660\u0661\u0662\u0663\u0664\u0665\u0666"]),
        (r"[A-Z]{2,4}-\d+", ["AB-1", "ABCD-100"], ["A-1", "ABCDE-1", "AB-", "AB1"]),
        (r"CHG-\d+|INC-\d+", ["CHG-1", "INC-2"], ["CHG-1|INC-2", "PRB-1"]),
        (r"[^0-9]x?", ["a", "ax", "-x"], ["1", "axx"]),
        (r"\d{2,}", ["12", "1234567"], ["1", ""]),
        (r"a*b*", ["", "a", "b", "aabb"], ["ba"]),
        (r"a.c", ["abc", "a.c"], ["ac"]),
        (r"a\.c\|d", ["a.c|d"], ["abc", "d"]),
        (r"\w+", ["a_1"], ["a-1", "\u00e4"]),
    ],
)
def test_matches(pattern, takes, refuses):
    assert [text for text in takes if not matches(pattern, text)] == []
    assert [text for text in refuses if matches(pattern, text)] == []


NO_PATTERNS = ["(a+)+", "a**", "a+?", "[z-a]", "a{3,1}", "a{0}", "|", "a|", "^a$", "[", "[]", "a{100}", "\\", "[a--b]"]
TOO_LONG = ["a" * (MOST_STEPS + 1), "a{99}b{99}c{9}", "a" * 150 + "|" + "b" * 100]


@pytest.mark.parametrize("pattern", [*NO_PATTERNS, "\\b", "{2}", *TOO_LONG])
def test_steps_of_refuses(pattern):
    with pytest.raises(ValueError, match=r"\w"):
        steps_of(pattern)


ATOMS = ["a", "b", "[ab]", "[^a]", ".", r"\d", "[a-c0-2]"]
COUNTS = ["", "?", "*", "+", "{2}", "{1,3}", "{0,2}", "{1,}"]
items = st.tuples(st.sampled_from(ATOMS), st.sampled_from(COUNTS)).map("".join)
alternatives = st.lists(items, min_size=1, max_size=6).map("".join)


@given(st.lists(alternatives, min_size=1, max_size=3).map("|".join), st.text("abc012", max_size=8))
def test_matches_says_what_regular_expressions_say(pattern, text):
    assert matches(pattern, text) == bool(re.fullmatch(f"(?:{pattern})", text, re.ASCII))


def test_matches_in_time_whatever_is_typed():
    begun = time.perf_counter()
    assert not matches("a*" * 99 + "b", "a" * 100)
    assert time.perf_counter() - begun < 5


@pytest.mark.parametrize(
    ("template", "good"),
    [
        ("https://tickets.example.org/{ticket}", True),
        ("http://tickets:8080/show?id={ticket}#top", True),
        ("https://tickets.example.org/", False),
        ("https://tickets.example.org/{ticket}/{ticket}", False),
        ("https://{ticket}.example.org/", False),
        ("https://{ticket}", False),
        ("ftp://tickets.example.org/{ticket}", False),
        ("javascript:alert('{ticket}')", False),
        ("//tickets.example.org/{ticket}", False),
        ("/{ticket}", False),
        ("https:///{ticket}", False),
        ("https://[::1/{ticket}", False),
        ("https://tickets.example.org/ {ticket}", False),
        ("https://tickets.example.org/\n{ticket}", False),
        ('https://tickets.example.org/"{ticket}', False),
    ],
)
def test_is_link(template, good):
    assert is_link(template) is good


def test_link_to_quotes_what_people_typed():
    template = "https://tickets.example.org/?id={ticket}"
    assert link_to(template, "a/b?c&d<e> #") == "https://tickets.example.org/?id=a%2Fb%3Fc%26d%3Ce%3E%20%23"
    assert (link_to("", "1"), link_to(template, "")) == ("", "")


def test_shown_names_the_system_of_a_ticket():
    assert (shown("1", "Desk"), shown("1", ""), shown("", "Desk")) == ("1 (Desk)", "1", "")


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"ticket_pattern": "(a+)+"}, "ticket_pattern_invalid"),
        ({"ticket_link": "https://tickets.example.org/"}, "ticket_link_invalid"),
        ({"ticket_pattern": r"CHG\d+", "ticket_link": "https://tickets.example.org/{ticket}"}, None),
    ],
)
def test_check_settings_of_tickets(values, code):
    assert code_of_refusal(check_settings, RoleSettings(**values), [], members={}) == code
