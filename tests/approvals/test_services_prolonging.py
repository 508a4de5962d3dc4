"""A running activation kept for longer: in its last minutes, under the role's settings, never past its longest."""

from datetime import timedelta

import pytest
import time_machine
from django.utils.timezone import now

from approvals import services
from approvals.models import Request
from approvals.rules import RequestRefused
from approvals.services.prolonging import prolong_facts
from assignments.models import ActiveAssignment
from assignments.services import dates_of
from assignments.tasks import remind_due
from audit.canonical import plain
from audit.models import Event
from notifications.models import Message
from roles.models import RoleSettings
from tests.factories import ActivationFactory, ActiveFactory, EligibleFactory, RoleFactory, UserFactory, proof_for
from tests.refusals import refused

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
REASON = "Still stuck."


def running(*, since=HOUR, left=timedelta(minutes=10), eligible=None, **settings):
    """An activation that has been running for a while and ends soon."""
    at = now().replace(microsecond=0)
    role = RoleFactory(**{f"settings__{name}": value for name, value in settings.items()})
    return ActivationFactory(
        eligible_assignment=eligible or EligibleFactory(role=role), starts_at=at - since, ends_at=at + left
    )


def ask(active, duration=HOUR, **differs):
    facts = {"active": active, "actor": active.user, "duration": duration, "justification": REASON}
    return services.extend_activation(**facts | differs)


def end_of(active):
    return ActiveAssignment.objects.get(pk=active.pk).ends_at


def test_extension_moves_the_end_and_tells_so():
    active = running()
    before = dates_of(active)

    request = ask(active)

    assert (request.action, request.status, request.active_assignment) == ("self_extend", "provisioned", active)
    assert end_of(active) == before["ends_at"] + HOUR
    facts = Event.objects.get(action="assignment.extended").facts
    assert facts["before"] == plain(before)
    told = {"kind": "activated", "eligible": str(active.eligible_assignment_id), "approvers": []}
    assert facts["after"] == plain(before | {"ends_at": end_of(active)} | told)
    assert Message.objects.filter(kind="activation_extended", user_id=active.user_id).count() == 1


def test_extension_asks_for_a_proof_of_just_this():
    active = running(activation_authentication="mfa")
    facts = {"active": active, "duration": HOUR, "justification": REASON, "ticket": "", "ticket_system": ""}
    wrong = proof_for(active.user, "activation_extension.requested", **prolong_facts(**facts | {"duration": 2 * HOUR}))
    with refused("mfa_required"):
        ask(active, proof=wrong, session="this session")

    proof = proof_for(active.user, "activation_extension.requested", **prolong_facts(**facts))
    assert ask(active, proof=proof, session="this session").proved_with == "totp"


@pytest.mark.parametrize(
    ("times", "differs", "code"),
    [
        ({"left": timedelta(minutes=16)}, {}, "outside_window"),
        ({"left": timedelta(seconds=-1)}, {}, "already_ended"),
        ({"since": timedelta(hours=7)}, {"duration": 2 * HOUR}, "too_long"),
        ({"since": timedelta(hours=8)}, {"duration": timedelta(minutes=5)}, "too_long"),
        ({}, {"duration": timedelta(minutes=4)}, "too_short"),
        ({}, {"justification": " "}, "justification_required"),
        ({"ticket_required": True}, {}, "ticket_required"),
    ],
)
def test_extension_refused(times, differs, code):
    active = running(**times)

    with refused(code):
        ask(active, **differs)


def test_extension_of_another_or_of_an_assignment_refused():
    active, stranger = running(), UserFactory()
    with refused("not_own"):
        ask(active, actor=stranger)
    assigned = ActiveFactory(ends_at=now().replace(microsecond=0) + timedelta(minutes=10))
    with refused("already_ended"):
        ask(assigned)


def test_extension_past_the_longest_where_the_settings_allow_it():
    active = running(since=timedelta(hours=8), extends_past_longest=True)
    before = active.ends_at

    ask(active, 7 * HOUR)

    assert end_of(active) == before + 7 * HOUR


def test_extension_ends_with_the_eligibility():
    ends_at = (now() + timedelta(minutes=40)).replace(microsecond=0)
    active = running(eligible=EligibleFactory(ends_at=ends_at))

    ask(active)

    assert end_of(active) == ends_at


@pytest.fixture
def asked():
    """An extension that waits for its approver, and the approver."""
    approver = UserFactory()
    active = running(approval_required=True, approvers=[approver])
    return ask(active), approver


def test_extension_with_approval_waits_and_changes_nothing(asked):
    request, approver = asked

    assert (request.status, request.active_assignment) == ("pending_approval", None)
    assert Message.objects.get(kind="approval_asked").user_id == approver.pk
    with pytest.raises(RequestRefused) as refusal:
        ask(request.prolongs)
    assert refusal.value.code == "already_pending"
    assert end_of(request.prolongs) == request.prolongs.ends_at


def test_extension_approved_and_shortened(asked):
    request, approver = asked

    services.approve(request=request, actor=approver, justification="Go on.", duration=timedelta(minutes=30))

    assert end_of(request.prolongs) == request.prolongs.ends_at + timedelta(minutes=30)


def test_extension_approved_after_the_end_gives_nothing(asked):
    request, approver = asked

    with time_machine.travel(request.prolongs.ends_at + timedelta(seconds=1), tick=False):
        made = services.approve(request=request, actor=approver, justification="Go on.")

    assert (made.status, made.failure_code) == ("failed", "already_ended")
    assert end_of(request.prolongs) == request.prolongs.ends_at


def test_extension_canceled_leaves_the_activation(asked):
    request, _approver = asked

    services.cancel(request=request, actor=request.user)

    assert ActiveAssignment.objects.in_force(now()).filter(pk=request.prolongs_id).exists()


def test_extension_judged_by_the_settings_in_use(asked):
    request, approver = asked
    RoleSettings.objects.filter(role=request.role).update(activation_max_duration=HOUR)

    made = services.approve(request=request, actor=approver, justification="Go on.")

    assert (made.status, made.failure_code) == ("failed", "too_long")


# --- the notice before the end --------------------------------------------------------------------------------


def notices():
    return Message.objects.filter(kind="activation_ending").count()


@pytest.mark.parametrize(
    ("times", "told"),
    [
        ({"left": timedelta(minutes=6)}, 0),
        ({"left": timedelta(minutes=4)}, 1),
        ({"left": timedelta(seconds=-1)}, 0),
        ({"left": timedelta(minutes=4), "since": timedelta(seconds=30)}, 0),
    ],
)
def test_notice_of_the_end_is_sent_once(times, told):
    running(**times)

    assert (remind_due(), remind_due()) == (told, 0)
    assert notices() == told


def test_notice_is_sent_again_for_the_new_end():
    active = running(left=timedelta(minutes=4))
    remind_due()
    ask(active, timedelta(minutes=30))

    with time_machine.travel(end_of(active) - timedelta(minutes=3), tick=False):
        assert remind_due() == 1
    assert notices() == 2


def test_no_notice_to_who_was_disabled():
    active = running(left=timedelta(minutes=4))
    type(active.user).objects.filter(pk=active.user_id).update(is_active=False)

    assert remind_due() == 0
    assert Request.objects.count() == 0


def test_extension_of_emergency_access_refused():
    role = RoleFactory(settings__emergency_allowed=True, settings__emergency_duration=HOUR)
    eligible = EligibleFactory(role=role)
    said = {"eligible": eligible, "actor": eligible.user, "justification": REASON}
    active = services.activate_in_emergency(**said).active_assignment

    with time_machine.travel(now() + timedelta(minutes=50)), refused("emergency_time_fixed"):
        ask(active, timedelta(minutes=10))
