"""What is in force, said twice: by the product's queries, and by twenty lines over plain values."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils.timezone import now
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from accounts.models import User
from assignments.holdings import active_holdings
from roles.models import Resource, Role
from tests.factories import ActiveFactory, EligibleFactory, GroupFactory, ResourceFactory, RoleFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

HOUR = timedelta(hours=1)
RUNS, STEPS = 42, 50
some = st.integers(0, 3)
hours = st.integers(-4, 4)


def runs(row, at):
    """Half-open, and not ended before its time."""
    return row.starts_at <= at and not any(end and end <= at for end in (row.ends_at, row.ended_at))


def reference(world, person, scope, at):
    """The rows in force that reach a person at a scope."""

    def valid(row):
        return runs(row, at) and (row.eligible_assignment is None or runs(row.eligible_assignment, at))

    def is_member(group):
        own = (row for row in world.active if row.user == person and row.role == world.member[group])
        return person in world.standing[group] or any(map(valid, own))

    def reaches(row):
        if row.group:
            return is_member(row.group)
        through = row.eligible_assignment and row.eligible_assignment.group
        return row.user == person and (not through or is_member(through))

    places = {place.pk for place in world.above(scope)}
    held = [row for row in world.active if valid(row) and reaches(row) and row.scope.pk in places]
    return {row.pk for row in held} if person in world.enabled else set()


class World(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.at = now().replace(microsecond=0)
        self.people = UserFactory.create_batch(3)
        self.enabled = set(self.people)
        self.groups = GroupFactory.create_batch(2)
        self.standing = {group: set() for group in self.groups}
        self.member = {group: member_role(group) for group in self.groups}
        top = ResourceFactory()
        self.tree = [top, ResourceFactory(parent=top), ResourceFactory(parent=top)]
        self.tree.append(ResourceFactory(parent=self.tree[1]))
        self.active, self.eligible, self.steps = [], [], 0

    def above(self, scope):
        while scope is not None:
            yield scope
            scope = scope.parent

    def times(self, starts, lasts):
        start = self.at + starts * HOUR
        return {"starts_at": start, "ends_at": start + lasts * HOUR if lasts else None}

    def holder(self, who):
        holders = [*self.people, *self.groups]
        held = holders[who % len(holders)]
        return {"user": held} if isinstance(held, User) else {"user": None, "group": held}

    @rule(who=st.integers(0, 4), where=some, starts=hours, lasts=some, eligible=st.booleans())
    def assign(self, who, where, starts, lasts, eligible):
        facts = {"role": RoleFactory(), "scope": self.tree[where]} | self.holder(who) | self.times(starts, lasts)
        rows, kind = (self.eligible, EligibleFactory) if eligible else (self.active, ActiveFactory)
        rows.append(kind(**facts))

    @rule(who=st.integers(0, 2), which=st.integers(0, 1), starts=hours, lasts=some)
    def make_a_member_for_a_time(self, who, which, starts, lasts):
        role, person = self.member[self.groups[which]], self.people[who]
        eligible = next((row for row in self.eligible if (row.role, row.user) == (role, person)), None)
        eligible = eligible or EligibleFactory(user=person, role=role, starts_at=self.at - HOUR)
        if any(row.eligible_assignment == eligible and not row.ended_at for row in self.active):
            return
        self.eligible.append(eligible)
        facts = self.times(starts, lasts or 1) | {"eligible_assignment": eligible}
        self.active.append(ActiveFactory(user=person, role=role, **facts))

    @rule(which=st.integers(0, 9), who=st.integers(0, 2), where=some, lasts=st.integers(1, 4))
    def activate(self, which, who, where, lasts):
        if not self.eligible:
            return
        eligible, scope = self.eligible[which % len(self.eligible)], self.tree[where]
        person = eligible.user or self.people[who]
        same = (row for row in self.active if (row.eligible_assignment, row.user) == (eligible, person))
        if eligible.role.group_part or any(row.scope == scope for row in same):
            return
        facts = {"user": person, "role": eligible.role, "scope": scope, "eligible_assignment": eligible}
        self.active.append(ActiveFactory(**facts | self.times(0, lasts)))

    @rule(which=st.integers(0, 19), eligible=st.booleans())
    def end(self, which, eligible):
        rows = [row for row in (self.eligible if eligible else self.active) if not row.ended_at]
        if not rows:
            return
        row = rows[which % len(rows)]
        row.ended_at, row.end_reason = self.at, "removed"
        row.save()
        for each in self.active:
            if each.eligible_assignment == row:
                each.eligible_assignment = row

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
        person, scope = self.people[self.steps % 3], self.tree[self.steps % 4]
        said = {holding.assignment.pk for holding in active_holdings(person, self.at, scope)}
        assert said == reference(self, person, scope, self.at)


def member_role(group):
    place = ResourceFactory(kind=Resource.Kind.GROUP, group=group)
    return RoleFactory(resource=place, group_part=Role.GroupPart.MEMBER)


def test_in_force_is_what_the_reference_says():
    class Undone(World):
        """Each run begins with nothing."""

        def __init__(self):
            self.block = transaction.atomic()
            self.block._from_testcase = True
            self.block.__enter__()
            super().__init__()

        def teardown(self):
            transaction.set_rollback(True)
            self.block.__exit__(None, None, None)

    checks = list(HealthCheck)
    chosen = settings(
        max_examples=RUNS, stateful_step_count=STEPS, deadline=None, suppress_health_check=checks, database=None
    )
    run_state_machine_as_test(Undone, settings=chosen)
    assert not Resource.objects.filter(kind="group").exists()
