"""Two acts meet at one request, in every order: the second one comes when the first has looked and not yet finished.

Whoever comes second waits for the first, and then finds the request closed. Without the guards both count.
"""

import threading
from contextlib import ExitStack, contextmanager
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils.timezone import now

from approvals import services
from approvals.models import Request, RequestQuerySet
from approvals.services import deciding, waiting
from tests.factories import EligibleFactory, RequestFactory, RoleFactory, UserFactory, stage

from .guards import no_row_locks

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

# Where each act has looked at the request, and has not finished.
BETWEEN = {
    "approve": (deciding, "locked"),
    "deny": (deciding, "locked"),
    "cancel": (waiting, "locked"),
    "time_out": (waiting, "record_about"),
    "escalate": (waiting, "record_about"),
}
# What the clock of each act says, so that each of them is due.
LATER = {"time_out": timedelta(hours=25), "escalate": timedelta(hours=2)}
# Somebody waits for what this connection has locked.
AWAITED = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"


def pending():
    approvers = UserFactory.create_batch(2)
    named = stage(approvers, escalation_approvers=(UserFactory(),), escalates_after=timedelta(hours=1))
    role = RoleFactory(settings__approval_required=True, settings__stages=[named])
    at = now() + timedelta(hours=1)
    return RequestFactory(eligible_assignment=EligibleFactory(role=role), escalates_at=at), approvers


def do(verb, request, approver):
    """Whether the act counted."""
    row = Request.objects.get(pk=request.pk)
    facts = {"approve": {"justification": "Fine."}, "deny": {"justification": "No."}}.get(verb, {})
    actor = {"cancel": request.user}.get(verb, None if verb in LATER else approver)
    try:
        return bool(getattr(services, verb)(request=row, actor=actor, **facts))
    except ValidationError:
        return False


def until_done_or_waiting(other, seconds=20):
    """However slow the machine is: the other goes as far as it can while this one holds what it has locked."""
    tries = 100 * seconds
    while other.is_alive() and not awaited() and (tries := tries - 1):
        other.join(0.01)
    assert tries


def awaited():
    with connection.cursor() as cursor:
        cursor.execute(AWAITED)
        return cursor.fetchone()[0]


def meet(patch, first, second):
    """Whether the first act counted, and whether the second."""
    request, approvers = pending()
    counted, mine = {}, threading.local()

    def come_second():
        mine.verb = second
        try:
            counted["second"] = do(second, request, approvers[1])
        finally:
            connection.close()

    other = threading.Thread(target=come_second)
    place, name = BETWEEN[first]
    original = getattr(place, name)

    def looked(*args, **kwargs):
        before = name == "record_about" or original(*args, **kwargs)
        if mine.verb == first and not other.ident and threading.current_thread() is threading.main_thread():
            other.start()
            until_done_or_waiting(other)
        return original(*args, **kwargs) if name == "record_about" else before

    with patch.context() as patched:
        patched.setattr(waiting, "now", lambda: now() + LATER.get(mine.verb, timedelta(0)))
        patched.setattr(place, name, looked)
        mine.verb = first
        counted["first"] = do(first, request, approvers[0])
        other.join(20)
    return counted["first"], counted["second"]


@contextmanager
def no_guards():
    """Neither locks on rows, nor a look at what the row says when it is written."""
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        stack.enter_context(no_row_locks())
        for name in ("overdue", "to_escalate"):
            patch.setattr(RequestQuerySet, name, lambda rows, at: rows)
        yield


@pytest.mark.parametrize("first", BETWEEN)
def test_of_two_acts_that_meet_the_second_finds_what_the_first_did(monkeypatch, first):
    outcomes = {second: meet(monkeypatch, first, second) for second in BETWEEN}
    # To ask others closes nothing, so a decision may follow it; that others are asked once more may not.
    assert outcomes == {second: (True, first == "escalate" and second != "escalate") for second in BETWEEN}


@pytest.mark.parametrize("first", BETWEEN)
def test_control_without_guards_both_count(monkeypatch, first):
    with no_guards():
        outcomes = {second: meet(monkeypatch, first, second) for second in BETWEEN}
    assert outcomes == dict.fromkeys(BETWEEN, (True, True))
