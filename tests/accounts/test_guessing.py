"""Passing for somebody else at sign-in: by guesses under other spellings, or by a name that looks like theirs."""

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from accounts.models import User
from accounts.rules import check_username, throttle_keys
from assignments.services import create_person
from roles.models import Role
from tests.client import signed_in
from tests.factories import PASSWORD, TotpDeviceFactory, UserFactory, code_of, holder_of

FREE = 5  # attempts from one address at one name that cost no waiting


def guess(client, name, address):
    return client.post("/sign-in/", {"identifier": name, "password": "a guess"}, REMOTE_ADDR=address)


def refusal_of(answer):
    (error,) = answer.context["form"].non_field_errors().as_data()
    return error.code


@pytest.mark.django_db
@pytest.mark.parametrize(
    "names", [("ursula", "URSULA", "Ursula", "uRsUlA", " ursula ", "ursulA"), ("ursula", "urſula", "URſULA") * 2]
)
def test_sign_in_by_other_ways_to_write_a_name_throttled(client, names):
    UserFactory(username="ursula")

    codes = [refusal_of(guess(client, name, "192.0.2.1")) for name in [*names, *names[:1]]]

    assert codes[:FREE] == ["invalid_credentials"] * FREE
    assert codes[-1] == "throttled"


@pytest.mark.django_db
def test_sign_in_by_other_ways_to_write_an_address_throttled(client):
    addresses = ["192.0.2.1", "::ffff:192.0.2.1", "::ffff:c000:201"] * 2

    codes = [refusal_of(guess(client, "ursula", address)) for address in [*addresses, "192.0.2.1"]]

    assert codes[-1] == "throttled"


@pytest.mark.django_db
def test_sign_in_ignores_what_the_sender_says_of_the_address(client):
    said = [{"HTTP_X_FORWARDED_FOR": f"198.51.100.{number}"} for number in range(7)]
    data = {"identifier": "ursula", "password": "a guess"}

    codes = [refusal_of(client.post("/sign-in/", data, **header)) for header in said]

    assert codes[-1] == "throttled"


@pytest.mark.once
def test_throttle_keys_of_different_mapped_addresses_differ():
    one, other = (throttle_keys("ursula", f"::ffff:192.0.2.{number}") for number in (1, 2))

    assert one["address"] != other["address"]


@pytest.mark.django_db
def test_throttle_keys_are_one_where_the_database_finds_one():
    person = UserFactory(username="iſıKßé.ursula")
    spellings = [person.username, person.username.upper(), person.username.lower(), person.username.swapcase()]
    found = [name for name in spellings if type(person).objects.named(name).exists()]

    assert len({throttle_keys(name, "192.0.2.1")["name"] for name in found}) == 1, connection.vendor


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["home", "foo", "admin:index", "a.b", "[]", "%", "accounts.views.sign_in"])
def test_sign_in_page_with_a_next_that_is_no_address_answers(client, path):
    signed_in(client, UserFactory())

    answer = client.get("/sign-in/", {"next": path})

    assert answer.status_code == 302
    assert not answer.url.startswith(("//", "http"))


@pytest.mark.django_db
def test_sign_in_leads_to_a_next_of_one_word(client):
    person = UserFactory()
    app = TotpDeviceFactory(user=person)
    client.post("/sign-in/?next=foo", {"identifier": person.username, "password": PASSWORD})

    assert client.post("/sign-in/code/", {"code": code_of(app)}).url == "foo"


@pytest.mark.django_db
@pytest.mark.parametrize("username", ["\u043edin.admin", "gl\u03bfbal", "admin\u0561", "аdmіn.x"])
def test_person_with_a_name_of_mixed_scripts_refused(client, username):
    signed_in(client, holder_of(Role.HELPDESK_ADMINISTRATOR))
    data = {"username": username, "display_name": "N", "email": "n@example.org", "kind": "person", "time_zone": "UTC"}

    answer = client.post("/console/accounts/user/add/", data)

    assert "one alphabet" in answer.context["adminform"].form.non_field_errors()[0]


LOOK_LIKE_ADA = [
    {"email": "ada@ex\u0430mple.org"},  # a Cyrillic letter
    {"email": "ada@\uff45xample.org"},  # a wide one
    {"email": "ada@ex\xadample.org"},  # a hyphen that is not shown
    {"email": "ada@example.org\u200b"},
    {"display_name": "\u202eada"},
    {"display_name": "Ada\nApproved by: Otto"},
    {"display_name": "\u200b"},
]


@pytest.mark.once
@pytest.mark.django_db
@pytest.mark.parametrize("looks", LOOK_LIKE_ADA, ids=ascii)
def test_nobody_is_given_a_name_or_address_that_looks_like_anothers(looks):
    UserFactory(username="ada", email="ada@example.org")
    facts = {"username": "eve", "email": "eve@example.org", "display_name": "Eve"}
    with pytest.raises(ValidationError):
        create_person(actor=None, **facts | looks)
    assert not User.objects.filter(username="eve").exists()


@pytest.mark.once
@pytest.mark.django_db
@pytest.mark.parametrize(
    "looks",
    [{"email": "anna@почта.org"}, {"display_name": "می\u200cخواهم"}, {"display_name": "  Eve \n"}],
    ids=ascii,
)
def test_name_and_address_of_any_one_script_allowed(looks):
    facts = {"username": "eve", "email": "eve@example.org", "display_name": "Eve"}
    assert create_person(actor=None, **facts | looks).username == "eve"


@pytest.mark.once
@pytest.mark.parametrize(
    "username", ["mara.lindt", "žofie_1", "мария.иванова", "δημήτρης", "山田.たろう", "mara@example.org"]
)
def test_name_of_one_script_allowed(username):
    check_username(username)
