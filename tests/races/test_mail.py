"""Several workers deliver the same outbox at the same moment."""

from email.utils import parseaddr

import pytest
from django.core import mail
from django.db import transaction

from notifications.models import Message
from notifications.services import queue
from notifications.tasks import deliver_due
from tests.factories import UserFactory

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def test_eight_deliverers_send_each_message_once(run_in_threads, mailoutbox):
    people = UserFactory.create_batch(20)
    with transaction.atomic():
        queue(
            "account_created",
            to=people,
            context={"name": "Ada Example", "actor": "", "url": "https://pim.example.org/"},
        )

    sent = run_in_threads(8, lambda number: deliver_due())

    assert sum(sent) == 20
    addresses = [parseaddr(message.to[0])[1] for message in mail.outbox]
    assert sorted(addresses) == sorted(person.email for person in people)
    assert not Message.objects.exclude(state=Message.State.SENT).exists()
