"""Guessing through the sign-in page: other ways to write a name or an address give no further attempts."""

import pytest
from django.db import connection

from accounts.rules import throttle_keys
from tests.client import signed_in
from tests.factories import PASSWORD, UserFactory

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
    from tests.factories import TotpDeviceFactory, code_of

    person = UserFactory()
    app = TotpDeviceFactory(user=person)
    client.post("/sign-in/?next=foo", {"identifier": person.username, "password": PASSWORD})

    assert client.post("/sign-in/code/", {"code": code_of(app)}).url == "foo"
