"""What a review found and what came of it, as pages, files and mails say it."""

import csv
import json
from dataclasses import replace
from datetime import timedelta
from io import StringIO

import pytest
from django.urls import reverse

from audit.models import Archive, Event
from audit.sealing import seal
from notifications.models import Message
from notifications.snapshot import decode
from reviews import services
from reviews.models import Instance, Item
from reviews.results import csv_lines, evidence_lines, results_of
from reviews.tasks import apply_due
from roles.services import govern_group
from tests.client import signed_in
from tests.factories import ActivationFactory, EligibleFactory, GroupFactory, RoleFactory, UserFactory
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
    review = begun(
        series(
            stage(people=(reviewer := UserFactory(),)),
            covers="groups",
            groups=groups,
            told=(told,),
            recurrence="monthly",
        )
    )
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


def lines(review):
    about, *items = map(json.loads, evidence_lines(review))
    return about, items


def actions_by_person(items):
    actions = dict(Event.objects.values_list("pk", "action"))
    return {item["username"]: sorted(actions[event] for event in item["events"]) for item in items}


def test_evidence_has_the_events_of_the_removal_and_of_no_other():
    role = RoleFactory()
    gone, also, kept = (EligibleFactory(role=role, user__username=name) for name in ("gone", "also", "kept"))
    ActivationFactory(eligible_assignment=gone)
    review = begun(series(stage(people=(reviewer := UserFactory(),)), roles=(role,)))
    for row, verdict in ((gone, "denied"), (also, "denied"), (kept, "approved")):
        say(review, reviewer, verdict, review.items.get(user=row.user))

    _about, items = lines(applied(ended(review)))

    removed = ["eligible.removed", "review_item.answered", "review_item.applied"]
    assert actions_by_person(items) == {
        "gone": ["assignment.removed", *removed],
        "also": removed,
        "kept": ["review_item.answered"],
    }


def test_evidence_has_the_event_that_took_somebody_out_of_a_group():
    group = GroupFactory(members=[UserFactory(username="member")])
    govern_group(group=group, actor=None)
    review = begun(series(stage(people=(reviewer := UserFactory(),)), covers="groups", groups=(group,)))
    say(review, reviewer, "denied")

    _about, items = lines(applied(ended(review)))

    assert actions_by_person(items) == {"member": ["group.updated", "review_item.answered", "review_item.applied"]}


def test_evidence_says_what_was_asked_and_of_whom(review):
    """As it was when the review began, whatever the series says since."""
    made, asked = review.definition, review.items.first().asked.get().person
    services.change(definition=made, actor=None, terms=replace(services.terms_of(made), no_answer="remove"))

    about, items = lines(review)

    assert (about["terms"]["no_answer"], about["terms"]["stages"][0]["people"]) == ("no_change", [str(asked)])
    who = {"stage": 1, "person": str(asked), "username": asked.username}
    assert [item["asked"] for item in items] == [[who]] * 3


def test_evidence_names_the_archives_that_its_events_may_be_in(review):
    def archived(number, **since):
        at = review.began_at + timedelta(**since)
        span = {"first": number, "last": number, "oldest_at": at, "newest_at": at + timedelta(days=1), "at": at}
        return Archive.objects.create(file=f"/far/{number}.jsonl", digest="ab", note="", frontier=b"", **span)

    seal()
    archived(1, days=-9)
    archived(2, hours=-1)
    archived(3, days=30)
    Instance.objects.filter(pk=review.pk).update(applied_at=review.ended_at)

    about, _items = lines(Instance.objects.get(pk=review.pk))

    assert about["archives"] == [{"first": 2, "last": 2, "file": "2.jsonl", "sha256": "ab"}]


def test_nobody_is_told_where_all_was_removed(told):
    role = EligibleFactory().role
    review = begun(series(stage(people=(reviewer := UserFactory(),)), roles=(role,), told=(told,)))
    say(review, reviewer, "denied")

    applied(ended(review))

    assert list(Message.objects.filter(user_id=told.pk).values_list("kind", flat=True)) == ["review_closed"]
