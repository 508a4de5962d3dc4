"""Reviewers answer while their review ends: what was said to be taken is what comes of it."""

import pytest

from reviews import services
from reviews.models import Instance, Item
from tests.factories import EligibleFactory, RoleFactory, UserFactory
from tests.reviews.making import begun, series, stage

from .guards import count, no_row_locks

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

ANSWERING = 7
ROUNDS = 3


def race(run_in_threads):
    """Some answer that their access is not needed, and one stops the review; the items, and those said to be taken."""
    role, reviewer = RoleFactory(), UserFactory()
    for _each in range(ANSWERING):
        EligibleFactory(role=role)
    review = begun(series(stage(people=(reviewer,)), roles=(role,)))
    items = list(review.items.order_by("pk"))

    def act(number):
        found = Instance.objects.get(pk=review.pk)
        if number == ANSWERING:
            return services.stop(instance=found, actor=None, justification="Enough.")
        (item,) = services.answer(instance=found, items=[items[number].pk], actor=reviewer, verdict="denied")
        return item

    outcomes = run_in_threads(ANSWERING + 1, act)
    taken = {outcome.pk for outcome in outcomes if isinstance(outcome, Item)}
    return review, taken, outcomes


def lost(review, taken):
    """Answers that were taken, and of which nothing came."""
    return review.items.filter(pk__in=taken).exclude(outcome="remove").count()


def test_no_answer_is_lost_when_the_review_ends(run_in_threads):
    for _round in range(ROUNDS):
        review, taken, outcomes = race(run_in_threads)

        assert lost(review, taken) == 0
        assert review.items.exclude(pk__in=taken).filter(outcome="remove").count() == 0
        assert count(outcomes, Instance) == 1


def test_control_without_row_locks_answers_are_lost(run_in_threads):
    with no_row_locks():
        rounds = (race(run_in_threads)[:2] for _round in range(20))

        assert any(lost(review, taken) for review, taken in rounds)
