"""The same request sent twenty times at once, with one key: one effect, twenty equal answers."""

import pytest

from accounts.models import Group
from pim_site.models import KeptAnswer
from roles.models import Role
from tests.api import Program
from tests.factories import TokenFactory, holder_of

from .guards import no_constraint

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
SENDERS = 20


@pytest.fixture
def answers(run_in_threads):
    """Return a function that sends the same request from twenty threads, and the answers as texts."""
    token = TokenFactory(user=holder_of(Role.GLOBAL_ADMINISTRATOR)).text

    def send(number):
        return str(Program(token=token).post("groups", {"name": "Keepers"}, key="the-same"))

    return lambda: run_in_threads(SENDERS, send)


def test_twenty_equal_requests_have_one_effect_and_twenty_equal_answers(answers):
    got = answers()

    assert (len(got), len(set(got)), got[0][:5]) == (SENDERS, 1, "(201,")
    assert Group.objects.filter(name="Keepers").count() == 1


def test_control_without_the_constraint_of_keys_answers_differ(answers):
    with no_constraint(KeptAnswer, "keptanswer_one_per_key"):
        got = answers()

    assert len(set(got)) > 1
