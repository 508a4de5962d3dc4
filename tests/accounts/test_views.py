"""Signing in and out through the pages."""

from datetime import timedelta

import pytest
from django.contrib.auth import SESSION_KEY
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now
from django_otp import DEVICE_ID_SESSION_KEY

from accounts import factors
from accounts.models import PasskeyChallenge, RecoveryCode, RecoveryDevice, SignInCounter, StepUpProof, User
from accounts.services import change_password
from accounts.sessions import PENDING
from audit.models import Event
from tests.client import signed_in
from tests.factories import PASSWORD, TotpDeviceFactory, UserFactory, code_of, proof_for
from tests.passkeys import passkey_of

pytestmark = pytest.mark.django_db

SIGN_IN, CODE, HOME = "/sign-in/", "/sign-in/code/", "/"
WRONG = "The name or the password is wrong."


@pytest.fixture
def person():
    return UserFactory(username="ana", email="ana@example.org")


@pytest.fixture
def app(person):
    return TotpDeviceFactory(user=person)


@pytest.fixture
def recovery_code(person):
    return recovery_codes(person, 1)[0]


def recovery_codes(person, count):
    device = RecoveryDevice.objects.create(user=person, name="recovery codes")
    codes = factors.new_recovery_codes()[:count]
    for code in codes:
        RecoveryCode.objects.create(device=device, digest=factors.digest(factors.plain(code)))
    return codes


def give_password(client, identifier="ana", password=PASSWORD, path=SIGN_IN, **extra):
    return client.post(path, {"identifier": identifier, "password": password}, **extra)


def give_code(client, code, **fields):
    return client.post(CODE, {"code": code, **fields})


def is_in(client):
    return SESSION_KEY in client.session


def text_of(response):
    return response.content.decode()


# --- the password -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("identifier", ["ana", "ANA", " ana ", "Ana@Example.org"])
def test_password_leads_to_the_code(client, app, identifier):
    response = give_password(client, identifier)
    assert response.url == CODE
    assert not is_in(client)


def test_form_sent_without_a_session_is_said_to_be_lost(client):
    sent = client.post("/security/password/", {"new_password1": "x"})
    said = ["Nothing was saved." in client.get(path).text for path in (sent.url, SIGN_IN)]

    assert (sent.url, said) == (f"{SIGN_IN}?unsaved", [True, False])


def test_password_alone_opens_no_page(client, app):
    give_password(client)
    assert client.get("/security/").url == "/sign-in/?next=/security/"


@pytest.mark.parametrize(
    ("identifier", "password"), [("ana", "wrong"), ("nobody", PASSWORD), ("ana", f"{PASSWORD} "), ("", PASSWORD)]
)
def test_password_refused(client, app, identifier, password):
    response = give_password(client, identifier, password)
    assert response.status_code == 200
    assert PENDING not in client.session


def test_password_refused_alike_for_known_and_unknown(client, app):
    answers = [text_of(give_password(client, name, "wrong")) for name in ("ana", "nobody")]
    assert all(WRONG in answer for answer in answers)
    answers = [answer.split('<form method="post" class="pim-form">')[0] for answer in answers]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("fields", [{"is_active": False}, {"kind": User.Kind.SERVICE}])
def test_password_refused_for_disabled_and_service(client, person, fields):
    User.objects.filter(pk=person.pk).update(**fields)
    assert WRONG in text_of(give_password(client))


def test_password_refused_while_throttled_even_if_right(client, app):
    for _ in range(5):
        assert WRONG in text_of(give_password(client, password="wrong"))
    answer = text_of(give_password(client))
    assert "Too many attempts. Wait" in answer
    assert PENDING not in client.session


def test_password_accepted_after_the_wait(client, app, time_machine):
    time_machine.move_to(now(), tick=False)
    for _ in range(5):
        give_password(client, password="wrong")
    assert give_password(client).status_code == 200
    time_machine.shift(1)
    assert give_password(client).url == CODE
    assert SignInCounter.objects.filter(failures__gt=4).count() == 1  # the address remembers what the name forgives


def test_throttle_spares_other_addresses(client, app):
    for _ in range(5):
        give_password(client, password="wrong")
    assert give_password(client, REMOTE_ADDR="192.0.2.7").url == CODE


def test_password_is_not_shown_again(client, app):
    assert "very wrong" not in text_of(give_password(client, password="very wrong"))


def test_sign_in_page_sends_home_who_is_in(client, person):
    signed_in(client, person)
    assert client.get(SIGN_IN).url == HOME
    assert client.get(f"{SIGN_IN}?next=/security/").url == "/security/"
    assert client.get(CODE).url == HOME


def test_pages_want_the_token_of_the_form(person, app):
    from django.test import Client

    strict = Client(enforce_csrf_checks=True)
    assert give_password(strict).status_code == 403


# --- where to go afterwards ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "///evil.example",
        "javascript:alert(1)",
        "http:evil.example",
        "http:///evil.example",
        "https://testserver@evil.example/",
        " //evil.example",
        "\t//evil.example",
        "",
    ],
)
def test_next_stays_on_this_site(client, app, wanted):
    client.post(reverse("accounts:sign-in", query={"next": wanted}), {"identifier": "ana", "password": PASSWORD})
    assert give_code(client, code_of(app)).url == HOME


def test_next_leads_back(client, app):
    assert give_password(client, path=f"{SIGN_IN}?next=/security/%3Fa%3Db").url == CODE
    assert give_code(client, code_of(app)).url == "/security/?a=b"


# --- the code -----------------------------------------------------------------------------------------------


def test_code_signs_in(client, person, app):
    give_password(client)
    assert give_code(client, code_of(app)).url == HOME
    session = client.session
    assert session[SESSION_KEY] == str(person.pk)
    assert session[DEVICE_ID_SESSION_KEY] == app.persistent_id
    assert session["signed_in_with"] == "totp"
    assert abs(session["signed_in_at"] - now().timestamp()) < 10
    assert session["binding"]
    assert PENDING not in session


def test_code_is_noted(client, person, app):
    give_password(client)
    give_code(client, code_of(app))
    event = Event.objects.get(action="session.started")
    assert (event.actor_id, event.outcome) == (person.pk, "success")
    assert StepUpProof.objects.get(user=person).consumed_at
    person.refresh_from_db()
    assert now() - person.last_sign_in_at < timedelta(seconds=10)


def test_code_opens_the_security_page(client, app):
    give_password(client)
    give_code(client, code_of(app))
    assert client.get("/security/").status_code == 200


def test_code_with_spaces(client, app):
    give_password(client)
    code = code_of(app)
    assert give_code(client, f" {code[:3]} {code[3:]} ").url == HOME


def test_session_key_changes_at_each_step(client, app):
    client.get(SIGN_IN)
    planted = client.session
    planted["planted"] = "by somebody else"
    planted.save()
    client.cookies["pim-session"] = planted.session_key
    keys = [planted.session_key]
    give_password(client)
    keys.append(client.session.session_key)
    give_code(client, code_of(app))
    keys.append(client.session.session_key)
    assert len(set(keys)) == 3
    assert "planted" not in client.session


@pytest.mark.parametrize("code", ["000000", "12345", "abcdef", "１２３４５６", "-12345", "1" * 41, ""])
def test_code_refused(client, app, code, time_machine):
    time_machine.move_to(now(), tick=False)
    assert code_of(app) != code
    give_password(client)
    response = give_code(client, code)
    assert response.status_code == 200
    assert not is_in(client)


def test_wrong_code_says_what_to_do(client, app):
    give_password(client)
    answer = text_of(give_code(client, "000000" if code_of(app) != "000000" else "000001"))
    assert "This code is wrong. Enter the code that your authenticator app shows now" in answer


def test_code_refused_the_second_time(client, client2, app, time_machine):
    time_machine.move_to(now(), tick=False)
    give_password(client)
    give_code(client, code_of(app))
    give_password(client2)
    assert "This code has been used already. Wait for the next one" in text_of(give_code(client2, code_of(app)))
    assert not is_in(client2)


def test_code_refused_while_throttled_even_if_right(client, app, time_machine):
    time_machine.move_to(now(), tick=False)
    give_password(client)
    give_code(client, "wrong one")  # looks like a recovery code: does not count against the app
    give_code(client, "000000" if code_of(app) != "000000" else "000001")
    assert "Too many wrong codes. Wait" in text_of(give_code(client, code_of(app)))
    time_machine.shift(30)
    assert give_code(client, code_of(app)).url == HOME


def test_code_of_somebody_else_refused(client, app):
    other = TotpDeviceFactory()
    give_password(client)
    assert give_code(client, code_of(other)).status_code == 200
    assert give_code(client, code_of(other), app=other.pk).status_code == 200
    assert not is_in(client)


def test_code_asks_which_app_only_of_those_with_several(client, person, app):
    give_password(client)
    assert 'name="app"' not in text_of(client.get(CODE))
    TotpDeviceFactory(user=person, name="Work phone")
    assert 'name="app"' in text_of(client.get(CODE))


def test_code_of_the_chosen_app(client, person, app):
    second = TotpDeviceFactory(user=person, name="Work phone")
    give_password(client)
    assert give_code(client, code_of(second), app=second.pk).url == HOME
    assert client.session[DEVICE_ID_SESSION_KEY] == second.persistent_id


def test_code_page_without_any_factor_names_the_way_out(client, person):
    give_password(client)
    answer = text_of(client.get(CODE))
    assert "Ask your helpdesk for an enrolment link" in answer
    assert 'name="code"' not in answer
    give_code(client, "123456")
    assert not is_in(client)


def test_code_page_needs_the_password_first(client, app):
    assert client.get(CODE).url == SIGN_IN
    assert give_code(client, code_of(app)).url == SIGN_IN
    assert not is_in(client)


def test_code_page_begins_again_after_15_minutes(client, app, time_machine):
    time_machine.move_to(now(), tick=False)
    give_password(client)
    time_machine.shift(15 * 60)
    assert client.get(CODE).status_code == 200
    time_machine.shift(1)
    assert give_code(client, code_of(app)).url == SIGN_IN
    assert "Sign in from the beginning" in text_of(client.get(SIGN_IN))


def test_code_refused_for_whom_was_disabled_meanwhile(client, person, app):
    give_password(client)
    User.objects.filter(pk=person.pk).update(is_active=False)
    assert give_code(client, code_of(app)).url == SIGN_IN
    assert not is_in(client)


def test_code_refused_for_whom_had_given_a_former_password(client, person, app):
    give_password(client)
    proof = proof_for(person, "password.changed")
    change_password(actor=person, password="another long and fictional one", proof=proof, session="this session")
    assert give_code(client, code_of(app)).url == SIGN_IN
    assert not is_in(client)


def test_disabled_person_is_out_at_once(client, person):
    signed_in(client, person)
    assert client.get("/security/").status_code == 200
    User.objects.filter(pk=person.pk).update(is_active=False)
    assert client.get("/security/").url.startswith(SIGN_IN)


# --- recovery codes -----------------------------------------------------------------------------------------


def test_recovery_code_signs_in_and_counts_down(client, person, app):
    code, _other = recovery_codes(person, 2)
    give_password(client)
    response = give_code(client, code.upper())
    assert response.url == HOME
    assert client.session["signed_in_with"] == "recovery"
    assert "Codes left: 1." in text_of(client.get("/security/"))


def test_recovery_code_refused_the_second_time(client, client2, app, recovery_code):
    give_password(client)
    assert give_code(client, recovery_code).url == HOME
    give_password(client2)
    assert "This code is wrong" in text_of(give_code(client2, recovery_code))
    assert not is_in(client2)


def test_recovery_code_can_be_typed_on_a_phone(client, app):
    give_password(client)
    assert 'inputmode="numeric"' in text_of(client.get(CODE))
    assert 'inputmode="text"' in text_of(client.get(f"{CODE}?recovery"))


# --- out ----------------------------------------------------------------------------------------------------


def test_sign_out(client, person):
    signed_in(client, person)
    assert client.post("/sign-out/").url == SIGN_IN
    assert not is_in(client)
    assert client.get("/security/").url == "/sign-in/?next=/security/"
    assert Event.objects.get(action="session.ended").actor_id == person.pk


def test_sign_out_by_get_refused(client, person):
    signed_in(client, person)
    assert client.get("/sign-out/").status_code == 405
    assert is_in(client)


def test_sign_out_of_nobody_leaves_no_mark(client):
    assert client.post("/sign-out/").url == SIGN_IN
    assert not Event.objects.exists()


# --- showing changes nothing --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "head"])
def test_showing_the_pages_writes_nothing(client, person, app, method):
    give_password(client)
    before = Event.objects.count(), dict(client.session)
    for path in (SIGN_IN, CODE, f"{CODE}?code={code_of(app)}", f"{SIGN_IN}?identifier=ana&password={PASSWORD}"):
        assert getattr(client, method)(path).status_code == 200
    assert (Event.objects.count(), dict(client.session)) == before


@pytest.fixture
def client2():
    from django.test import Client

    return Client()


# --- a passkey in place of the code ---------------------------------------------------------------------------


def test_passkey_signs_in_after_the_password(client, person, app):
    row, key = passkey_of(person)
    give_password(client)
    options = client.post(CODE, {"passkey": "ask"}).json()
    assert client.post(CODE, {"passkey": key.sign(options)}).url == HOME
    assert (client.session["signed_in_with"], client.session["otp_device_id"]) == ("passkey", row.persistent_id)
    assert client.get("/security/").status_code == 200


def test_passkey_alone_signs_in_without_an_app(client, person):
    _row, key = passkey_of(person)
    give_password(client)
    options = client.post(CODE, {"passkey": "ask"}).json()
    assert client.post(CODE, {"passkey": key.sign(options)}).url == HOME


def test_passkey_without_the_password_is_not_asked(client, person):
    passkey_of(person)
    assert client.post(CODE, {"passkey": "ask"}).url == SIGN_IN
    assert not PasskeyChallenge.objects.exists()


def test_passkey_of_somebody_else_signs_nobody_in(client, person, app):
    passkey_of(person)
    _row, foreign = passkey_of(UserFactory())
    give_password(client)
    options = client.post(CODE, {"passkey": "ask"}).json()
    assert "This passkey was not accepted." in text_of(client.post(CODE, {"passkey": foreign.sign(options)}))
    assert not is_in(client)


def test_passkey_answer_serves_no_second_sign_in(client, person, app):
    _row, key = passkey_of(person)
    give_password(client)
    answer = key.sign(client.post(CODE, {"passkey": "ask"}).json())
    client.post(CODE, {"passkey": answer})
    other = Client()
    give_password(other)
    other.post(CODE, {"passkey": answer})
    assert not is_in(other)
