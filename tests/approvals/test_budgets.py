"""How many statements each act costs, whoever else there is: the locks, the audit, the mail and savepoints among them.

The transaction's own beginning and end are not counted: in a test, a savepoint stands for them.
"""

from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from accounts.models import User
from approvals.models import Request
from approvals.rules import activation_facts
from approvals.services import activate, approve
from assignments.holdings import active_holdings, eligible_holdings
from assignments.models import ActiveAssignment, EligibleAssignment
from audit.models import Event
from notifications.models import Message
from roles.models import Role
from tests.factories import (
    ActiveFactory,
    EligibleFactory,
    GroupFactory,
    RequestFactory,
    ResourceFactory,
    RoleFactory,
    UserFactory,
    holder_of,
    proof_for,
    root,
)

pytestmark = pytest.mark.django_db

SAID = {"duration": timedelta(hours=1), "justification": "The nightly job is stuck."}
FRAME = 2


def grow(role, scope, group, count):
    """Add people who may activate the role and ask for it, are in the group, and are told as administrators."""
    people = UserFactory.build_batch(count, password="")
    group.members.add(*User.objects.bulk_create(people))
    administrator = {"role": Role.objects.built_in(Role.GLOBAL_ADMINISTRATOR), "scope": root()}
    eligible = [EligibleFactory.build(user=person, role=role, scope=scope) for person in people]
    EligibleAssignment.objects.bulk_create(eligible)
    ActiveAssignment.objects.bulk_create(ActiveFactory.build(user=person, **administrator) for person in people)
    common = {"settings": role.settings.get(), "stage": 1}
    Request.objects.bulk_create(RequestFactory.build(eligible_assignment=row, **common) for row in eligible)


@pytest.fixture(params=[1, 200])
def population(request, db):
    """How a role is made among so many others, with its approvers where it has some: (eligible, group)."""

    def eligible(**settings):
        group, scope = GroupFactory(), ResourceFactory(parent=ResourceFactory())
        if settings.get("approval_required"):
            settings |= {"approver_groups": [group]}
        role = RoleFactory(**{f"settings__{name}": value for name, value in settings.items()})
        grow(role, scope, group, request.param)
        return EligibleFactory(role=role, scope=scope), group

    holder_of(Role.GLOBAL_ADMINISTRATOR)
    return eligible


def statements(act, **arguments):
    """Count them; on SQLite, where 999 values fill a statement, the mails to many count as the one that they are."""
    with CaptureQueriesContext(connection) as captured:
        act(**arguments)
    runs = [query["sql"] for query in captured.captured_queries]
    more = [
        two for two in pairwise(runs) if all(each.startswith('INSERT INTO "notifications_message"') for each in two)
    ]
    return len(runs) - (len(more) if connection.vendor == "sqlite" else 0)


def asking(eligible):
    facts = activation_facts(
        eligible=eligible, scope=eligible.scope, starts_at=None, ticket="", ticket_system="", **SAID
    )
    proof = proof_for(eligible.user, "activation.requested", **facts)
    return {"eligible": eligible, "actor": eligible.user, "proof": proof, "session": "this session", **SAID}


def written(user):
    """What there is of the act afterwards, so that what is counted is all of it."""
    events = Event.objects.filter(subject_id=user.pk).order_by("pk").values_list("action", flat=True)
    return list(events), Message.objects.filter(user_id=user.pk).count()


def test_activating_takes_25_statements_at_most(population):
    eligible, _group = population(activation_authentication="mfa")

    assert statements(activate, **asking(eligible)) - FRAME <= 25
    assert written(eligible.user) == (["activation.requested", "assignment.activated"], 1)


def test_asking_for_approval_takes_20_statements_at_most(population):
    eligible, group = population(activation_authentication="mfa", approval_required=True)
    told = Message.objects.filter(kind="approval_asked")
    before = told.count()

    assert statements(activate, **asking(eligible)) - FRAME <= 20
    assert written(eligible.user) == (["activation.requested"], 0)
    assert told.count() - before == group.members.count()


def test_approving_takes_30_statements_at_most(population):
    eligible, group = population(approval_required=True)
    request, actor = RequestFactory(eligible_assignment=eligible), UserFactory()
    group.members.add(actor)

    assert statements(approve, request=request, actor=actor, justification="Agreed.") - FRAME <= 30
    assert written(eligible.user) == (["assignment.activated", "request.approved"], 2)


def test_what_one_holds_takes_10_statements_at_most(population):
    eligible, group = population()
    ActiveFactory(user=None, group=group)
    group.members.add(eligible.user)

    assert statements(lambda: [active_holdings(eligible.user, now()), eligible_holdings(eligible.user, now())]) <= 10
    assert ActiveAssignment.objects.in_force(now()).reaching(eligible.user, now()).count() == 1
