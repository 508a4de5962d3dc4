"""What is in force, said twice: by the product's queries, and by twenty lines over plain values."""

from datetime import timedelta
from functools import partial

import pytest
from django.db import transaction
from django.utils.timezone import now
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from accounts.models import User
from accounts.prepared import Prepared
from assignments.models import ActiveAssignment, EligibleAssignment
from roles.models import Resource, Role
from tests.factories import ActiveFactory, EligibleFactory, GroupFactory, ResourceFactory, RoleFactory, UserFactory

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
RUNS, STEPS, ENOUGH = 50, 50, 2000
some = st.integers(0, 3)
hours = st.integers(-4, 4)


def runs(row, at):
    """Half-open, and not ended before its time."""
    return row.starts_at <= at and not any(end and end <= at for end in (row.ends_at, row.ended_at))


def reference(world, rows, person, scope):
    """The keys of those of the rows that a person has in force at a scope."""

    def valid(row):
        through = getattr(row, "eligible_assignment", None)
        return runs(row, world.at) and (through is None or runs(through, world.at))

    def is_member(group):
        own = (row for row in world.active if row.user == person and row.role == world.member[group])
        return person in world.standing[group] or any(map(valid, own))

    def reaches(row):
        if row.group:
            return is_member(row.group)
        through = getattr(row, "eligible_assignment", None)
        return row.user == person and (not (through and through.group) or is_member(through.group))

    above = list(world.above(scope))
    held = {row.pk for row in rows if row.scope in above and valid(row) and reaches(row)}
    return held if person in world.enabled else set()


class Stage:
    """What every run begins with: people, groups, a tree, and roles that nobody holds."""

    def __init__(self):
        self.people, self.groups = UserFactory.create_batch(3), GroupFactory.create_batch(2)
        self.member = {group: member_role(group) for group in self.groups}
        top = ResourceFactory()
        self.tree = [top, ResourceFactory(parent=top), ResourceFactory(parent=top)]
        self.tree.append(ResourceFactory(parent=self.tree[1]))
        self.roles = [RoleFactory() for _ in range(STEPS)]
        kinds = (ActiveAssignment, EligibleAssignment)
        self.questions = {
            (kind, scope): Prepared(partial(question, kind, scope)) for kind in kinds for scope in self.tree
        }


def member_role(group):
    place = ResourceFactory(kind=Resource.Kind.GROUP, group=group)
    return RoleFactory(resource=place, group_part=Role.GroupPart.MEMBER)


def question(kind, scope, user, at):
    return kind.objects.held_by(user, at).counting_at(scope).order_by().values_list("pk")


class World(RuleBasedStateMachine):
    stage: Stage
    told: int  # steps of all runs

    def __init__(self):
        super().__init__()
        self.block = transaction.atomic()
        self.block.__enter__()
        self.people, self.groups, self.member = self.stage.people, self.stage.groups, self.stage.member
        self.tree, self.roles = self.stage.tree, iter(self.stage.roles)
        self.at, self.enabled = now().replace(microsecond=0), set(self.people)
        self.standing = {group: set() for group in self.groups}
        self.active, self.eligible, self.steps = [], [], 0

    def teardown(self):
        transaction.set_rollback(True)
        self.block.__exit__(None, None, None)

    def above(self, scope):
        while scope is not None:
            yield scope
            scope = scope.parent

    def times(self, starts, lasts):
        start = self.at + starts * HOUR
        return {"starts_at": start, "ends_at": start + lasts * HOUR if lasts else None}

    @rule(who=st.integers(0, 4), where=some, starts=hours, lasts=some, eligible=st.booleans())
    def assign(self, who, where, starts, lasts, eligible):
        holder = [*self.people, *self.groups][who]
        held = {"user": holder} if isinstance(holder, User) else {"user": None, "group": holder}
        facts = {"role": next(self.roles), "scope": self.tree[where]} | held | self.times(starts, lasts)
        rows, kind = (self.eligible, EligibleFactory) if eligible else (self.active, ActiveFactory)
        rows.append(kind(**facts))

    @rule(who=st.integers(0, 2), which=st.integers(0, 1), starts=hours, lasts=some)
    def make_a_member_for_a_time(self, who, which, starts, lasts):
        role, person = self.member[self.groups[which]], self.people[who]
        eligible = next((row for row in self.eligible if (row.role, row.user) == (role, person)), None)
        if eligible is None:
            eligible = EligibleFactory(user=person, role=role, starts_at=self.at - HOUR)
            self.eligible.append(eligible)
        if not any(row.eligible_assignment == eligible and not row.ended_at for row in self.active):
            facts = self.times(starts, lasts or 1) | {"eligible_assignment": eligible}
            self.active.append(ActiveFactory(user=person, role=role, **facts))

    @rule(which=st.integers(0, 9), who=st.integers(0, 2), where=some, lasts=st.integers(1, 4))
    def activate(self, which, who, where, lasts):
        able = [row for row in self.eligible if not row.role.group_part]
        if not able:
            return
        eligible, scope = able[which % len(able)], self.tree[where]
        person = eligible.user or self.people[who]
        same = (row for row in self.active if (row.eligible_assignment, row.user) == (eligible, person))
        if not any(row.scope == scope for row in same):
            facts = {"user": person, "role": eligible.role, "scope": scope, "eligible_assignment": eligible}
            self.active.append(ActiveFactory(**facts | self.times(0, lasts)))

    @rule(which=st.integers(0, 19), eligible=st.booleans())
    def end(self, which, eligible):
        rows = [row for row in (self.eligible if eligible else self.active) if not row.ended_at]
        if rows:
            row = rows[which % len(rows)]
            row.ended_at, row.end_reason = self.at, "removed"
            row.save(update_fields=["ended_at", "end_reason"])

    @rule(which=st.integers(0, 1), who=st.integers(0, 2))
    def join_or_leave(self, which, who):
        group, person = self.groups[which], self.people[who]
        self.standing[group] ^= {person}
        group.members.set(self.standing[group])

    @rule(who=st.integers(0, 2))
    def disable_or_enable(self, who):
        person = self.people[who]
        self.enabled ^= {person}
        User.objects.filter(pk=person.pk).update(is_active=person in self.enabled)

    @rule(minutes=st.sampled_from([1, 59, 60, 121]))
    def wait(self, minutes):
        self.at += timedelta(minutes=minutes)

    @invariant()
    def both_say_the_same(self):
        self.steps += 1
        type(self).told += 1
        kinds = ((ActiveAssignment, self.active), (EligibleAssignment, self.eligible))
        (kind, rows), person = kinds[self.steps % 5 == 0], self.people[self.steps % 3]
        scope = self.tree[self.steps % 4]
        said = {key(pk) for (pk,) in self.stage.questions[kind, scope].rows(person, self.at)}
        assert said == reference(self, rows, person, scope)


def key(value):
    """As Django gives it: SQLite keeps it as text."""
    return ActiveAssignment._meta.pk.to_python(value)


def test_in_force_is_what_the_reference_says():
    machine = type("Staged", (World,), {"stage": Stage(), "told": 0})
    bounded = {"max_examples": RUNS, "stateful_step_count": STEPS, "derandomize": True, "database": None}
    run_state_machine_as_test(machine, settings=settings(**bounded))
    assert machine.told >= ENOUGH
