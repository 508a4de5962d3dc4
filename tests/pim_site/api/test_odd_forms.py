"""What one program reads so and another otherwise: refused, as it is not of the form that is described."""

import base64
import json
from uuid import UUID

import pytest
from django_filters import ModelChoiceFilter

from accounts.models import Group
from pim_site.api.fields import Id, Moment
from pim_site.api.lists import RowFilter
from pim_site.api.review_series import DefinitionIn
from pim_site.codec import utf8_only
from roles.models import Role
from tests.api import Program
from tests.factories import EligibleFactory, RoleFactory, UserFactory, holder_of, root

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin():
    return Program(holder_of(Role.GLOBAL_ADMINISTRATOR))


def sent(program, path, body, content_type="application/json", **headers):
    answer = program.client.generic("POST", f"/api/v1/{path}", body, content_type, headers=headers)
    return answer.status_code, answer.json().get("code")


def test_field_that_is_there_twice_refused():
    eligible = EligibleFactory()
    program = Program(eligible.user)
    body = {"action": "self_activate", "eligible_assignment": str(eligible.pk), "duration": "PT1H"}
    twice = json.dumps(body | {"justification": "Stuck."})[:-1] + ', "validate_only": true, "validate_only": false}'

    assert sent(program, "requests", twice) == (400, "parse_error")
    assert program.get("requests")[1]["results"] == []


def test_field_of_a_question_that_is_there_twice_refused(admin):
    question = f'{{"principal": "{admin.get("access/mine")[1]["principal"]["id"]}", "role": "x", "role": "y"}}'

    assert sent(admin, "access/check", f'{{"questions": [{question}]}}') == (400, "invalid")


@pytest.mark.parametrize(
    "body", [b'{"name": NaN}', b'{"name": 1' + b"0" * 5000 + b"}", b"\xff\xfe{\0}\0", b"[" * 100_000]
)
def test_what_is_no_json_refused(admin, body):
    assert sent(admin, "groups", body) == (400, "parse_error")


@pytest.mark.parametrize("content_type", ["*/*", "application/*", "text/json", ""])
def test_other_content_type_refused(admin, content_type):
    assert sent(admin, "groups", b'{"name": "New"}', content_type) == (415, "unsupported_media_type")


@pytest.fixture
def behind_wsgi(admin):
    """A program that asks through what stands in front of Django, which the test client leaves out."""
    django = admin.client.handler
    admin.client.handler = lambda environ: utf8_only(lambda environ, _start: django(environ))(environ, None)
    return admin


@pytest.mark.parametrize("path", ["groups", "access/check"])
@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-16", "application/json; charset=rot13", "application/json; name*=no-codec''x"],
)
def test_other_codec_than_ours_is_refused_as_all_else_is(behind_wsgi, path, content_type):
    refused = sent(behind_wsgi, path, '{"name": "New"}'.encode("utf-16"), content_type)

    assert refused == (415, "unsupported_media_type")
    assert not Group.objects.exists()


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=UTF-8"])
def test_our_own_codec_is_taken(behind_wsgi, content_type):
    assert sent(behind_wsgi, "groups", b"{}", content_type) == (400, "invalid")


@pytest.mark.parametrize("path", ["groups", "access/check"])
def test_body_in_pieces_refused(admin, path):
    """Django takes it for none: what it says, such as the reason for a cancellation, would be lost."""
    assert sent(admin, path, b"{}", **{"Transfer-Encoding": "chunked"}) == (411, "length_required")


KEY = "6d1e0c5b-8f0a-4b0e-9d0b-5f9d2f3a7c11"
ODD_IDS = [f"{{{KEY}}}", f"urn:uuid:{KEY}", KEY.replace("-", ""), KEY.replace("0", "０"), f"{KEY}\n", "_" + KEY[1:]]
ODD_MOMENTS = [
    *(
        "2026-W47-6T18:40:00Z",
        "20261121T184000Z",
        "٢٠٢٦-11-21T18:40:00Z",
        "2026-11-21T18:40:00,5Z",
        "2026-11-21T18:40Z\n",
    ),
    *("2026-11-21T24:00:00Z", "2026-11-21T18:40:60Z", "2026-11-21T18:40:00+99:99", "2026-11-21T18:40:00", "2026-11-21"),
]


@pytest.mark.parametrize("value", ODD_IDS)
def test_id_in_another_form_than_it_is_answered_in_refused(value):
    assert Id().run_validation(KEY.upper()) == UUID(KEY)
    with pytest.raises(Exception, match="valid UUID"):
        Id().run_validation(value)


@pytest.mark.parametrize("value", ODD_IDS)
@pytest.mark.parametrize("path", ["requests", "access/check"])
def test_parameter_with_an_id_in_another_form_refused(admin, path, value):
    others = {"scope": str(root().pk), "role": KEY} if path == "access/check" else {}

    status, answer = admin.get(path, principal=value, **others)

    assert (status, answer["code"]) == (400, "invalid")


@pytest.mark.parametrize("value", ODD_MOMENTS)
def test_moment_in_another_form_refused(value):
    assert Moment().run_validation("2026-11-21t18:40:00.5z").microsecond == 500_000
    with pytest.raises(Exception, match="wrong format"):
        Moment().run_validation(value)


@pytest.mark.parametrize("value", ["2026-W47-6", "20261121", "٢٠٢٦-11-21", "2026-11-21T00:00:00Z", "2026-02-30"])
def test_day_in_another_form_refused(value):
    form = DefinitionIn(data={"first_on": value}, context={})

    assert not form.is_valid()
    assert "first_on" in form.errors


def test_length_with_a_line_break_refused():
    eligible = EligibleFactory()
    body = {"action": "self_activate", "eligible_assignment": str(eligible.pk), "duration": "PT1H\n"}

    status, answer = Program(eligible.user).post("requests", body | {"justification": "Stuck."})

    assert (status, [error["field"] for error in answer["errors"]]) == (400, ["duration"])


def cursor(text):
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("text", ["", "p=", "o=0", "x=1", "nonsense", "p=yesterday", "p=%00", "r=1&p=9" + "9" * 40])
def test_cursor_that_no_page_gave_refused(admin, text):
    status, answer = admin.get("requests", cursor=cursor(text) or "AAAA")

    assert (status, answer["code"]) == (422, "cursor_invalid")


def test_cursor_of_a_column_of_numbers_refused_where_it_says_none(admin):
    status, answer = admin.get("role_settings", ordering="version", cursor=cursor("p=one"))

    assert (status, answer["code"]) == (422, "cursor_invalid")


def test_cursor_shows_nobody_rows_that_they_do_not_see(admin):
    """A position is a value to compare with, of the column that orders: it says nothing of rows that are not one's."""
    EligibleFactory.create_batch(3)
    mine = EligibleFactory()

    rows = Program(mine.user).get("eligible_assignments", cursor=cursor("p=9999-01-01 00:00:00%2B00:00"))[1]["results"]

    assert [row["id"] for row in rows] == [str(mine.pk)]


def test_key_of_another_person_is_a_key_of_ones_own(admin):
    other = Program(UserFactory())
    body = {"name": "Keepers"}

    first = admin.post("groups", body, key="the-same")
    second = other.post("groups", body, key="the-same")

    assert (first[0], second[0], second[1]["code"]) == (201, 403, "not_allowed")


def test_filter_does_not_tell_whether_there_is_something_that_one_may_not_see():
    program, hidden = Program(UserFactory()), RoleFactory()

    answers = [program.get("favourites", role=key) for key in (str(hidden.pk), KEY)]

    assert answers == [(200, {"next": None, "previous": None, "results": []})] * 2


def test_no_filter_is_a_choice_among_all_rows():
    assert len(RowFilter.__subclasses__()) > 15
    assert not [
        f"{each.__name__}.{name}"
        for each in RowFilter.__subclasses__()
        for name, found in each.base_filters.items()
        if isinstance(found, ModelChoiceFilter)
    ]
