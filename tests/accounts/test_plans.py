"""What PostgreSQL plans once stays right whatever becomes of the connection, the transaction and the tables."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.db import DatabaseError, NotSupportedError, OperationalError, connection, transaction

from accounts.models import User
from accounts.plans import Plan
from accounts.prepared import Prepared
from tests.factories import UserFactory
from tests.statements import statements

pytestmark = [pytest.mark.django_db, pytest.mark.postgres, pytest.mark.usefixtures("statistics_forgotten")]

KEY, MOMENT = UUID(int=7), datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=UTC)
NAMES = Prepared(lambda name: User.objects.filter(username=name).order_by().values_list("username"))


def run(plan, *values):
    def ask(call):
        with connection.cursor() as cursor:
            cursor.execute(call, values)
            return cursor.fetchall()

    return plan.asked(ask)


def execute(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)


def known():
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_prepared_statements")
        return {name for (name,) in cursor.fetchall()}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("uuid", KEY),
        ("uuid", None),
        ("timestamptz", MOMENT),
        ("text", "it's 100 % \\ $1"),
        ("text", ""),
        ("uuid[]", [KEY, None]),
        ("uuid[]", []),
    ],
)
def test_value_comes_back_as_it_went(kind, value):
    assert run(Plan("SELECT $1", [kind]), value) == [(value,)]


def test_statement_without_parameters_is_run():
    assert run(Plan("SELECT 1", [])) == [(1,)]


def test_statement_is_made_known_once_and_is_one_for_django():
    plan = Plan("SELECT $1 || 'once'", ["text"])
    with statements() as first:
        run(plan, "a")
    with statements() as second:
        run(plan, "b")
    assert [each.split()[0] for each in first[-2:] + second] == ["PREPARE", "EXECUTE", "EXECUTE"]


def test_server_keeps_the_first_plan():
    for _time in range(3):
        NAMES.rows("nobody")
    with connection.cursor() as cursor:
        plan = "SELECT generic_plans > 0, custom_plans FROM pg_prepared_statements WHERE name = %s"
        cursor.execute(plan, [NAMES.plans["{}"].name])
        assert cursor.fetchall() == [(True, 0)]


def test_statement_outlives_a_rollback():
    plan = Plan("SELECT $1 || 'kept'", ["text"])
    with transaction.atomic():
        run(plan, "a")
        transaction.set_rollback(True)
    with statements() as later:
        assert run(plan, "b") == [("bkept",)]
    assert len(later) == 1


def test_rows_written_or_taken_away_count_at_once():
    assert NAMES.rows("ada") == []
    ada = UserFactory(username="ada")
    assert NAMES.rows("ada") == [("ada",)]
    User.objects.filter(pk=ada.pk).update(username="grace")
    assert NAMES.rows("ada") == []


def test_new_index_and_statistics_change_no_answer():
    UserFactory(username="ada")
    assert NAMES.rows("ada") == [("ada",)]
    execute("SET CONSTRAINTS ALL IMMEDIATE; CREATE INDEX ON accounts_user (display_name); ANALYZE accounts_user")
    assert NAMES.rows("ada") == [("ada",)]


@pytest.fixture
def retyped():
    """A statement about a column whose type has changed since it was planned."""
    execute("CREATE TEMPORARY TABLE things (one integer); INSERT INTO things VALUES (7)")
    plan = Plan("SELECT one FROM things WHERE $1 = ''", ["text"])
    assert run(plan, "") == [(7,)]
    execute("ALTER TABLE things ALTER one TYPE text")
    yield plan
    execute("DROP TABLE things")


@pytest.mark.django_db(transaction=True)
def test_column_of_another_type_is_planned_anew(retyped):
    assert run(retyped, "") == [("7",)]


@pytest.mark.django_db(transaction=True)
def test_column_of_another_type_is_told_once_within_a_transaction(retyped):
    with pytest.raises(NotSupportedError), transaction.atomic():
        run(retyped, "")
    with transaction.atomic():
        assert run(retyped, "") == [("7",)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("forget", ["DEALLOCATE ALL", "DISCARD ALL"])
def test_forgotten_statement_is_made_known_anew(forget):
    assert NAMES.rows("ada") == []
    execute(forget)
    assert NAMES.rows("ada") == []


@pytest.mark.django_db(transaction=True)
def test_forgotten_statement_is_told_once_within_a_transaction():
    NAMES.rows("ada")
    execute("DEALLOCATE ALL")
    with pytest.raises(DatabaseError), transaction.atomic():
        NAMES.rows("ada")
    with transaction.atomic():
        assert NAMES.rows("ada") == []


@pytest.mark.django_db(transaction=True)
def test_new_connection_learns_its_own():
    NAMES.rows("ada")
    connection.close()
    assert (NAMES.rows("ada"), known()) == ([], {NAMES.plans["{}"].name})


@pytest.mark.django_db(transaction=True)
def test_connection_that_was_cut_is_an_error_and_the_next_one_answers():
    NAMES.rows("ada")
    connection.connection.close()
    with pytest.raises(DatabaseError) as refused:
        NAMES.rows("ada")
    connection.close()
    assert (isinstance(refused.value, OperationalError), NAMES.rows("ada")) == (True, [])
