"""The access check in SQL says what the querysets say, in one statement."""

from datetime import timedelta
from itertools import product

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils.timezone import now

from accounts.models import Group, User
from assignments.check import Held, Question, check
from assignments.holdings import active_holdings
from assignments.models import ActiveAssignment
from roles.models import Resource, Role
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
from tests.statements import statements

pytestmark = pytest.mark.django_db


def answers(token, *questions, at=None):
    verdict = check(key=token.key, questions=[Question(*map(str, question)) for question in questions], at=at or now())
    return verdict.answers


def question_of(row):
    return Question(str(row.user_id), str(row.role_id), str(row.scope_id))


def holds(user, row, *, scope=None, at=None):
    """The answer to whether `user` holds the role of `row` at its scope, or at another."""
    token = TokenFactory(user=user)
    return answers(token, (user.pk, row.role_id, (scope or row.scope).pk), at=at)[0]


@pytest.fixture
def organisation():
    """One row for each way to hold a role, and for each reason why it counts no more."""
    at = now().replace(microsecond=0)
    hour = timedelta(hours=1)
    upper = ResourceFactory()
    lower = ResourceFactory(parent=upper)
    group, governed, empty = GroupFactory(members=[UserFactory()]), GroupFactory(), GroupFactory()
    govern_group(group=governed, actor=None)
    member = Role.objects.get(resource__group=governed, group_part="member")
    passing = UserFactory()
    ActiveFactory(user=passing, role=member, scope=member.resource, ends_at=at + hour)
    ActiveFactory(user=UserFactory(), role=member, scope=member.resource, ends_at=at)  # was a member
    for each in (group, governed, empty):
        ActiveFactory(user=None, group=each)
        carried = EligibleFactory(user=None, group=each)
        for person in (group.members.get(), passing):
            ActivationFactory(eligible_assignment=carried, user=person)
    ActiveFactory(role=RoleFactory(resource=upper), scope=upper)
    ActiveFactory(role=RoleFactory(resource=upper), scope=lower)
    ActiveFactory(starts_at=at + hour, ends_at=at + 2 * hour)
    ActiveFactory(starts_at=at - hour, ends_at=at)
    ActiveFactory(ended_at=at, end_reason="removed")
    ActiveFactory(user__is_active=False)
    ActivationFactory()
    ActivationFactory(eligible_assignment__ends_at=at + timedelta(minutes=10))
    ActivationFactory(eligible_assignment__ended_at=at, eligible_assignment__end_reason="removed")
    ActivationFactory(eligible_assignment__starts_at=at + hour)
    return at


def by_querysets(at):
    """(person, role, scope) of everything that is in force, with each scope beneath."""
    places = list(Resource.objects.all())
    return {
        (user.pk, holding.assignment.role_id, place.pk)
        for user in User.objects.enabled()
        for holding in active_holdings(user, at)
        for place in places
        if place.is_within(holding.assignment.scope)
    }


def test_check_says_of_everybody_and_everything_what_the_querysets_say(organisation):
    token = TokenFactory(user=holder_of(Role.SECURITY_READER))
    keys = [model.objects.values_list("pk", flat=True) for model in (User, Role, Resource)]
    questions = list(product(*keys))
    at = organisation + timedelta(seconds=1)

    held = answers(token, *questions, at=at)

    yes = {question for question, answer in zip(questions, held, strict=True) if answer is not None}
    assert yes == by_querysets(at)
    assert len(yes) > 10


def test_answer_says_until_when_and_by_which_way():
    at = now().replace(microsecond=0)
    soon, later = at + timedelta(minutes=10), at + timedelta(hours=1)
    direct = ActiveFactory()
    activated = ActivationFactory(eligible_assignment__ends_at=soon)
    group = GroupFactory(members=[UserFactory()])
    through = ActiveFactory(user=None, group=group, ends_at=later)
    by_member = ActivationFactory(eligible_assignment=EligibleFactory(user=None, group=group), user=group.members.get())

    assert holds(direct.user, direct) == Held(str(direct.pk), None, "direct")
    assert holds(activated.user, activated) == Held(str(activated.pk), soon, "activation")
    assert holds(group.members.get(), through) == Held(str(through.pk), later, "group")
    assert holds(by_member.user, by_member).via == "group_activation"


def test_what_comes_through_a_passing_membership_ends_with_it():
    at = now().replace(microsecond=0)
    group = GroupFactory()
    govern_group(group=group, actor=None)
    member = Role.objects.get(resource__group=group, group_part="member")
    end = at + timedelta(minutes=10)
    user = ActiveFactory(role=member, scope=member.resource, ends_at=end).user
    through = ActiveFactory(user=None, group=group)
    activated = ActivationFactory(eligible_assignment=EligibleFactory(user=None, group=group), user=user)

    assert (holds(user, through).until, holds(user, activated).until) == (end, end)
    assert holds(user, through, at=end) is None


def test_of_several_ways_the_one_that_lasts_longest_is_told():
    at = now().replace(microsecond=0)
    group = GroupFactory(members=[UserFactory()])
    user = group.members.get()
    own = ActiveFactory(user=user, ends_at=at + timedelta(hours=1))
    through = ActiveFactory(user=None, group=group, role=own.role)

    assert holds(user, own) == Held(str(through.pk), None, "group")


def test_answers_come_in_the_order_of_the_questions():
    rows = ActiveFactory.create_batch(3)
    token = TokenFactory(user=holder_of(Role.SECURITY_READER))
    questions = [(row.user_id, row.role_id, row.scope_id) for row in (rows[2], rows[0], rows[1], rows[0])]

    assert [held.assignment for held in answers(token, *questions)] == [str(rows[n].pk) for n in (2, 0, 1, 0)]


@pytest.mark.parametrize("questions", [1, 500])
def test_check_is_one_statement_however_many_rows_and_questions(questions):
    group = GroupFactory(members=UserFactory.create_batch(5))
    ActiveFactory(user=None, group=group)
    rows = ActiveFactory.create_batch(20)
    token = TokenFactory(user=rows[0].user)
    asked = [question_of(rows[n % 20]) for n in range(questions)]

    check(key=token.key, questions=asked, at=now())  # a connection learns the statement

    with statements() as run:
        check(key=token.key, questions=asked, at=now())

    assert len(run) == 1


def test_about_others_only_who_sees_active_assignments_may_ask():
    row = ActiveFactory()
    question = [question_of(row)]
    askers = {
        "oneself": row.user,
        "a stranger": UserFactory(),
        "a reader": holder_of(Role.SECURITY_READER),
        "a reader elsewhere": ActiveFactory(
            role=Role.objects.built_in(Role.SECURITY_READER), scope=ResourceFactory()
        ).user,
    }

    may = {
        name: check(key=TokenFactory(user=user).key, questions=question, at=now()).may_ask
        for name, user in askers.items()
    }

    assert may == {"oneself": True, "a stranger": False, "a reader": True, "a reader elsewhere": False}


def test_group_that_was_deleted_gives_nothing():
    group = GroupFactory(members=[UserFactory()])
    through = ActiveFactory(user=None, group=group)
    user = group.members.get()
    Group.members.through.objects.all().delete()

    assert holds(user, through) is None
    assert ActiveAssignment.objects.count() == 1


@pytest.fixture
def cut():
    """Ends the connection from the side of the server, as a restart does."""

    def end():
        other = connection.copy()
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid])
        other.close()

    return end


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_check_connects_anew_where_its_connection_was_cut(cut):
    row = ActiveFactory()
    token, question = TokenFactory(user=row.user), (row.user_id, row.role_id, row.scope_id)
    before = answers(token, question)

    cut()

    assert answers(token, question) == before == [Held(str(row.pk), None, "direct")]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_check_within_a_transaction_that_was_cut_fails(cut):
    token = TokenFactory()

    @transaction.atomic
    def ask_twice():
        answers(token, (token.user_id, token.pk, token.pk))
        cut()
        answers(token, (token.user_id, token.pk, token.pk))

    with pytest.raises(DatabaseError):
        ask_twice()
