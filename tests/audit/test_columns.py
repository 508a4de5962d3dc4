import json
import random
from datetime import UTC, datetime
from uuid import UUID

import pytest

from audit import verifying
from audit.canonical import dumps, moment
from audit.columns import COLUMNS, plainly_said, said_by
from audit.sealing import seal
from audit.services import record

from .tampered import facts_of

FACTS = facts_of(7)
TEXT = dumps(FACTS)
AT = COLUMNS.index("at")
THINGS = ("actor", "subject", "role", "scope", "target", "request")


def columns(facts):
    """As they are read to be compared."""
    found = said_by(facts)
    found[AT] = datetime.fromisoformat(facts["at"])
    return found


def changed(**facts):
    return dumps(FACTS | facts)


# --- plain records ----------------------------------------------------------------------------------------------------

PLAIN = [
    {},
    dict.fromkeys(THINGS),
    {"before": {"at": "x", "before": [None]}, "after": None},
    {"after": {"said": 'a"b\\', "at": "2020-01-01T00:00:00.000000Z", "before": None}},
    {"justification": "Zoë {🔒}: 'x', \x7f\u2028", "ticket": "x" * 200, "code": ""},
    {"actor": {"type": "", "id": "", "label": "System"}},
]


@pytest.mark.parametrize("facts", PLAIN)
def test_plain_record_says_what_its_facts_say(facts):
    assert plainly_said(dumps(FACTS | facts)) == columns(FACTS | facts)


@pytest.mark.django_db
def test_what_is_recorded_is_plain(person):
    """Or verifying would be right, and take twice as long."""
    told = {"before": {"name": 'a "b"'}, "after": {"approvers": ["Kim"]}, "ticket": "INC-1", "justification": "schön"}
    record("role.created", actor=person, target=person, subject=person, role=person, request=person, **told)
    record("role.created", actor=None, target=None)
    seal()
    rows = list(verifying._rows(after=0, until=2))
    assert [plainly_said(canonical) for _n, _leaf, canonical, *_columns in rows] == [list(row[3:]) for row in rows]


# --- all others -------------------------------------------------------------------------------------------------------

SOUND = [
    changed(justification='a "b"'),
    changed(ticket="x" * 201),
    changed(actor={"type": "x", "id": str(UUID(int=1)), "label": "x", "more": 1}),
    json.dumps(FACTS, sort_keys=True, ensure_ascii=False),
    TEXT.replace('"via":', '"via":"x","via":'),
    dumps(FACTS).replace("ö", "\\u00f6"),
]


@pytest.mark.parametrize("text", SOUND)
def test_sound_record_of_another_form_is_decoded(text):
    assert plainly_said(text) is None
    assert fault_in(text, columns(json.loads(text))) is None


UNREADABLE = [
    *("", "no record", "7", "null", "[]", "{}", '"x"', "[" * 10_000, TEXT[:-1], TEXT + " ", " " + TEXT, TEXT + "{}"),
    TEXT.replace("schön", "sch\tn"),
    TEXT.replace('"after":{"n":7}', '"after":{"n":7'),
    TEXT.replace('"before":null', '"before":nil'),
    TEXT.replace('"before":null', '"before":' + "[" * 10_000),
    *(changed(action=odd) for odd in (None, 7, True)),
    *(changed(actor=odd) for odd in (7, "x", ["x"], {"id": "x"}, {"id": 7, "label": "x", "type": "x"})),
    *(changed(role={"id": odd, "label": "x", "type": "x"}) for odd in (["x"], {}, "-", "x" * 36)),
    *(
        dumps({name: fact for name, fact in FACTS.items() if name != missing})
        for missing in FACTS.keys() - {"before", "after"}
    ),
]


@pytest.mark.parametrize("text", UNREADABLE, ids=range(len(UNREADABLE)))
def test_text_that_is_no_record_is_told(text):
    assert plainly_said(text) is None
    assert fault_in(text, columns(FACTS)) == "record_unreadable"


MOMENTS = [None, 7, "", "x", "2026-11-22T08:00:07Z", "2026-11-22T08:00:07.000000+00:00", "2026-11-22T24:00:00.000000Z"]


@pytest.mark.parametrize("at", [*MOMENTS, "2026-13-22T08:00:07.000000Z", "２026-11-22T08:00:07.000000Z"])
def test_moment_that_is_not_written_as_one_differs(at):
    """Also where it means the one in the column."""
    found = columns(FACTS)
    if at == "2026-11-22T24:00:00.000000Z":
        found[AT] = datetime(2026, 11, 23, tzinfo=UTC)
    assert fault_in(changed(at=at), found) == "column_differs"


@pytest.mark.parametrize(("name", "longest"), [("code", 64), ("ticket", 200), ("outcome", 10)])
def test_column_longer_than_it_may_be_differs(name, longest):
    """SQLite takes it."""
    long = "x" * (longest + 1)
    found = columns(FACTS)
    found[COLUMNS.index(name)] = long
    assert fault_in(changed(**{name: long}), found) == "column_differs"


def fault_in(text, found):
    fault = verifying._fault_in(1, b"", b"", text, found)
    return fault and fault.code


# --- whatever is done to a text ---------------------------------------------------------------------------------------

PIECES = [
    *'",{}:\\ [1',
    "null",
    "\\u0041",
    "\t",
    '"code":"x",',
    '"at":"' + moment(datetime(2026, 1, 1)) + '",',
    "NaN",
    "ß",
]


def altered(text, made):
    """The text with a piece put in, left out or put elsewhere."""
    begin, end = sorted(made.randrange(len(text)) for _side in range(2))
    begin = max(begin, end - made.randrange(40))
    match made.randrange(3):
        case 0:
            return text[:begin] + made.choice(PIECES) + text[begin:]
        case 1:
            return text[:begin] + text[end:]
        case _:
            return text[:end] + text[begin:end] + text[end:]


def decoded(text):
    """The judge of all that is not plain."""
    try:
        said = verifying._derived(text)
        at = datetime.fromisoformat(said[AT])
        assert moment(at) == said[AT]
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError):
        return None
    return [*said[:AT], at, *said[AT + 1 :]]


def test_plain_look_and_decoding_never_disagree():
    made, plain = random.Random(8259), 0
    for _text in range(3_000):
        text = changed(**{name: None for name in THINGS if made.randrange(4) == 0})
        for _change in range(made.randrange(3)):
            text = altered(text, made)
        if (said := plainly_said(text)) is not None:
            assert said == decoded(text), text
            plain += 1
    assert plain > 1_000
