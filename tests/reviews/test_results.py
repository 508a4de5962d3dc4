"""What a review found and what came of it, as pages, files and mails say it."""

import csv
from io import StringIO

import pytest
from django.urls import reverse

from notifications.models import Message
from notifications.snapshot import decode
from reviews import services
from reviews.models import Item
from reviews.results import csv_lines, results_of
from reviews.tasks import apply_due
from tests.client import signed_in
from tests.factories import EligibleFactory, GroupFactory, UserFactory
from tests.reviews.making import begun, ended, say, series, stage

pytestmark = pytest.mark.django_db


@pytest.fixture
def told():
    return UserFactory()


@pytest.fixture
def review(told):
    """Ended, and two are to be removed: a membership and that of an emergency person, which are not; one is kept."""
    member, emergency, kept = UserFactory(), UserFactory(is_emergency_access=True), UserFactory()
    groups = (group := GroupFactory(members=[member, emergency, kept]),)
    EligibleFactory(user=None, group=group)
    review = begun(series(stage(people=(reviewer := UserFactory(),)), covers="groups", groups=groups, told=(told,)))
    for person, verdict in ((member, "denied"), (emergency, "denied"), (kept, "approved")):
        say(review, reviewer, verdict, review.items.get(user=person))
    return ended(review)


def applied(review):
    services.request_application(instance=review, actor=None)
    apply_due()
    review.refresh_from_db()
    return review


def test_results_count_what_came_of_removals(review):
    assert results_of(review) == {Item.Result.NEW: 2}
    assert results_of(applied(review)) == {Item.Result.PROTECTED: 1, Item.Result.BY_HAND: 1}


def test_file_says_why_access_is_still_there(review):
    rows = csv.DictReader(StringIO("".join(csv_lines(applied(review)))))

    found = {(row["outcome"], row["result"], row["result_code"], row["result_cause"]) for row in rows}
    assert found == {
        ("remove", "protected", "emergency_access", "emergency-access account"),
        ("remove", "by_hand", "", ""),
        ("keep", "", "", ""),
    }


def test_page_claims_no_removal_that_did_not_happen(client, review, told):
    signed_in(client, told)

    page = client.get(reverse("reviews:review-results", args=[applied(review).pk]))

    assert [(str(label), number) for label, number in page.context["counts"]] == [
        ("kept", 1),
        ("to be removed", 2),
        ("nothing changed", 0),
    ]
    assert [(result, number) for result, _label, number in page.context["results"]] == [
        ("protected", 1),
        ("by_hand", 1),
    ]
    assert "protected: left as it is: emergency-access account" in page.content.decode()


def test_who_is_told_hears_of_removals_that_did_not_happen(review, told):
    applied(review)

    message = Message.objects.get(kind="review_undone")
    said = decode(message.context)
    assert (message.user_id, said["protected"], said["by_hand"]) == (told.pk, 1, 1)
    assert said["url"].endswith(reverse("reviews:review-results", args=[review.pk]))


def test_nobody_is_told_where_all_was_removed(told):
    role = EligibleFactory().role
    review = begun(series(stage(people=(reviewer := UserFactory(),)), roles=(role,), told=(told,)))
    say(review, reviewer, "denied")

    applied(ended(review))

    assert list(Message.objects.filter(user_id=told.pk).values_list("kind", flat=True)) == ["review_closed"]
