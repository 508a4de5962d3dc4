"""What a CSV file may be, and what is said of one that is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pim_site.ascode.document import FileRefused
from pim_site.imports import rows
from pim_site.imports.packing import packed, unpacked
from pim_site.imports.rows import COLUMNS, EXAMPLES, example, read
from tests.texts import text

HEADS = "The heads of the columns are wrong. Known are: {}. Needed are: {}."
PEOPLE = HEADS.format("username, name, email, kind, manager, time_zone", "username, name, email")


def faults_of(kind, content):
    with pytest.raises(FileRefused) as refusal:
        read(kind, content if isinstance(content, bytes) else content.encode())
    return [tuple(fault) for fault in refusal.value.faults]


@pytest.mark.parametrize("kind", COLUMNS)
def test_example_is_a_good_file(kind):
    assert len(read(kind, example(kind).encode()).rows(kind)) == len(EXAMPLES[kind])


def test_row_says_what_its_cells_say_and_nothing_else():
    content = '\ufeffemail,username,name,manager\n\nada@example.org, ada ,"Ada\nL.",\n'
    (row,) = read("people", content.encode()).rows("people")
    assert (row.line, row.values) == (4, {"username": "ada", "name": "Ada\nL.", "email": "ada@example.org"})


def test_names_are_divided():
    (row,) = read("groups", b"name,members\nKeepers,bo; ada;;bo\n").rows("groups")
    assert row["members"] == ["ada", "bo"]


WRONG = {
    "unknown head": ("people", "username,name,email,mail\n", [(1, PEOPLE)]),
    "doubled head": ("people", "username,name,email,name\n", [(1, PEOPLE)]),
    "missing head": ("people", "username,name\n", [(1, PEOPLE)]),
    "empty file": ("people", "", [(1, PEOPLE)]),
    "no rows": ("people", "username,name,email\n", [(0, "The file has no rows beneath its heads.")]),
    "too few cells": ("groups", "name,description\nA\n", [(2, "This row has 1 cells, and there are 2 heads.")]),
    "empty cell": ("groups", "name,description\n,A\n", [(2, "name: The cell is empty.")]),
    "no truth value": ("groups", "name,protected\nA,yes\n", [(2, "protected: Write true or false.")]),
    "two wrong rows": (
        "groups",
        "name,protected\nA,1\nB,true\nC,2\n",
        [(2, "protected: Write true or false."), (4, "protected: Write true or false.")],
    ),
    "doubled row": ("groups", "name\nA\nB\nA\n", [(4, "This is said in line 2 already.")]),
    "not UTF-8": ("groups", b"name\n\xe4\n", [(2, "This is not UTF-8. Save the file in that encoding.")]),
    "UTF-16": ("groups", "name\nA\n".encode("utf-16"), [(1, "This is not UTF-8. Save the file in that encoding.")]),
    "NUL": ("groups", "name\nA\0B\n", [(2, "name: This text has characters that cannot be stored.")]),
}


@pytest.mark.parametrize(("kind", "content", "faults"), WRONG.values(), ids=WRONG)
def test_wrong_file_refused_with_line_and_reason(kind, content, faults):
    assert faults_of(kind, content) == faults


def test_more_rows_than_the_limit_refused():
    content = "name\n" + "".join(f"G{number}\n" for number in range(50_001))
    assert faults_of("groups", content) == [(50_002, "A file has at most 50000 rows. Divide it.")]


def test_large_file_refused_with_the_limit(monkeypatch):
    monkeypatch.setattr(rows, "LARGEST_FILE", 1024 * 1024)
    assert faults_of("groups", "x" * (1024 * 1024 + 1)) == [(0, "The file is larger than 1 MB.")]


def test_file_comes_back_from_the_page_as_it_was():
    content = example("people").encode() * 100
    assert unpacked(packed(content)) == content


def test_packed_file_grows_no_larger_than_a_file_may_be():
    assert len(unpacked(packed(b"0" * 100_000_000))) == rows.LARGEST_FILE + 1


@given(st.sampled_from(list(COLUMNS)), st.binary(max_size=300) | text(max_size=300).map(str.encode))
def test_any_bytes_are_read_or_refused(kind, content):
    head = ",".join(COLUMNS[kind]).encode() + b"\n"
    for whole in (content, head + content):
        try:
            outcome = read(kind, whole).rows(kind)
        except FileRefused as refusal:
            outcome = refusal.faults
        assert outcome


@given(text(max_size=300))
def test_any_text_is_unpacked_or_refused(text):
    try:
        outcome = unpacked(text)
    except FileRefused as refusal:
        outcome = refusal.faults
    assert isinstance(outcome, bytes) or outcome
