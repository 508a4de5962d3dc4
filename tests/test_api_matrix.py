"""Every operation of the API for everybody, on their own objects and on others': who gets what, and who changes it.

`api_matrix.csv` is the table that people review. An operation that is not in it fails the tests, and so does a cell
that the API answers otherwise: a status where nothing was changed, "done" where something was; empty where there is no
such object. The columns named after scopes are tokens of a Global Administrator with that scope alone.
"""

import csv
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test import override_settings
from django.urls import get_resolver
from django.utils.timezone import now

from accounts.services import tokens as token_services
from accounts.tokens import Scope
from approvals.favourites import Favourite
from approvals.models import Request
from audit.services import record
from notifications.models import Message
from pim_site.api.asking import ASKED
from pim_site.api.several import SEVERAL
from pim_site.models import RequestCounter
from reviews.models import Answer, Asked
from roles.models import RoleSettings
from tests.api import Program
from tests.client import refusing_silently
from tests.factories import (
    EligibleFactory,
    EmergencyUseFactory,
    HookFactory,
    RoleFactory,
    SubscriptionFactory,
    TokenFactory,
    UserFactory,
    root,
)
from tests.refusals import snapshot
from tests.test_matrix import MARKS, Cast, Writes, undone

pytestmark = [pytest.mark.django_db, pytest.mark.once, pytest.mark.xdist_group("api matrix")]

TABLE = Path(__file__).with_name("api_matrix.csv")
PEOPLE = ("anonymous", "disabled", "plain", "requester", "approver", "helpdesk", "role_admin", "global_admin", "reader")
ASKERS = (*PEOPLE, *Scope.values)
OWNED = {
    "principals": "user",
    "eligible_assignments": "eligibleassignment",
    "active_assignments": "activeassignment",
    "requests": "request",
    "delegations": "delegation",
    "emergency_uses": "emergencyuse",
    "tokens": "token",
    "favourites": "favourite",
    "role_sets": "roleset",
    "audit_events": "event",
    "notifications": "message",
    "reviews": "review",
    "review_items": "item",
    "review_decisions": "answer",
}
OTHERS = {
    "review_definitions": "definition",
    "hooks": "hook",
    "webhook_subscriptions": "subscription",
    "webhook_deliveries": "delivery",
    "alerts": "alert",
    "incidents": "incident",
    "groups": "group",
    "resources": "resource",
    "roles": "role",
    "role_settings": "settings",
}
# What each action of a request is about, and the operations that need an object in another state than the others.
ABOUT = {
    "self_activate": "eligibleassignment",
    "self_deactivate": "activeassignment",
    "self_extend": "ending",
    "self_renew": "ended",
    "admin_update": "eligibleassignment",
    "admin_extend": "ending",
    "admin_renew": "ended",
    "admin_remove": "eligibleassignment",
}
IN_ANOTHER_STATE = {
    "emergency_uses": "eligibleassignment",
    "requests/{id}/grant": "extension",
    "principals/{id}/enable": "disabled",
    "hooks/{id}/enable": "disabled_hook",
    "webhook_subscriptions/{id}/enable": "disabled_subscription",
}
UNDESCRIBED = {"schema", "reference", ""}
REASON = {"justification": "Because the matrix asks."}


def operations():
    """Method and address of each operation, as they are written in the table; one for each kind of request."""
    (api,) = [entry for entry in get_resolver().url_patterns if str(entry.pattern) == "api/v1/"]
    for entry in api.url_patterns:
        address = (
            str(entry.pattern).replace("<uuid:pk>", "{id}").replace("<slug:pk>", "{id}").replace("<int:pk>", "{id}")
        )
        if address in UNDESCRIBED:
            continue
        for method in sorted(getattr(entry.callback, "actions", {"get": "", "post": ""}).keys() - {"head"}):
            if (method, address) == ("post", "requests"):
                yield from (("POST", f"requests {action}") for action in ASKED)
            elif address == "requests/several":
                yield from (("POST", f"requests/several {action}") for action in SEVERAL)
            else:
                yield method.upper(), address


def cases():
    for method, address in operations():
        owned = has_owner(address) or (method, address) == ("POST", "emergency_uses")
        objects = ("own", "other") if owned else ("other",) if "{id}" in address else ("",)
        yield from ((method, address, whose) for whose in objects)


def has_owner(address):
    kind = address.split("/")[0]
    if address in ("hooks/{id}/enable", "webhook_subscriptions/{id}/enable", "principals/{id}/enable"):
        return False
    return address.rpartition(" ")[2] in ABOUT or address == "access/of/{id}" or ("{id}" in address and kind in OWNED)


class ApiCast(Cast):
    """The personas of the pages, each with an event and a mail of their own, and a token."""

    def __init__(self):
        super().__init__()
        for persona, person in self.people.items():
            self.owned[persona] |= self.records_of(person)
        self.others |= self.records_of(self.somebody)
        claim = {"claimed_by": self.approver, "claimed_at": now()}
        Request.objects.filter(pk=self.others["request"]).update(**claim)
        self.others["disabled"] = UserFactory(is_active=False).pk
        self.others["disabled_hook"] = HookFactory(is_enabled=False).pk
        self.others["disabled_subscription"] = SubscriptionFactory(is_enabled=False).pk
        self.others["settings"] = RoleSettings.objects.get(role=RoleFactory()).pk
        self.tokens = {name: TokenFactory(user=self.people[name]).text for name in PEOPLE if name != "anonymous"}
        powerful = self.people["global_admin"]
        self.tokens |= {scope: TokenFactory(user=powerful, scopes=scope).text for scope in Scope.values}
        self.before = snapshot()

    def records_of(self, person):
        answer = Answer.objects.filter(person=person).first()
        plain = {"kind": "role_ended", "context": "{}", "state": "sent", "time_zone": "UTC", "language": "en"}
        long_ago = {"starts_at": now() - timedelta(days=60), "ends_at": now() - timedelta(days=5)}
        over = EligibleFactory(user=person, **long_ago)
        return {
            "ended": over.pk,
            "event": record("session.ended", actor=person, target=person, subject=person).pk,
            "favourite": Favourite.objects.create(user=person, role=RoleFactory(), scope=root()).pk,
            "emergencyuse": EmergencyUseFactory(request__eligible_assignment=over).pk,
            "message": Message.objects.create(to_address=person.email, user_id=person.pk, **plain).pk,
            **({"item": answer.item_id, "answer": answer.pk} if answer else {}),
        }

    def key_of(self, asker, address, whose):
        kind = address.split("/")[0]
        name = IN_ANOTHER_STATE.get(address) or ABOUT.get(address.rpartition(" ")[2])
        if not name and kind in OTHERS:
            return self.others[OTHERS[kind]]
        name = name or {"access": "user"}.get(kind) or OWNED[kind]
        if whose == "other":
            return self.others[name]
        owner = asker if asker in PEOPLE else "global_admin"
        return self.owned.get(owner, {}).get(name)


@pytest.fixture(scope="module")
def cast(django_db_setup, django_db_blocker, tmp_path_factory):
    changed = override_settings(DEMO_DIR=tmp_path_factory.mktemp("demo"), API_REQUESTS_PER_MINUTE=10**6)
    quiet = refusing_silently()
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock(), changed, quiet, undone():
        patch.setattr(token_services, "USE_IS_NOTED_EVERY", timedelta(days=1))
        made = ApiCast()
        for token in made.tokens.values():
            Program(token=token).get("access/mine")  # its first use is noted
        made.before = snapshot()
        yield made


def body(cast, address, key):
    """A body with which the operation does what it is for, where one may."""
    role, place = str(cast.others["role"]), str(cast.others["place"])
    question = {"principal": str(cast.somebody.pk), "role": role, "scope": str(root().pk)}
    act = address.rpartition("/")[2]
    if act in ("end", "disable", "enable", "approve", "deny", "cancel", "repair"):
        return REASON
    if address.startswith("requests "):
        return {"action": address.removeprefix("requests "), **REASON, **request_body(cast, address, key)}
    if address.startswith("requests/several "):
        return several_body(cast, address, key)
    if address.startswith("review"):
        return review_body(cast, address, key)
    return {
        "access/check": {"questions": [question]},
        "principals": {"username": "new", "display_name": "New", "email": "new@example.org"},
        "groups": {"name": "New"},
        "resources": {"name": "New", "parent": str(root().pk)},
        "resources/{id}/move": {"parent": place, **REASON},
        "roles": {"name": "New", "resource": str(root().pk)},
        "role_settings": {"role": role, "scope": place, "ticket_required": True},
        "incidents/{id}/dismiss": {"until": (now() + timedelta(days=9)).isoformat(), **REASON},
        "requests/{id}/grant": {"ends_at": None, **REASON},
        "approvals": {"requests": [str(cast.others["request"])], "verdict": "approved", **REASON},
        "emergency_uses": {"eligible_assignment": str(key), **REASON},
        "emergency_uses/{id}/review": {"finding": "justified", **REASON},
        "delegations": {"delegate": "somebody", "ends_at": (now() + timedelta(days=9)).isoformat()},
        "hooks": {"name": "New", "url": "https://hooks.example.org"},
        "webhook_subscriptions": {
            "name": "New",
            "url": "https://hooks.example.org",
            "kinds": ["request.created"],
        },
        "favourites": {"eligible_assignment": str(cast.others["eligibleassignment"])},
        "role_sets": {"name": "New", "eligible_assignments": [str(cast.others["eligibleassignment"])]},
        "tokens": {"name": "New", "scopes": ["read"], "lifetime": "P1D"},
    }.get(address, {})


def request_body(cast, address, key):
    action, later = address.rpartition(" ")[2], (now() + timedelta(days=90)).isoformat()
    kind = "active_assignment" if action == "self_deactivate" else "eligible_assignment"
    role = {"type": "eligible", "principal": str(cast.somebody.pk), "role": str(cast.others["role"])}
    about = {kind: str(key)} if action in ABOUT else role
    more = {
        "self_activate": {"duration": "PT1H"},
        "admin_update": {"ends_at": later},
        "admin_extend": {"ends_at": later},
        "admin_renew": {"ends_at": later},
    }
    return about | more.get(action, {})


def several_body(cast, address, key):
    """What is asked for one, said of a list of one."""
    asked = request_body(cast, address, key)
    shared = {name: asked.pop(name) for name in ("type", "role") if name in asked}
    return {"action": address.rpartition(" ")[2], **REASON, **shared, "requests": [asked]}


def review_body(cast, address, key):
    somebody = str(cast.somebody.pk)
    stage = {"days": 5, "reviewers": "named", "people": [somebody]}
    series = {"name": "New", "roles": [str(cast.others["role"])], "first_on": str(now().date()), "stages": [stage]}
    items = [str(cast.others["item"])]
    if address == "reviews/{id}/reassign":
        reviewer = Asked.objects.filter(item__instance=key).values_list("person", flat=True).first()
        return {"reviewer": str(reviewer), "to": somebody, **REASON}
    return {
        "review_definitions": series | {"begins_at": "23:59:59"},
        "review_definitions/apart": series | {"begins_at": "23:59:59"},
        "reviews/{id}/remind": {},
        "review_items/{id}/decide": {"verdict": "denied", **REASON},
        "review_items/{id}/undo": {},
        "review_decisions": {"review": str(cast.others["review"]), "items": items, "verdict": "denied", **REASON},
    }.get(address, REASON)


CHANGES = {
    "review_definitions/{id}": {"description": "Renamed"},
    "principals/{id}": {"display_name": "Renamed"},
    "alerts/{id}": {"is_enabled": False},
    "groups/{id}": {"description": "Renamed"},
    "resources/{id}": {"description": "Renamed"},
    "roles/{id}": {"description": "Renamed"},
    "role_settings/{id}": {"ticket_required": True},
    "hooks/{id}": {"name": "Renamed", "url": "https://hooks.example.org"},
    "webhook_subscriptions/{id}": {"name": "Renamed"},
    "role_sets/{id}": {"name": "Renamed"},
}
UNNOTED = MARKS | {RequestCounter._meta.db_table}


def outcome(cast, asker, method, address, whose):
    key = cast.key_of(asker, address, whose) if whose else ""
    if key is None:
        return ""
    program = Program(token=cast.tokens.get(asker, ""))
    path = address.split(" ")[0].replace("{id}", str(key))
    reasoned = method == "DELETE" and address.split("/")[0] in ("groups", "resources", "roles")
    query = {"justification": "A mistake."} if reasoned else {}
    if (method, address) == ("GET", "access/check"):
        somebody = cast.people.get(asker, cast.people["global_admin"])
        query = {"principal": str(somebody.pk), "role": str(cast.others["role"]), "scope": str(root().pk)}
    sent = {"POST": body(cast, address, key), "PATCH": CHANGES.get(address)}.get(method)
    writes = Writes()
    with undone(), connection.execute_wrapper(writes):
        status, _answer = program.send(method, path, sent, seen="*", **query)
        changed = writes.changed(cast.before, UNNOTED)
    return "done" if changed else str(status)


def table():
    with TABLE.open(newline="") as file:
        return {(row["method"], row["address"], row["object"]): row for row in csv.DictReader(file)}


def test_every_operation_is_in_the_table():
    assert set(cases()) == set(table())


@pytest.mark.parametrize("asker", ASKERS)
def test_operations_by_asker(cast, asker):
    expected = {case: row[asker] for case, row in table().items()}

    assert {case: outcome(cast, asker, *case) for case in cases()} == expected


def test_nothing_is_changed_by_reading():
    assert not [case for case, row in table().items() if case[0] == "GET" and "done" in row.values()]


def test_nobody_unknown_is_answered_and_no_token_does_more_than_its_owner():
    rows = table().values()
    assert {row[asker] for row in rows for asker in ("anonymous", "disabled")} <= {"401", ""}
    more = [row for row in rows for scope in Scope.values if row[scope] == "done" != row["global_admin"]]
    assert more == []
