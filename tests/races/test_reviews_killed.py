"""kill -9 amid the beginning of a review, and while its results are carried out: it goes on, and does nothing twice."""

import pytest

from audit.models import Event
from notifications.models import Message
from reviews import services, walk
from reviews.models import Asked, Instance
from reviews.services import applying, starting
from reviews.tasks import apply_due, start_due
from tests.factories import EligibleFactory, RoleFactory, UserFactory
from tests.races.killing import killed
from tests.reviews.making import begun, ended, say, series, stage

pytestmark = pytest.mark.django_db(transaction=True)
PEOPLE = 5


@pytest.fixture
def made(monkeypatch):
    monkeypatch.setattr(walk, "CHUNK", 2)
    role, reviewer = RoleFactory(), UserFactory()
    for _each in range(PEOPLE):
        EligibleFactory(role=role)
    return series(stage(people=(reviewer,)), roles=(role,), recurrence="monthly"), reviewer


BEGINNING = {
    "the series has moved on, and there is no review": (starting, "_begin", 1),
    "there is a review, and its row is not told of": (starting, "record", 1),
    "the first piece is found, and not written": (starting, "_keep", 1),
    "the second piece is written, and nobody is asked": (starting, "Reviewers", 2),
    "all is written, and the review not opened": (starting, "_open", 1),
    "it is told of, and its reviewers are not": (starting, "begin_stage", 1),
}


@pytest.mark.parametrize("point", BEGINNING)
def test_review_whose_beginning_was_killed(made, point):
    _definition, reviewer = made
    place, name, call = BEGINNING[point]
    killed(start_due, place, name, call=call)

    start_due()
    start_due()

    review = Instance.objects.get()
    assert (review.state, review.items.count(), Asked.objects.count()) == ("in_progress", PEOPLE, PEOPLE)
    assert Message.objects.filter(kind="review_started", user_id=reviewer.pk).count() == 1
    events = Event.objects.filter(target_id=review.pk).values_list("action", flat=True)
    assert sorted(events) == ["review.prepared", "review.started"]


APPLYING = {
    "nothing is removed": (applying, "_remove", 1),
    "one is removed, and its result not noted": (applying, "record", 1),
    "one is done, and the next is removed": (applying, "record", 2),
    "all is done, and not noted": (applying, "record", PEOPLE + 1),
}


@pytest.mark.parametrize("point", APPLYING)
def test_review_whose_application_was_killed(made, point):
    definition, reviewer = made
    review = begun(definition)
    say(review, reviewer, "denied")
    review = ended(review)
    services.request_application(instance=review, actor=None)
    place, name, call = APPLYING[point]
    killed(apply_due, place, name, call=call)

    apply_due()
    apply_due()

    assert Instance.objects.get().state == "applied"
    assert list(review.items.values_list("result", flat=True)) == ["applied"] * PEOPLE
    for action, count in (("eligible.removed", PEOPLE), ("review_item.applied", PEOPLE), ("review.applied", 1)):
        assert Event.objects.filter(action=action).count() == count
