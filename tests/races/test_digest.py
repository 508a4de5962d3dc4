"""Several workers look at the same morning at the same moment."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from accounts.tasks import digest_due
from notifications.models import Message
from tests.factories import UserFactory

from .guards import no_row_locks

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def digests_of_one_morning(run_in_threads):
    reader, due = UserFactory(), now() - timedelta(minutes=1)
    held = {"kind": "role_activated", "state": "held", "user_id": reader.pk, "context": "{}", "next_attempt_at": due}
    Message.objects.bulk_create(Message(**held) for _ in range(20))
    run_in_threads(4, lambda number: digest_due())
    return Message.objects.filter(kind="digest", user_id=reader.pk).count()


def test_four_workers_make_one_digest(run_in_threads):
    assert [digests_of_one_morning(run_in_threads) for _ in range(5)] == [1] * 5


def test_control_without_row_locks_there_are_several(run_in_threads):
    with no_row_locks():
        assert any(digests_of_one_morning(run_in_threads) > 1 for _ in range(10))
