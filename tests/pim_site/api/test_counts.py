"""A page of a list takes as many statements for many rows as for one, with all that can be had beside them."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver
from django.utils.timezone import now

from accounts.services import note_sign_in
from alerts.models import Alert
from approvals.favourites import Favourite, RoleSet, RoleSetEntry
from notifications.models import Message
from pim_site.api.lists import expandable
from tests.factories import (
    ActivationFactory,
    DelegationFactory,
    DeliveryFactory,
    EligibleFactory,
    EmergencyUseFactory,
    ExtensionFactory,
    GroupFactory,
    HookFactory,
    IncidentFactory,
    RequestFactory,
    ResourceFactory,
    RoleFactory,
    SubscriptionFactory,
    TokenFactory,
    UserFactory,
    root,
)
from tests.reviews.making import begun, say, series, stage

pytestmark = [pytest.mark.django_db, pytest.mark.once]
MANY = 3


def lists():
    (api,) = [entry for entry in get_resolver().url_patterns if str(entry.pattern) == "api/v1/"]
    for entry in api.url_patterns:
        if getattr(entry.callback, "actions", {}).get("get") == "list":
            yield str(entry.pattern), entry.callback.cls


VIEWS = dict(lists())


def request_with_all(_asker):
    activation = ActivationFactory()
    links = {"active_assignment": activation, "eligible_assignment": activation.eligible_assignment}
    claimed = {"claimed_by": UserFactory(), "claimed_at": now()}
    RequestFactory(status="provisioned", prolongs=activation, **claimed, **links)


def extension(_asker):
    dates = {"starts_at": now() - timedelta(days=60), "ends_at": now() + timedelta(days=7)}
    ExtensionFactory(eligible_assignment=EligibleFactory(**dates))


def mail(asker):
    plain = {"kind": "role_ended", "context": "{}", "state": "sent", "time_zone": "UTC", "language": "en"}
    Message.objects.create(to_address=asker.email, user_id=asker.pk, **plain)


def answered_review(_asker):
    reviewer, role = UserFactory(), RoleFactory()
    EligibleFactory(role=role)
    review = begun(series(stage(people=(reviewer,)), roles=(role,)))
    say(review, reviewer, "approved", review.items.first())


def settings_with_stages(_asker):
    named = {"approvers": [UserFactory()], "approver_groups": [GroupFactory(members=[UserFactory()])]}
    RoleFactory(settings__approval_required=True, **{f"settings__{name}": rows for name, rows in named.items()})


def role_set(asker):
    row = RoleSet.objects.create(user=asker, name=str(uuid4()))
    for eligible in (EligibleFactory(user=asker), EligibleFactory(user=asker)):
        RoleSetEntry.objects.create(role_set=row, role=eligible.role, scope=eligible.scope)


ROWS = {
    "principals": lambda asker: UserFactory(manager=UserFactory()),
    "groups": lambda asker: GroupFactory(members=[UserFactory()]),
    "resources": lambda asker: ResourceFactory(),
    "roles": lambda asker: RoleFactory(),
    "role_settings": settings_with_stages,
    "hooks": lambda asker: HookFactory(),
    "eligible_assignments": lambda asker: EligibleFactory(),
    "active_assignments": lambda asker: ActivationFactory(),
    "requests": request_with_all,
    "approvals": extension,
    "emergency_uses": lambda asker: EmergencyUseFactory(),
    "delegations": lambda asker: DelegationFactory(),
    "audit_events": answered_review,
    "notifications": mail,
    "webhook_subscriptions": lambda asker: SubscriptionFactory(),
    "webhook_deliveries": lambda asker: DeliveryFactory(),
    "review_definitions": answered_review,
    "reviews": answered_review,
    "review_items": answered_review,
    "review_decisions": answered_review,
    "alerts": lambda asker: Alert.objects.exists(),
    "incidents": lambda asker: IncidentFactory(),
    "outbox": mail,
    "sessions": lambda asker: note_sign_in(user=asker, session=str(uuid4()), method="totp"),
    "tokens": lambda asker: TokenFactory(user=asker),
    "favourites": lambda asker: Favourite.objects.create(user=asker, role=RoleFactory(), scope=root()),
    "role_sets": role_set,
}


def test_every_list_is_counted():
    assert ROWS.keys() == VIEWS.keys()


@pytest.mark.parametrize("path", VIEWS)
def test_page_takes_as_many_statements_for_many_rows_as_for_one(admin, asker, path):
    for _number in range(MANY):
        ROWS[path](asker)
    beside = {"expand": ",".join(names)} if (names := expandable(VIEWS[path].serializer_class)) else {}
    taken = {}
    for size in (1, 1, MANY):  # the first one finds what is looked up once in a process
        with CaptureQueriesContext(
            connection,
        ) as run:
            status, page = admin.get(path, page_size=str(size), **beside)
        assert (status, len(page["results"])) == (200, size)
        taken[size] = [each["sql"] for each in run]

    assert len(taken[MANY]) == len(taken[1])
