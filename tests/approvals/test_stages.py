"""Approvals in stages: rows of acts by a cast with overlapping parts, and what the request is after each."""

from datetime import timedelta

import pytest
import time_machine
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils.timezone import now

from accounts.models import Group, User
from approvals import services
from approvals.models import Decision, Request
from assignments.models import ActiveAssignment
from audit.services import refusal_code
from notifications.models import Message
from roles.models import Role
from roles.services import save_settings
from tests.factories import EligibleFactory, GroupFactory, RoleFactory, UserFactory, holder_of, stage

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture
def cast():
    """Ria asks, Boss is her manager. Ana and Kim guard security, Lee and Kim the money; Ria is in both groups."""
    boss = UserFactory(username="boss")
    people = {name: UserFactory(username=name) for name in ("ana", "kim", "lee", "max", "eve")}
    people |= {"boss": boss, "ria": UserFactory(username="ria", manager=boss)}
    people["adam"] = holder_of(Role.GLOBAL_ADMINISTRATOR, username="adam")
    members = {"security": ("ana", "kim", "ria"), "money": ("lee", "kim", "ria")}
    groups = {
        name: GroupFactory(name=name, members=[people[who] for who in who_all]) for name, who_all in members.items()
    }
    return people | groups


def staged(cast, *, people=(), groups=(), later=(), **terms):
    """A stage in which the cast is named by name."""
    if later:
        terms |= {"escalation_approvers": tuple(cast[name] for name in later), "escalates_after": HOUR}
    return stage([cast[name] for name in people], [cast[name] for name in groups], **terms)


def asked(cast, *stages):
    role = RoleFactory(settings__approval_required=True, settings__stages=[staged(cast, **terms) for terms in stages])
    eligible = EligibleFactory(role=role, user=cast["ria"])
    return services.activate(eligible=eligible, actor=cast["ria"], duration=HOUR, justification="Stuck.")


def state(request):
    """The stage where it waits, otherwise the status."""
    request = Request.objects.get(pk=request.pk)
    granted = ActiveAssignment.objects.filter(eligible_assignment=request.eligible_assignment).exists()
    assert granted == (request.status == "provisioned")
    return request.stage if request.is_pending else request.status


def act(cast, request, words):
    """Do "kim yes", "kim no", "later" (the time of escalation) …; return the state after it, or the refusal."""
    who, *what = words.split()
    verb = {"yes": services.approve, "no": services.deny}[what[0]]
    try:
        verb(request=request, actor=cast[who], justification="Seen.")
    except (ValidationError, PermissionDenied) as refusal:
        return refusal_code(refusal)
    return state(request)


TWO_OF_THREE = {"people": ("ana", "kim", "lee"), "quorum": 2}
EACH = {"groups": ("security", "money"), "one_from_each_group": True}
MANAGER = {"asks_manager": True}
FIRST, SECOND = {"people": ("ana", "kim")}, {"people": ("kim", "lee", "max")}
THIRD = {"people": ("eve", "max")}

WAYS = {
    "one of two": (
        [FIRST],
        [("ana yes", "provisioned"), ("kim yes", "already_decided"), ("kim no", "already_decided")],
    ),
    "one no is enough": ([FIRST], [("ana no", "denied"), ("kim yes", "already_decided")]),
    "two of three": ([TWO_OF_THREE], [("ana yes", 1), ("lee yes", "provisioned")]),
    "the same twice is one": (
        [TWO_OF_THREE],
        [("ana yes", 1), ("ana yes", "already_decided"), ("kim yes", "provisioned")],
    ),
    "a yes cannot become a no": ([TWO_OF_THREE], [("ana yes", 1), ("ana no", "already_decided")]),
    "yes and no is no": ([TWO_OF_THREE], [("ana yes", 1), ("lee no", "denied"), ("kim yes", "already_decided")]),
    "a stranger does not count": (
        [TWO_OF_THREE],
        [("ana yes", 1), ("max yes", "not_an_approver"), ("max no", "not_an_approver")],
    ),
    "an administrator neither, where people are named": ([TWO_OF_THREE], [("adam yes", "not_an_approver")]),
    "the requester never": ([EACH], [("ria yes", "own_request"), ("ria no", "own_request")]),
    "one from each": ([EACH], [("ana yes", 1), ("lee yes", "provisioned")]),
    "one from each in the other order": ([EACH], [("lee yes", 1), ("ana yes", "provisioned")]),
    "who is in both fills one seat": ([EACH], [("kim yes", 1), ("ana yes", "provisioned")]),
    "who is in both fills the other seat": ([EACH], [("kim yes", 1), ("lee yes", "provisioned")]),
    "three, one from each": ([EACH | {"quorum": 3}], [("ana yes", 1), ("kim yes", 1), ("lee yes", "provisioned")]),
    "two, one from each": ([EACH | {"quorum": 2}], [("ana yes", 1), ("kim yes", "provisioned")]),
    "one from each and somebody else": (
        [EACH | {"people": ("max",), "quorum": 3}],
        [("max yes", 1), ("ana yes", 1), ("lee yes", "provisioned")],
    ),
    "somebody else is from no group": (
        [EACH | {"people": ("max",)}],
        [("max yes", 1), ("ana yes", 1), ("lee yes", "provisioned")],
    ),
    "the manager": ([MANAGER], [("adam yes", "not_an_approver"), ("boss yes", "provisioned")]),
    "the manager or another": ([MANAGER | FIRST], [("ana yes", "provisioned")]),
    "the manager and another": ([MANAGER | FIRST | {"quorum": 2}], [("boss yes", 1), ("kim yes", "provisioned")]),
    "nobody named": ([{}], [("boss yes", "not_an_approver"), ("adam yes", "provisioned")]),
    "two stages": ([FIRST, SECOND], [("ana yes", 2), ("lee yes", "provisioned")]),
    "not before their stage": ([FIRST, SECOND], [("lee yes", "not_an_approver"), ("ana yes", 2)]),
    "not after their stage": ([FIRST, THIRD], [("ana yes", 2), ("kim no", "not_an_approver")]),
    "a no in the second": ([FIRST, SECOND], [("ana yes", 2), ("max no", "denied")]),
    "a no in the first": ([FIRST, SECOND], [("ana no", "denied"), ("max yes", "already_decided")]),
    "heard in the first is heard": (
        [FIRST, SECOND],
        [("kim yes", 2), ("kim yes", "already_decided"), ("lee yes", "provisioned")],
    ),
    "heard in the first says no more no": ([FIRST, SECOND], [("kim yes", 2), ("kim no", "already_decided")]),
    "three stages": ([FIRST, SECOND, THIRD], [("ana yes", 2), ("lee yes", 3), ("eve yes", "provisioned")]),
    "three stages, heard in the second": (
        [FIRST, SECOND, THIRD],
        [("ana yes", 2), ("max yes", 3), ("max yes", "already_decided"), ("eve yes", "provisioned")],
    ),
    "quorum, then the manager": (
        [TWO_OF_THREE, MANAGER],
        [("ana yes", 1), ("kim yes", 2), ("boss yes", "provisioned")],
    ),
    "the manager, then administrators": ([MANAGER, {}], [("boss yes", 2), ("adam yes", "provisioned")]),
    "those asked later are not asked yet": (
        [FIRST | {"later": ("eve",)}],
        [("eve yes", "not_an_approver"), ("ana yes", "provisioned")],
    ),
}


@pytest.mark.parametrize(("stages", "acts"), WAYS.values(), ids=WAYS)
def test_stages_lead_to(cast, stages, acts):
    request = asked(cast, *stages)
    assert [(words, act(cast, request, words)) for words, _state in acts] == acts


@pytest.mark.parametrize(("stages", "acts"), WAYS.values(), ids=WAYS)
def test_stages_ask_just_those_who_may_decide(cast, stages, acts):
    """Before each act: the page of every person lists the request just when the service would take their word."""
    request = asked(cast, *stages)
    people = [person for person in cast.values() if isinstance(person, User)]
    for words, _state in acts:
        at, now_ = now(), Request.objects.get(pk=request.pk)
        listed = {person for person in people if Request.objects.awaiting(person, at).exists()}
        assert listed == (set(now_.awaited(at)) if now_.is_pending else set())
        act(cast, request, words)


def test_each_stage_has_the_whole_of_its_time_and_asks_its_people(cast):
    request = asked(cast, FIRST | {"timeout": 2 * HOUR}, SECOND | {"timeout": 5 * HOUR, "later": ("eve",)})
    assert (request.expires_at - request.requested_at, request.escalates_at) == (2 * HOUR, None)
    with time_machine.travel(request.requested_at + HOUR, tick=False):
        act(cast, request, "ana yes")
        request.refresh_from_db()
        times = (request.expires_at - now(), request.escalates_at - now(), request.remind_at - now())
    assert times == (5 * HOUR, HOUR, 2.5 * HOUR)
    assert told("queued") == {"kim", "lee", "max"}
    assert told("suppressed") == {"ana", "kim"}


def told(state):
    mails = Message.objects.filter(kind="approval_asked", state=state)
    return {address.removesuffix("@example.org") for address in mails.values_list("to_address", flat=True)}


def test_shortest_of_several_durations_counts(cast):
    request = asked(cast, TWO_OF_THREE)
    services.approve(request=request, actor=cast["ana"], justification="Seen.", duration=HOUR / 2)
    request = services.approve(request=request, actor=cast["kim"], justification="Seen.", duration=HOUR * 0.75)
    assert request.active_assignment.ends_at - request.active_assignment.starts_at == HOUR / 2
    assert set(Decision.objects.values_list("person__username", "stage", "duration")) == {
        ("ana", 1, HOUR / 2),
        ("kim", 1, HOUR * 0.75),
    }


@pytest.mark.parametrize("manager", [None, "disabled", "service"])
def test_manager_who_cannot_decide_leaves_it_to_the_administrators(cast, manager):
    chief = manager and UserFactory(
        is_active=manager != "disabled", kind="service" if manager == "service" else "person"
    )
    User.objects.filter(username="ria").update(manager=chief)
    request = Request.objects.get(pk=asked(cast, MANAGER).pk)
    assert set(request.approvers(now())) == {cast["adam"]}
    assert Request.objects.awaiting(cast["adam"], now()).exists()
    assert act(cast, request, "adam yes") == "provisioned"


def test_those_asked_later_may_decide_from_their_time_on_with_the_worker_away(cast):
    request = asked(cast, FIRST | {"later": ("eve",)})
    for moment, listed in ((HOUR - timedelta(microseconds=1), False), (HOUR, True)):
        with time_machine.travel(request.requested_at + moment, tick=False):
            assert Request.objects.awaiting(cast["eve"], now()).exists() == listed
            assert (cast["eve"] in request.approvers(now())) == listed
            assert act(cast, request, "eve yes") == ("provisioned" if listed else "not_an_approver")


# --- what changes while it waits ------------------------------------------------------------------------------


def change(request, *stages, **changes):
    save_settings(role=request.role, scope=request.role.resource, actor=None, stages=list(stages), **changes)


def leave(cast, who, group):
    cast[group].members.remove(cast[who])


def disable(cast, who):
    User.objects.filter(username=who).update(is_active=False)


MEANWHILE = {
    "a yes of somebody who is named no more stops counting": (
        [TWO_OF_THREE],
        [
            "ana yes",
            lambda cast, request: change(request, staged(cast, people=("kim", "lee"), quorum=2)),
            "kim yes",
            "lee yes",
        ],
        [1, 1, "provisioned"],
    ),
    "a yes of somebody who was disabled stops counting": (
        [TWO_OF_THREE],
        ["ana yes", lambda cast, request: disable(cast, "ana"), "kim yes", "lee yes"],
        [1, 1, "provisioned"],
    ),
    "a yes of somebody who left the group stops counting": (
        [EACH],
        ["ana yes", lambda cast, request: leave(cast, "ana", "security"), "lee yes", "kim yes"],
        [1, 1, "provisioned"],
    ),
    "a group that lost its protection fills no seat": (
        [EACH],
        ["ana yes", lambda *_: Group.objects.filter(name="security").update(is_protected=False), "lee yes"],
        [1, 1],
    ),
    "a higher quorum holds": (
        [FIRST | {"quorum": 2}],
        [
            "ana yes",
            lambda cast, request: change(request, staged(cast, people=("ana", "kim", "lee"), quorum=3)),
            "kim yes",
            "lee yes",
        ],
        [1, 1, "provisioned"],
    ),
    "a lower quorum is met with the next yes": (
        [{"people": ("ana", "kim", "lee"), "quorum": 3}],
        ["ana yes", lambda cast, request: change(request, staged(cast, people=("ana", "kim", "lee"))), "lee yes"],
        [1, "provisioned"],
    ),
    "a stage more is asked too": (
        [FIRST],
        [lambda cast, request: change(request, staged(cast, **FIRST), staged(cast, **SECOND)), "ana yes", "max yes"],
        [2, "provisioned"],
    ),
    "a stage less is not asked": (
        [FIRST, SECOND],
        ["ana yes", lambda cast, request: change(request, staged(cast, people=("ana", "kim"))), "kim yes"],
        [2, "provisioned"],
    ),
    "a stage put in front is asked before it ends": (
        [FIRST],
        [lambda cast, request: change(request, staged(cast, **THIRD), staged(cast, **FIRST)), "eve yes", "ana yes"],
        [2, "provisioned"],
    ),
    "the first stage again, when its yes stopped counting": (
        [FIRST, SECOND],
        ["ana yes", lambda cast, request: disable(cast, "ana"), "lee yes", "kim yes"],
        [2, 1, "provisioned"],
    ),
    "a yes moves with its giver to another stage": (
        [FIRST | {"quorum": 2}],
        [
            "ana yes",
            lambda cast, request: change(request, staged(cast, people=("kim",)), staged(cast, people=("ana",))),
            "kim yes",
        ],
        [1, "provisioned"],
    ),
    "approval asked for no more is still needed by what was asked under it": (
        [FIRST],
        [lambda cast, request: change(request, staged(cast, **FIRST), approval_required=False), "ana yes"],
        ["provisioned"],
    ),
}


@pytest.mark.parametrize(("stages", "course", "states"), MEANWHILE.values(), ids=MEANWHILE)
def test_stages_in_use_hold(cast, stages, course, states):
    request, found = asked(cast, *stages), []
    for step in course:
        if isinstance(step, str):
            found.append(act(cast, request, step))
        else:
            step(cast, request)
    assert found == states
