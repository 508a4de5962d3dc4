"""The pages on which somebody changes what they sign in with."""

import json
import re
import uuid

import pyotp
import pytest
from django.test import Client
from django.utils.timezone import now

from accounts import factors
from accounts.models import Passkey, PasskeyChallenge, RecoveryCode, RecoveryDevice, StepUpProof, TotpDevice
from audit.models import Event
from notifications.models import Message
from tests.client import signed_in
from tests.factories import PASSWORD, TotpDeviceFactory, UserFactory, code_of
from tests.passkeys import SoftKey, passkey_of

pytestmark = pytest.mark.django_db

SECURITY, ADD, CODES, PASSWORD_CHANGE = (
    "/security/",
    "/security/apps/add/",
    "/security/recovery-codes/",
    "/security/password/",
)
NEW = "another long and fictional password"


@pytest.fixture(autouse=True)
def _still_clock(time_machine):
    time_machine.move_to(now(), tick=False)


@pytest.fixture
def person():
    return UserFactory(username="ana")


@pytest.fixture
def app(client, person):
    return signed_in(client, person)


@pytest.fixture
def second(person):
    return TotpDeviceFactory(user=person, name="Work phone")


def remove(app):
    return f"/security/apps/{app.pk}/remove/"


def text_of(response):
    return response.content.decode()


def wrong(app):
    return "000000" if code_of(app) != "000000" else "000001"


def new_app(client):
    """A key that the page offers, and the code that an app with it shows."""
    key = re.search(r'name="key" value="([^"]+)"', text_of(client.get(ADD)))[1]
    return {"key": key, "new_code": pyotp.TOTP(factors.shown_key(key)).at(now()), "name": "Tablet"}


def is_out(client):
    return client.get(SECURITY).status_code == 302


# --- the page -----------------------------------------------------------------------------------------------


def test_page_lists_my_apps_alone(client, app, second):
    TotpDeviceFactory(name="Foreign phone")
    answer = text_of(client.get(SECURITY))
    assert "Phone" in answer
    assert "Work phone" in answer
    assert "Foreign phone" not in answer


def test_page_offers_removal_only_beside_another_app(client, person, app):
    assert remove(app) not in text_of(client.get(SECURITY))
    TotpDeviceFactory(user=person)
    assert remove(app) in text_of(client.get(SECURITY))


@pytest.mark.parametrize(
    ("left", "words"), [(10, "10 of 10 are left."), (1, "1 of 10 is left."), (0, "No recovery code is left.")]
)
def test_page_says_how_many_codes_are_left(client, person, app, left, words):
    device = RecoveryDevice.objects.create(user=person, name="recovery codes")
    for number in range(10):
        used_at = None if number < left else now()
        RecoveryCode.objects.create(device=device, digest=f"{number}", used_at=used_at)
    assert words in text_of(client.get(SECURITY))


def test_page_shows_no_key(client, app):
    answer = text_of(client.get(SECURITY))
    assert app.encrypted_key not in answer
    assert factors.shown_key(app.encrypted_key) not in answer


@pytest.mark.parametrize("path", [SECURITY, ADD, CODES, PASSWORD_CHANGE, "/security/apps/1/remove/"])
def test_pages_are_closed_to_strangers(client, path):
    assert client.get(path).url == f"/sign-in/?next={path}"
    assert client.post(path).url == "/sign-in/?unsaved"  # and then home: a form is not sent a second time


@pytest.mark.parametrize("path", [ADD, CODES, PASSWORD_CHANGE])
def test_pages_want_the_token_of_the_form(person, path):
    strict = Client(enforce_csrf_checks=True)
    signed_in(strict, person)
    assert strict.post(path, {"code": "123456"}).status_code == 403


def test_showing_the_pages_changes_nothing(client, person, app, second):
    devices = list(TotpDevice.objects.order_by("pk").values())
    for path in (SECURITY, ADD, CODES, PASSWORD_CHANGE, remove(app)):
        assert client.get(path, {"code": code_of(app), "password": NEW}).status_code == 200
        assert client.head(path).status_code == 200
    assert list(TotpDevice.objects.order_by("pk").values()) == devices
    assert not Event.objects.exists()
    assert not StepUpProof.objects.exists()


@pytest.mark.parametrize("path", [ADD, CODES, PASSWORD_CHANGE])
@pytest.mark.parametrize("code", ["wrong", "other's", "none"])
def test_change_refused_without_my_code(client, person, app, path, code):
    codes = {"wrong": wrong(app), "other's": code_of(TotpDeviceFactory()), "none": ""}
    fields = {"password": NEW, "password_again": NEW, **new_app(client), "code": codes[code]}
    response = client.post(path, fields)
    assert response.status_code == 200
    assert "This code is wrong." in text_of(response) or code == "none"
    person.refresh_from_db()
    assert person.check_password(PASSWORD)
    assert TotpDevice.objects.filter(user=person).count() == 1
    assert not RecoveryCode.objects.exists()
    assert not Message.objects.exists()


@pytest.mark.parametrize("path", [CODES, PASSWORD_CHANGE])
def test_change_refused_with_a_code_that_was_used(client, app, path):
    fields = {"password": NEW, "password_again": NEW, "code": code_of(app)}
    assert "This code has been used already" not in text_of(client.post(CODES, fields))
    assert "This code has been used already" in text_of(client.post(path, fields))


def test_proof_is_bound_to_this_session_and_used_up(client, person, app):
    client.post(CODES, {"code": code_of(app)})
    proof = StepUpProof.objects.get(user=person)
    assert proof.consumed_at
    assert proof.session_digest == factors.digest(client.session["binding"])


# --- apps ---------------------------------------------------------------------------------------------------


def test_app_added(client, person, app):
    response = client.post(ADD, {**new_app(client), "code": code_of(app)}, follow=True)
    assert "“Tablet” was added." in text_of(response)
    assert TotpDevice.objects.filter(user=person, name="Tablet", confirmed=True).exists()
    assert Event.objects.get(action="factor.added").outcome == "success"
    assert Message.objects.get(kind="factors_changed").to_address == person.email


def test_app_added_with_a_recovery_code(client, person, app):
    device = RecoveryDevice.objects.create(user=person, name="recovery codes")
    code = factors.new_recovery_codes()[0]
    RecoveryCode.objects.create(device=device, digest=factors.digest(factors.plain(code)))
    assert client.post(ADD, {**new_app(client), "code": code}).url == SECURITY


def test_app_refused_with_a_wrong_code_of_its_own_leaves_mine_unused(client, person, app):
    fields = {**new_app(client), "new_code": "000000", "code": code_of(app)}
    assert "This code does not fit." in text_of(client.post(ADD, fields))
    assert TotpDevice.objects.filter(user=person).count() == 1
    assert client.post(CODES, {"code": code_of(app)}).status_code == 200
    assert RecoveryCode.objects.count() == 10


def test_app_refused_when_its_own_code_stands_for_mine(client, person, app):
    fields = new_app(client)
    assert "This code is wrong." in text_of(client.post(ADD, {**fields, "code": fields["new_code"]}))
    assert TotpDevice.objects.filter(user=person).count() == 1


def test_app_removed_with_a_code_of_the_other(client, person, app, second):
    fields = {"app": app.pk, "code": code_of(app)}
    response = client.post(remove(second), fields, follow=True)
    assert "“Work phone” was removed." in text_of(response)
    assert not TotpDevice.objects.filter(pk=second.pk).exists()


def test_app_to_remove_is_not_the_one_that_confirms(client, person, app, second):
    for removed, other in ((app, second), (second, app)):
        assert client.get(remove(removed)).context["form"]["app"].value() == other.pk


def test_app_removed_ends_the_sessions_signed_in_with_it(client, person, app, second):
    other = Client()
    signed_in(other, person, device=second)
    client.post(remove(second), {"app": app.pk, "code": code_of(app)})
    assert is_out(other)
    assert not is_out(client)


def test_app_removed_that_this_session_was_signed_in_with(client, person, app, second):
    assert "you will sign in again with something else" in text_of(client.get(remove(app)))
    response = client.post(remove(app), {"app": second.pk, "code": code_of(second)}, follow=True)
    assert response.redirect_chain[-1][0] == f"/sign-in/?next={SECURITY}"
    assert "“Phone” was removed." in text_of(response)


def test_last_app_stays(client, person, app):
    assert "You sign in with nothing else." in text_of(client.get(remove(app)))
    assert client.post(remove(app), {"code": code_of(app)}).status_code == 200
    assert TotpDevice.objects.filter(pk=app.pk).exists()


@pytest.mark.parametrize("method", ["get", "post"])
def test_app_of_somebody_else_is_not_there(client, app, method):
    foreign = TotpDeviceFactory()
    response = getattr(client, method)(remove(foreign), {"code": code_of(app)})
    assert response.status_code == 404
    assert TotpDevice.objects.filter(pk=foreign.pk).exists()


def test_app_of_somebody_else_cannot_be_chosen_to_confirm(client, person, app, second):
    foreign = TotpDeviceFactory()
    response = client.post(remove(second), {"app": foreign.pk, "code": code_of(foreign)})
    assert "Select a valid choice" in text_of(response)
    assert TotpDevice.objects.filter(pk=second.pk).exists()


# --- recovery codes and password ----------------------------------------------------------------------------


def test_codes_renewed_and_shown_once(client, person, app):
    answer = text_of(client.post(CODES, {"code": code_of(app)}))
    codes = re.findall(r"<li><code>([^<]+)</code>", answer)
    digests = {factors.digest(factors.plain(code)) for code in codes}
    assert digests == set(RecoveryCode.objects.filter(device__user=person).values_list("digest", flat=True))
    assert len(codes) == 10
    assert codes[0] not in text_of(client.get(SECURITY))


def test_codes_of_before_stop_working(client, person, app, time_machine):
    answer = text_of(client.post(CODES, {"code": code_of(app)}))
    former = re.findall(r"<li><code>([^<]+)</code>", answer)[0]
    time_machine.shift(30)
    client.post(CODES, {"code": code_of(app)})
    assert "This code is wrong." in text_of(client.post(CODES, {"code": former}))


def test_password_page_tells_password_managers_the_username(client, app):
    field = '<input type="text" name="username" value="ana" autocomplete="username" readonly hidden>'
    assert field in client.get("/security/password/").text


def test_password_changed_keeps_this_session_and_ends_the_others(client, person, app):
    other = Client()
    signed_in(other, person)
    key = client.session.session_key
    fields = {"password": NEW, "password_again": NEW, "code": code_of(app)}
    assert client.post(PASSWORD_CHANGE, fields).url == SECURITY
    assert not is_out(client)
    assert is_out(other)
    assert client.session.session_key != key
    person.refresh_from_db()
    assert person.check_password(NEW)


@pytest.mark.parametrize(
    ("password", "again", "words"),
    [("short", "short", "too short"), (NEW, "a different password", "The two passwords differ.")],
)
def test_password_refused_leaves_the_code_unused(client, person, app, password, again, words):
    fields = {"password": password, "password_again": again, "code": code_of(app)}
    assert words in text_of(client.post(PASSWORD_CHANGE, fields))
    person.refresh_from_db()
    assert person.check_password(PASSWORD)
    fields = {"password": NEW, "password_again": NEW, "code": code_of(app)}
    assert client.post(PASSWORD_CHANGE, fields).url == SECURITY


# --- passkeys -------------------------------------------------------------------------------------------------

PASSKEY_ADD, PASSKEY_CREATE = "/security/passkeys/add/", "/security/passkeys/create/"


def new_passkey(client, app, key, *, name="Laptop"):
    """The second form of a new passkey, filled in."""
    page = client.post(PASSKEY_ADD, {"name": name, "code": code_of(app)})
    answer = key.make(json.loads(page.context["options"]))
    return {"name": name, "proof": page.context["form"]["proof"].value(), "passkey": answer}


def test_passkey_added_in_two_steps(client, person, app):
    key = SoftKey()
    page = client.post(PASSKEY_CREATE, new_passkey(client, app, key), follow=True)
    assert "The passkey “Laptop” was added." in text_of(page)
    assert (person.passkey_set.get().credential_id, Passkey.objects.count()) == (key.name, 1)


def test_passkey_refused_with_a_wrong_code(client, person, app):
    page = client.post(PASSKEY_ADD, {"name": "Laptop", "code": wrong(app)})
    assert "This code is wrong." in text_of(page)
    assert not PasskeyChallenge.objects.exists()


def test_passkey_refused_in_another_session_of_the_same_person(client, person, app):
    filled, other = new_passkey(client, app, SoftKey()), Client()
    signed_in(other, person, device=app)
    other.post(PASSKEY_CREATE, filled)
    assert not Passkey.objects.exists()


def test_passkey_refused_to_somebody_else(client, app):
    filled, other = new_passkey(client, app, SoftKey()), Client()
    signed_in(other, UserFactory())
    other.post(PASSKEY_CREATE, filled)
    assert not Passkey.objects.exists()


@pytest.mark.parametrize("sent", [{}, {"proof": "x"}, {"passkey": "{}"}, {"proof": str(uuid.uuid4()), "passkey": "{}"}])
def test_passkey_refused_where_the_browser_sent_nonsense(client, app, sent):
    answer = client.post(PASSKEY_CREATE, sent)
    assert (answer.status_code, answer.url, Passkey.objects.count()) == (302, PASSKEY_ADD, 0)


def test_passkey_confirms_a_change_in_place_of_a_code(client, person, app):
    _row, key = passkey_of(person)
    options = client.post(CODES, {"passkey": "ask"}).json()
    assert "Recovery codes" in text_of(client.post(CODES, {"passkey": key.sign(options)}))
    assert RecoveryCode.objects.filter(device__user=person).count() == 10


def test_passkey_answer_from_another_session_confirms_nothing(client, person, app):
    _row, key = passkey_of(person)
    other = Client()
    signed_in(other, person, device=app)
    answer = key.sign(other.post(CODES, {"passkey": "ask"}).json())
    assert "something else was asked meanwhile" in text_of(client.post(CODES, {"passkey": answer}))
    assert not RecoveryCode.objects.exists()


def test_passkey_removed_with_a_code_ends_the_sessions_signed_in_with_it(client, person, app):
    row, _key = passkey_of(person)
    other = Client()
    signed_in(other, person, device=row)
    assert not is_out(other)
    page = client.post(f"/security/passkeys/{row.pk}/remove/", {"code": code_of(app)}, follow=True)
    assert "“Laptop” was removed." in text_of(page)
    assert is_out(other)


def test_passkey_of_somebody_else_is_not_there(client, app):
    foreign, _key = passkey_of(UserFactory())
    assert client.get(f"/security/passkeys/{foreign.pk}/remove/").status_code == 404


def test_wrong_code_names_the_app_that_was_asked(client, person, app, second):
    page = client.post(CODES, {"app": app.pk, "code": code_of(second)})
    assert "“Phone” does not show this code now." in text_of(page)


def test_code_that_was_refused_is_not_shown_again(client, app):
    assert wrong(app) not in text_of(client.post(CODES, {"code": wrong(app)}))


def test_passkey_renamed_with_a_code(client, person, app):
    row = passkey_of(person)[0]
    page = f"/security/passkeys/{row.pk}/rename/"

    assert page in text_of(client.get(SECURITY))
    assert client.get(page).context["form"]["name"].value() == row.name
    response = client.post(page, {"name": " Blue key ", "code": code_of(app)}, follow=True)

    assert "The passkey is called “Blue key” now." in text_of(response)
    row.refresh_from_db()
    assert row.name == "Blue key"


def test_passkey_not_renamed_with_a_wrong_code(client, person, app):
    row = passkey_of(person)[0]

    client.post(f"/security/passkeys/{row.pk}/rename/", {"name": "Blue key", "code": "000000"})

    assert Passkey.objects.get().name == row.name
