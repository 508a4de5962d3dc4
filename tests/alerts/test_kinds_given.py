"""Assignments beside what the audit says was given: nothing done here is found, and everything done past it is."""

from contextlib import suppress
from datetime import timedelta
from random import Random

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils.timezone import now

from alerts.kinds import given
from approvals import services
from assignments.models import ActiveAssignment, EligibleAssignment
from assignments.tasks import expire_due
from audit.models import Event, Head
from audit.sealing import seal
from audit.services import record
from audit.stated import restate
from roles.models import Role
from tests.alerts.finding import rows
from tests.factories import EligibleFactory, GroupFactory, ResourceFactory, RoleFactory, UserFactory, holder_of, root

pytestmark = pytest.mark.django_db
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


class World:
    """A few people, groups and roles, and whatever can be done to their assignments, in any order."""

    def __init__(self, seed, clock):
        self.random, self.clock, self.at = Random(seed), clock, now()
        self.administrator = holder_of(Role.GLOBAL_ADMINISTRATOR)
        self.people = [UserFactory() for _each in range(3)]
        self.holders = [*self.people, GroupFactory(members=self.people)]
        self.roles = [RoleFactory(settings__emergency_allowed=True, settings__extends_past_longest=True)]
        self.roles += [RoleFactory()]

    def one(self, rows):
        return self.random.choice(list(rows))

    def when(self):
        return self.random.choice([{}, {"ends_at": self.at + 20 * DAY}, {"starts_at": self.at + DAY}])

    def told(self):
        return {"actor": self.administrator, "justification": "Needed."}

    def assign(self):
        assign = self.random.choice([services.assign_eligible, services.assign_active])
        about = {"holder": self.one(self.holders), "role": self.one(self.roles), "scope": root()}
        assign(**about, **self.when(), **self.told())

    def activate(self):
        eligible, person = self.one(EligibleAssignment.objects.lasting(self.at)), self.one(self.people)
        starts = self.random.choice([None, self.at + HOUR])
        told = {"actor": eligible.user or person, "justification": "Work."}
        services.activate(eligible=eligible, duration=HOUR, starts_at=starts, **told)

    def activate_in_emergency(self):
        eligible = self.one(EligibleAssignment.objects.lasting(self.at).exclude(user=None))
        services.activate_in_emergency(eligible=eligible, actor=eligible.user, justification="It burns.")

    def prolong(self):
        active = self.one(ActiveAssignment.objects.activated().lasting(self.at))
        self.pass_until(active.ends_at - timedelta(minutes=10))
        services.extend_activation(active=active, actor=active.user, duration=HOUR / 2, justification="More.")

    def change(self):
        change = self.random.choice([services.update, services.extend, services.renew])
        row = self.one([*EligibleAssignment.objects.all(), *ActiveAssignment.objects.assigned()])
        change(assignment=row, ends_at=self.at + self.random.randrange(1, 30) * DAY, **self.told())

    def extend_as_asked(self):
        row = self.one(EligibleAssignment.objects.exclude(user=None))
        asked = services.self_extend(assignment=row, actor=row.user, justification="Longer.")
        eligible = self.random.choice([True, False])
        services.grant_extension(request=asked, ends_at=self.at + 30 * DAY, eligible=eligible, **self.told())

    def turn_round(self):
        services.make_eligible(active=self.one(ActiveAssignment.objects.assigned().lasting(self.at)), **self.told())

    def end(self):
        active = self.one(ActiveAssignment.objects.lasting(self.at))
        if active.is_activated:
            services.deactivate(active=active, actor=active.user, justification="Done.")
        else:
            services.remove_active(active=active, **self.told())

    def remove(self):
        services.remove_eligible(eligible=self.one(EligibleAssignment.objects.lasting(self.at)), **self.told())

    def expire(self):
        self.pass_until(self.at + self.random.choice([HOUR, 7 * DAY]))
        expire_due()

    def say_again(self):
        """As before an archive is made of all that there is."""
        while seal():
            pass
        restate(1, Head.events())

    def pass_until(self, at):
        self.at = max(at, self.at)
        self.clock.move_to(self.at)


ACTS = [getattr(World, name) for name in vars(World) if not name.startswith("_")]
ACTS = [act for act in ACTS if act.__name__ not in {"one", "when", "told", "pass_until"}]


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_done_here_is_not_found(seed, time_machine):
    world = World(seed, time_machine)
    own = set(ActiveAssignment.objects.all())
    done = []
    for act in [World.assign, World.assign, *world.random.choices([*ACTS, World.assign, World.activate], k=28)]:
        with suppress(ValidationError, PermissionDenied, IndexError):
            act(world)
            done.append(act.__name__)
        assert rows("assigned_outside") == own, done
    assert len(set(done)) > 5


@pytest.fixture
def administrator():
    return holder_of(Role.GLOBAL_ADMINISTRATOR)


@pytest.fixture
def own(administrator):
    """What the factories gave the administrator was given past the site."""
    return set(ActiveAssignment.objects.filter(user=administrator))


def make(administrator, kind, **terms):
    told = {"actor": administrator, "justification": "Needed."}
    about = {"holder": UserFactory(), "role": RoleFactory(settings__emergency_allowed=True), "scope": root()} | terms
    if kind == "active":
        return services.assign_active(**about, **told).active_assignment
    eligible = services.assign_eligible(**about, **told).eligible_assignment
    if kind == "eligible":
        return eligible
    told = {"eligible": eligible, "actor": eligible.user, "justification": "Work."}
    if kind == "emergency":
        return services.activate_in_emergency(**told).active_assignment
    return services.activate(**told, duration=HOUR).active_assignment


def other_eligibility(row):
    return EligibleFactory(user=row.user, role=row.role, ended_at=now(), end_reason="removed")


FAR = 400 * DAY
# What each column can be changed to, by hand, so that there is more or other access.
CHANGES = {
    "user": lambda row: {"user": UserFactory()},
    "group": lambda row: {"user": None, "group": GroupFactory()},
    "role": lambda row: {"role": RoleFactory()},
    "scope": lambda row: {"scope": ResourceFactory()},
    "sooner": lambda row: {"starts_at": row.starts_at - timedelta(seconds=1)},
    "a microsecond": lambda row: {"starts_at": row.starts_at - timedelta(microseconds=1)},
    "longer": lambda row: {"ends_at": now() + FAR},
    "ended, in a year": lambda row: {"ended_at": now() + FAR, "end_reason": "removed"},
}
PERMANENT = {"for good": lambda row: {"ends_at": None}}
ACTIVATION = {
    "assigned": lambda row: {"eligible_assignment": None},
    "of another": lambda row: {"eligible_assignment": other_eligibility(row)},
    "flag": lambda row: {"is_emergency": not row.is_emergency},
}


TAMPERED = [(kind, name, change) for kind in ("eligible", "active") for name, change in CHANGES.items()]
TAMPERED += [
    (kind, name, change)
    for kind in ("activation", "emergency")
    for name, change in (CHANGES | PERMANENT | ACTIVATION).items()
    if name != "group"  # a constraint refuses it
]
TAMPERED += [("for a while", name, change) for name, change in PERMANENT.items()]


@pytest.mark.parametrize(("kind", "change"), [pytest.param(k, c, id=f"{k}: {n}") for k, n, c in TAMPERED])
def test_column_that_is_changed_past_the_site_is_found(administrator, own, kind, change):
    until = {"ends_at": now() + DAY} if kind == "for a while" else {}
    row = make(administrator, "eligible" if until else kind, **until)
    assert rows("assigned_outside") == own

    type(row).objects.filter(pk=row.pk).update(**change(row))

    assert rows("assigned_outside") == {row, *own}


@pytest.mark.parametrize("kind", ["eligible", "active", "activation"])
def test_what_was_ended_and_is_open_again_is_found(administrator, own, kind):
    row = make(administrator, kind)
    told = {"actor": administrator, "justification": "No more."}
    if kind == "eligible":
        services.remove_eligible(eligible=row, **told)
    elif kind == "active":
        services.remove_active(active=row, **told)
    else:
        services.deactivate(active=row, actor=row.user, justification="Done.")
    assert rows("assigned_outside") == own

    type(row).objects.filter(pk=row.pk).update(ended_at=None, end_reason="")

    assert rows("assigned_outside") == {row, *own}


def test_what_ran_out_and_was_made_longer_is_found(administrator, own, time_machine):
    row = make(administrator, "eligible", ends_at=now() + DAY)
    time_machine.move_to(now() + 2 * DAY)
    expire_due()

    EligibleAssignment.objects.filter(pk=row.pk).update(ends_at=now() + DAY, ended_at=None, end_reason="")

    assert rows("assigned_outside") == {row, *own}


def test_what_was_ended_while_it_is_looked_for_is_not_found(administrator, own):
    before, row = now(), make(administrator, "active")
    services.remove_active(active=row, actor=administrator, justification="No more.")

    assert set(given.unaccounted(ActiveAssignment, before)) == {each.pk for each in own}


def test_what_is_refused_gives_nothing(administrator, own):
    row = make(administrator, "eligible")
    EligibleAssignment.objects.filter(pk=row.pk).update(user=(other := UserFactory()))
    about = {"target": row, "subject": other, "role": row.role, "scope": row.scope}
    record("eligible.assigned", actor=administrator, outcome=Event.Outcome.REFUSED, code="forbidden", **about)

    assert rows("assigned_outside") == {row, *own}


def test_what_is_saved_with_its_right_dates_is_found_no_more(administrator, own):
    row = make(administrator, "eligible")
    EligibleAssignment.objects.filter(pk=row.pk).update(ends_at=now() + FAR)

    services.update(assignment=row, ends_at=now() + DAY, actor=administrator, justification="As it was meant.")

    assert rows("assigned_outside") == own


def test_pages_leave_nothing_out(administrator, own, monkeypatch):
    found = [make(administrator, "active") for _each in range(5)]
    ActiveAssignment.objects.filter(user__in=[row.user for row in found[:4]]).update(ends_at=now() + FAR)
    monkeypatch.setattr(given, "PAGE", 2)

    keys = list(given.unaccounted(ActiveAssignment, now()))

    assert keys == sorted(row.pk for row in {*found[:4], *own})
