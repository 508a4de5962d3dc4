"""Approvals in stages: rows of acts by a cast with overlapping parts, and what the request is after each."""

from datetime import timedelta
from functools import partial

import pytest
import time_machine
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils.timezone import now

from accounts.models import Group, User
from approvals import services
from approvals.models import Decision, Request
from approvals.rules import decision_facts
from approvals.tasks import ask_due, time_out_due
from assignments.models import ActiveAssignment
from audit.models import Event
from audit.services import refusal_code
from notifications.models import Message
from roles.models import Delegation, Role, RoleSettings
from roles.services import delegate_decisions, end_delegation, save_settings
from tests.factories import (
    ActiveFactory,
    EligibleFactory,
    GroupFactory,
    ResourceFactory,
    RoleFactory,
    UserFactory,
    holder_of,
    proof_for,
    stage,
)
from tests.refusals import refused

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
    "the requester never, named in person": (
        [{"people": ("ria", "ana")}],
        [("ria yes", "own_request"), ("ana yes", "provisioned")],
    ),
    "the requester never, asked later": ([FIRST | {"later": ("ria",)}], [("ria yes", "own_request")]),
    "the requester never, in the second stage": (
        [FIRST, {"people": ("ria", "lee")}],
        [("ana yes", 2), ("ria yes", "own_request"), ("lee yes", "provisioned")],
    ),
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


REFUSALS = {"already_decided", "not_an_approver", "own_request"}


def lead(cast, request, acts):
    """Before each act: the page of every person lists the request just when the service would take their word."""
    people = [person for person in cast.values() if isinstance(person, User)]
    found = None
    for words, after in acts:
        if found not in REFUSALS:  # after which all is as before
            at, waiting = now(), Request.objects.get(pk=request.pk)
            listed = {person for person in people if Request.objects.awaiting(person, at).exists()}
            assert listed == (set(waiting.awaited(at)) if waiting.is_pending else set())
        found = act(cast, request, words)
        assert (words, found) == (words, after)


@pytest.mark.parametrize(("stages", "acts"), WAYS.values(), ids=WAYS)
def test_stages_ask_just_those_who_may_decide_and_lead_to(cast, stages, acts):
    lead(cast, asked(cast, *stages), acts)


def as_own_manager(cast):
    User.objects.filter(username="ria").update(manager=cast["ria"])


def as_administrator(cast):
    ActiveFactory(role=Role.objects.built_in(Role.GLOBAL_ADMINISTRATOR), user=cast["ria"])


@pytest.mark.parametrize(("stages", "path"), [([MANAGER], as_own_manager), ([{}], as_administrator)])
def test_requester_never_decides_as(cast, stages, path):
    path(cast)
    cast["ria"].refresh_from_db()
    request = asked(cast, *stages)
    assert act(cast, request, "ria yes") == "own_request"


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


# --- delegation -----------------------------------------------------------------------------------------------


def lend(cast, delegator, delegate, **differs):
    terms = {"ends_at": now() + 24 * HOUR} | differs
    return delegate_decisions(actor=cast[delegator], delegate=cast[delegate], **terms)


DELEGATED = {
    "instead of the approver": ([FIRST], [("ana", "eve")], [("eve yes", "provisioned")]),
    "a no instead of the approver": ([FIRST], [("ana", "eve")], [("eve no", "denied")]),
    "a stranger's delegate is a stranger": ([FIRST], [("max", "eve")], [("eve yes", "not_an_approver")]),
    "not handed on": (
        [FIRST],
        [("ana", "eve"), ("eve", "max")],
        [("max yes", "not_an_approver"), ("eve yes", "provisioned")],
    ),
    "never to the requester": ([FIRST], [("ana", "ria")], [("ria yes", "own_request")]),
    "never from the requester": ([EACH], [("ria", "eve")], [("eve yes", "not_an_approver")]),
    "approver and delegate are one": (
        [FIRST | {"quorum": 2}],
        [("ana", "eve")],
        [("eve yes", 1), ("ana yes", "already_decided"), ("kim yes", "provisioned")],
    ),
    "delegate and approver are one": (
        [FIRST | {"quorum": 2}],
        [("ana", "eve")],
        [("ana yes", 1), ("eve yes", "not_an_approver"), ("kim yes", "provisioned")],
    ),
    "two delegates of one are one": (
        [FIRST | {"quorum": 2}],
        [("ana", "eve"), ("ana", "max")],
        [("eve yes", 1), ("max yes", "not_an_approver"), ("kim yes", "provisioned")],
    ),
    "a delegate of two is one": (
        [FIRST | {"quorum": 2}],
        [("ana", "eve"), ("kim", "eve")],
        [("eve yes", 1), ("eve yes", "already_decided")],
    ),
    "an approver who is delegate too is one": (
        [FIRST | {"quorum": 2}],
        [("ana", "kim")],
        [("kim yes", 1), ("kim yes", "already_decided"), ("ana yes", "provisioned")],
    ),
    "of the manager": ([MANAGER], [("boss", "eve")], [("eve yes", "provisioned")]),
    "of an administrator": ([{}], [("adam", "eve")], [("eve yes", "provisioned")]),
    "fills the seat of the approver's group": ([EACH], [("lee", "eve")], [("eve yes", 1), ("ana yes", "provisioned")]),
    "in the stage of the approver alone": (
        [FIRST, SECOND],
        [("lee", "eve")],
        [("eve yes", "not_an_approver"), ("ana yes", 2), ("eve yes", "provisioned")],
    ),
}


@pytest.mark.parametrize(("stages", "loans", "acts"), DELEGATED.values(), ids=DELEGATED)
def test_delegation_leads_to(cast, stages, loans, acts):
    for loan in loans:
        lend(cast, *loan)
    lead(cast, asked(cast, *stages), acts)


def test_delegated_decision_names_both(cast):
    lend(cast, "ana", "eve")
    request = asked(cast, FIRST)
    act(cast, request, "eve yes")
    decision = Decision.objects.get()
    assert (decision.person, decision.on_behalf_of, str(decision)) == (
        cast["eve"],
        cast["ana"],
        "Eve for Ana: approved",
    )
    event = Event.objects.get(action="request.approved")
    assert (event.actor_label, event.facts["after"]) == ("Eve", {"on_behalf_of": "Ana"})


ENDS = {
    "its end": lambda cast, given: Delegation.objects.update(ends_at=now()),
    "its owner": lambda cast, given: end_delegation(delegation=given, actor=cast["ana"]),
    "the delegate": lambda cast, given: end_delegation(delegation=given, actor=cast["eve"]),
    "an administrator": lambda cast, given: end_delegation(delegation=given, actor=cast["adam"], justification="Left."),
    "its owner's disabling": lambda cast, given: disable(cast, "ana"),
    "its owner's leaving": lambda cast, given: cast["security"].members.remove(cast["ana"]),
    "the group's protection": lambda cast, given: Group.objects.update(is_protected=False),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_delegation_ends_with(cast, end):
    given = lend(cast, "ana", "eve")
    request = asked(cast, {"groups": ("security",)})
    assert Request.objects.awaiting(cast["eve"], now()).exists()
    with time_machine.travel(now() + timedelta(seconds=1), tick=False):
        end(cast, given)
        assert not Request.objects.awaiting(cast["eve"], now()).exists()
        assert act(cast, request, "eve yes") == "not_an_approver"


def test_delegation_begins_at_its_start(cast):
    start = now() + HOUR
    lend(cast, "ana", "eve", starts_at=start)
    request = asked(cast, FIRST)
    assert act(cast, request, "eve yes") == "not_an_approver"
    with time_machine.travel(start, tick=False):
        assert act(cast, request, "eve yes") == "provisioned"


@pytest.mark.parametrize(
    ("delegate", "differs", "code"),
    [
        ("ana", {}, "delegate_invalid"),
        ("gone", {}, "delegate_invalid"),
        ("robot", {}, "delegate_invalid"),
        ("eve", {"ends_at": now() - HOUR}, "schedule_invalid"),
        ("eve", {"ends_at": now() + timedelta(days=91)}, "schedule_invalid"),
        ("eve", {"starts_at": now() - HOUR}, "schedule_invalid"),
        ("eve", {"ends_at": now() + timedelta(minutes=4)}, "schedule_invalid"),
        ("kim", {}, "already_delegated"),
    ],
)
def test_delegation_refused(cast, delegate, differs, code):
    cast |= {"gone": UserFactory(is_active=False), "robot": UserFactory(kind="service")}
    lend(cast, "ana", "kim")
    with refused(code):
        lend(cast, "ana", delegate, **differs)


def test_delegation_is_told_to_both_and_asked_for_by_mail(cast):
    lend(cast, "ana", "eve")
    asked(cast, FIRST)
    assert told("queued") == {"ana", "eve", "kim"}
    assert set(Message.objects.filter(kind="delegation_made").values_list("to_address", flat=True)) == {
        "ana@example.org",
        "eve@example.org",
    }


# --- proof, claim, repeating ----------------------------------------------------------------------------------


def decided_with(cast, request, verb, *, proved_for=None, verdict=None, session="this session", **differs):
    row = [request] if proved_for is None else proved_for
    facts = decision_facts(row, verdict or {services.approve: "approved", services.deny: "denied"}[verb])
    proof = proof_for(cast["ana"], "request.decided", **facts)
    terms = {"request": request, "actor": cast["ana"], "justification": "Seen.", "proof": proof, "session": session}
    return partial(verb, **terms | {"proved_for": proved_for or [request]} | differs)


@pytest.fixture
def guarded(cast):
    """Two requests that are decided with a fresh proof."""
    settings = {"settings__approval_required": True, "settings__decision_mfa_required": True}
    roles = [RoleFactory(**settings, settings__stages=[staged(cast, **FIRST)]) for _ in range(2)]
    asks = [EligibleFactory(role=role, user=cast["ria"]) for role in roles]
    facts = {"actor": cast["ria"], "duration": HOUR, "justification": "Stuck."}
    return [services.activate(eligible=eligible, **facts) for eligible in asks]


@pytest.mark.parametrize("verb", [services.approve, services.deny])
def test_decision_needs_its_proof(cast, guarded, verb):
    first, second = guarded
    other = {services.approve: "denied", services.deny: "approved"}[verb]
    for differs in (
        {"proof": None},
        {"session": "another"},
        {"verdict": other},
        {"proved_for": [second]},
    ):
        decide = decided_with(cast, first, verb, **differs)
        with refused("mfa_required"):
            decide()
    assert decided_with(cast, first, verb)().settled_at


def test_one_proof_is_good_for_a_row_within_its_time(cast, guarded):
    first, second = guarded
    proof = proof_for(cast["ana"], "request.decided", **decision_facts(guarded, "approved"))
    terms = {
        "actor": cast["ana"],
        "justification": "Seen.",
        "proof": proof,
        "session": "this session",
        "proved_for": guarded,
    }
    assert services.approve(request=first, **terms).status == "provisioned"
    with time_machine.travel(now() + timedelta(seconds=121), tick=False), refused("mfa_required"):
        services.approve(request=second, **terms)
    with refused("already_decided"):
        services.approve(request=first, **terms)
    assert services.approve(request=second, **terms).status == "provisioned"


def test_claim_is_shown_for_some_minutes_and_keeps_nobody_from_deciding(cast):
    request = services.claim(request=asked(cast, FIRST), actor=cast["ana"])
    assert request.looked_at_by(now()) == cast["ana"]
    with refused("already_claimed"):
        services.claim(request=request, actor=cast["kim"])
    with refused("not_an_approver"):
        services.claim(request=request, actor=cast["eve"])
    with time_machine.travel(now() + timedelta(minutes=15), tick=False):
        assert request.looked_at_by(now()) is None
        assert services.claim(request=request, actor=cast["kim"]).looked_at_by(now()) == cast["kim"]
    assert act(cast, request, "ana yes") == "provisioned"


def repeating(cast, hours=8, **settings):
    """A role whose approvals may be repeated, granted to Ria by Ana for an hour and ended."""
    settings = {f"settings__{name}": value for name, value in settings.items()}
    stages = {"settings__approval_required": True, "settings__stages": [staged(cast, **FIRST)]}
    role = RoleFactory(**stages, settings__auto_approve_within_hours=hours, **settings)
    eligible = EligibleFactory(role=role, user=cast["ria"])
    request = services.activate(eligible=eligible, actor=cast["ria"], duration=HOUR, justification="Stuck.")
    request = services.approve(request=request, actor=cast["ana"], justification="Seen.")
    services.deactivate(active=request.active_assignment, actor=cast["ria"])
    return request


def again(cast, request, **differs):
    facts = {"actor": cast["ria"], "duration": HOUR, "justification": "Stuck again."}
    return services.activate(eligible=request.eligible_assignment, **facts | differs)


def test_approval_is_repeated_by_the_system_and_names_the_earlier_one(cast):
    earlier = repeating(cast)
    request = again(cast, earlier)
    assert request.status == "provisioned"
    decision = Decision.objects.get(request=request)
    assert (decision.person, decision.repeats, decision.verdict) == (None, earlier, "approved")
    event = Event.objects.filter(action="request.approved").latest("id")
    assert (event.actor_label, event.justification) == ("System", f"Approved a short while ago: {earlier.reference}")


def deny_meanwhile(cast, earlier):
    RoleSettings.objects.update(auto_approve_within_hours=0)
    services.deny(request=again(cast, earlier), actor=cast["kim"], justification="No more.")
    RoleSettings.objects.update(auto_approve_within_hours=8)


def take_away(cast, earlier):
    ActiveAssignment.objects.activated().update(end_reason="removed")


def cancel_before_it_began(cast, earlier):
    later = now() + timedelta(days=1)
    ActiveAssignment.objects.activated().update(starts_at=later, ends_at=later + HOUR, end_reason="canceled")


NOT_REPEATED = {
    "a start past the hours": lambda cast, earlier: {"starts_at": earlier.settled_at + 8 * HOUR + timedelta(seconds=1)},
    "canceled before it began": cancel_before_it_began,
    "a longer time": lambda cast, earlier: {"duration": HOUR + timedelta(minutes=1)},
    "a no since": deny_meanwhile,
    "taken away": take_away,
    "the approver gone": lambda cast, earlier: disable(cast, "ana"),
    "a stage more": lambda cast, earlier: change(earlier, staged(cast, **FIRST), staged(cast, **SECOND)),
    "another scope": lambda cast, earlier: {"scope": ResourceFactory()},
    "switched off": lambda cast, earlier: change(earlier, staged(cast, **FIRST), auto_approve_within_hours=0),
}


@pytest.mark.parametrize("happens", NOT_REPEATED.values(), ids=NOT_REPEATED)
def test_approval_is_not_repeated_after(cast, happens):
    earlier = repeating(cast)
    assert again(cast, earlier, **(happens(cast, earlier) or {})).is_pending


@pytest.mark.parametrize(("late", "status"), [(-1, "provisioned"), (0, "pending_approval")])
def test_approval_is_repeated_within_the_hours(cast, late, status):
    earlier = repeating(cast)
    with time_machine.travel(earlier.settled_at + 8 * HOUR + timedelta(seconds=late), tick=False):
        assert again(cast, earlier).status == status


def test_approval_is_repeated_for_a_start_within_the_hours(cast):
    earlier = repeating(cast)
    assert again(cast, earlier, starts_at=earlier.settled_at + 7 * HOUR).status == "scheduled"


def test_repeated_approval_is_not_repeated_further(cast):
    earlier = repeating(cast)
    with time_machine.travel(earlier.settled_at + 7 * HOUR, tick=False):
        second = again(cast, earlier)
        services.deactivate(active=second.active_assignment, actor=cast["ria"])
    with time_machine.travel(earlier.settled_at + 9 * HOUR, tick=False):
        assert again(cast, earlier).is_pending


# --- what the worker does -------------------------------------------------------------------------------------


def test_worker_reminds_and_asks_others_once(cast):
    request = asked(cast, TWO_OF_THREE | {"later": ("eve",), "timeout": 4 * HOUR})
    act(cast, request, "ana yes")
    done = []
    for hours in (0.5, 1, 1, 2, 2, 3):
        with time_machine.travel(request.requested_at + timedelta(hours=hours), tick=False):
            done.append(ask_due())
    assert done == [0, 1, 0, 1, 0, 0]
    mails = Message.objects.filter(kind__startswith="approval").values_list("kind", "to_address")
    assert sorted(mails) == [
        ("approval_asked", "ana@example.org"),
        ("approval_asked", "eve@example.org"),
        ("approval_asked", "kim@example.org"),
        ("approval_asked", "lee@example.org"),
        ("approval_reminder", "eve@example.org"),
        ("approval_reminder", "kim@example.org"),
        ("approval_reminder", "lee@example.org"),
    ]


def test_worker_away_for_a_week_asks_nobody_and_closes(cast):
    request = asked(cast, FIRST | {"later": ("eve",)})
    with time_machine.travel(request.requested_at + timedelta(days=7), tick=False):
        assert act(cast, request, "ana yes") == act(cast, request, "eve yes") == "already_decided"
        assert (ask_due(), time_out_due(), ask_due()) == (0, 1, 0)
    assert state(request) == "timed_out"
    assert not Message.objects.filter(kind="approval_reminder").exists()
