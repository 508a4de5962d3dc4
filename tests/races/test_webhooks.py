"""Several workers collect and send at the same moment: each event once, to a real receiver."""

from datetime import timedelta

import pytest

from approvals.services import activate
from tests.factories import EligibleFactory, SubscriptionFactory
from tests.listener import listening
from webhooks.models import Delivery, Notice
from webhooks.services import delivering
from webhooks.tasks import deliver_due

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
EVENTS = 6


@pytest.fixture
def sent(run_in_threads, settings):
    """Let eight workers tell of three activations; the ids that arrived, and how many each worker says were taken."""
    settings.OUTGOING_NETWORKS, settings.OUTGOING_HTTP = ["127.0.0.0/8"], True

    def race():
        with listening() as listener:
            SubscriptionFactory(url=listener.url())
            for eligible in EligibleFactory.create_batch(EVENTS // 2):
                activate(eligible=eligible, actor=eligible.user, duration=timedelta(hours=1), justification="Stuck.")
            taken = run_in_threads(8, lambda number: deliver_due())
            return [headers["webhook-id"] for _path, headers, _body in listener.asked], taken

    return race


def test_eight_workers_send_each_event_once(sent):
    arrived, taken = sent()

    assert (len(arrived), len(set(arrived)), sum(taken)) == (EVENTS, EVENTS, EVENTS)
    assert (Notice.objects.count(), Delivery.objects.filter(state="delivered").count()) == (EVENTS, EVENTS)


def test_eight_workers_without_the_claim_send_some_twice(sent, monkeypatch):
    monkeypatch.setattr(delivering, "_claim", lambda delivery, attempt, at: True)

    arrived, _taken = sent()

    assert len(arrived) > len(set(arrived)) == EVENTS
