"""Access reviews that come to no end."""

from datetime import timedelta

import pytest
import time_machine

from accounts.models import User
from alerts.registry import KINDS
from reviews.models import Asked, Instance, Item
from reviews.rules import ReviewRefused
from reviews.services import stop
from roles.models import Role
from tests.alerts.finding import repaired, rows, words
from tests.factories import EligibleFactory, RoleFactory, UserFactory, holder_of
from tests.reviews.making import begun, ended, later, say, series, stage

pytestmark = pytest.mark.django_db


@pytest.fixture
def reviewer():
    return UserFactory(display_name="Ada")


@pytest.fixture
def review(reviewer):
    role = RoleFactory()
    EligibleFactory.create_batch(2, role=role)
    return begun(series(stage(people=(reviewer,)), roles=(role,), applies_itself=False))


@pytest.fixture
def administrator():
    return holder_of(Role.GLOBAL_ADMINISTRATOR)


def test_review_past_its_end_is_found_from_the_day_on(review):
    with time_machine.travel(review.ends_at + timedelta(days=3), tick=False):
        assert rows("overdue_reviews") == {review}
        assert words("overdue_reviews", days=0)[0].endswith("not all of its results are applied: it is in progress.")
    with time_machine.travel(review.ends_at + timedelta(days=3, seconds=-1), tick=False):
        assert rows("overdue_reviews") == set()


def test_review_that_is_applied_is_not_overdue(review):
    with later(review, days=1):
        say(review, review.definition.stages.get().people.get(), "approved")
    review = ended(review)

    with time_machine.travel(review.ends_at + timedelta(days=9), tick=False):
        assert (review.state, rows("overdue_reviews")) == ("applied", set())


def test_repair_has_the_results_applied(review, reviewer, administrator):
    with later(review, days=1):
        say(review, reviewer, "denied")
    review = ended(review)
    assert review.state == "completed"

    with time_machine.travel(review.ends_at + timedelta(days=3), tick=False):
        incident = repaired("overdue_reviews", about=review, actor=administrator)

    assert (incident.resolution, Instance.objects.get().state) == ("repaired", "applying")


def test_review_counts_as_over_from_its_real_end_on(review):
    with later(review, days=1):
        stop(instance=review, actor=None, justification="Enough.")
        Instance.objects.update(state="completed")
    with time_machine.travel(review.began_at + timedelta(days=4), tick=False):
        assert rows("overdue_reviews") == {review}


def test_review_with_failed_removals_is_found_and_its_repair_tries_them_again(review, administrator):
    at = review.ends_at
    failed = {"outcome": "remove", "result": "failed", "result_code": "changed_meanwhile"}
    Item.objects.filter(pk=review.items.first().pk).update(**failed)
    Instance.objects.update(state="applied", ended_at=at)

    with time_machine.travel(at + timedelta(days=3), tick=False):
        assert words("overdue_reviews")[0].endswith("it is applied, but 1 removals have failed.")
        repaired("overdue_reviews", about=review, actor=administrator)

    assert (Instance.objects.get().state, review.items.to_apply().count()) == ("applying", 1)


def test_review_without_anything_left_to_apply_is_not_repaired_by_a_click(review):
    Instance.objects.update(state="completed")

    assert not KINDS["overdue_reviews"].repair.fits(Instance.objects.get())


def test_review_whose_reviewers_have_left_is_found(review, reviewer):
    with later(review, days=1):
        assert rows("unanswerable_reviews") == set()
        User.objects.filter(pk=reviewer.pk).update(is_active=False)

        assert rows("unanswerable_reviews") == {review}
        assert words("unanswerable_reviews")[0].endswith("2 accesses wait for reviewers who are all disabled.")


def test_review_that_somebody_else_is_asked_in_or_that_was_answered_is_not_found(review, reviewer):
    first, second = review.items.all()
    Asked.objects.create(item=first, person=UserFactory(), stage=1)
    with later(review, days=1):
        say(review, reviewer, "approved", second)
        User.objects.filter(pk=reviewer.pk).update(is_active=False)

        assert rows("unanswerable_reviews") == set()


def test_repair_asks_whoever_clicks(review, reviewer, administrator):
    User.objects.filter(pk=reviewer.pk).update(is_active=False)
    with later(review, days=1):
        incident = repaired("unanswerable_reviews", about=review, actor=administrator)

        assert (incident.resolution, review.items.asked_of(administrator).count()) == ("repaired", 2)


def test_repair_asks_whoever_clicks_all_but_their_own_access(review, reviewer, administrator):
    """One of two who have left is asked nothing else."""
    own, other = review.items.order_by("pk")
    Item.objects.filter(pk=own.pk).update(user=administrator)
    Asked.objects.filter(item=own).update(person=UserFactory(is_active=False))
    User.objects.filter(pk=reviewer.pk).update(is_active=False)

    with later(review, days=1):
        assert repaired("unanswerable_reviews", about=review, actor=administrator).resolution == "repaired"
        assert list(review.items.asked_of(administrator)) == [other]

        with pytest.raises(ReviewRefused, match="asked nothing any more"):
            KINDS["unanswerable_reviews"].repair.does(review, actor=administrator, justification="Again.")
