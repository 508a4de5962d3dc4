"""The questions that every page asks, with 50 assignments and with 50,000: the same statements."""

import time
import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import Group, User
from assignments.backends import _HELD as HELD
from assignments.backends import AssignmentBackend
from assignments.holdings import active_holdings, eligible_holdings
from assignments.models import ActiveAssignment, EligibleAssignment, people_reached
from roles.models import Role
from tests.client import signed_in
from tests.environment import FIRST_PLAN
from tests.factories import (
    ActivationFactory,
    ActiveFactory,
    EligibleFactory,
    GroupFactory,
    ResourceFactory,
    RoleFactory,
    UserFactory,
    holder_of,
)

# That many live on PostgreSQL.
pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.postgres]
pytestmark += [pytest.mark.usefixtures("statistics_forgotten")]

SMALL, LARGE = 50, 50_000


class Cast:
    """One person who holds a bit of everything, among many others."""

    def __init__(self):
        self.scope = ResourceFactory(parent=ResourceFactory())
        self.person, self.group, self.role = UserFactory(), GroupFactory(), RoleFactory()
        self.group.members.add(self.person)
        facts = {"role": self.role, "scope": self.scope}
        ActiveFactory(user=self.person, **facts)
        ActiveFactory(user=None, group=self.group, **facts)
        ActivationFactory(eligible_assignment=EligibleFactory(user=None, group=self.group), user=self.person)
        EligibleFactory(user=self.person, **facts)
        self.boss = holder_of(Role.GLOBAL_ADMINISTRATOR)

    def grow(self, count):
        """Give roles to others: of each hundred, one is the role that is looked at, and ten are of groups."""
        tag = uuid.uuid4().hex[:8]
        people = [User(username=f"{tag}{n}", email=f"{tag}{n}@example.org", display_name=f"P {n}") for n in range(1000)]
        groups = [Group(name=f"{tag} {n}") for n in range(50)]
        User.objects.bulk_create(people, batch_size=500)
        Group.objects.bulk_create(groups)
        roles = [RoleFactory() for _ in range(100 if count > SMALL else 1)]
        at = now().replace(microsecond=0) - timedelta(hours=1)
        for model in (EligibleAssignment, ActiveAssignment):
            rows = [self.row(model, number, people, groups, roles, at) for number in range(count // 2)]
            model.objects.bulk_create(rows, batch_size=500, ignore_conflicts=True)

    def row(self, model, number, people, groups, roles, at):
        held = {"group": groups[number // 10 % 50]} if number % 10 == 0 else {"user": people[number % 1000]}
        role = self.role if number % 100 == 1 else roles[number // 1000 % len(roles)]
        ends_at = at + timedelta(days=1 + number % 300)
        over = {"ended_at": at, "end_reason": "removed"} if number // 1000 % 2 else {}
        scope = self.scope if number % 2 else role.resource
        return model(**held, **over, role=role, scope=scope, starts_at=at, ends_at=ends_at, created_at=at)


def questions(cast, client):
    def page(row):
        url = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
        return lambda: client.get(url).status_code == 200

    at = now()
    holders = ActiveAssignment.objects.in_force(at).filter(role=cast.role)
    return {
        "what do I hold": lambda: active_holdings(cast.person, at),
        "what do I hold at a scope": lambda: active_holdings(cast.person, at, cast.scope),
        "what can I activate": lambda: eligible_holdings(cast.person, at),
        "what may I do in this site": lambda: AssignmentBackend().get_all_permissions(cast.boss),
        "who holds this role": lambda: list(people_reached(holders, at).order_by("pk")[:50]),
        "role page": page(cast.role),
        "person page": page(cast.person),
        "group page": page(cast.group),
        "list of what is active": lambda: client.get(
            reverse("admin:assignments_activeassignment_changelist"), {"state": "active"}
        ),
    }


def measured(cast, client):
    """Statements and seconds of each, asked once before, so that texts made once are made.

    Seconds are for people to read: a machine that does other things besides would fail at any bound.
    """
    figures = {}
    for name, ask in questions(cast, client).items():
        assert ask()
        with CaptureQueriesContext(connection) as captured:
            begun = time.perf_counter()
            ask()
            seconds = time.perf_counter() - begun
        figures[name] = (len(captured), seconds)
    return figures


def planned_as_on_a_real_site():
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        options = "SELECT set_config(name, boot_val, true) FROM pg_settings WHERE name = ANY(%s)"
        cursor.execute(options, [list(FIRST_PLAN)])


def plan_of_rights(person):
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {HELD.plans['{}'].call}", [person.pk, now()])
        return "\n".join(line for (line,) in cursor.fetchall())


def test_questions_cost_the_same_whatever_there_is(client, capsys):
    cast = Cast()
    signed_in(client, cast.boss)
    cast.grow(SMALL)
    planned_as_on_a_real_site()
    small = measured(cast, client)
    cast.grow(LARGE)
    planned_as_on_a_real_site()
    signed_in(client, cast.boss)  # anew: that a session is used is noted once a minute
    large = measured(cast, client)
    with capsys.disabled():
        for name, (statements, seconds) in large.items():
            few = small[name]
            print(f"\n{name}: {few[0]} and {statements} statements, {few[1]:.3f} s and {seconds:.3f} s", end="")
    assert {name: figure[0] for name, figure in large.items()} == {name: figure[0] for name, figure in small.items()}
    assert "Seq Scan on assignments_" not in plan_of_rights(cast.boss)
