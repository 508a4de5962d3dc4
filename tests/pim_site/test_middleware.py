from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone
from django_otp import DEVICE_ID_SESSION_KEY

from accounts.models import RecoveryDevice
from tests.factories import TotpDeviceFactory, UserFactory
from tests.passkeys import passkey_of

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.pim_site.pages")]


def hours(count):
    return timedelta(hours=count).total_seconds()


def minutes(count):
    return timedelta(minutes=count).total_seconds()


@pytest.mark.parametrize(
    ("path", "session"),
    [
        ("/", {}),
        ("/", {"age": hours(11.9), "idle": hours(11)}),
        ("/console/", {"age": hours(11.9)}),
        ("/console/", {"age": hours(1), "idle": minutes(14)}),
    ],
)
def test_session_lets_in(signed_in, path, session):
    assert signed_in(**session).get(path).status_code == 200


@pytest.mark.parametrize(
    ("path", "session"),
    [
        ("/", {"verified": False}),
        ("/", {"age": hours(12) + 1}),
        ("/console/", {"age": hours(12) + 1}),
        ("/console/people/", {"age": hours(1), "idle": minutes(15) + 1}),
    ],
)
def test_session_ended(signed_in, path, session):
    answer = signed_in(**session).get(path, {"page": 2})
    assert (answer.status_code, answer.url) == (302, f"/sign-in/?next={path}%3Fpage%3D2")
    assert Session.objects.count() == 0


def devices(person):
    """What a session may say that it was verified with."""
    recovery = {owner: RecoveryDevice.objects.create(user=owner, name="codes") for owner in (person, UserFactory())}
    return {
        "app": TotpDeviceFactory(user=person).persistent_id,
        "passkey": passkey_of(person)[0].persistent_id,
        "recovery codes": recovery.pop(person).persistent_id,
        "of somebody else": recovery.popitem()[1].persistent_id,
        "not confirmed": TotpDeviceFactory(user=person, confirmed=False).persistent_id,
        "gone": "accounts.totpdevice/1000000000",
        "no device": f"accounts.user/{person.pk}",
        "no number": "accounts.totpdevice/one",
        "nothing": "",
    }


def test_session_lasts_with_a_confirmed_device_of_ones_own_alone(signed_in, person):
    answers = {}
    for name, device in devices(person).items():
        client = signed_in()
        session = client.session
        session[DEVICE_ID_SESSION_KEY] = device
        session.save()
        answers[name] = client.get("/").status_code

    assert {name for name, status in answers.items() if status == 200} == {"app", "passkey", "recovery codes"}
    assert set(answers.values()) == {200, 302}


def test_session_without_its_start_ended(client, person):
    client.force_login(person)
    assert client.get("/").url == "/sign-in/?next=/"


def test_session_that_ended_does_not_repeat_a_form(signed_in):
    assert signed_in(age=hours(13)).post("/console/").url == "/sign-in/?unsaved"


def test_use_of_any_page_keeps_the_console_open(signed_in):
    client = signed_in(age=hours(1), idle=minutes(14))
    client.get("/")
    session = client.session
    assert timezone.now().timestamp() - session["used_at"] < 60


def test_use_is_noted_once_a_minute(signed_in):
    client = signed_in(idle=30)
    before = client.session["used_at"]
    client.get("/")
    assert client.session["used_at"] == before


def test_headers_on_every_answer(client):
    answer = client.get("/told/")
    assert answer["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer["Cache-Control"] == "no-store"
    assert "publickey-credentials-get=(self)" in answer["Permissions-Policy"]
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert answer["X-Frame-Options"] == "DENY"


def test_headers_leave_what_a_view_has_set(client):
    assert client.get("/cached/")["Cache-Control"] == "max-age=60"


def test_audit_context_of_a_stranger(client):
    told = client.get("/told/").json()
    assert (told["via"], told["address"]) == ("anonymous", "127.0.0.1")


def test_audit_context_says_how_somebody_signed_in(signed_in):
    assert signed_in().get("/told/").json()["via"] == "session totp"


def test_every_request_has_its_own_id(client):
    first, second = client.get("/told/", headers={"X-Request-ID": "mine"}), client.get("/told/")
    assert first["X-Request-ID"] == first.json()["id"]
    assert len({first.json()["id"], second.json()["id"], "mine"}) == 3


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "203.0.113.7", "127.0.0.1"),
        (1, "203.0.113.7", "203.0.113.7"),
        (1, "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        (2, "198.51.100.1, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
        (2, "203.0.113.7", "127.0.0.1"),
        (1, None, ""),
        (1, "<script>", ""),
        (1, "2001:db8::1", "2001:db8::1"),
    ],
)
def test_address_believes_trusted_proxies_only(client, settings, proxies, forwarded, address):
    settings.TRUSTED_PROXIES = proxies
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    assert client.get("/told/", headers=headers).json()["address"] == address


def test_time_zone_of_a_stranger_is_the_sites(client, settings):
    settings.DEFAULT_TIME_ZONE = "Asia/Kolkata"
    assert client.get("/told/").json()["zone"] == "Asia/Kolkata"


@pytest.mark.parametrize(
    ("stored", "shown"),
    [("Europe/Berlin", "Europe/Berlin"), ("Mars/Olympus", "UTC"), ("", "UTC"), ("../etc/passwd", "UTC")],
)
def test_time_zone_of_a_person(signed_in, person, stored, shown):
    type(person).objects.filter(pk=person.pk).update(time_zone=stored)
    assert signed_in().get("/told/").json()["zone"] == shown
