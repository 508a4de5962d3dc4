from datetime import UTC, timedelta

import pytest
import time_machine
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from accounts.models import Group
from audit.models import Event
from notifications.models import Message
from notifications.snapshot import decode
from reviews import services, walk
from reviews.models import Asked, Definition, Instance
from reviews.reviewers import Reviewers
from reviews.services.writing import add_many
from reviews.tasks import advance_due, start_due
from roles.models import Role
from roles.services import govern_group
from tests.factories import (
    ActivationFactory,
    ActiveFactory,
    EligibleFactory,
    GroupFactory,
    ResourceFactory,
    RoleFactory,
    TokenFactory,
    UserFactory,
    holder_of,
)
from tests.reviews.making import begun, series, stage, utc

pytestmark = pytest.mark.django_db


def found(instance):
    return sorted((item.kind, item.user.username) for item in instance.items.described())


@pytest.fixture
def role():
    return RoleFactory()


def test_snapshot_of_a_role(role):
    eligible, active = EligibleFactory(role=role), ActiveFactory(role=role)
    ActivationFactory(eligible_assignment=eligible)
    EligibleFactory(role=role, ends_at=now() - timedelta(seconds=1))
    EligibleFactory()

    instance = begun(series(roles=(role,)))

    assert found(instance) == [("active", active.user.username), ("eligible", eligible.user.username)]


@pytest.mark.parametrize(("kinds", "expected"), [("eligible", ["eligible"]), ("active", ["active"])])
def test_snapshot_of_one_kind(role, kinds, expected):
    EligibleFactory(role=role)
    ActiveFactory(role=role)

    assert [kind for kind, _name in found(begun(series(roles=(role,), kinds=kinds)))] == expected


def test_snapshot_of_a_resource_and_beneath(role):
    above = ResourceFactory()
    here = EligibleFactory(role=role, scope=ResourceFactory(parent=above))
    EligibleFactory(role=role, scope=ResourceFactory())

    assert found(begun(series(covers="resource", scope=above))) == [("eligible", here.user.username)]


def test_snapshot_of_what_a_group_holds_names_its_members(role):
    group, role.is_privileged = GroupFactory(members=[member := UserFactory()]), True
    role.save()
    EligibleFactory(user=None, group=group, role=role)

    item = begun(series(roles=(role,))).items.get()

    assert (item.kind, item.user, item.group, item.gives) == (
        "membership",
        member,
        group,
        f"{role} · {role.resource}",
    )
    assert item.is_privileged


def test_snapshot_of_a_governed_group_has_those_who_may_join():
    place = govern_group(group=GroupFactory(members=[standing := UserFactory()]), actor=None)
    member = Role.objects.get(resource=place, group_part="member")
    eligible = EligibleFactory(role=member, scope=place)

    assert found(begun(series(covers="groups", groups=(place.group,)))) == [
        ("eligible", eligible.user.username),
        ("membership", standing.username),
    ]


def test_snapshot_of_service_accounts(role):
    ActiveFactory(role=role)
    service = ActiveFactory(role=role, user__kind="service")

    assert found(begun(series(roles=(role,), principals="service"))) == [("active", service.user.username)]


def test_snapshot_of_those_who_are_inactive(role):
    long_ago = now() - timedelta(days=91)
    EligibleFactory(role=role, user__last_sign_in_at=now() - timedelta(days=89))
    TokenFactory(user=EligibleFactory(role=role).user, last_used_at=now() - timedelta(days=89))
    away = EligibleFactory(role=role, user__last_sign_in_at=long_ago, user__created_at=long_ago)
    never = EligibleFactory(role=role, user__created_at=long_ago)
    EligibleFactory(role=role, user__created_at=now() - timedelta(days=89))

    instance = begun(series(roles=(role,), inactive_days=90))

    assert {name for _kind, name in found(instance)} == {away.user.username, never.user.username}


def test_facts_are_those_of_the_beginning(role):
    eligible = EligibleFactory(role=role, starts_at=now() - timedelta(days=90))
    ActivationFactory(eligible_assignment=eligible, starts_at=now() - timedelta(days=60))

    item = begun(series(roles=(role,))).items.get()

    assert (item.last_used_at, item.recommendation, item.cause) == (
        eligible.activations.get().starts_at,
        "remove",
        "not_used",
    )


def test_membership_was_used_when_its_member_activated_what_the_group_has(role):
    member, other = UserFactory(), UserFactory()
    eligible = EligibleFactory(user=None, group=GroupFactory(members=[member, other]), role=role)
    for days in (3, 2):
        at = now() - timedelta(days=days)
        ends = {"ends_at": at + timedelta(hours=1)}
        last = ActivationFactory(
            eligible_assignment=eligible, user=member, starts_at=at, **ends, ended_at=at, end_reason="expired"
        )

    used = begun(series(roles=(role,))).items.values_list("user", "last_used_at")

    assert dict(used) == {member.pk: last.starts_at, other.pk: None}


@pytest.mark.parametrize(
    ("held", "advice"),
    [
        ([EligibleFactory], {"idle": ("remove", "never_used"), "busy": ("keep", "used"), "new": ("none", "new")}),
        (
            [EligibleFactory, ActiveFactory],
            dict.fromkeys(("idle", "busy", "new"), ("keep", "signed_in")),
        ),
    ],
)
def test_membership_is_judged_by_activations_where_the_group_has_only_eligibilities(role, held, advice):
    old = {"last_sign_in_at": now(), "created_at": now() - timedelta(days=900)}
    members = [UserFactory(username="idle", **old), busy := UserFactory(username="busy", **old)]
    members.append(UserFactory(username="new", last_sign_in_at=now()))
    holds = {"user": None, "group": GroupFactory(members=members), "starts_at": now() - timedelta(days=90)}
    eligible, *_rest = [factory(role=role, **holds) for factory in held]
    ActivationFactory(eligible_assignment=eligible, user=busy)

    items = begun(series(roles=(role,))).items.filter(kind="membership")

    found = items.values_list("user__username", "recommendation", "cause")
    assert {name: (each, cause) for name, each, cause in found} == advice


def test_many_rows_at_once_keep_the_constraints(role):
    EligibleFactory(role=role)
    about = Asked.objects.filter(item__instance=begun(series(roles=(role,)))).values("item_id", "person_id").get()

    with pytest.raises(IntegrityError), transaction.atomic():
        add_many(Asked, [about | {"stage": 2}, about | {"stage": 2}])


def test_without_recommendations_nothing_is_said(role):
    EligibleFactory(role=role)

    item = begun(series(roles=(role,), recommends=False)).items.get()

    assert (item.recommendation, item.cause) == ("none", "")


def test_series_whose_things_are_gone_reviews_nothing(role):
    EligibleFactory(role=role)
    made = series(roles=(role,))
    made.roles.clear()

    instance = begun(made)

    assert (instance.state, instance.items.count()) == ("applied", 0)


# --- who is asked ---------------------------------------------------------------------------------------------


def asked(instance, number=1):
    rows = Asked.objects.filter(item__instance=instance, stage=number)
    return sorted(rows.values_list("item__user__username", "person__username"))


def test_named_people_and_members_of_groups_are_asked(role):
    person, member, gone = UserFactory(), UserFactory(), UserFactory(is_active=False)
    row, own = EligibleFactory(role=role, user__username="row"), EligibleFactory(role=role, user=member)
    made = series(stage(people=(person,), groups=(GroupFactory(members=[member, gone]),)), roles=(role,))

    about_row, about_own = row.user.username, own.user.username
    expected = {(about_row, person.username), (about_row, member.username), (about_own, person.username)}
    assert set(asked(begun(made))) == expected


def test_managers_are_asked_and_the_fallback_for_who_has_none(role):
    fallback, boss, gone = UserFactory(username="z"), UserFactory(username="boss"), UserFactory(is_active=False)
    for name, manager in (("a", boss), ("b", None), ("c", gone), ("boss2", None)):
        EligibleFactory(role=role, user__username=name, user__manager=manager)

    instance = begun(series(stage("managers", fallback=(fallback,)), roles=(role,)))

    assert asked(instance) == [("a", "boss"), ("b", "z"), ("boss2", "z"), ("c", "z")]


def test_groups_to_fall_back_on_are_asked_while_they_are_protected(role):
    EligibleFactory(role=role, user__username="a")
    deputies, open_group = GroupFactory(members=[UserFactory(username="z")]), GroupFactory(members=[UserFactory()])
    made = series(stage("managers", fallback=(), fallback_groups=(deputies, open_group)), roles=(role,))
    Group.objects.filter(pk=open_group.pk).update(is_protected=False)

    assert asked(begun(made)) == [("a", "z")]


def test_owners_are_asked(role):
    owner = RoleFactory(owns_resource=True)
    mine, other = ResourceFactory(), ResourceFactory()
    keeper, fallback = ActiveFactory(role=owner, scope=mine).user, UserFactory()
    for scope in (mine, other):
        EligibleFactory(role=role, scope=scope, user__username=f"at {scope.pk}")

    instance = begun(series(stage("owners", fallback=(fallback,)), roles=(role,)))

    assert set(asked(instance)) == {(f"at {mine.pk}", keeper.username), (f"at {other.pk}", fallback.username)}


def test_owners_of_a_group_are_asked():
    group = GroupFactory(members=[UserFactory(username="member")])
    group.owners.add(owner := UserFactory())

    instance = begun(series(stage("owners"), covers="groups", groups=(group,)))

    assert asked(instance) == [("member", owner.username)]


def test_people_are_asked_about_themselves_in_a_self_review(role):
    fallback = UserFactory(username="z")
    EligibleFactory(role=role, user__username="a")
    EligibleFactory(role=role, user__username="b", user__is_active=False)

    assert asked(begun(series(stage("themselves", fallback=(fallback,)), roles=(role,)))) == [("a", "a"), ("b", "z")]


@pytest.mark.parametrize("kind", ["named", "managers", "owners"])
def test_nobody_is_asked_about_their_own_access(role, kind):
    """Whoever would be goes to the fallback, and from there to the administrators."""
    administrator = holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR)
    me = EligibleFactory(role=role).user
    me.manager = me
    me.save()
    ActiveFactory(role=RoleFactory(owns_resource=True), user=me, scope=role.resource)
    people = {"people": (me,)} if kind == "named" else {}

    instance = begun(series(stage(kind, fallback=(me,), **people), roles=(role,)))

    assert {who for about, who in asked(instance) if about == me.username} == {administrator.username}


def test_reviewers_are_those_of_the_beginning(role):
    boss = UserFactory()
    row = EligibleFactory(role=role, user__manager=boss)
    instance = begun(series(stage("managers"), roles=(role,)))
    row.user.manager = UserFactory()
    row.user.save()

    assert asked(instance) == [(row.user.username, boss.username)]


# --- when it begins -------------------------------------------------------------------------------------------


def test_reviewers_are_told_once_each(role):
    boss = UserFactory()
    for _each in range(3):
        EligibleFactory(role=role, user__manager=boss)

    review = begun(series(stage("managers"), roles=(role,), name="Quarter"))

    message = Message.objects.get(kind="review_started")
    assert message.user_id == boss.pk
    calendar = decode(message.context)["calendar"]
    assert {"SUMMARY:Review: Quarter", f"DTSTART:{review.stage_ends_at.astimezone(UTC):%Y%m%dT%H%M%SZ}"} <= set(
        calendar.split("\r\n")
    )
    assert "DTEND" not in calendar


def test_without_mails_nobody_is_told(role):
    EligibleFactory(role=role)

    begun(series(roles=(role,), mails=False))

    assert not Message.objects.filter(kind="review_started").exists()


@time_machine.travel(utc(2027, 1, 1), tick=False)
def test_beginning_says_when_the_next_one_is(role):
    EligibleFactory(role=role)
    begun(made := series(roles=(role,), recurrence="monthly"))

    made.refresh_from_db()
    assert (made.next_number, made.next_at) == (2, utc(2027, 2, 1))


def test_review_begins_once(role):
    EligibleFactory(role=role)
    made = series(roles=(role,), recurrence="monthly")

    assert services.prepare(definition=made)
    assert services.prepare(definition=made) is None
    assert Instance.objects.count() == 1


def test_snapshot_goes_on_where_it_was_interrupted(role, monkeypatch):
    """Piece by piece; a piece that fails leaves nothing of itself, and nothing is taken in twice."""
    monkeypatch.setattr(walk, "CHUNK", 2)
    for _each in range(5):
        EligibleFactory(role=role)
    instance = services.prepare(definition=series(roles=(role,)))
    services.take_in(instance=instance)
    with monkeypatch.context() as broken:
        broken.setattr(Reviewers, "of", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            services.take_in(instance=instance)
    assert instance.items.count() == 2

    start_due()

    assert (instance.items.count(), Instance.objects.get().state) == (5, "in_progress")


def test_statements_of_a_piece_do_not_grow(role):
    def statements(count):
        for _each in range(count):
            EligibleFactory(role=role, user__manager=UserFactory())
        instance = services.prepare(definition=series(stage("managers"), stage("owners"), roles=(role,)))
        with CaptureQueriesContext(
            connection,
        ) as captured:
            services.take_in(instance=instance)
        return len(captured)

    assert statements(1) == statements(20)


# --- years ----------------------------------------------------------------------------------------------------


def run(made, days):
    """The worker at these days after the first one of the series; the numbers of the reviews that began."""
    first = made.next_at
    for day in days:
        with time_machine.travel(first + timedelta(days=day, seconds=3), tick=False):
            advance_due()
            start_due()
    return sorted(Instance.objects.filter(definition=made).values_list("number", flat=True))


@time_machine.travel(utc(2027, 1, 31), tick=False)
@pytest.mark.parametrize(
    ("days", "numbers"),
    [
        (range(0, 130, 1), [1, 2, 3, 4, 5]),
        ([0, 45, 60, 90, 120], [1, 2, 3, 4, 5]),  # half of the time is left: late, and shorter
        ([0, 55, 60, 90, 120], [1, 3, 4, 5]),  # less is left: left out
        ([75, 89, 120], [3, 4, 5]),
        ([10, 10, 10], [1]),
    ],
)
def test_each_review_of_a_year_begins_once(role, days, numbers):
    EligibleFactory(role=role)
    made = series(stage(days=20), roles=(role,), recurrence="monthly")

    assert run(made, days) == numbers

    skipped = Event.objects.filter(action="review.skipped").count()
    assert skipped == max(numbers) - len(numbers)
    assert Definition.objects.get().next_number == max(numbers) + 1
