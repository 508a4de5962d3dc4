import json
from datetime import UTC, datetime

import pytest
import time_machine
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import OperationalError, connection, transaction
from django.db.transaction import TransactionManagementError

from accounts.models import User
from audit import services
from audit.context import bind
from audit.models import Event
from audit.services import OPERATIONS, privileged, record, refusal_code
from tests.audit.conftest import make_person

AT = datetime(2026, 11, 21, 18, 40, tzinfo=UTC)


class Refused(ValidationError):
    pass


class Forbidden(PermissionDenied):
    code = "not_yours"


@pytest.fixture(autouse=True)
def _own_operations(monkeypatch):
    monkeypatch.setattr(services, "OPERATIONS", {})


# --- record ---------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_record_refuses_outside_a_transaction():
    with pytest.raises(RuntimeError, match="transaction"):
        record("role.created", actor=None, target=None)
    assert not Event.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_record_goes_with_its_transaction():
    with transaction.atomic():
        record("role.created", actor=None, target=None)
        transaction.set_rollback(True)
    assert not Event.objects.exists()


def test_record_copies_everything(person, colleague):
    request = make_person("a-request")
    with time_machine.travel(AT, tick=False), bind(correlation_id="c1", address="192.0.2.7", via="session totp"):
        record(
            "activation.asked",
            actor=person,
            target=colleague,
            subject=colleague,
            role=person,
            scope=colleague,
            request=request,
            ticket="INC-1",
            justification="because\nof it",
            before={"ends_at": None},
            after={"ends_at": AT},
        )
    event = Event.objects.get()
    assert event.at == AT
    assert (event.actor_id, event.actor_label) == (person.pk, "Ana")
    assert (event.target_type, event.target_id, event.target_label) == ("accounts.user", str(colleague.pk), "Kim")
    assert (event.subject_id, event.role_id, event.scope_id) == (colleague.pk, person.pk, colleague.pk)
    assert (event.role_label, event.scope_label, event.request_id) == ("Ana", "Kim", request.pk)
    assert (event.via, event.address, event.correlation_id) == ("session totp", "192.0.2.7", "c1")
    assert (event.outcome, event.code, event.ticket) == ("success", "", "INC-1")
    assert event.facts == {
        "action": "activation.asked",
        "actor": {"type": "accounts.user", "id": str(person.pk), "label": "Ana"},
        "address": "192.0.2.7",
        "after": {"ends_at": "2026-11-21T18:40:00.000000Z"},
        "at": "2026-11-21T18:40:00.000000Z",
        "before": {"ends_at": None},
        "code": "",
        "correlation_id": "c1",
        "justification": "because\nof it",
        "outcome": "success",
        "request": {"type": "accounts.user", "id": str(request.pk), "label": "A-Request"},
        "role": {"type": "accounts.user", "id": str(person.pk), "label": "Ana"},
        "scope": {"type": "accounts.user", "id": str(colleague.pk), "label": "Kim"},
        "subject": {"type": "accounts.user", "id": str(colleague.pk), "label": "Kim"},
        "target": {"type": "accounts.user", "id": str(colleague.pk), "label": "Kim"},
        "ticket": "INC-1",
        "via": "session totp",
    }
    assert event.canonical == json.dumps(event.facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@pytest.mark.django_db
@pytest.mark.parametrize(("via", "label"), [("system", "System"), ("command", "System"), ("anonymous", "Anonymous")])
def test_record_without_an_actor(via, label):
    with bind(via=via):
        event = record("assignment.expired", actor=None, target=None)
    event.refresh_from_db()
    assert (event.actor_id, event.actor_label, event.target_id) == (None, label, "")


def test_record_outlives_what_it_tells_of(person):
    record("user.created", actor=None, target=person, subject=person)
    User.objects.filter(pk=person.pk).delete()
    assert Event.objects.get().facts["target"]["label"] == "Ana"


def test_record_cuts_names_in_columns_only(person):
    person.display_name = "n" * 500
    record("user.created", actor=person, target=person, ticket="t" * 500, justification="j" * 100_000)
    event = Event.objects.get()
    assert len(event.actor_label) == len(event.target_label) == len(event.ticket) == 200
    assert len(event.justification) == len(event.facts["justification"]) == 100_000
    assert event.facts["actor"]["label"] == "n" * 500


def test_record_takes_text_that_no_database_takes(person):
    person.display_name = "A\x00na\ud83d"
    with bind(address="\x00", correlation_id="\udfff"):
        told = {"ticket": "\ud800", "justification": "\x00", "after": {"\x00": "\x00"}}
        record("user.created", actor=person, target=person, **told)
    event = Event.objects.get()
    assert event.actor_label == "A\ufffdna\ufffd"
    assert event.facts["after"] == {"\ufffd": "\ufffd"}


@pytest.mark.django_db
def test_record_takes_nothing_for_an_empty_text():
    event = record("user.created", actor=None, target=None, ticket=None, justification=None)
    assert (event.ticket, event.justification) == ("", "")


def test_record_is_one_statement(person, django_assert_num_queries):
    with django_assert_num_queries(1):
        record("user.created", actor=person, target=person, subject=person)


# --- privileged -----------------------------------------------------------------------------------------------


def operation(body, *, action="user.renamed", target="user"):
    @privileged(action, target=target)
    def rename(*, actor, user, ticket="", justification=""):
        record(action, actor=actor, target=user, subject=user, justification=justification)
        return body()

    return rename


def refuse():
    raise Refused("No.", code="too_long")


def test_privileged_is_registered_under_its_action():
    rename = operation(lambda: None)
    assert {"user.renamed": rename} == services.OPERATIONS
    assert rename.__name__ == "rename"


def test_privileged_refuses_a_second_of_the_same_action():
    operation(lambda: None)
    with pytest.raises(ValueError, match=r"user\.renamed"):
        operation(lambda: None)


def test_privileged_keeps_and_returns_what_was_done(person):
    assert operation(lambda: "done")(actor=person, user=person) == "done"
    assert Event.objects.get().outcome == "success"


def test_privileged_records_a_refusal_alone(person, colleague):
    with pytest.raises(Refused):
        operation(refuse)(actor=person, user=colleague, ticket="INC-1", justification="why")
    event = Event.objects.get()
    assert (event.action, event.outcome, event.code) == ("user.renamed", "refused", "too_long")
    assert (event.actor_id, event.target_id, event.subject_id) == (person.pk, str(colleague.pk), colleague.pk)
    assert (event.ticket, event.justification) == ("INC-1", "why")


@pytest.mark.django_db(transaction=True)
def test_privileged_refusal_is_kept_without_a_transaction_around_it():
    person = make_person("ana")
    with pytest.raises(Refused):
        operation(refuse)(actor=person, user=person)
    assert [event.outcome for event in Event.objects.all()] == ["refused"]


def test_privileged_refusal_without_a_target_is_about_the_actor(person):
    @privileged("report.made", target=None)
    def report(*, actor):
        raise Forbidden

    with pytest.raises(Forbidden):
        report(actor=person)
    event = Event.objects.get()
    assert (event.code, event.target_id, event.subject_id) == ("not_yours", str(person.pk), None)


def test_privileged_refusal_takes_person_role_and_scope_from_its_target(person, colleague):
    colleague.user, colleague.role, colleague.scope = person, colleague, person

    @privileged("assignment.removed", target="assignment")
    def remove(*, actor, assignment):
        refuse()

    with pytest.raises(Refused):
        remove(actor=person, assignment=colleague)
    event = Event.objects.get()
    assert (event.subject_id, event.role_id, event.scope_id) == (person.pk, colleague.pk, person.pk)


def test_privileged_inside_another_leaves_the_mark_to_the_outer_one(person, colleague):
    inner = operation(refuse, action="user.renamed")
    outer = operation(lambda: inner(actor=person, user=colleague), action="user.merged")
    with pytest.raises(Refused):
        outer(actor=person, user=person)
    assert [(event.action, event.outcome) for event in Event.objects.all()] == [("user.merged", "refused")]


def test_privileged_inside_another_joins_its_transaction(person, colleague):
    inner = operation(lambda: None, action="user.renamed")

    def inner_then_refuse():
        inner(actor=person, user=colleague)
        refuse()

    outer = operation(inner_then_refuse, action="user.merged")
    with pytest.raises(Refused):
        outer(actor=person, user=person)
    assert Event.objects.get().outcome == "refused"


def test_privileged_inside_a_savepoint_lets_the_outer_go_on(person, colleague):
    inner = operation(refuse, action="user.renamed")

    def try_inner():
        with pytest.raises(Refused), transaction.atomic():
            inner(actor=person, user=colleague)

    operation(try_inner, action="user.merged")(actor=person, user=person)
    assert [(event.action, event.outcome) for event in Event.objects.all()] == [("user.merged", "success")]


def test_privileged_refusal_cannot_be_swallowed_halfway(person, colleague):
    inner = operation(refuse, action="user.renamed")

    def try_inner():
        with pytest.raises(Refused):
            inner(actor=person, user=colleague)

    with pytest.raises(TransactionManagementError):
        operation(lambda: try_inner() or User.objects.count(), action="user.merged")(actor=person, user=person)
    assert not Event.objects.exists()


def test_privileged_leaves_other_errors_alone(person):
    with pytest.raises(ZeroDivisionError):
        operation(lambda: 1 / 0)(actor=person, user=person)
    assert not Event.objects.exists()


def test_privileged_does_not_act_when_the_event_cannot_be_written(person):
    @privileged("user.renamed", target="user")
    def rename(*, actor, user):
        user.display_name = "Other"
        user.save()
        record("user.renamed", actor=actor, target=user, outcome="impossible")

    with pytest.raises(Exception, match="event_outcome_known"):
        rename(actor=person, user=person)
    person.refresh_from_db()
    assert person.display_name == "Ana"


def failing_once(error):
    causes = [error]
    calls = []

    def body():
        calls.append(connection.in_atomic_block)
        if causes:
            raise causes.pop()
        return len(calls)

    return body


def database_error(sqlstate):
    error = OperationalError("again")
    error.__cause__ = type("Cause", (Exception,), {"sqlstate": sqlstate})()
    return error


@pytest.mark.parametrize("sqlstate", ["40P01", "40001"])
def test_privileged_runs_once_more_after_a_deadlock(person, sqlstate):
    assert operation(failing_once(database_error(sqlstate)))(actor=person, user=person) == 2
    assert Event.objects.count() == 1


@pytest.mark.parametrize("sqlstate", ["55P03", None])
def test_privileged_does_not_repeat_other_database_errors(person, sqlstate):
    with pytest.raises(OperationalError):
        operation(failing_once(database_error(sqlstate)))(actor=person, user=person)


def test_privileged_repeats_once_only(person):
    def always():
        raise database_error("40P01")

    with pytest.raises(OperationalError):
        operation(always)(actor=person, user=person)


def test_privileged_records_a_refusal_of_the_second_run(person):
    errors = [Refused("No.", code="late"), database_error("40P01")]

    def body():
        raise errors.pop()

    with pytest.raises(Refused):
        operation(body)(actor=person, user=person)
    assert [event.code for event in Event.objects.all()] == ["late"]


def test_privileged_inside_another_is_repeated_with_all_of_it(person):
    inner = operation(failing_once(database_error("40P01")), action="user.renamed")
    runs = []

    def run_outer():
        runs.append("begun")
        return inner(actor=person, user=person)

    outer = operation(run_outer, action="user.merged")
    assert outer(actor=person, user=person) == 2
    assert runs == ["begun", "begun"]
    assert Event.objects.count() == 2


REFUSALS = [
    (ValidationError("a", code="one"), "one"),
    (ValidationError("a"), "invalid"),
    (ValidationError(["a", ValidationError("b", code="two")]), "two"),
    (ValidationError({"field": [ValidationError("a", code="three"), ValidationError("b", code="four")]}), "three"),
    (ValidationError({"field": ["a"]}), "invalid"),
    (PermissionDenied(), "forbidden"),
    (Forbidden(), "not_yours"),
]


@pytest.mark.parametrize(("refusal", "code"), REFUSALS)
def test_refusal_code(refusal, code):
    assert refusal_code(refusal) == code


def test_operations_of_the_site_are_wrapped_services():
    assert all(callable(function) and function.__wrapped__ for function in OPERATIONS.values())
