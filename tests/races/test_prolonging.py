"""An activation is extended while it is ended by hand, or while its time runs out: what has ended is never extended."""

from datetime import timedelta
from threading import Event as Signal

import pytest
from django.utils.timezone import now

from approvals import services
from assignments.models import ActiveAssignment
from assignments.rules import whole_second
from assignments.services import expire_active
from audit.models import Event
from tests.factories import ActivationFactory

from .guards import no_row_locks

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def by_hand(row):
    return services.deactivate(active=row, actor=row.user)


def by_time(row):
    return expire_active(active=row, actor=None)


@pytest.fixture
def events_of_both(run_in_threads, monkeypatch):
    """``events_of_both(end)``: one extends, and just before it writes another ends; what was recorded, in its order.

    The other is waited for, but not for long: with the guards in place it waits itself. For the worker, the time of the
    end has come.
    """
    checked, ended = Signal(), Signal()

    def let_the_other_go_on(at):
        checked.set()
        ended.wait(0.5)
        return whole_second(at)

    def both(end):
        at = now().replace(microsecond=0)
        active = ActivationFactory(starts_at=at - timedelta(hours=1), ends_at=at + timedelta(minutes=10))
        monkeypatch.setattr("assignments.services.prolonging.whole_second", let_the_other_go_on)
        if end is by_time:
            monkeypatch.setattr("assignments.services.activation.now", lambda: active.ends_at)

        def act(number):
            row = ActiveAssignment.objects.described().get(pk=active.pk)
            if number:
                checked.wait(10)
                end(row)
                return ended.set()
            wanted = {"duration": timedelta(minutes=30), "justification": "Still stuck."}
            return services.extend_activation(active=row, actor=row.user, **wanted)

        run_in_threads(2, act)
        found = Event.objects.filter(target_id=str(active.pk), action__startswith="assignment.").order_by("id")
        return list(found.values_list("action", flat=True))

    return both


@pytest.mark.parametrize(
    ("end", "events"),
    [(by_hand, ["assignment.extended", "assignment.deactivated"]), (by_time, ["assignment.extended"])],
)
def test_what_has_ended_is_not_extended(events_of_both, end, events):
    assert events_of_both(end) == events


@pytest.mark.parametrize(("end", "ended"), [(by_hand, "assignment.deactivated"), (by_time, "assignment.expired")])
def test_control_without_row_locks_it_is(events_of_both, end, ended):
    with no_row_locks():
        assert events_of_both(end) == [ended, "assignment.extended"]
