"""The page on which somebody chooses when their mail comes."""

import pytest

from audit.models import Event
from tests.client import signed_in
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def person(client):
    person = UserFactory(username="ana", time_zone="Asia/Kolkata")
    signed_in(client, person)
    return person


def events():
    return [event.facts["after"] for event in Event.objects.filter(action="mail_preference.changed").order_by("id")]


def chosen(client):
    return client.get("/mail/").context["form"]["rhythm"].value()


def test_choice_is_kept_shown_and_recorded_once(client, person):
    assert chosen(client) == "at_once"
    for _ in range(2):
        assert client.post("/mail/", {"rhythm": "daily"}).url == "/mail/"
    person.refresh_from_db()
    assert (person.daily_digest, chosen(client), events()) == (True, "daily", [{"daily_digest": True}])


def test_choice_can_be_taken_back(client, person):
    client.post("/mail/", {"rhythm": "daily"})
    client.post("/mail/", {"rhythm": "at_once"})
    person.refresh_from_db()
    assert (person.daily_digest, events()) == (False, [{"daily_digest": True}, {"daily_digest": False}])


@pytest.mark.parametrize("rhythm", ["", "never"])
def test_no_mail_at_all_is_no_choice(client, person, rhythm):
    page = client.post("/mail/", {"rhythm": rhythm})
    person.refresh_from_db()
    assert (page.status_code, person.daily_digest, events()) == (200, False, [])
