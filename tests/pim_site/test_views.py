"""What is answered where the database is away or busy: try again, rather than that something is wrong here."""

import pytest
from django.db import DataError, InterfaceError, OperationalError, connection
from django.test import Client

from tests.api import Program
from tests.client import signed_in
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db
ID = "7d9f3d08-09ee-4d7d-9bce-bbfe42a4fbf0"
AWAY = [OperationalError, InterfaceError]


def refusing(fault):
    """A database that answers everything with `fault`."""

    def refuse(*statement):
        raise fault("connection to server at 192.0.2.7 failed")

    return connection.execute_wrapper(refuse)


@pytest.mark.parametrize("fault", AWAY)
def test_page_without_the_database_asks_to_try_again(fault):
    client = Client(raise_request_exception=False)
    signed_in(client, UserFactory())

    with refusing(fault):
        answer = client.get("/")

    assert (answer.status_code, answer["Retry-After"]) == (503, "10")
    assert "Try again in a minute" in answer.content.decode()
    assert "192.0.2.7" not in answer.content.decode()


@pytest.mark.parametrize("fault", AWAY)
@pytest.mark.parametrize("path", ["me", f"access/check?principal={ID}&role={ID}&scope={ID}"])
def test_program_without_the_database_is_asked_to_try_again(path, fault):
    program = Program(UserFactory())

    with refusing(fault):
        status, problem = program.get(path)

    assert (status, problem["code"], program.headers["Retry-After"]) == (503, "unavailable", "10")
    assert problem["detail"] == "The database does not answer, or is busy. Try again in a moment."
    assert problem["instance"] == f"urn:pim:request:{program.headers['X-Request-ID']}"


def test_fault_in_what_the_database_was_asked_is_our_own():
    program = Program(UserFactory())

    with refusing(DataError):
        status, problem = program.get("me")

    assert (status, problem["code"]) == (500, "server_error")


def test_readiness_with_a_session_and_without_the_database():
    client = Client(raise_request_exception=False)
    signed_in(client, UserFactory())

    with refusing(OperationalError):
        assert client.get("/readyz").status_code == 503
