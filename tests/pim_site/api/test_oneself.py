"""What people look after for themselves by the API: what these doors add to the services."""

import pytest

from accounts.models import BrowserSession
from accounts.services import note_sign_in
from audit.models import Event
from tests.api import Program
from tests.client import signed_in
from tests.factories import UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def person():
    return UserFactory()


@pytest.fixture
def program(person):
    return Program(person)


# --- mail -----------------------------------------------------------------------------------------------------


def test_mail_is_chosen_as_on_the_page_and_only_what_is_said(program, person):
    assert program.get("mail_preferences") == (200, {"daily_digest": False, "weekly_digest": True})

    answers = [program.patch("mail_preferences", wish) for wish in ({"daily_digest": True}, {"weekly_digest": False})]

    assert answers == [
        (200, {"daily_digest": True, "weekly_digest": True}),
        (200, {"daily_digest": True, "weekly_digest": False}),
    ]
    person.refresh_from_db()
    assert (person.daily_digest, person.weekly_digest) == (True, False)
    events = Event.objects.filter(action="mail_preference.changed").order_by("id")
    assert [(event.facts["before"], event.facts["after"]) for event in events] == [
        ({"daily_digest": False}, {"daily_digest": True}),
        ({"weekly_digest": True}, {"weekly_digest": False}),
    ]


def test_mail_chosen_on_the_page_meanwhile_is_not_chosen_over(program, client, person):
    program.get("mail_preferences")
    seen = program.headers["ETag"]
    signed_in(client, person)
    client.post("/mail/", {"rhythm": "daily"})

    without = program.send("PATCH", "mail_preferences", {"daily_digest": False})
    late = program.patch("mail_preferences", {"daily_digest": False}, seen=seen)

    assert [(status, refused["code"]) for status, refused in (without, late)] == [
        (428, "precondition_required"),
        (412, "changed_meanwhile"),
    ]
    person.refresh_from_db()
    assert person.daily_digest


# --- where one is signed in -----------------------------------------------------------------------------------

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def test_session_says_which_browser_it_is(program, person):
    row = note_sign_in(user=person, session="mine", method="passkey", agent=FIREFOX)
    note_sign_in(user=UserFactory(), session="foreign", method="totp")

    _status, page = program.get("sessions")

    (shown,) = page["results"]
    assert (shown["id"], shown["browser"], shown["method"], shown["is_this"]) == (
        str(row.pk),
        "Firefox on Linux",
        "passkey",
        False,
    )


def test_browser_that_asks_finds_itself(client, person):
    other = note_sign_in(user=person, session="other", method="totp")
    signed_in(client, person)

    found = {row["id"]: row["is_this"] for row in client.get("/api/v1/sessions").json()["results"]}

    here = BrowserSession.objects.exclude(pk=other.pk).get()
    assert found == {str(here.pk): True, str(other.pk): False}


def test_addresses_are_told_to_no_token_that_does_not_read_the_audit(person):
    row = note_sign_in(user=person, session="mine", method="totp")
    plain = Program(person, scopes="read activate approve assign configure review")

    statuses = [plain.get(path)[0] for path in ("sessions", f"sessions/{row.pk}")]

    assert statuses == [403, 403]


def test_session_that_is_ended_signs_its_browser_out_and_no_other(program, client, person):
    other = note_sign_in(user=person, session="other", method="totp")
    signed_in(client, person)
    here = BrowserSession.objects.exclude(pk=other.pk).get()
    assert client.get("/mail/").status_code == 200

    answers = [program.delete(f"sessions/{here.pk}")[0] for _time in range(2)]

    assert (answers, client.get("/mail/").status_code) == ([204, 404], 302)
    assert [row["id"] for row in program.get("sessions")[1]["results"]] == [str(other.pk)]


def test_all_sessions_end_and_the_token_goes_on(program, client, person):
    signed_in(client, person)
    note_sign_in(user=person, session="other", method="totp")
    foreign = note_sign_in(user=UserFactory(), session="foreign", method="totp")

    assert program.post("sessions/end") == (200, {"ended": 2})

    assert client.get("/mail/").status_code == 302
    assert program.get("sessions")[1]["results"] == []
    assert list(BrowserSession.objects.filter(ended_at=None)) == [foreign]
    again = program.post("sessions/end")
    assert (again[0], again[1]["code"]) == (422, "not_found")
