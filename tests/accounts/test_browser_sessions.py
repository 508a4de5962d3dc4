"""Signed in in several browsers, and out of one of them or all: dead at the next request."""

from datetime import timedelta

import pytest
import time_machine
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import BrowserSession
from accounts.services.browsers import close_others, note_sign_in
from audit.models import Event
from tests.client import signed_in
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
EDGE = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1"


@pytest.fixture
def person():
    return UserFactory()


@pytest.fixture
def browsers(person):
    """Two browsers in which one person is signed in."""
    both = Client(), Client()
    for each in both:
        signed_in(each, person)
    return both


def is_in(client):
    return client.get("/").status_code == 200


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (FIREFOX, "Firefox on Linux"),
        (EDGE, "Edge on Windows"),
        (PHONE, "Safari on iOS"),
        ("curl", "A browser that does not say its name"),
    ],
)
def test_browser_by_what_it_calls_itself(agent, name):
    assert str(BrowserSession(agent=agent)) == name


def test_signed_out_in_another_browser_at_once(browsers):
    here, there = browsers
    other = there.get("/security/").context["browsers"].get(digest=there.get("/security/").context["here"])

    here.post(reverse("accounts:session-end", args=[other.pk]))

    assert (is_in(here), is_in(there)) == (True, False)
    assert Event.objects.filter(action="session.revoked").count() == 1


def test_signed_out_everywhere(browsers):
    here, there = browsers

    here.post(reverse("accounts:sessions-end"))

    assert (is_in(here), is_in(there)) == (False, False)
    assert Event.objects.get(action="sessions.revoked").facts["after"] == {"count": 2}


def test_session_of_another_is_not_found(browsers):
    other = note_sign_in(user=UserFactory(), session="theirs", method="totp")

    assert browsers[0].post(reverse("accounts:session-end", args=[other.pk])).status_code == 404
    assert BrowserSession.objects.get(pk=other.pk).ended_at is None


def test_session_without_a_row_is_over(client, person):
    signed_in(client, person)
    BrowserSession.objects.all().delete()

    assert not is_in(client)


def test_security_page_lists_what_is_open(browsers, person):
    note_sign_in(user=person, session="old", method="totp")
    with time_machine.travel(now() + timedelta(hours=settings.SESSION_HOURS), tick=False):
        assert not BrowserSession.objects.open(now()).exists()
    assert len(browsers[0].get("/security/").context["browsers"]) == 3


def test_close_others_leaves_this_one(person):
    for name in ("here", "there"):
        note_sign_in(user=person, session=name, method="totp", device=name)

    assert close_others(person, session="here", device="elsewhere") == 0
    assert close_others(person, session="here") == 1
