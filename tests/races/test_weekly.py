"""Several workers look at the same Monday at the same moment."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from notifications.models import Message
from pim_site import weekly
from pim_site.models import WeeklyDigest
from roles.models import Role
from tests.factories import holder_of

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def digests_of_one_week(run_in_threads):
    reader, at = holder_of(Role.SECURITY_READER), now()
    due = {"told_until": at - timedelta(days=9), "next_at": at - timedelta(minutes=1)}
    WeeklyDigest.objects.update_or_create(pk=WeeklyDigest.ONLY, defaults=due)
    run_in_threads(4, lambda number: weekly.send_due())
    return Message.objects.filter(kind="weekly_digest", user_id=reader.pk).count()


def test_four_workers_send_one_digest_of_a_week(run_in_threads):
    assert [digests_of_one_week(run_in_threads) for _ in range(3)] == [1] * 3


def test_control_without_the_claim_there_are_several(run_in_threads, monkeypatch):
    monkeypatch.setattr(weekly, "_claim", lambda row, until: True)
    assert any(digests_of_one_week(run_in_threads) > 1 for _ in range(10))
