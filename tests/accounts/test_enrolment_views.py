"""The page behind an enrolment link."""

import re
from datetime import timedelta
from urllib.parse import unquote

import pyotp
import pytest
from django.core.signing import dumps
from django.utils.timezone import now

from accounts import factors, services
from accounts.models import EnrolmentTicket, RecoveryCode, TotpDevice, User
from audit.models import Event
from notifications.models import Message
from tests.client import signed_in
from tests.factories import PASSWORD, TotpDeviceFactory, UserFactory

pytestmark = pytest.mark.django_db

NEW = "another long and fictional password"


@pytest.fixture
def person():
    return UserFactory(username="ana", display_name="Ana Example")


@pytest.fixture
def path(person):
    return path_of(services.issue_ticket(user=person, actor=None))


def path_of(secret):
    return f"/enrol/{secret}/"


def text_of(response):
    return response.content.decode()


def key_on(response):
    return re.search(r'name="key" value="([^"]+)"', text_of(response))[1]


def code_for(key):
    return pyotp.TOTP(factors.shown_key(key)).at(now())


def fill_in(client, path, *, key=None, code=None, password=NEW, again=None):
    key = key or key_on(client.get(path))
    again = password if again is None else again
    fields = {"key": key, "password": password, "password_again": again, "new_code": code or code_for(key)}
    return client.post(path, fields)


def state_of(person):
    person.refresh_from_db()
    tickets = list(EnrolmentTicket.objects.values_list("used_at", "expires_at"))
    return person.password, TotpDevice.objects.count(), RecoveryCode.objects.count(), Event.objects.count(), tickets


def test_page_says_whom_it_is_for(client, path):
    answer = text_of(client.get(path))
    assert "Ana Example" in answer
    assert "(ana)" in answer


def test_page_tells_password_managers_the_username(client, path):
    field = '<input type="text" name="username" value="ana" autocomplete="username" readonly hidden>'
    assert field in client.get(path).text


def test_page_shows_the_key_three_ways(client, path):
    response = client.get(path)
    answer, key = text_of(response), key_on(response)
    shown = re.search(r'id="key">([^<]+)<', answer)[1]
    assert shown.replace(" ", "") == factors.shown_key(key)
    assert "data:image/svg+xml" in answer
    uri = pyotp.parse_uri(re.search(r'href="(otpauth://[^"]+)"', answer)[1].replace("&amp;", "&"))
    assert (uri.secret, uri.name) == (factors.shown_key(key), "ana")


def test_page_keeps_the_key_itself_out_of_the_hidden_field(client, path):
    key = key_on(client.get(path))
    assert factors.shown_key(key) not in key
    assert key != key_on(client.get(path))


@pytest.mark.parametrize("method", ["get", "head"])
def test_showing_the_page_changes_nothing(client, person, path, method):
    before = state_of(person)
    assert getattr(client, method)(path).status_code == 200
    assert state_of(person) == before


def test_page_names_no_other_host_and_hides_its_address(client, path):
    response = client.get(path)
    assert not re.findall(r'(?:src|href|action)="(?:https?:)?//', text_of(response))
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert response.headers["Cache-Control"] == "no-store"
    assert unquote(path.split("/")[2]) not in text_of(response)


def test_enrolment_sets_password_and_app(client, person, path):
    response = fill_in(client, path)
    assert response.status_code == 200
    person.refresh_from_db()
    assert person.check_password(NEW)
    assert TotpDevice.objects.get(user=person).confirmed
    assert Event.objects.filter(action="enrolment.completed", outcome="success", subject_id=person.pk).exists()
    assert Message.objects.filter(kind="factors_changed").exists()


def test_enrolment_shows_ten_codes_that_work(client, person, path, time_machine):
    time_machine.move_to(now(), tick=False)
    codes = re.findall(r"<li><code>([^<]+)</code>", text_of(fill_in(client, path)))
    assert len(set(codes)) == 10
    client.post("/sign-in/", {"identifier": "ana", "password": NEW})
    assert client.post("/sign-in/code/", {"code": codes[3]}).url == "/"


def test_enrolled_person_signs_in_with_the_next_code(client, person, path, time_machine):
    time_machine.move_to(now(), tick=False)
    key = key_on(client.get(path))
    fill_in(client, path, key=key)
    client.post("/sign-in/", {"identifier": "ana", "password": NEW})
    assert "used already" in text_of(client.post("/sign-in/code/", {"code": code_for(key)}))
    time_machine.shift(30)
    assert client.post("/sign-in/code/", {"code": code_for(key)}).url == "/"


def test_enrolment_signs_nobody_in(client, path):
    fill_in(client, path)
    assert client.get("/security/").url.startswith("/sign-in/")


def test_enrolment_replaces_the_former_app_and_ends_its_sessions(client, person, path):
    from django.test import Client

    former, before = TotpDeviceFactory(user=person), Client()
    signed_in(before, person, device=former)
    fill_in(client, path)
    assert not TotpDevice.objects.filter(pk=former.pk).exists()
    assert before.get("/security/").url.startswith("/sign-in/")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"code": "000000"}, "This code does not fit."),
        ({"code": "１２３４５６"}, "This code does not fit."),
        ({"password": "short", "again": "short"}, "too short"),
        ({"password": "123456789012345"}, "entirely numeric"),
        ({"password": "Ana Example 2"}, "too similar"),
        ({"again": "a different password"}, "The two passwords differ."),
        ({"password": ""}, "This field is required."),
    ],
)
def test_enrolment_refused(client, person, path, fields, words):
    password, apps, codes, _events, tickets = state_of(person)
    response = fill_in(client, path, **fields)
    assert words in text_of(response)
    after = state_of(person)
    assert (*after[:3], after[4]) == (password, apps, codes, tickets)


def test_refused_page_keeps_the_key_but_no_password(client, path):
    key = key_on(client.get(path))
    response = fill_in(client, path, key=key, code="000000")
    assert key_on(response) == key
    assert NEW not in text_of(response)


@pytest.mark.parametrize("key", ["", "nonsense", "ключ", "gAAAAABnonsense", dumps("signed by another")])
def test_key_that_is_not_ours_gives_a_fresh_one(client, person, path, key):
    response = client.post(path, {"key": key, "password": NEW, "password_again": NEW, "new_code": "000000"})
    assert response.status_code == 200
    assert factors.shown_key(key_on(response))
    assert not TotpDevice.objects.exists()


@pytest.mark.parametrize("end", ["used", "expired", "replaced", "disabled", "unknown"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_link_that_is_over_says_so(client, person, path, end, method):
    if end == "used":
        fill_in(client, path)
    elif end == "expired":
        EnrolmentTicket.objects.update(issued_at=now() - timedelta(days=4), expires_at=now())
    elif end == "replaced":
        services.issue_ticket(user=person, actor=None)
    elif end == "disabled":
        User.objects.filter(pk=person.pk).update(is_active=False)
    else:
        path = path_of("no-such-ticket")
    before = state_of(person)
    response = getattr(client, method)(path)
    assert response.status_code == 404
    assert "This enrolment link is not valid any more. Ask an administrator for a new one." in text_of(response)
    assert "Ana" not in text_of(response)
    assert state_of(person) == before


def test_link_wants_the_token_of_the_form(person, path):
    from django.test import Client

    assert Client(enforce_csrf_checks=True).post(path).status_code == 403


def test_password_of_before_no_longer_works(client, person, path):
    fill_in(client, path)
    answer = text_of(client.post("/sign-in/", {"identifier": "ana", "password": PASSWORD}))
    assert "The name or the password is wrong." in answer
