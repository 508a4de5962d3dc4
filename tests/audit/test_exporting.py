import csv
import io
import json
import random
import tracemalloc

import pytest
from django.db import transaction
from psycopg.errors import InvalidTextRepresentation

from audit import copying, exporting
from audit.canonical import dumps
from audit.columns import columns_of
from audit.exporting import COLUMNS, csv_lines, csv_of, found, json_of
from audit.models import GRANTING, Event
from audit.sealing import seal
from audit.services import record

from . import tampered

pytestmark = pytest.mark.django_db


def write(count, **facts):
    for _event in range(count):
        record("assignment.activated", actor=None, target=None, **facts)


def rows_of(events):
    return list(csv.DictReader(io.StringIO(b"".join(csv_of(events)).decode(), newline="")))


def test_csv_tells_who_what_why_and_who_said_yes(person):
    after = {"approvers": ["Kim", "Lee"], "ends_at": None}
    record("assignment.activated", actor=person, target=person, ticket="INC-1", justification="a,b\n“c”", after=after)
    seal()
    [row] = rows_of(Event.objects.all())
    assert tuple(row) == COLUMNS
    assert (row["number"], row["action"], row["actor"], row["ticket"]) == ("1", "assignment.activated", "Ana", "INC-1")
    assert (row["justification"], row["approvers"], row["via"]) == ("a,b\n“c”", "Kim, Lee", "system")
    assert json.loads(row["record"])["after"] == after


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"])
def test_csv_is_no_formula(text):
    write(1, justification=text, ticket=text)
    [row] = rows_of(Event.objects.all())
    assert (row["justification"], row["ticket"]) == (f"'{text}", f"'{text}")


@pytest.mark.parametrize("after", [{"approvers": "Kim"}, {"approvers": None}, None])
def test_event_without_approvers_has_none(after):
    write(1, after=after)
    assert Event.objects.get().approvers == []


def test_whoever_is_named_where_nothing_is_granted_said_no_yes():
    record("role.settings_updated", actor=None, target=None, after={"approvers": ["Kim"]})
    assert Event.objects.get().approvers == []
    assert [row["approvers"] for row in rows_of(Event.objects.all())] == [""]


def test_json_lines_are_those_of_the_whole_export():
    write(2, justification="schön")
    seal()
    write(1)
    events = list(Event.objects.order_by("pk"))
    expected = [f'{{"n":{n},"record":{event.canonical}}}\n' for n, event in zip([1, 2, "null"], events, strict=True)]
    assert b"".join(json_of(Event.objects.all())).decode() == "".join(expected)


def test_everything_is_found_once_page_by_page(monkeypatch, django_assert_num_queries):
    write(5, ticket="a")
    write(2, ticket="b")
    monkeypatch.setattr(exporting, "PAGE", 2)
    with django_assert_num_queries(4):
        assert len({event.pk for event in found(Event.objects.filter(ticket="a"))}) == 5


def test_memory_does_not_grow_with_the_number_of_events(monkeypatch):
    monkeypatch.setattr(exporting, "PAGE", 20)
    monkeypatch.setattr(copying, "PAGE", 20)

    def peak():
        tracemalloc.start()
        for _line in csv_of(Event.objects.all()):
            pass
        _now, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    write(20, justification="x" * 5_000)
    peak()
    few = peak()
    write(180, justification="x" * 5_000)
    assert peak() < few + 300_000  # all of them would be 2 MB more


@pytest.mark.postgres
def test_what_cannot_be_written_ends_the_file_and_not_the_connection():
    write(300)
    facts = tampered.facts_of(1)
    Event.objects.bulk_create(
        [Event(at=facts["at"], canonical="no record", **columns_of(facts) | {"ticket": "x" * 200})]
    )
    with pytest.raises(InvalidTextRepresentation, match="json"), transaction.atomic():
        list(csv_of(Event.objects.all()))
    assert len(list(rows_of(Event.objects.filter(ticket="")))) == 300


def test_file_is_the_same_whoever_writes_it(person, monkeypatch):
    """PostgreSQL writes it by itself; elsewhere the lines are written here."""
    monkeypatch.setattr(copying, "PAGE", 2)
    person.display_name = "Ä" * 250
    said = {"actor": person, "target": person, "justification": '=a,"b"\r\n\\.', "ticket": "-" * 201}
    record("assignment.activated", **said, after={"approvers": ["Kim, jr.", "=Lee", 7], "x": "\x01\x02"})
    write(1, after={"note": '"approvers":["x"]', "inner": {"approvers": ["x"]}}, justification="\r", ticket="＝1")
    write(1, after={"approvers": {"x": 1}}, before={}, request=person, subject=person)
    write(1, after={"approvers": []})
    write(1, after={"approvers": [], "inner": {"approvers": ["x"]}}, before={"approvers": ["y"]})
    write(1, after={"approvers": ["Kim"], "inner": {"approvers": []}}, before={"approvers": []})
    write(1, before={"approvers": ["y"]})
    seal()
    write(2, justification="\\.")
    events = Event.objects.all()
    assert b"".join(csv_of(events)).decode() == "".join(csv_lines(found(events)))
    assert b"".join(csv_of(events.filter(ticket=""))).decode() == "".join(csv_lines(found(events.filter(ticket=""))))
    for nothing in (events.none(), events.filter(pk__in=[]), events.filter(ticket="no such")):
        assert (b"".join(csv_of(nothing)), b"".join(json_of(nothing))) == (",".join(COLUMNS).encode() + b"\n", b"")


BEGINNINGS = [*copying.FORMULA, "", "'=", " =", "x", "Ω", "日", "🔒", "\\", '"', ",", "ß=", "\x7f", "〇", "\uffff"]
LENGTHS = (0, 1, 197, 198, 199, 200, 201)


def event_of(text):
    """An event in which each text that somebody may have written is this one, cut where an operation cuts it."""
    thing, short = {"type": "x", "id": "", "label": text}, text[:64]
    facts = tampered.facts_of(1) | dict.fromkeys(("actor", "subject", "role", "scope", "target"), thing)
    facts |= dict.fromkeys(("action", "code", "via", "address"), short) | {"ticket": text, "justification": text}
    facts |= {"request": None, "after": {"approvers": [text, "=Lee"]}}
    return Event(at=facts["at"], canonical=dumps(facts), **columns_of(facts))


def kept(text):
    return f"'{text}" if text.startswith(copying.FORMULA) else text


def test_no_cell_begins_as_a_formula_in_any_alphabet():
    """Also where the text is longer than its column; what is no formula is as it was written."""
    texts = [letters + "x" * length for letters in BEGINNINGS for length in LENGTHS]
    Event.objects.bulk_create(map(event_of, texts))
    rows = rows_of(Event.objects.all())
    for column in ("actor", "subject", "role", "scope", "target", "ticket", "justification"):
        assert [row[column] for row in rows] == list(map(kept, texts))
    for column in ("action", "code", "via", "address"):
        assert [row[column] for row in rows] == [kept(text[:64]) for text in texts]
    written = b"".join(csv_of(Event.objects.all())).decode()
    assert written == "".join(csv_lines(found(Event.objects.all())))


NAMES = ["Kim", "", ",", "]", "]x", "[", "{", '"', "\\", "a\\", '","', '"]', ", ", "=x", "＝", "ß", "\n", "\x1f", 7]
NAMES += ['"approvers":["x"]', ',"after":{"approvers":["x"]', ',"after":{"approvers":[]', ',"after":']
FORMS = [
    *(
        lambda names: {"approvers": names},
        lambda names: {"approvers": names, "more": {"a": 1, "after": {"approvers": [7]}}},
    ),
    *(lambda names: {"a": names, "approvers": names}, lambda names: {"more": {"a": 1, "after": {"approvers": names}}}),
    *(
        lambda names: {"approvers": [], "more": names},
        lambda names: {"approvers": {"approvers": names}},
        lambda _names: None,
    ),
]


ACTIONS = (*GRANTING, *GRANTING, "role.settings_updated")


def test_approvers_are_those_of_the_record_whatever_it_says():
    """PostgreSQL takes them from its text where that is plain."""
    made, events = random.Random(4180), []
    for n in range(1_500):
        after, before = (made.choice(FORMS)(made.choices(NAMES, k=made.randrange(4))) for _side in range(2))
        label = made.choice(list(map(str, NAMES)))
        facts = tampered.facts_of(n) | {"actor": {"type": label, "id": "", "label": label}, "address": label[:64]}
        facts |= {"after": after, "before": before, "ticket": label, "action": made.choice(ACTIONS)}
        events.append(Event(at=facts["at"], canonical=dumps(facts), **columns_of(facts)))
    Event.objects.bulk_create(events)

    named = [event.approvers for event in events]
    assert [row["approvers"] for row in rows_of(Event.objects.all())] == [kept(", ".join(names)) for names in named]
    assert sum(map(bool, named)) > 300
