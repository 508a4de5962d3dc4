import pytest
from django.utils import timezone
from django_otp import DEVICE_ID_SESSION_KEY

from tests import client as clients
from tests.factories import UserFactory


@pytest.fixture
def person():
    return UserFactory()


@pytest.fixture
def signed_in(client, person):
    """``signed_in(age, idle, verified)``: the client, its session begun and last used so many seconds ago."""

    def sign_in(age=0, idle=0, verified=True):
        clients.signed_in(client, person)
        session, at = client.session, int(timezone.now().timestamp())
        session.update({"signed_in_at": at - age, "used_at": at - idle})
        if not verified:
            del session[DEVICE_ID_SESSION_KEY]
        session.save()
        return client

    return sign_in
