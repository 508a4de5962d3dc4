"""Access reviews by the API: defined, answered and applied by programs, as by the pages."""

import json
from datetime import timedelta

import pytest
import time_machine
from django.utils.timezone import now

from reviews import services
from reviews.models import Instance
from reviews.tasks import apply_due, start_due
from tests.api import Program
from tests.factories import ActiveFactory, EligibleFactory, ResourceFactory, RoleFactory, UserFactory
from tests.reviews.making import begun, say, series, stage

pytestmark = [pytest.mark.django_db, pytest.mark.once]
REASON = {"justification": "As agreed with the auditors."}


def body(role, reviewer, **differs):
    stages = [{"days": 5, "reviewers": "named", "people": [str(reviewer.pk)]}]
    today = {"first_on": str(now().date()), "begins_at": "00:00:00", "time_zone": "UTC"}
    return {"name": "Quarter", "roles": [str(role.pk)], "stages": stages, **today} | differs


def test_review_from_the_definition_to_the_evidence(admin):
    held, reviewer = EligibleFactory(), UserFactory()
    asked = Program(reviewer)

    status, made = admin.post("review_definitions", body(held.role, reviewer, reason_required=True), key="k-1")
    start_due()
    review = Instance.objects.get().pk
    (item,) = asked.get("review_items", review=str(review), expand="principal")[1]["results"]
    refused = asked.post(f"review_items/{item['id']}/decide", {"verdict": "denied"})
    _, said = asked.post(f"review_items/{item['id']}/decide", {"verdict": "denied", **REASON})
    _, far = admin.get(f"reviews/{review}/progress")
    admin.post(f"reviews/{review}/stop", REASON)
    admin.post(f"reviews/{review}/apply", REASON)
    apply_due()

    assert (status, made["stages"][0]["people"], item["principal"]["id"]) == (
        201,
        [str(reviewer.pk)],
        str(held.user_id),
    )
    assert (refused[0], refused[1]["code"], said["verdict"]) == (422, "justification_required", "denied")
    assert far["reviewers"] == [{"reviewer": str(reviewer.pk), "asked": 1, "answered": 1}]
    assert admin.get(f"review_items/{item['id']}")[1]["result"] == "applied"
    lines = admin.client.get(f"/api/v1/reviews/{review}/evidence").getvalue().decode().splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["review", "item"]


def test_several_are_answered_alike_and_taken_back(admin):
    role, reviewer = RoleFactory(), UserFactory()
    for _each in range(2):
        EligibleFactory(role=role)
    review = begun(series(stage(people=(reviewer,)), roles=(role,)))
    program, items = Program(reviewer), [str(item.pk) for item in review.items.all()]

    status, done = program.post("review_decisions", {"review": str(review.pk), "items": items, "verdict": "approved"})
    program.post(f"review_items/{items[0]}/undo")

    assert (status, {item["verdict"] for item in done["items"]}) == (200, {"approved"})
    left = program.get("review_items", verdict="not_reviewed")[1]["results"]
    assert [item["id"] for item in left] == [items[0]]
    answers = program.get("review_decisions", review=str(review.pk))[1]["results"]
    assert sorted(answer["verdict"] for answer in answers) == ["approved", "approved", "not_reviewed"]


def test_waiting_is_what_can_be_answered_now_and_is_not():
    """Not what waited when a review ended; and in a second stage also what the first one answered."""
    first, second, role = UserFactory(), UserFactory(), RoleFactory()
    for _each in range(2):
        EligibleFactory(role=role)
    stages = stage(people=(first,)), stage(people=(second,))
    over, still = (begun(series(*stages, roles=(role,))) for _each in range(2))
    services.stop(instance=over, actor=None, justification="Enough.")
    kept, other = still.items.order_by("pk")
    say(still, first, "approved", kept)

    def waiting(person, wanted="true"):
        found = Program(person).get("review_items", waiting=wanted)[1]["results"]
        return {(item["id"], item["verdict_stage"]) for item in found if wanted == "true" or item["verdict_stage"]}

    assert (waiting(first), waiting(first, "false")) == ({(str(other.pk), 0)}, {(str(kept.pk), 1)})
    assert waiting(second) == set()
    with time_machine.travel(still.stage_ends_at, tick=False):
        services.advance(instance=still)
        assert waiting(first) == set()
        assert waiting(second) == {(str(kept.pk), 1), (str(other.pk), 0)}


def test_series_for_each_role_is_defined_at_once(admin):
    reader, writer = RoleFactory(name="Reader"), RoleFactory(name="Writer")
    asked = body(reader, UserFactory(), roles=[str(reader.pk), str(writer.pk)])

    status, made = admin.post("review_definitions/apart", asked)

    found = [(each["name"], each["roles"]) for each in made["definitions"]]
    assert (status, found) == (201, [("Quarter · Reader", [str(reader.pk)]), ("Quarter · Writer", [str(writer.pk)])])


def test_reviewer_sees_what_is_asked_and_nothing_else():
    role, mine, other = RoleFactory(), UserFactory(), UserFactory()
    boss = {"user__manager": mine}, {"user__manager": other}
    for each in boss:
        EligibleFactory(role=role, **each)
    review = begun(series(stage("managers"), roles=(role,)))
    program = Program(mine)

    (item,) = program.get("review_items")[1]["results"]

    assert item["principal"] == str(review.items.get(user__manager=mine).user_id)
    assert program.get(f"review_items/{review.items.get(user__manager=other).pk}")[0] == 404
    assert program.get(f"reviews/{review.pk}/progress")[0] == 404
    assert program.get("reviews")[1]["results"][0]["id"] == str(review.pk)


def test_owner_defines_for_what_is_owned_alone():
    place = ResourceFactory()
    owner = ActiveFactory(role=RoleFactory(resource=place, owns_resource=True)).user
    role, program = RoleFactory(resource=place), Program(owner)
    scoped = {"covers": "resource", "scope": str(place.pk), "roles": []}

    status, made = program.post("review_definitions", body(role, UserFactory(), **scoped))
    without = program.post("review_definitions", body(role, UserFactory()))

    assert (status, made["of_owners"], without[0]) == (201, True, 403)


def test_change_keeps_what_it_does_not_name(admin):
    made = series(stage("managers", days=7), inactive_days=90)

    status, changed = admin.patch(f"review_definitions/{made.pk}", {"name": "Year"})

    assert (status, changed["name"], changed["inactive_days"]) == (200, "Year", 90)
    assert [(each["days"], each["reviewers"]) for each in changed["stages"]] == [(7, "managers")]


def test_series_in_use_stays_as_it_is(admin):
    review = begun(series(roles=(EligibleFactory().role,)))

    status, answer = admin.patch(f"review_definitions/{review.definition_id}", {"name": "Other"})

    assert (status, answer["code"]) == (422, "in_progress")


@pytest.mark.parametrize("time", ["6:00", "06:00:00+02:00", "06:00:00.5", "24:00:00", "06:00:00Z", 6])
def test_time_of_day_with_more_than_that_refused(admin, time):
    status, refusal = admin.post("review_definitions", body(RoleFactory(), UserFactory(), begins_at=time))

    assert (status, [each["field"] for each in refusal["errors"]]) == (400, ["begins_at"])


def test_time_of_day_is_answered_as_it_was_said(admin):
    terms = body(
        EligibleFactory().role, UserFactory(), begins_at="06:30", first_on=str(now().date() + timedelta(days=3))
    )

    assert admin.post("review_definitions", terms)[1]["begins_at"] == "06:30:00"
