"""The reviewer's pages, as somebody meets them who comes from a mail."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now

from approvals.services import assign_eligible, extend
from reviews.models import Item
from roles.models import Role
from roles.services import govern_group
from tests.client import signed_in
from tests.factories import (
    ActivationFactory,
    ActiveFactory,
    EligibleFactory,
    GroupFactory,
    RoleFactory,
    UserFactory,
    holder_of,
)
from tests.reviews.making import begun, ended, say, series, stage

pytestmark = pytest.mark.django_db


@pytest.fixture
def reviewer(client):
    person = UserFactory()
    signed_in(client, person)
    return person


def review_of(reviewer, count=1, role=None, **values):
    role = role or RoleFactory()
    for _each in range(count):
        EligibleFactory(role=role)
    return begun(series(stage(people=(reviewer,)), roles=(role,), **values))


def page(client, review, **query):
    return client.get(reverse("reviews:review-detail", args=[review.pk]), query)


def post(client, review, what="answer", **data):
    return client.post(reverse(f"reviews:review-{what}", args=[review.pk]), data, follow=True)


def test_list_has_what_is_open_and_what_was(client, reviewer):
    over, still = review_of(reviewer, name="Autumn"), review_of(reviewer, name="Winter")
    ended(over)

    context = client.get(reverse("reviews:review-list")).context
    assert [(row[0], row[1].left) for row in context["rows"]] == [(still, 1)]
    assert list(context["page_obj"]) == [over]


def test_navigation_counts_what_waits(client, reviewer):
    review = review_of(reviewer, count=2)
    say(review, reviewer, "approved", review.items.first())

    nav = client.get(reverse("home")).context["nav"]

    assert nav["reviews_waiting"] == 1


def test_page_shows_worst_first_and_what_is_left(client, reviewer):
    role = RoleFactory()
    used = EligibleFactory(role=role, user__display_name="Used")
    ActivationFactory(eligible_assignment=used)
    never = EligibleFactory(role=role, user__display_name="Never", user__is_active=False)
    review = review_of(reviewer, count=0, role=role)

    answer = page(client, review)
    assert [item.user for item, *_rest in answer.context["rows"]] == [never.user, used.user]
    say(review, reviewer, "denied", review.items.get(user=never.user))

    assert [item.user for item, *_rest in page(client, review).context["rows"]] == [used.user]
    assert len(page(client, review, show="all").context["rows"]) == 2


def test_page_says_what_somebody_has_besides(client, reviewer):
    review = review_of(reviewer)
    other = EligibleFactory(user=review.items.get().user)

    assert [row.others for row in page(client, review).context["rows"]] == [[f"{other.role} · {other.scope}"]]


def test_page_says_what_groups_give_besides(client, reviewer):
    """By a standing membership, and by one for a time; the access under review is not said again."""
    review = review_of(reviewer)
    person = review.items.get().user
    standing, carried = GroupFactory(name="Standing", members=[person]), GroupFactory(name="Carried")
    rows = [EligibleFactory(user=None, group=standing), ActiveFactory(user=None, group=carried)]
    place = govern_group(group=carried, actor=None)
    membership = ActiveFactory(user=person, role=Role.objects.get(resource=place, group_part="member"), scope=place)

    (row,) = page(client, review).context["rows"]

    through = [f"{each.role} · {each.scope} (through {each.group})" for each in rows]
    assert sorted(row.others) == sorted([*through, f"{membership.role} · {membership.scope}"])


def test_page_says_who_gave_an_access_and_what_it_is_for(client, reviewer):
    role, giver = RoleFactory(description="Closes the books."), holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR)
    soon, later = (now() + timedelta(days=days) for days in (100, 200))
    asked = {"holder": UserFactory(), "role": role, "scope": role.resource, "ends_at": soon}
    given = assign_eligible(**asked, actor=giver, justification="Hired.")
    extend(assignment=given.eligible_assignment, actor=None, ends_at=later, justification="Stays.")

    answer = page(client, review_of(reviewer, count=0, role=role))

    (row,) = answer.context["rows"]
    assert row.origin == given
    assert re.search(rf"Closes the books\..*Given by {giver}: “Hired\.”", answer.content.decode(), re.DOTALL)


def test_answer_on_the_page(client, reviewer):
    review = review_of(reviewer)
    item = review.items.get()

    answer = post(client, review, items=[item.pk], verdict="denied", justification="Has left.", show="all", page="1")

    item.refresh_from_db()
    assert (item.verdict, item.justification) == ("denied", "Has left.")
    assert answer.redirect_chain[0][0].endswith("?show=all&page=1")
    post(client, review, "retract", items=[item.pk])
    item.refresh_from_db()
    assert item.verdict == Item.Verdict.NOT_REVIEWED


def test_page_says_what_was_said_where_another_answer_counts(client, reviewer):
    review = begun(series(stage(people=(reviewer, other := UserFactory())), roles=(EligibleFactory().role,)))
    say(review, other, "approved")
    item = review.items.get()
    assert "Take back" not in page(client, review, show="all").content.decode()

    answer = post(client, review, items=[item.pk], verdict="dont_know", show="all")

    assert [str(message) for message in answer.context["messages"]] == [f"{item}: don't know."]
    assert "Take back" in answer.content.decode()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"verdict": "approved"}, "Tick what you want to answer."),
        ({"verdict": "approved", "items": ["no key"]}, "no key"),
        ({"verdict": "maybe", "items": "own"}, "maybe"),
        ({"items": "own"}, "Say whether it is kept or removed."),
        ({"verdict": "not_reviewed", "items": "own"}, "not_reviewed"),
        ({"verdict": "denied", "items": "own"}, "this review asks for a reason"),
    ],
)
def test_bad_answer_says_what_is_wrong_and_changes_nothing(client, reviewer, data, words):
    review = review_of(reviewer, reason_required=True)
    if data.get("items") == "own":
        data = {**data, "items": [review.items.get().pk]}

    assert words in post(client, review, **data).content.decode()
    assert review.items.get().verdict == Item.Verdict.NOT_REVIEWED


def test_review_that_is_over_shows_what_came_of_it(client, reviewer):
    review = review_of(reviewer)
    say(review, reviewer, "denied")
    review = ended(review)

    content = page(client, review).content.decode()

    assert "takes no answers any more" in content
    assert "still to be done" in content


def test_stranger_finds_nothing(client, reviewer):
    review = review_of(UserFactory())

    assert page(client, review).status_code == 404


def test_statements_do_not_grow_with_what_is_asked(client, reviewer):
    few, many = (review_of(reviewer, count=count) for count in (2, 40))
    group = GroupFactory(members=[item.user for item in many.items.described()])
    EligibleFactory(user=None, group=group)
    page(client, few)

    def statements(review):
        with CaptureQueriesContext(connection) as captured:
            assert page(client, review).status_code == 200
        return len(captured)

    assert statements(few) == statements(many)
