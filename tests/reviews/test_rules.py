from datetime import date, timedelta
from itertools import product

import pytest

from reviews.models import Definition, Item
from reviews.rules import Use, check_series, outcome, recommend, weight
from tests.factories import GroupFactory, UserFactory
from tests.refusals import code_of_refusal
from tests.reviews.making import stage, terms, utc

AT = utc(2027, 1, 31)
LATELY, LONG_AGO = AT - timedelta(days=30), AT - timedelta(days=30, seconds=1)


@pytest.mark.parametrize(
    ("use", "advice", "cause"),
    [
        (Use(False, True, LONG_AGO, LATELY, LATELY), "remove", "disabled"),
        (Use(True, True, LONG_AGO, LATELY, None), "keep", "used"),
        (Use(True, True, LONG_AGO, LONG_AGO, LATELY), "remove", "not_used"),
        (Use(True, True, LONG_AGO, None, LATELY), "remove", "never_used"),
        (Use(True, True, AT, None, LATELY), "none", "new"),
        (Use(True, False, LONG_AGO, None, LATELY), "keep", "signed_in"),
        (Use(True, False, LONG_AGO, None, LONG_AGO), "remove", "not_signed_in"),
        (Use(True, False, None, None, None), "remove", "never_signed_in"),
        (Use(True, False, AT, None, None), "none", "new"),
    ],
)
def test_recommendation_and_its_cause(use, advice, cause):
    assert recommend(use, look_back=timedelta(days=30), at=AT) == (advice, cause)


def test_useless_and_privileged_comes_first():
    cases = {
        "keep": (False, "keep", "used"),
        "privileged keep": (True, "keep", "used"),
        "old": (False, "remove", "not_used"),
        "never": (False, "remove", "never_used"),
        "privileged old": (True, "remove", "not_used"),
        "privileged never": (True, "remove", "never_used"),
    }
    weights = {
        name: weight(is_privileged=risky, recommendation=advice, cause=cause)
        for name, (risky, advice, cause) in cases.items()
    }

    assert sorted(weights, key=weights.get) == list(cases)


ANSWERS, RULES, ADVICE = Item.Verdict.values, Definition.NoAnswer.values, Item.Recommendation.values
EVERY = list(product(ANSWERS, RULES, ADVICE, [False, True]))


@pytest.mark.parametrize(("verdict", "no_answer", "advice", "stopped"), EVERY)
def test_outcome(verdict, no_answer, advice, stopped):
    """What was answered comes to pass whatever else; what was not, as the series says, and nothing when stopped."""
    said = {"approved": "keep", "denied": "remove"}
    unsaid = {
        "no_change": "no_change",
        "remove": "remove",
        "approve": "keep",
        "recommendation": {"keep": "keep", "remove": "remove", "none": "no_change"}[advice],
    }
    expected = said.get(verdict) or ("no_change" if stopped else unsaid[no_answer])

    assert outcome(verdict, no_answer=no_answer, recommendation=advice, was_stopped=stopped) == expected


@pytest.mark.django_db
class TestSeries:
    def refusal(self, *stages, at=None, **values):
        made = terms(*stages, **values)
        begins = made.plan.begins(1)
        return code_of_refusal(check_series, made, next_at=begins, at=at or begins)

    @pytest.mark.parametrize(
        ("values", "code"),
        [
            ({}, None),
            ({"name": " . "}, "name_required"),
            ({"roles": ()}, "nothing_to_review"),
            ({"covers": "resource"}, "nothing_to_review"),
            ({"covers": "groups"}, "nothing_to_review"),
            ({"inactive_days": 731}, "scope_invalid"),
            ({"inactive_days": 730}, None),
            ({"look_back_days": 0}, "scope_invalid"),
            ({"recurrence": "weekly"}, "overlaps"),
            ({"recurrence": "monthly"}, None),
            ({"time_zone": "Mars/Crater"}, "schedule_invalid"),
            ({"count": 0, "recurrence": "monthly"}, "schedule_invalid"),
            ({"ends_on": date(2020, 1, 1)}, "schedule_invalid"),
        ],
    )
    def test_values(self, values, code):
        made = terms(**values)
        if code == "schedule_invalid" and values.get("time_zone"):
            assert code_of_refusal(check_series, made, next_at=AT, at=AT) == code
        else:
            begins = made.plan.begins(1)
            assert code_of_refusal(check_series, made, next_at=begins, at=begins or AT) == code

    def test_first_day_in_the_past(self):
        assert self.refusal(first_on=date(2027, 1, 1), at=utc(2027, 1, 3)) == "schedule_invalid"

    def test_stages(self):
        disabled, service = UserFactory(is_active=False), UserFactory(kind="service")
        bad = {
            "reviewers_required": stage(people=()),
            "fallback_required": stage("managers", fallback=()),
            "stages_invalid": stage(days=0),
            "group_not_protected": stage(people=(), groups=(GroupFactory(is_protected=False),)),
        }

        assert {code: self.refusal(each) for code, each in bad.items()} == {code: code for code in bad}
        assert self.refusal(stage(people=(disabled,))) == "reviewer_invalid"
        assert self.refusal(stage("managers", fallback=(service,))) == "reviewer_invalid"
        assert self.refusal(*[stage()] * 4) == "stages_invalid"

    @pytest.mark.parametrize("who", [{"is_active": False}, {"kind": "service"}])
    def test_only_enabled_people_are_told(self, who):
        assert self.refusal(told=(UserFactory(), UserFactory(**who))) == "told_invalid"

    def test_service_accounts_do_not_answer(self):
        assert self.refusal(stage("themselves"), principals="service") == "reviewer_invalid"
        assert self.refusal(stage("owners"), principals="service") is None

    def test_stages_together_must_not_overlap_the_next_review(self):
        monthly = {"recurrence": "monthly"}

        assert self.refusal(stage(days=20), stage(days=7), **monthly) is None
        assert self.refusal(stage(days=20), stage(days=8), **monthly) == "overlaps"
