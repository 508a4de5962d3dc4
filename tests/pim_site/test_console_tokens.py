"""API tokens of service accounts, in the console."""

import re

import pytest
from django.urls import reverse

from accounts.models import ApiToken
from accounts.services import recognise
from roles.models import Role
from tests.client import signed_in
from tests.factories import TokenFactory, UserFactory, code_of, holder_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def app(client):
    return signed_in(client, holder_of(Role.GLOBAL_ADMINISTRATOR))


def act(user, slug):
    return reverse(f"admin:accounts_user_{slug}", args=[user.pk])


def shown_token(answer):
    return re.search(r"pim_[a-z2-7]{16}_\w+", answer.rendered_content)[0]


def test_token_issued_to_a_service_account_replaced_and_revoked(client, app):
    service = UserFactory(kind="service")
    new = {"name": "Deployment", "scopes": ["read"], "lifetime": "30", "code": code_of(app)}

    first = shown_token(client.post(act(service, "issue-token"), new))
    token = recognise(first, address="")
    again = {"token": token.pk, "overlap": "24", "code": code_of(app, steps=1)}
    second = shown_token(client.post(act(service, "rotate-token"), again))
    client.post(act(service, "revoke-token"), {"token": token.pk})

    assert recognise(second, address="").user == service
    assert ApiToken.objects.get(pk=token.pk).revoked_at is not None


def test_token_of_another_account_is_no_choice(client, app):
    service, other = UserFactory(kind="service"), TokenFactory()
    TokenFactory(user=service)

    answer = client.post(act(service, "revoke-token"), {"token": other.pk})

    assert answer.context_data["form"].errors.keys() == {"token"}
