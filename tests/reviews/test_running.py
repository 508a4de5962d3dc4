from collections import Counter
from contextlib import nullcontext
from datetime import timedelta

import pytest
import time_machine
from django.utils.timezone import now
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from approvals import services as approvals
from assignments.rules import AssignmentRefused
from audit.models import Event
from notifications.models import Message
from reviews import services
from reviews.models import Definition, Instance, Stage
from reviews.schedule import reminders
from reviews.tasks import advance_due, apply_due, remind_due, start_due
from roles.models import Role
from roles.services import govern_group
from tests.factories import (
    ActivationFactory,
    ActiveFactory,
    EligibleFactory,
    GroupFactory,
    UserFactory,
    holder_of,
)
from tests.refusals import refused
from tests.reviews.making import begun, ended, later, say, series, stage, utc

pytestmark = pytest.mark.django_db


@pytest.fixture
def reviewer():
    return UserFactory()


def review_of(*rows, reviewer, **values):
    roles = tuple({row.role for row in rows})
    return begun(series(stage(people=(reviewer,)), **{"roles": roles} | values))


# --- reminding ------------------------------------------------------------------------------------------------


def reminded(person):
    return Message.objects.filter(kind="review_reminder", user_id=person.pk).count()


def test_reminders_come_half_way_and_a_day_before_the_end(reviewer):
    review = review_of(EligibleFactory(), reviewer=reviewer)
    start = review.stage_began_at
    counts = []
    for day in range(11):
        with time_machine.travel(start + timedelta(days=day, seconds=1), tick=False):
            remind_due()
            counts.append(reminded(reviewer))

    assert counts == [0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2]


def test_who_has_answered_is_not_reminded(reviewer):
    review = review_of(EligibleFactory(), reviewer=reviewer)
    say(review, reviewer, "approved")

    with later(review, days=9.5):
        remind_due()

    assert reminded(reviewer) == 0


def test_administrator_reminds_at_will(reviewer):
    review = review_of(EligibleFactory(), reviewer=reviewer)
    actor = holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR)

    assert services.remind(instance=review, actor=actor) == 1
    say(review, reviewer, "approved")
    with refused("nothing_to_do"):
        services.remind(instance=review, actor=actor)


# --- ending ---------------------------------------------------------------------------------------------------


def test_end_tells_whom_the_series_names(reviewer):
    auditor = UserFactory()
    review = review_of(EligibleFactory(), reviewer=reviewer, told=(auditor,))

    ended(review)

    assert Message.objects.get(kind="review_closed").user_id == auditor.pk
    assert Message.objects.get(kind="review_started").state == Message.State.SUPPRESSED


def test_end_comes_once(reviewer):
    review = ended(review_of(EligibleFactory(), reviewer=reviewer))

    with time_machine.travel(review.stage_ends_at, tick=False):
        assert not services.advance(instance=review)
    assert Event.objects.filter(action="review.closed").count() == 1


def test_stopped_review_removes_only_what_was_denied_and_only_when_told(reviewer):
    denied, left = EligibleFactory(), EligibleFactory()
    review = review_of(denied, left, reviewer=reviewer, no_answer="remove", applies_itself=True)
    say(review, reviewer, "denied", review.items.get(user=denied.user))

    review = services.stop(instance=review, actor=None, justification="Wrong people.")
    apply_due()

    assert (review.state, review.was_stopped) == ("completed", True)
    assert set(review.items.values_list("outcome", "result")) == {("remove", "new"), ("no_change", "")}
    with refused("already_ended"):
        services.stop(instance=review, actor=None, justification="Again.")


def test_cleared_review_asks_everybody_anew(reviewer):
    review = review_of(EligibleFactory(), EligibleFactory(), reviewer=reviewer)
    say(review, reviewer, "denied")

    assert services.clear(instance=review, actor=None, justification="Asked wrongly.") == 2

    assert review.items.unanswered().count() == 2
    assert Message.objects.filter(kind="review_started", user_id=reviewer.pk).count() == 2
    assert set(review.items.values_list("verdict", "decided_by", "justification")) == {("not_reviewed", None, "")}
    with refused("nothing_to_do"):
        services.clear(instance=review, actor=None, justification="Again.")


def test_clearing_in_a_later_stage_takes_back_what_earlier_ones_said_for_good(reviewer):
    first = UserFactory()
    made = series(stage(people=(first,)), stage(people=(reviewer,), takes="undenied"), roles=(EligibleFactory().role,))
    say(review := begun(made), first, "denied")
    review = ended(review)
    with later(review, days=11):
        services.clear(instance=review, actor=None, justification="Asked wrongly.")
        say(review, reviewer, "approved")
        services.retract(instance=review, items=[review.items.get().pk], actor=reviewer)

    assert list(review.items.values_list("verdict", "is_settled", "decided_by")) == [("not_reviewed", False, None)]
    assert Message.objects.filter(kind="review_started", user_id=reviewer.pk).count() == 1
    assert Message.objects.filter(kind="review_started", user_id=first.pk).count() == 1


def test_stage_is_left_out_when_the_worker_was_down_for_all_of_it(reviewer):
    role = EligibleFactory().role
    made = series(stage(days=5), stage(people=(reviewer,), days=5), roles=(role,), recurrence="monthly")
    review = begun(made)

    with later(review, days=40):
        advance_due()

    assert Instance.objects.get().state == "applied"
    assert Event.objects.filter(action="review.closed").count() == 1


@pytest.mark.parametrize("late", [3, 5, 11])
def test_late_stages_are_over_when_the_next_review_begins(reviewer, late):
    """Of three stages of nine days each, in February: one day is to spare."""
    with time_machine.travel(utc(2027, 2, 1), tick=False):
        role = EligibleFactory().role
        begun(made := series(*[stage(people=(reviewer,), days=9)] * 3, roles=(role,), recurrence="monthly"))
    for day in range(9 + late, 28):
        with time_machine.travel(utc(2027, 2, 1) + timedelta(days=day), tick=False):
            advance_due()
    with time_machine.travel(utc(2027, 3, 1), tick=False):
        start_due()

    assert sorted(made.instances.values_list("number", "state")) == [(1, "applied"), (2, "in_progress")]


def test_late_stage_has_all_its_days_where_nothing_follows(reviewer):
    role = EligibleFactory().role
    review = begun(series(stage(days=5), stage(people=(reviewer,), days=5), roles=(role,)))

    with later(review, days=40):
        advance_due()

    review = Instance.objects.get()
    assert (review.stage, review.stage_ends_at) == (2, review.began_at + timedelta(days=45))


# --- applying -------------------------------------------------------------------------------------------------


def applied(review, *, by_itself=False):
    """What became of each item, by the person's name, after the worker has come twice."""
    if not by_itself:
        services.request_application(instance=review, actor=None)
    apply_due()
    apply_due()
    return dict(review.items.values_list("user__username", "result"))


def denied(reviewer, *rows, **values):
    review = review_of(*rows, reviewer=reviewer, **values)
    for item in review.items.asked_of(reviewer):
        say(review, reviewer, "denied", item, justification="Not needed.")
    return ended(review)


def test_denied_access_is_removed_and_kept_access_stays(reviewer):
    eligible, active, kept = EligibleFactory(), ActiveFactory(), EligibleFactory()
    activation = ActivationFactory(eligible_assignment=eligible)
    review = review_of(eligible, active, kept, reviewer=reviewer)
    for row, verdict in ((eligible, "denied"), (active, "denied"), (kept, "approved")):
        say(review, reviewer, verdict, review.items.get(user=row.user), justification="Looked at it.")

    results = applied(ended(review))

    assert results == {eligible.user.username: "applied", active.user.username: "applied", kept.user.username: ""}
    for row in (eligible, active, activation, kept):
        row.refresh_from_db()
    assert [bool(row.ended_at) for row in (eligible, active, activation, kept)] == [True, True, True, False]
    assert Instance.objects.get().state == "applied"


def test_removal_is_a_request_that_says_which_review_and_who(reviewer):
    eligible = EligibleFactory()
    applied(denied(reviewer, eligible, name="Quarter"))

    event = Event.objects.get(action="eligible.removed")
    assert event.justification == f"Access review “Quarter”, {reviewer}: Not needed."
    assert event.request_id is not None


def test_nobody_answered_is_said_in_the_reason(reviewer):
    review = ended(review_of(EligibleFactory(), reviewer=reviewer, no_answer="remove", name="Quarter"))
    applied(review)

    reason = Event.objects.get(action="eligible.removed").justification
    assert reason == "Access review “Quarter”: nobody answered, so: remove the access."


def test_nobody_knew_is_said_in_the_reason(reviewer):
    review = review_of(EligibleFactory(), reviewer=reviewer, no_answer="remove", name="Quarter")
    say(review, reviewer, "dont_know")
    applied(ended(review))

    reason = Event.objects.get(action="eligible.removed").justification
    assert reason == f"Access review “Quarter”: {reviewer} did not know, so: remove the access."


def test_series_applies_by_itself(reviewer):
    eligible = EligibleFactory()

    assert applied(denied(reviewer, eligible, applies_itself=True), by_itself=True) == {
        eligible.user.username: "applied"
    }


def test_what_is_gone_already_is_said(reviewer):
    eligible = EligibleFactory()
    review = denied(reviewer, eligible)
    approvals.remove_eligible(eligible=eligible, actor=None, justification="Left.")

    assert applied(review) == {eligible.user.username: "gone"}


def test_what_was_assigned_anew_since_stays(reviewer):
    eligible = EligibleFactory()
    review = denied(reviewer, eligible)
    EligibleFactory._meta.model.objects.update(ended_at=now(), end_reason="removed")
    again = EligibleFactory(user=eligible.user, role=eligible.role)

    applied(review)

    again.refresh_from_db()
    assert again.ended_at is None


def test_emergency_people_and_the_last_administrator_keep_what_they_have(reviewer):
    last = ActiveFactory(role=Role.objects.built_in(Role.GLOBAL_ADMINISTRATOR), user__username="last")
    emergency = EligibleFactory(user__username="emergency", user__is_emergency_access=True)
    before = Event.objects.count()
    review = denied(reviewer, last, emergency)

    assert applied(review) == {"last": "protected", "emergency": "protected"}
    last.refresh_from_db()
    assert last.ended_at is None
    codes = Event.objects.filter(action="review_item.applied", id__gt=before)
    assert {event.facts["after"]["code"] for event in codes} == {"last_administrator", "emergency_access"}


def test_failed_removal_is_said_and_can_be_tried_again(reviewer, monkeypatch):
    def refuse(**facts):
        raise AssignmentRefused("Not today.", code="not_today")

    eligible = EligibleFactory()
    review = denied(reviewer, eligible)
    with monkeypatch.context() as broken:
        broken.setattr(approvals, "remove_eligible", refuse)
        assert applied(review) == {eligible.user.username: "failed"}
    assert review.items.get().result_code == "not_today"

    assert applied(Instance.objects.get()) == {eligible.user.username: "applied"}
    with refused("nothing_to_do"):
        services.request_application(instance=review, actor=None)


def test_open_review_cannot_be_applied(reviewer):
    review = review_of(EligibleFactory(), reviewer=reviewer)

    with refused("not_completed"):
        services.request_application(instance=review, actor=None)


@pytest.mark.parametrize(("governed", "result"), [(True, "applied"), (False, "by_hand")])
def test_membership_is_taken_away_where_the_group_is_governed(reviewer, governed, result):
    gone, stays = UserFactory(username="gone"), UserFactory(username="stays")
    group = GroupFactory(members=[gone, stays])
    if governed:
        govern_group(group=group, actor=None)
    review = begun(series(stage(people=(reviewer,)), covers="groups", groups=(group,)))
    say(review, reviewer, "denied", review.items.get(user=gone))
    say(review, reviewer, "approved", review.items.get(user=stays))

    assert applied(ended(review)) == {"gone": result, "stays": ""}
    assert set(group.members.all()) == ({stays} if governed else {gone, stays})


def test_membership_left_meanwhile_is_gone(reviewer):
    group = GroupFactory(members=[member := UserFactory()])
    govern_group(group=group, actor=None)
    review = denied(reviewer, covers="groups", groups=(group,), roles=())
    group.members.remove(member)

    assert applied(review) == {member.username: "gone"}


# --- whatever is answered -------------------------------------------------------------------------------------

DECISIVE = {"approved": "keep", "denied": "remove"}
UNANSWERED = {"no_change": "no_change", "remove": "remove", "approve": "keep", "recommendation": "remove"}
SAYING = st.tuples(st.integers(0, 2), st.sampled_from([*DECISIVE, "dont_know", "undo", "clear"]))
STAGE = st.tuples(st.sampled_from(Stage.Takes.values), st.lists(SAYING, max_size=4))
ALL, UNDENIED = Stage.Takes.values
A, B = 0, 1


class Words:
    """A model of the answers to one question: who said what in which stage, the last thing said last."""

    def __init__(self):
        self.said = {}

    @property
    def counts(self):
        return next((word for word in reversed(self.said.values()) if word in DECISIVE), None)

    def hear(self, stage, person, word):
        """Return whether there was anything to take back, where it is to be taken back."""
        taken = self.said.pop((stage, person), None)
        if word == "clear":
            taken = taken or self.said
            self.said = {}
        elif word != "undo":
            self.said[stage, person] = word
        return bool(taken)


def carry_out(review, number, person, word):
    if word == "clear":
        return services.clear(instance=review, actor=None, justification="Asked wrongly.")
    if word == "undo":
        return services.retract(instance=review, items=[review.items.get().pk], actor=person)
    return say(review, person, word)


def answered_as_said(review, stages, people):
    """Say all that, stage by stage; what the model of it has at the end."""
    words = Words()
    for number, (takes, sayings) in enumerate(stages, start=1):
        asked = number == 1 or takes == ALL or words.counts != "denied"
        assert (review.stage, review.items.asked_of(people[0]).exists()) == (number, asked)
        for who, word in sayings if asked else ():
            there = words.hear(number, who % len(people), word)
            with nullcontext() if there or word not in ("undo", "clear") else refused("nothing_to_do"):
                carry_out(review, number, people[who % len(people)], word)
        with time_machine.travel(review.stage_ends_at - timedelta(seconds=1), tick=False) as clock:
            clock.shift(1)
            services.advance(instance=review)
        review = Instance.objects.get(pk=review.pk)
    return words.counts


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([(ALL, [(A, "approved")]), (ALL, [(A, "dont_know")])], 1, "remove", True)
@example([(ALL, [(A, "denied")]), (ALL, [(B, "dont_know")])], 2, "approve", False)
@example([(ALL, [(A, "approved"), (B, "dont_know")])], 2, "remove", True)
@example([(ALL, [(A, "approved"), (B, "denied"), (B, "undo")])], 2, "remove", True)
@example([(ALL, [(A, "denied")]), (ALL, [(A, "clear"), (A, "approved"), (A, "undo")])], 1, "approve", False)
@example([(ALL, [(A, "denied")]), (UNDENIED, []), (ALL, [(A, "approved")])], 1, "remove", False)
@given(
    stages=st.lists(STAGE, min_size=1, max_size=3),
    count=st.integers(1, 3),
    no_answer=st.sampled_from(Definition.NoAnswer.values),
    itself=st.booleans(),
)
def test_nothing_approved_is_removed_and_nothing_denied_is_kept(stages, count, no_answer, itself):
    with time_machine.travel(utc(2027, 1, 1), tick=False):
        row, people = EligibleFactory(user__is_active=False), [UserFactory() for _each in range(count)]
        asked = [stage(people=tuple(people), days=3, takes=takes) for takes, _sayings in stages]
        review = begun(series(*asked, roles=(row.role,), no_answer=no_answer, applies_itself=itself))
        counts = answered_as_said(review, stages, people)
        applied(review, by_itself=itself or not review.items.to_apply().exists())

    item, expected = review.items.get(), DECISIVE.get(counts, UNANSWERED[no_answer])
    row.refresh_from_db()
    assert (item.outcome, row.ended_at is not None) == (expected, expected == "remove")


# --- a year, with a worker that comes and goes ---------------------------------------------------------------


WORK = (start_due, remind_due, advance_due, apply_due, start_due, remind_due)


def stages_open():
    """The stages that are open: the review, its stage, from when and until when."""
    open_ones = Instance.objects.filter(state="in_progress")
    return open_ones.values_list("pk", "stage", "stage_began_at", "stage_ends_at")


def times_to_remind(begins, ends, looks):
    """At which of its looks, the first of which begins the stage, a worker reminds: at the next after each moment."""
    due = [when for when in reminders(begins, ends) if when > looks[0]]
    return {next((look for look in looks if look >= when), None) for when in due} - {None}


# How often, the days of its two stages (together at most as long as `LONGEST` allows), and the longest rest in days.
SERIES = [("weekly", 4, 2, 5), ("monthly", 20, 7, 33), ("quarterly", 60, 20, 70), ("half_yearly", 30, 9, 120)]
SERIES += [("yearly", 100, 80, 250), ("monthly", 2, 1, 40)]
# Half an hour off, and where the clocks change by an hour at other times than elsewhere; ahead of all others.
ZONES = ["UTC", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Kiritimati"]


@pytest.mark.parametrize(("recurrence", "first", "second", "longest"), SERIES)
@settings(max_examples=2, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(zone=st.sampled_from(ZONES), rests=st.lists(st.floats(0.01, 1), min_size=12, max_size=12))
def test_each_event_happens_once_however_the_worker_rests(recurrence, first, second, longest, zone, rests):
    stages, pauses = {}, [longest * rest for rest in rests]
    with time_machine.travel(utc(2027, 1, 31, 1), tick=False) as clock:
        role, reviewer = EligibleFactory().role, UserFactory()
        asked = stage(people=(reviewer,), days=first), stage(days=second)
        made = series(*asked, roles=(role,), recurrence=recurrence, time_zone=zone)
        for pause in pauses:
            clock.shift(timedelta(days=pause))
            for (*_stage, ends), looks in stages.items():
                looks.extend([now()] if now() < ends else [])
            for task in WORK:
                task()
            for each in stages_open():
                stages.setdefault(each, [now()])

    reviews = list(Instance.objects.filter(definition=made).order_by("number"))
    skipped = Event.objects.filter(action="review.skipped", target_id=made.pk).count()
    assert Definition.objects.get(pk=made.pk).next_number == len(reviews) + skipped + 1
    for review in reviews:
        events = Counter(Event.objects.filter(target_id=review.pk).values_list("action", flat=True))
        expected = [
            times_to_remind(begins, ends, looks) for (pk, _n, begins, ends), looks in stages.items() if pk == review.pk
        ]
        assert events.pop("review.reminded", 0) == sum(map(len, expected))
        assert set(events.values()) == {1}
        assert ("review.closed" in events) == (review.state == "applied")
        assert Message.objects.filter(about_id=review.pk, kind="review_started", user_id=reviewer.pk).count() == 1
    ends = [review.ends_at for review in reviews]
    assert all(end <= following.began_at for end, following in zip(ends, reviews[1:], strict=False))
