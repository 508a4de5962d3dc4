"""What a file may be, and what is said of one that is not."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pim_site.ascode import document
from pim_site.ascode.document import FileRefused
from pim_site.ascode.reading import read
from tests.texts import text


def faults_of(text):
    with pytest.raises(FileRefused) as refusal:
        read(text if isinstance(text, bytes) else text.encode())
    return [tuple(fault) for fault in refusal.value.faults]


def one_fault(text):
    (fault,) = faults_of(text)
    return fault


PERSON = "version: 1\npeople:\n  - username: ada\n    name: Ada\n    email: ada@example.org\n"
KEYS = "username, name, email, kind, manager, time_zone, emergency_access, enabled"


def test_entry_has_its_line_and_its_defaults():
    (row,) = read(PERSON.encode()).rows("people")

    assert row.line == 3
    assert row.values == {
        "username": "ada",
        "name": "Ada",
        "email": "ada@example.org",
        "kind": "person",
        "manager": "",
        "time_zone": "UTC",
        "emergency_access": False,
        "enabled": True,
    }


def test_section_that_is_left_out_is_not_an_empty_one():
    assert read(b"version: 1\ngroups: []\n").sections == {"groups": []}


@pytest.mark.parametrize("name", ["no", "123", "1:30", "2026-01-01", "null", "~"])
def test_text_is_what_stands_there(name):
    (row,) = read(PERSON.replace("username: ada", f"username: {name}").encode()).rows("people")
    assert row["username"] == name


MIDNIGHT = "2030-01-01 00:00:00+"
WRONG = {
    "unknown key": (PERSON + "    mail: x\n", (6, f"“mail” is no key here. Known are: {KEYS}.")),
    "doubled key": (PERSON + "    name: Bo\n", (6, "“name” stands here twice.")),
    "missing key": ("version: 1\npeople:\n  - username: ada\n    name: Ada\n", (3, "“email” is missing.")),
    "no truth value": (PERSON + "    enabled: yes\n", (6, "Write true or false.")),
    "list for a value": (PERSON + "    manager: [a]\n", (6, "One value is expected here.")),
    "value for a list": ("version: 1\npeople: ada\n", (2, None)),
    "value for a mapping": ("version: 1\npeople:\n  - ada\n", (3, "Keys with values are expected here.")),
    "doubled entry": (PERSON + PERSON.partition("people:\n")[2], (6, "This is said in line 3 already.")),
    "doubled member": (
        "version: 1\ngroups:\n  - name: G\n    members:\n      - a\n      - a\n",
        (6, "“a” is named twice."),
    ),
    "moment without zone": (
        "version: 1\neligible:\n  - role: R\n    resource: /\n    user: a\n    ends_at: 2030-01-01\n",
        (
            6,
            f"The zone is missing. Write {MIDNIGHT}00:00 if UTC is meant, or {MIDNIGHT}01:00 if it is one hour ahead.",
        ),
    ),
    "no moment": (
        "version: 1\neligible:\n  - role: R\n    resource: /\n    user: a\n    ends_at: end of June\n",
        (6, "Write date, time and zone. Example: 2030-01-31 18:00:00+00:00"),
    ),
    "length of time": (
        "version: 1\nroles:\n  - resource: /\n    name: R\n    settings:\n      activation_max_duration: 8 hours\n",
        (6, "Write a length of time. Examples: 8h, 30m, 1h30m, 2d"),
    ),
    "no length of time": (
        "version: 1\nroles:\n  - resource: /\n    name: R\n    settings:\n      stages:\n        - timeout: none\n",
        (7, "Write a length of time. Examples: 8h, 30m, 1h30m, 2d"),
    ),
    "endless number": (
        f"version: 1\nroles:\n  - resource: /\n    name: R\n    settings:\n      active_max_days: {'9' * 5000}\n",
        (6, "A whole number is expected here."),
    ),
    "alias": (
        "version: 1\ngroups:\n  - &a\n    name: G\n  - *a\n",
        (3, "Anchors and aliases are not accepted: write it out."),
    ),
    "tag": ("version: !!int 1\n", (1, "Tags are not accepted: the key says what a value is.")),
    "python object": ("version: !!python/object/apply:os.system [ls]\n", (1, None)),
    "NUL": ('version: 1\ngroups:\n  - name: "a\\0b"\n', (3, "This text has characters that cannot be stored.")),
    "other version": ("# first\nversion: 2\n", (2, "This is version 1 of the format.")),
    "too deep": (f"version: {'[' * 100}{']' * 100}\n", (1, "This is nested too deeply.")),
    "no YAML": ("version: 1\npeople: [\n", (3, None)),
    "two documents": ("version: 1\n---\nversion: 1\n", (2, None)),
    "not UTF-8": (b"version: 1\n# \xff\n", (2, "This is not UTF-8. Save the file in that encoding.")),
    "empty": ("", (0, "The file is empty.")),
}


@pytest.mark.parametrize(("text", "expected"), WRONG.values(), ids=WRONG)
def test_wrong_file_refused_with_line_and_reason(text, expected):
    fault = faults_of(text)[0]
    assert fault == (expected[0], expected[1] or fault[1])


def test_all_that_is_wrong_is_said_at_once():
    text = "version: 1\npeople:\n  - username: ada\n  - username: bo\n"
    assert [line for line, _text in faults_of(text)] == [3, 3, 4, 4]


def test_aliases_do_not_grow():
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert {text for _line, text in faults_of(bomb)} == {"Anchors and aliases are not accepted: write it out."}


def test_large_file_refused_with_the_limit(monkeypatch):
    monkeypatch.setattr(document, "LARGEST_FILE", 1024 * 1024)
    assert one_fault("#" * (1024 * 1024 + 1)) == (0, "The file is larger than 1 MB.")


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("8h", timedelta(hours=8)),
        ("1h30m", timedelta(minutes=90)),
        ("2d", timedelta(days=2)),
        ("45s", timedelta(seconds=45)),
    ],
)
def test_length_of_time(text, length):
    lines = f"version: 1\nroles:\n  - resource: /\n    name: R\n    settings:\n      activation_max_duration: {text}\n"
    (role,) = read(lines.encode()).rows("roles")
    assert role["settings"]["activation_max_duration"] == length


def test_stage_that_says_nothing_is_the_one_that_is_there_anyway():
    lines = "version: 1\nroles:\n  - resource: /\n    name: R\n    settings:\n      stages:\n        - quorum: 1\n"
    (role,) = read(lines.encode()).rows("roles")
    assert role["settings"]["stages"] == []


def test_moment_in_any_zone_is_kept_in_utc():
    lines = "version: 1\nactive:\n  - role: R\n    resource: /\n    user: a\n    ends_at: 2030-01-31T18:00:00+02:00\n"
    (row,) = read(lines.encode()).rows("active")
    assert row["ends_at"] == datetime(2030, 1, 31, 16, tzinfo=UTC)


def test_override_leaves_out_what_is_as_in_the_settings_of_its_role():
    lines = (
        "version: 1\nroles:\n  - resource: /\n    name: R\n    settings:\n      ticket_required: true\n"
        "    overrides:\n      - scope: /A\n        activation_max_duration: 1h\n"
    )
    (role,) = read(lines.encode()).rows("roles")
    (override,) = role["overrides"]
    assert override == role["settings"] | {"scope": "/A", "activation_max_duration": timedelta(hours=1)}


@given(st.binary(max_size=300) | text(max_size=300).map(str.encode))
def test_any_bytes_are_read_or_refused(content):
    try:
        outcome = read(content).sections
    except FileRefused as refusal:
        outcome = refusal.faults
    assert isinstance(outcome, dict) or outcome
