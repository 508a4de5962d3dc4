from dataclasses import replace
from datetime import date, time, timedelta

import pytest
import time_machine
from django.utils.timezone import now

from approvals import services as approvals
from audit.models import Event
from reviews import services
from reviews.models import Definition
from roles.models import Role
from tests.factories import EligibleFactory, GroupFactory, ResourceFactory, RoleFactory, UserFactory, holder_of
from tests.refusals import refused
from tests.reviews.making import begun, ended, series, stage, terms, utc

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("key", [Role.GLOBAL_ADMINISTRATOR, Role.PRIVILEGED_ROLE_ADMINISTRATOR])
def test_administrators_define_series(key):
    made = services.define(actor=holder_of(key), terms=terms())

    assert (made.next_number, made.next_at, made.days) == (1, made.plan.begins(1), 10)


@pytest.mark.parametrize("key", [Role.HELPDESK_ADMINISTRATOR, Role.SECURITY_READER])
def test_others_do_not(key):
    actor, asked = holder_of(key), terms()

    with refused("not_allowed"):
        services.define(actor=actor, terms=asked)


def test_series_says_what_was_asked():
    asked = terms(
        stage("managers", days=5),
        stage(days=3, groups=(GroupFactory(),), takes="undenied"),
        covers="resource",
        roles=(RoleFactory(),),
        scope=ResourceFactory(),
        told=(UserFactory(),),
        recurrence="monthly",
        count=3,
        inactive_days=90,
    )

    assert services.defining.terms_of(series_of(asked)) == asked


def series_of(asked):
    return Definition.objects.get(pk=services.define(actor=None, terms=asked).pk)


def test_change_is_recorded_with_before_and_after():
    made = series(name="Quarter")

    services.change(definition=made, actor=None, terms=replace(services.defining.terms_of(made), name="Year"))

    event = Event.objects.get(action="review.changed")
    assert [(change.name, change.before, change.after) for change in event.changes if change.differs] == [
        ("name", "Quarter", "Year")
    ]


def test_change_refused_while_a_review_is_open():
    EligibleFactory(role=(role := RoleFactory()))
    begun(made := series(roles=(role,), recurrence="monthly"))

    with refused("in_progress"):
        services.change(definition=made, actor=None, terms=services.defining.terms_of(made))


def held(count, /, day=20, month=4, **values):
    """A series from 1 January 2027 on, of which so many reviews were held; what comes back changes it on this day."""
    with time_machine.travel(utc(2027, 1, 1), tick=False):
        made = series(roles=(EligibleFactory().role,), **values)
    for _each in range(count):
        with time_machine.travel(Definition.objects.get().next_at, tick=False):
            services.stop(instance=begun(made), actor=None, justification="Enough.")

    def change(**differs):
        with time_machine.travel(utc(2027, month, day), tick=False):
            asked = replace(services.terms_of(Definition.objects.get()), **differs)
            return services.change(definition=made, actor=None, terms=asked)

    return change


def beginnings(made, count):
    """The numbers of the next reviews, and the days on which they begin."""
    numbers = range(made.next_number, made.next_number + count)
    return {number: begins and begins.date() for number in numbers for begins in [made.plan.begins(number)]}


MAY = {"first_on": date(2027, 5, 15)}


@pytest.mark.parametrize(
    ("series", "differs", "following"),
    [
        ({"recurrence": "monthly"}, MAY, {5: date(2027, 5, 15), 6: date(2027, 6, 15)}),
        ({"recurrence": "monthly"}, MAY | {"recurrence": "once"}, {5: date(2027, 5, 15), 6: None}),
        ({"recurrence": "monthly", "count": 4}, MAY | {"count": 5}, {5: date(2027, 5, 15), 6: None}),
        ({"recurrence": "monthly"}, {"recurrence": "quarterly"}, {5: date(2027, 7, 1), 6: date(2027, 10, 1)}),
        ({"recurrence": "monthly"}, {"recurrence": "weekly"}, {5: date(2027, 4, 23), 6: date(2027, 4, 30)}),
        ({"recurrence": "monthly"}, {"recurrence": "weekly", "count": 5}, {5: date(2027, 4, 23), 6: None}),
        ({"recurrence": "monthly"}, {"begins_at": time(9)}, {5: date(2027, 5, 1), 6: date(2027, 6, 1)}),
        (
            {"recurrence": "monthly", "ends_on": date(2027, 4, 1)},
            {"ends_on": None},
            {5: date(2027, 5, 1), 6: date(2027, 6, 1)},
        ),
    ],
)
def test_series_changed_after_four_reviews_goes_on_with(series, differs, following):
    made = held(4, **{"stages": (stage(days=5),)} | series)(**differs)

    assert (made.next_at, beginnings(made, 2)) == (made.plan.begins(5), following)


def test_series_that_ended_begins_again_on_a_new_first_day():
    change = held(1)

    with refused("schedule_invalid"):
        change(begins_at=time(9))
    with refused("schedule_invalid"):
        change(first_on=date(2027, 1, 31))
    made = change(**MAY)

    assert (made.next_number, made.next_at, beginnings(made, 2)) == (
        2,
        utc(2027, 5, 15),
        {2: date(2027, 5, 15), 3: None},
    )
    with time_machine.travel(utc(2027, 5, 15), tick=False):
        assert begun(made).number == 2
    assert Definition.objects.get().next_at is None


def test_series_whose_reviews_are_all_held_ends_whatever_its_first_day():
    change = held(2, recurrence="monthly", count=2)

    with refused("schedule_invalid"):
        change(**MAY)


def test_hastened_review_stays_so_where_the_days_stay():
    change = held(1, month=1, recurrence="monthly")
    with time_machine.travel(utc(2027, 1, 19), tick=False):
        services.hasten(definition=Definition.objects.get(), actor=None, justification="Asked for by the auditors.")

    assert change(name="Other").next_at == utc(2027, 1, 19)
    assert change(begins_at=time(9)).next_at == utc(2027, 2, 1, 9)


def test_discontinued_series_begins_no_more():
    made = series(first_on=date.today() + timedelta(days=1))

    services.discontinue(definition=made, actor=None, justification="Replaced.")

    with time_machine.travel(now() + timedelta(days=9)):
        assert services.prepare(definition=made) is None
    with refused("already_ended"):
        services.discontinue(definition=made, actor=None, justification="Again.")


def test_each_role_gets_a_series_of_its_own():
    reader, writer = RoleFactory(name="Reader"), RoleFactory(name="Writer")

    made = services.define_each(actor=None, terms=terms(name="Quarter", roles=(reader, writer)))

    assert [(each.name, list(each.roles.all())) for each in made] == [
        ("Quarter · Reader", [reader]),
        ("Quarter · Writer", [writer]),
    ]


def test_each_of_no_role_is_refused_as_one_is():
    asked = terms(roles=())

    with refused("nothing_to_review"):
        services.define_each(actor=None, terms=asked)


@time_machine.travel(utc(2027, 1, 10), tick=False)
def test_review_to_come_is_begun_now_and_the_next_one_as_planned():
    EligibleFactory(role=(role := RoleFactory()))
    made = series(roles=(role,), first_on=date(2027, 2, 1), recurrence="monthly")

    services.hasten(definition=made, actor=None, justification="Asked for by the auditors.")
    review = begun(Definition.objects.get())

    assert (review.number, review.ends_at) == (1, utc(2027, 1, 20))
    assert Definition.objects.get().next_at == utc(2027, 3, 1)


@pytest.mark.parametrize(("once", "code"), [("begun", "in_progress"), ("ended", "nothing_to_begin")])
def test_nothing_to_begin_now_refused(once, code):
    review = begun(made := series(roles=(EligibleFactory().role,)))
    if once == "ended":
        ended(review)

    with refused(code):
        services.hasten(definition=made, actor=None, justification="At once.")


@pytest.mark.parametrize("named", ["role", "resource"])
def test_what_a_series_names_is_not_deleted(named):
    role, place = RoleFactory(), ResourceFactory()
    delete, about, where = {
        "role": (approvals.delete_role, {"role": role}, {"roles": (role, RoleFactory())}),
        "resource": (approvals.delete_resource, {"resource": place}, {"covers": "resource", "scope": place}),
    }[named]
    made = series(name="Quarter", **where)

    with refused("in_use") as refusal:
        delete(**about, actor=None, justification="Made by mistake.")
    assert refusal.value.messages[0] == "Access review series (1): Quarter"
    elsewhere = {"roles": (RoleFactory(),), "covers": "roles", "scope": None}
    services.change(definition=made, actor=None, terms=replace(services.terms_of(made), **elsewhere))
    delete(**about, actor=None, justification="Made by mistake.")
