"""The pages on which people make, replace and revoke their API tokens."""

import re

import pytest
from django.urls import reverse

from accounts.models import ApiToken
from accounts.services import recognise
from tests.client import signed_in
from tests.factories import TokenFactory, UserFactory, code_of

pytestmark = pytest.mark.django_db
NEW = {"name": "Deployment", "scopes": ["read", "activate"], "lifetime": "30", "networks": "192.0.2.0/24"}


@pytest.fixture
def person():
    return UserFactory()


@pytest.fixture
def app(client, person):
    return signed_in(client, person)


def shown_token(answer):
    return re.search(r"pim_[a-z2-7]{16}_\w+", answer.content.decode())[0]


def test_token_made_is_shown_once_and_counts(client, app, person):
    answer = client.post(reverse("accounts:token-add"), NEW | {"code": code_of(app)})

    text = shown_token(answer)
    assert recognise(text, address="192.0.2.1").user == person
    assert text not in client.get(reverse("accounts:security")).content.decode()


def test_token_without_code_made_not(client, app):
    answer = client.post(reverse("accounts:token-add"), NEW)

    assert answer.context["form"].errors.keys() == {"code"}
    assert not ApiToken.objects.exists()


def test_wrong_network_is_said_at_its_field(client, app):
    answer = client.post(reverse("accounts:token-add"), NEW | {"networks": "nowhere", "code": code_of(app)})

    assert answer.context["form"].errors.keys() == {"networks"}


def test_token_replaced(client, app, person):
    token = TokenFactory(user=person)

    answer = client.post(reverse("accounts:token-rotate", args=[token.pk]), {"overlap": "1", "code": code_of(app)})

    assert recognise(shown_token(answer), address="").replaces == token


def test_token_revoked_after_a_page_that_changes_nothing(client, app, person):
    token = TokenFactory(user=person)
    url = reverse("accounts:token-revoke", args=[token.pk])

    client.get(url)
    assert ApiToken.objects.get().revoked_at is None
    client.post(url)
    assert ApiToken.objects.get().revoked_at is not None


@pytest.mark.parametrize("page", ["token-rotate", "token-revoke"])
def test_token_of_another_not_found(client, app, page):
    url = reverse(f"accounts:{page}", args=[TokenFactory().pk])

    assert (client.get(url).status_code, client.post(url).status_code) == (404, 404)
