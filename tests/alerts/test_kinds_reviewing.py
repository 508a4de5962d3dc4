"""Access reviews that come to no end."""

from datetime import timedelta

import pytest
import time_machine

from accounts.models import User
from reviews.models import Asked, Instance
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
        assert words("overdue_reviews", days=0)[0].endswith("its results are not applied: it is in progress.")
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
