"""Reviewers answer while their review ends: what was said to be taken is what comes of it.

A review that begins delays nobody.
"""

from datetime import timedelta

import pytest
from django.db import OperationalError, connection, transaction

from approvals import services as approvals
from approvals.models import Request
from reviews import services
from reviews.models import Instance, Item
from tests.factories import EligibleFactory, RoleFactory, UserFactory
from tests.reviews.making import begun, series, stage

from .guards import count, key_locks, no_row_locks

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


def activate_during_a_snapshot(run_in_threads):
    """Activate what a piece of a snapshot points at, while that is not committed yet; what became of it."""
    eligible = EligibleFactory()
    review = services.prepare(definition=series(roles=(eligible.role,)))

    def activate(_number):
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = 500")
        facts = {"duration": timedelta(hours=1), "justification": "The nightly job is stuck."}
        return approvals.activate(eligible=eligible, actor=eligible.user, **facts)

    with transaction.atomic():
        services.take_in(instance=review)
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # the locks of what it points at, as a commit takes them
        (outcome,) = run_in_threads(1, activate)
    return outcome


def test_activation_does_not_wait_for_a_snapshot(run_in_threads):
    assert isinstance(activate_during_a_snapshot(run_in_threads), Request)


def test_control_with_locks_of_keys_an_activation_waits(run_in_threads):
    with key_locks():
        assert isinstance(activate_during_a_snapshot(run_in_threads), OperationalError)
