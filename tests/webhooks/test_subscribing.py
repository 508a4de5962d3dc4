"""Subscriptions: what is taken, and what is kept of their secrets."""

import pytest
from cryptography.fernet import Fernet
from django.utils.timezone import now

from audit.models import Event
from roles.models import Role
from tests.api import Program
from tests.factories import DeliveryFactory, SubscriptionFactory, UserFactory, holder_of
from tests.refusals import refused
from webhooks import services
from webhooks.models import Delivery, Subscription

pytestmark = pytest.mark.django_db

ASKED = {"name": "Tickets", "url": "https://hooks.example.org/pim", "kinds": ["request.created"]}


@pytest.mark.parametrize(
    ("differs", "code"),
    [
        ({"kinds": []}, "kind_unknown"),
        ({"kinds": ["request.created", "moon.risen"]}, "kind_unknown"),
        ({"url": "http://hooks.example.org/pim"}, "address_invalid"),
        ({"url": "https://10.0.0.1/pim"}, "address_invalid"),
        ({"name": "Taken"}, "unique"),
    ],
)
def test_subscription_that_could_not_work_refused(differs, code):
    owner = SubscriptionFactory(name="Taken").owner

    with refused(code):
        services.subscribe(**ASKED | differs, owner=owner, actor=None)


def test_subscription_for_a_disabled_owner_refused():
    owner = UserFactory(is_active=False)

    with refused("owner_disabled"):
        services.subscribe(**ASKED, owner=owner, actor=None)


def test_secrets_need_only_the_newest_key_and_stand_in_no_event(settings):
    row, newest = SubscriptionFactory(), Fernet.generate_key().decode()
    secret = services.renew_subscription_secret(subscription=row, actor=None)
    settings.FACTOR_KEYS = [newest, *settings.FACTOR_KEYS]
    assert services.reseal_subscriptions(actor=None) == 1
    settings.FACTOR_KEYS = [newest]

    assert Subscription.objects.get().secrets(now())[0] == secret
    assert not any(secret in event.canonical for event in Event.objects.all())


def test_program_makes_a_subscription_gets_its_secret_and_sends_again():
    program = Program(holder_of(Role.GLOBAL_ADMINISTRATOR))
    status, made = program.post("webhook_subscriptions", ASKED)
    assert (status, made["kinds"], made["has_secret"]) == (201, ["request.created"], False)
    status, shown = program.post(f"webhook_subscriptions/{made['id']}/renew_secret", key="once")
    assert (status, shown["secret"][:6], shown["has_secret"]) == (200, "whsec_", True)
    row = Subscription.objects.get()
    assert row.secrets(now()) == [shown["secret"]]
    delivery = DeliveryFactory(subscription=row, state="given_up")

    status, again = program.post(f"webhook_deliveries/{delivery.pk}/send_again")

    assert (status, again["state"], again["webhook_id"]) == (200, "pending", delivery.notice.message_id)
    assert Delivery.objects.get().is_open
