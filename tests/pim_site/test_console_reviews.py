"""Access reviews in the console: defined on a form, looked at, run, and taken away as files."""

import csv
import json
import re
from datetime import timedelta
from io import StringIO

import pytest
from django.urls import reverse
from django.utils.timezone import now

from audit.models import Event
from pim_site.templatetags.pim import moment
from reviews import services
from reviews.models import Definition, Instance
from reviews.rules import StageTerms
from reviews.services.defining import terms_of
from reviews.tasks import apply_due
from roles.models import Role
from tests.client import signed_in
from tests.factories import EligibleFactory, GroupFactory, ResourceFactory, RoleFactory, UserFactory, holder_of
from tests.reviews.making import begun, ended, say, series, stage

pytestmark = pytest.mark.django_db


@pytest.fixture
def console(client):
    client.person = holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR)
    signed_in(client, client.person)
    return client


def of(model, page, row=None):
    name = f"admin:reviews_{model._meta.model_name}_{page}"
    return reverse(name, args=[row.pk] if row else [])


FORM = {
    "name": "Quarter",
    "covers": "roles",
    "principals": "person",
    "kinds": "both",
    "stage1_days": "5",
    "begins_at": "08:00",
    "time_zone": "Europe/Berlin",
    "recurrence": "quarterly",
    "no_answer": "remove",
    "look_back_days": "60",
    "reason_required": "on",
}


def form(**differs):
    return FORM | {"first_on": f"{now() + timedelta(days=1):%Y-%m-%d}"} | differs


def test_series_is_defined_on_the_form(console):
    role, boss, group, last = RoleFactory(), UserFactory(), GroupFactory(), UserFactory()
    second = {"stage2_used": "on", "stage2_reviewers": "named", "stage2_people": [boss.pk], "stage2_groups": [group.pk]}
    first = {"roles": [role.pk], "stage1_reviewers": "managers", "stage1_fallback": [last.pk]}

    console.post(of(Definition, "add"), form(**first, **second, stage2_days="3", stage2_takes="undenied"))

    made = Definition.objects.get()
    assert terms_of(made).stages == (
        StageTerms(days=5, reviewers="managers", fallback=(last,)),
        StageTerms(days=3, reviewers="named", people=(boss,), groups=(group,), takes="undenied"),
    )
    assert (made.recurrence, made.no_answer, made.look_back_days, made.reason_required, made.recommends) == (
        "quarterly",
        "remove",
        60,
        True,
        False,
    )
    assert made.created_by == console.person


@pytest.mark.parametrize(
    ("differs", "words"),
    [
        ({"roles": []}, "Choose what is reviewed"),
        ({"stage1_days": "89"}, "at most 88 days"),
        ({"stage2_used": "on", "stage2_reviewers": "managers"}, "Say how many days"),
        ({"stage3_used": "on", "stage3_days": "1"}, "Use the second stage before the third"),
        ({"stage1_people": []}, "Name at least one reviewer"),
    ],
)
def test_bad_form_says_what_is_wrong(console, differs, words):
    good = {"roles": [RoleFactory().pk], "stage1_reviewers": "named", "stage1_people": [UserFactory().pk]}

    answer = console.post(of(Definition, "add"), form(**good | differs))

    assert words in answer.content.decode()
    assert not Definition.objects.exists()


def test_form_of_a_series_begins_with_what_it_says(console):
    made = series(stage("managers", days=7), covers="resource", scope=ResourceFactory(), roles=())

    shown = console.get(of(Definition, "change", made)).context["adminform"].form

    assert (shown["stage1_reviewers"].value(), shown["stage1_days"].value()) == ("managers", 7)


def test_series_in_use_is_shown_and_not_changed(console):
    begun(made := series(roles=(EligibleFactory().role,)))

    assert console.get(of(Definition, "change", made)).status_code == 200
    assert console.post(of(Definition, "change", made), form()).status_code == 403


def test_list_of_series_says_when_the_next_review_begins(console):
    made = series(first_on=now().date() + timedelta(days=30))
    services.discontinue(definition=series(), actor=None, justification="Replaced.")
    page = console.get(of(Definition, "changelist"))

    assert re.findall(r"field-next[^>]*>(.*?)</td>", page.text) == ["–", moment(made.next_at)]


def test_form_makes_a_review_for_each_role(console):
    reader, writer = RoleFactory(name="Reader"), RoleFactory(name="Writer")
    asked = {"roles": [reader.pk, writer.pk], "stage1_reviewers": "named", "stage1_people": [UserFactory().pk]}

    console.post(of(Definition, "add"), form(apart="on", **asked))

    assert sorted(Definition.objects.values_list("name", flat=True)) == ["Quarter · Reader", "Quarter · Writer"]


def test_calendar_has_what_comes_within_a_year(console):
    twice = series(first_on=now().date() + timedelta(days=30), recurrence="half_yearly")
    once = series(first_on=now().date() + timedelta(days=31))
    services.discontinue(definition=series(), actor=None, justification="Replaced.")

    sections = console.get(of(Definition, "calendar")).context["sections"]

    found = [(str(series), number) for section in sections for _begins, _ends, series, number in section.rows]
    assert [number for _series, number in found] == [1, 1, 2]
    assert [str(one.pk) in link for one, (link, _n) in zip((twice, once, twice), found, strict=True)] == [True] * 3


@pytest.fixture
def review():
    """About one person; denied, with a reason that a spreadsheet would carry out."""
    review = begun(series(stage(people=(reviewer := UserFactory(),)), roles=(EligibleFactory().role,)))
    say(review, reviewer, "denied", justification="=1+1")
    return review


def test_review_shows_how_far_its_reviewers_are(console, review):
    page = console.get(of(Instance, "change", review))

    titles = {section.title: section.rows for section in page.context["sections"]}
    assert titles["Reviewers"][0][1:3] == [1, 1]
    assert "1 of 1" in page.content.decode()


def test_results_are_applied_from_the_page(console, review):
    review = ended(review)

    console.post(of(Instance, "apply", review), {"justification": "Looked at it."})
    apply_due()

    review.refresh_from_db()
    assert (review.state, review.items.get().result) == ("applied", "applied")


def test_results_as_csv_have_no_formula(console, review):
    content = b"".join(console.get(of(Instance, "csv", review)).streaming_content).decode()

    (row,) = csv.DictReader(StringIO(content))
    assert (row["answer"], row["reason"]) == ("denied", "'=1+1")


def test_evidence_names_the_events_of_each_answer(console, review):
    item = review.items.get()

    content = b"".join(console.get(of(Instance, "evidence", review)).streaming_content).decode()

    about, answered = map(json.loads, content.splitlines())
    events = Event.objects.filter(target_type="reviews.item", target_id=item.pk)
    assert (about["type"], about["name"], len(about["events"])) == ("review", "Quarter", 2)
    assert answered["events"] == list(events.values_list("pk", flat=True))
    assert [answer["answer"] for answer in answered["answers"]] == ["denied"]
