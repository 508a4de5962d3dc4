from datetime import timedelta

import pytest

from audit.models import Event
from notifications.models import Message
from reviews import services
from reviews.models import Answer, Asked, Instance, Item
from roles.models import Role
from tests.factories import EligibleFactory, GroupFactory, RoleFactory, UserFactory, holder_of
from tests.refusals import refused
from tests.reviews.making import begun, ended, later, say, series, stage

pytestmark = pytest.mark.django_db


@pytest.fixture
def reviewer():
    return UserFactory()


@pytest.fixture
def review(reviewer):
    """Open, about two people who are eligible for a role."""
    return review_of(RoleFactory(), reviewer)


def review_of(role, reviewer, *, count=2, **values):
    for _each in range(count):
        EligibleFactory(role=role)
    return begun(series(stage(people=(reviewer,)), roles=(role,), **values))


def standing(item):
    item.refresh_from_db()
    return item.verdict, item.decided_by, item.justification


def test_answer_stands_and_is_kept(review, reviewer):
    item = review.items.first()

    say(review, reviewer, "denied", item, justification=" Left the team. ")

    assert standing(item) == ("denied", reviewer, "Left the team.")
    answer = Answer.objects.get()
    assert (answer.person, answer.stage, answer.verdict) == (reviewer, 1, "denied")
    event = Event.objects.get(action="review_item.answered")
    assert (event.actor_id, event.subject_id, event.role_id, event.target_id) == (
        reviewer.pk,
        item.user_id,
        item.role_id,
        str(item.pk),
    )


def test_last_answer_counts_and_all_are_kept(review, reviewer):
    item = review.items.first()
    for verdict in ("denied", "dont_know", "approved"):
        say(review, reviewer, verdict, item)

    assert standing(item)[0] == "approved"
    assert list(Answer.objects.values_list("verdict", flat=True)) == ["denied", "dont_know", "approved"]


def test_answer_taken_back(review, reviewer):
    item = review.items.first()
    say(review, reviewer, "denied", item)

    services.retract(instance=review, items=[item.pk], actor=reviewer)

    assert standing(item) == ("not_reviewed", None, "")
    assert Answer.objects.count() == 2


def test_several_answered_at_once_are_marked_in_the_log(review, reviewer):
    assert {item.verdict for item in say(review, reviewer, "approved")} == {"approved"}
    say(review, reviewer, "denied", review.items.first())

    events = Event.objects.filter(action="review_item.answered").order_by("pk")
    assert [event.facts["after"].get("together") for event in events] == [2, 2, None]


def test_privileged_access_is_answered_one_by_one(reviewer):
    review = review_of(RoleFactory(is_privileged=True), reviewer)

    with refused("privileged_one_by_one"):
        say(review, reviewer, "approved")
    for item in review.items.all():
        say(review, reviewer, "approved", item)

    assert set(review.items.values_list("verdict", flat=True)) == {"approved"}


def test_reason_required_but_for_not_knowing(reviewer):
    review = review_of(RoleFactory(), reviewer, reason_required=True)

    with refused("justification_required"):
        say(review, reviewer, "approved", justification=" . ")
    say(review, reviewer, "dont_know")


def test_somebody_not_asked_refused(review):
    for somebody in (UserFactory(), holder_of(Role.GLOBAL_ADMINISTRATOR)):
        with refused("not_asked"):
            say(review, somebody, "approved", review.items.first())


def test_item_of_another_review_refused(review, reviewer):
    other = review_of(RoleFactory(), reviewer)

    with refused("not_asked"):
        say(review, reviewer, "approved", other.items.first())


@pytest.mark.parametrize(("chosen", "code"), [(0, "nothing_chosen"), (201, "too_many")])
def test_number_of_answers(review, reviewer, chosen, code):
    keys = (
        [item.pk for item in review.items.all()][:chosen]
        if chosen < 2
        else [UserFactory.build().pk for _ in range(chosen)]
    )

    with refused(code):
        services.answer(instance=review, items=keys, actor=reviewer, verdict="approved")


def test_answer_after_the_time_refused_whether_the_worker_came_or_not(review, reviewer):
    item = review.items.first()
    with later(review, days=10), refused("not_open"):
        say(review, reviewer, "denied", item)
    ended(review)
    with refused("not_open"):
        say(review, reviewer, "denied", item)
    with refused("not_open"):
        services.retract(instance=review, items=[item.pk], actor=reviewer)


def test_own_access_refused_whatever_row_there_is(review):
    item = review.items.first()
    Asked.objects.create(item=item, stage=1, person=item.user)

    with refused("own_access"):
        say(review, item.user, "approved", item)


def test_own_access_answered_in_a_self_review():
    me = EligibleFactory().user
    role = me.eligible_assignments.get().role
    review = begun(series(stage("themselves"), roles=(role,)))

    say(review, me, "denied")

    assert review.items.get().verdict == "denied"


# --- stages ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("takes", "asked"), [("all", 3), ("undenied", 2)])
def test_second_stage_is_asked_about(reviewer, takes, asked):
    first, role = UserFactory(), RoleFactory()
    for _each in range(3):
        EligibleFactory(role=role)
    made = series(stage(people=(first,), days=5), stage(people=(reviewer,), days=3, takes=takes), roles=(role,))
    review = begun(made)
    kept, denied, _open = review.items.order_by("pk")
    say(review, first, "approved", kept)
    say(review, first, "denied", denied)

    review = ended(review)

    assert (review.stage, review.stage_ends_at - review.began_at) == (2, timedelta(days=8) - _into_the_day(review))
    assert review.items.asked_of(reviewer).count() == asked
    assert not review.items.asked_of(first).exists()
    assert Message.objects.filter(kind="review_started", user_id=reviewer.pk).count() == 1


def test_third_stage_about_everything_sees_what_the_second_did_not(reviewer):
    first, role = UserFactory(), EligibleFactory().role
    stages = [stage(people=(first,)), stage(takes="undenied"), stage(people=(reviewer,), takes="all")]
    say(review := begun(series(*stages, roles=(role,))), first, "denied")

    review = ended(ended(review))

    assert (review.stage, review.items.asked_of(reviewer).count()) == (3, 1)


def _into_the_day(review):
    """The review began a while after midnight, for which it was planned."""
    return review.began_at - review.planned_at


@pytest.fixture
def second(reviewer):
    """A review in its second stage; the first has kept one item, denied another, and left a third."""
    first, role = UserFactory(), RoleFactory()
    for _each in range(3):
        EligibleFactory(role=role)
    made = series(stage(people=(first,), days=5), stage(people=(reviewer,), days=3), roles=(role,))
    review = begun(made)
    for item, verdict in zip(review.items.order_by("pk"), ("approved", "denied"), strict=False):
        say(review, first, verdict, item)
    return ended(review)


def at_stage(review):
    return later(review, days=6)


def test_later_stage_has_the_last_word(second, reviewer):
    kept, denied, _left = second.items.order_by("pk")
    with at_stage(second):
        say(second, reviewer, "denied", kept)
        say(second, reviewer, "approved", denied)

    assert list(ended(second).items.order_by("pk").values_list("outcome", flat=True)) == ["remove", "keep", "no_change"]


def test_answer_of_the_stage_before_stands_where_the_last_says_nothing(second):
    outcomes = ended(second).items.order_by("pk").values_list("outcome", flat=True)

    assert list(outcomes) == ["keep", "remove", "no_change"]


def test_answer_taken_back_in_a_later_stage_leaves_that_of_the_one_before(second, reviewer):
    kept = second.items.order_by("pk").first()
    with at_stage(second):
        say(second, reviewer, "denied", kept)
        services.retract(instance=second, items=[kept.pk], actor=reviewer)

    kept.refresh_from_db()
    assert (kept.verdict, kept.verdict_stage) == ("approved", 1)


def test_not_knowing_in_a_later_stage_leaves_what_the_one_before_said(second, reviewer):
    with at_stage(second):
        say(second, reviewer, "dont_know")

    assert second.items.unanswered().count() == 0
    assert list(second.items.order_by("pk").values_list("verdict", "verdict_stage")) == [
        ("approved", 2),
        ("denied", 2),
        ("dont_know", 2),
    ]
    assert list(ended(second).items.order_by("pk").values_list("outcome", flat=True)) == ["keep", "remove", "no_change"]


@pytest.fixture
def shared():
    """A review of one access about which two people are asked."""
    both, role = (UserFactory(), UserFactory()), EligibleFactory().role
    return begun(series(stage(people=both), roles=(role,))), *both


def test_not_knowing_leaves_what_somebody_else_said_and_is_kept(shared):
    review, one, other = shared
    say(review, one, "approved")
    say(review, other, "dont_know")

    assert standing(review.items.get())[:2] == ("approved", one)
    facts = Event.objects.filter(action="review_item.answered").order_by("id").last().facts
    assert (facts["before"], facts["after"]) == ({"answer": "approved"}, {"answer": "approved", "said": "dont_know"})


def test_one_takes_back_only_what_one_said_oneself(shared):
    review, one, other = shared
    item = review.items.get()
    say(review, one, "denied")
    with refused("nothing_to_do"):
        services.retract(instance=review, items=[item.pk], actor=other)
    say(review, other, "approved")

    services.retract(instance=review, items=[item.pk], actor=other)

    assert standing(item)[:2] == ("denied", one)
    assert [review.items.with_own(each).get().is_own for each in (one, other)] == [True, False]


# --- asking somebody else -------------------------------------------------------------------------------------


def test_reassigned_questions_are_asked_of_the_other(review, reviewer):
    say(review, reviewer, "approved", review.items.first())
    other = UserFactory()

    count = services.reassign(instance=review, actor=None, reviewer=reviewer, to=other, justification="Has left.")

    assert (count, review.items.asked_of(other).count(), review.items.asked_of(reviewer).count()) == (1, 1, 1)
    assert Message.objects.filter(kind="review_started", user_id=other.pk).exists()


def test_without_mails_who_is_asked_instead_is_not_told(reviewer):
    review = review_of(RoleFactory(), reviewer, mails=False)

    services.reassign(instance=review, actor=None, reviewer=reviewer, to=UserFactory(), justification="Away.")

    assert not Message.objects.filter(kind="review_started").exists()


def test_own_access_is_not_reassigned_to_oneself(review, reviewer):
    me = review.items.first().user

    services.reassign(instance=review, actor=None, reviewer=reviewer, to=me, justification="Away.")

    assert [item.user == me for item in review.items.asked_of(me)] == [False]


@pytest.mark.parametrize("bad", ["disabled", "service"])
def test_reassigned_to_who_cannot_answer_refused(review, reviewer, bad):
    other = UserFactory(is_active=bad != "disabled", kind="service" if bad == "service" else "person")

    with refused("reviewer_invalid"):
        services.reassign(instance=review, actor=None, reviewer=reviewer, to=other, justification="Away.")


def test_reassigned_from_who_has_answered_all_refused(review, reviewer):
    say(review, reviewer, "approved")
    other = UserFactory()

    with refused("nothing_to_do"):
        services.reassign(instance=review, actor=None, reviewer=reviewer, to=other, justification="Away.")


def test_membership_is_asked_about_as_any_access(reviewer):
    group = GroupFactory(members=[UserFactory()])
    review = begun(series(stage(people=(reviewer,)), covers="groups", groups=(group,)))

    say(review, reviewer, "denied")

    assert Instance.objects.get().items.get().verdict == Item.Verdict.DENIED
