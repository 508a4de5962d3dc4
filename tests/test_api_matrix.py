"""Every operation of the API for everybody, on their own objects and on others': who gets what, and who changes it.

`api_matrix.csv` is the table that people review. An operation that is not in it fails the tests, and so does a cell
that the API answers otherwise: a status where nothing was changed, "done" where something was; empty where there is no
such object. The columns named after scopes are tokens of a Global Administrator with that scope alone.
"""

import csv
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test import override_settings
from django.urls import get_resolver
from django.utils.timezone import now

from accounts.models import TotpDevice
from accounts.services import tokens as token_services
from accounts.tokens import Scope
from approvals.favourites import Favourite
from approvals.models import Request
from audit.services import record
from notifications.models import Message
from pim_site.api.asking import ASKED
from pim_site.api.several import SEVERAL
from pim_site.models import RequestCounter
from reviews import services as reviews
from reviews.models import Answer, Asked, Item
from roles.models import Role
from roles.services import save_settings
from tests.api import Program
from tests.client import refusing_silently
from tests.factories import (
    EligibleFactory,
    EmergencyUseFactory,
    HookFactory,
    IncidentFactory,
    ResourceFactory,
    RoleFactory,
    SubscriptionFactory,
    TokenFactory,
    UserFactory,
    code_of,
    root,
)
from tests.refusals import snapshot
from tests.reviews.making import begun, say, series, stage
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
    "sessions": "browser",
    "reviews": "review",
    "review_items": "item",
    "review_decisions": "answer",
}
OTHERS = {
    "review_definitions": "definition",
    "hooks": "hook",
    "webhook_subscriptions": "subscription",
    "webhook_deliveries": "delivery",
    "outbox": "message",
    "alerts": "alert",
    "incidents": "incident",
    "groups": "group",
    "resources": "resource",
    "roles": "role",
    "role_settings": "settings",
}
# Those without an id in their address that are about something which is one's own, or not.
NAMED = {
    ("GET", "access/check"): "user",
    ("POST", "access/check"): "user",
    ("POST", "emergency_uses"): "eligibleassignment",
    ("POST", "favourites"): "eligibleassignment",
    ("POST", "role_sets"): "eligibleassignment",
    ("POST", "tokens"): "tokens_for",
    ("POST", "review_decisions"): "review",
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
    "requests/{id}/grant": "extension",
    "principals/{id}/enable": "disabled",
    "hooks/{id}/enable": "disabled_hook",
    "webhook_subscriptions/{id}/enable": "disabled_subscription",
    "incidents/{id}/reopen": "dismissed",
    "outbox/{id}/send_again": "given_up",
    "reviews/{id}/apply": "completed",
}
# What is no operation: the description, its page, and whatever else stands in an address.
UNDESCRIBED = {"schema": ("GET",), "reference": ("GET",), "": ("GET", "POST")}
OPEN = {"schema", "reference", "no-such-thing"}
# Each operation is somebody's to do; one that is nobody's would stand here, with the reason.
NOBODY_DOES = {}
REASON = {"justification": "Because the matrix asks."}


def views():
    """Method, address and view of each operation, as they are written in the table."""
    (api,) = [entry for entry in get_resolver().url_patterns if str(entry.pattern) == "api/v1/"]
    for entry in api.url_patterns:
        address = re.sub(r"<\w+:pk>", "{id}", str(entry.pattern))
        actions = getattr(entry.callback, "actions", {"get": "", "post": ""})
        methods = UNDESCRIBED.get(address) or sorted(method.upper() for method in actions.keys() - {"head"})
        yield from ((method, address or "no-such-thing", entry.callback) for method in methods)


def operations():
    """The same without the view; one for each kind of request."""
    for method, address, _view in views():
        if (method, address) == ("POST", "requests"):
            yield from ((method, f"requests {action}") for action in ASKED)
        elif address == "requests/several":
            yield from ((method, f"requests/several {action}") for action in SEVERAL)
        else:
            yield method, address


def cases():
    for method, address in operations():
        objects = ("own", "other") if has_owner(method, address) else ("other",) if "{id}" in address else ("",)
        yield from ((method, address, whose) for whose in objects)


def has_owner(method, address):
    kind = address.split("/")[0]
    if address in ("hooks/{id}/enable", "webhook_subscriptions/{id}/enable", "principals/{id}/enable"):
        return False
    return (
        (method, address) in NAMED
        or address.rpartition(" ")[2] in ABOUT
        or address == "access/of/{id}"
        or ("{id}" in address and kind in OWNED)
    )


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
        self.others["settings"] = settings_of_a_scope().pk
        self.others["subscription"] = SubscriptionFactory(url="https://hooks.example.org").pk
        self.others["dismissed"] = IncidentFactory(state="dismissed", dismissed_until=now() + timedelta(days=9)).pk
        self.others["given_up"] = mail_to(self.somebody, state="failed").pk
        self.others["tokens_for"] = UserFactory(kind="service").pk
        self.root = str(root().pk)
        self.tokens = {name: TokenFactory(user=self.people[name]).text for name in PEOPLE if name != "anonymous"}
        powerful = self.people["global_admin"]
        for scope in Scope.values:
            token = TokenFactory(user=powerful, scopes=scope)
            self.tokens[scope], self.owned[scope] = token.text, self.owned["global_admin"] | {"token": token.pk}
        self.before = snapshot()

    def records_of(self, person):
        answer = Answer.objects.filter(person=person).first()
        long_ago = {"starts_at": now() - timedelta(days=60), "ends_at": now() - timedelta(days=5)}
        over = EligibleFactory(user=person, **long_ago)
        return {
            "ended": over.pk,
            "tokens_for": person.pk,
            "completed": self.completed_review_of(person).pk,
            "event": record("session.ended", actor=person, target=person, subject=person).pk,
            "favourite": Favourite.objects.create(user=person, role=RoleFactory(), scope=root()).pk,
            "emergencyuse": EmergencyUseFactory(request__eligible_assignment=over).pk,
            "message": mail_to(person, state="sent").pk,
            **({"item": answer.item_id, "answer": answer.pk} if answer else {}),
        }

    def completed_review_of(self, reviewer):
        """A review by this person, with something to be taken away."""
        review = begun(series(stage(people=(reviewer,)), roles=(EligibleFactory().role,)))
        if review.items.asked_of(reviewer).exists():  # nobody asks who is disabled
            say(review, reviewer, "denied")
        return reviews.stop(instance=review, actor=None, justification="All is answered.")

    def key_of(self, asker, method, address, whose):
        kind = address.split("/")[0]
        name = NAMED.get((method, address)) or IN_ANOTHER_STATE.get(address) or ABOUT.get(address.rpartition(" ")[2])
        if not name and kind in OTHERS:
            return self.others[OTHERS[kind]]
        name = name or {"access": "user"}.get(kind) or OWNED[kind]
        if whose == "other":
            return self.others[name]
        return self.owned.get(asker, {}).get(name)

    def code_of(self, asker):
        """What the authenticator app of whoever asks shows."""
        owner = self.people.get(asker, self.people["global_admin"])
        app = TotpDevice.objects.filter(user=owner).order_by("pk").first()
        return code_of(app) if app and asker != "anonymous" else ""


def mail_to(person, **facts):
    plain = {"kind": "role_ended", "context": "{}", "time_zone": "UTC", "language": "en"}
    return Message.objects.create(to_address=person.email, user_id=person.pk, **plain, **facts)


def settings_of_a_scope():
    """Settings that can be taken back: those of the role itself stay."""
    role = RoleFactory()
    return save_settings(role=role, scope=ResourceFactory(parent=role.resource), actor=None, ticket_required=True)


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


def body(cast, asker, address, key):
    """A body with which the operation does what it is for, where one may."""
    role, place = str(cast.others["role"]), str(cast.others["place"])
    question = {"principal": str(key), "role": role, "scope": cast.root}
    coded = {"code": cast.code_of(asker)} if address.startswith("tokens") else {}
    act = address.rpartition("/")[2]
    if address == "sessions/end":
        return {}
    if act in ("end", "disable", "enable", "approve", "deny", "cancel", "repair"):
        return REASON
    if address.startswith("requests "):
        return {"action": address.removeprefix("requests "), **REASON, **request_body(cast, address, key)}
    if address.startswith("requests/several "):
        return several_body(cast, address, key)
    if address.endswith("/import"):
        return {"csv": csv_of(cast, address.removesuffix("/import")), **REASON}
    if address.startswith("review"):
        return review_body(cast, address, key)
    return {
        "access/check": {"questions": [question]},
        "principals": {"username": "new", "display_name": "New", "email": "new@example.org"},
        "groups": {"name": "New"},
        "resources": {"name": "New", "parent": cast.root},
        "resources/{id}/move": {"parent": place, **REASON},
        "roles": {"name": "New", "resource": cast.root},
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
        "favourites": {"eligible_assignment": str(key)},
        "role_sets": {"name": "New", "eligible_assignments": [str(key)]},
        "tokens": {
            "principal": str(key),
            "name": "New",
            "scopes": [asker if asker in Scope.values else "read"],
            "lifetime": "P1D",
            **coded,
        },
        "tokens/{id}/rotate": coded,
    }.get(address, {})


def csv_of(cast, rows):
    role = Role.objects.select_related("resource").get(pk=cast.others["role"])
    given = f"role,resource,user\n{role.name},{role.resource.label},{cast.somebody.username}\n"
    people = "username,name,email\nnew,New,new@example.org\n"
    return {"principals": people, "groups": "name\nNew\n"}.get(rows, given)


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


def first_item(review):
    keys = Item.objects.filter(instance=review or None).values_list("pk", flat=True)
    return [str(key) for key in keys[:1]]


def review_body(cast, address, key):
    somebody = str(cast.somebody.pk)
    stage = {"days": 5, "reviewers": "named", "people": [somebody]}
    series = {"name": "New", "roles": [str(cast.others["role"])], "first_on": str(now().date()), "stages": [stage]}
    if address == "reviews/{id}/reassign":
        reviewer = Asked.objects.filter(item__instance=key).values_list("person", flat=True).first()
        return {"reviewer": str(reviewer), "to": somebody, **REASON}
    return {
        "review_definitions": series | {"begins_at": "23:59:59"},
        "review_definitions/apart": series | {"begins_at": "23:59:59"},
        "reviews/{id}/remind": {},
        "review_items/{id}/decide": {"verdict": "denied", **REASON},
        "review_items/{id}/undo": {},
        "review_decisions": {"review": str(key), "items": first_item(key), "verdict": "denied", **REASON},
    }.get(address, REASON)


CHANGES = {
    "review_definitions/{id}": {"description": "Renamed"},
    "principals/{id}": {"display_name": "Renamed"},
    "alerts/{id}": {"is_enabled": False},
    "groups/{id}": {"description": "Renamed"},
    "resources/{id}": {"description": "Renamed"},
    "roles/{id}": {"description": "Renamed"},
    "role_settings/{id}": {"ticket_required": False},
    "hooks/{id}": {"name": "Renamed", "url": "https://hooks.example.org"},
    "webhook_subscriptions/{id}": {"name": "Renamed"},
    "role_sets/{id}": {"name": "Renamed"},
    "mail_preferences": {"daily_digest": True},
}
UNNOTED = MARKS | {RequestCounter._meta.db_table}


def outcome(cast, asker, method, address, whose):
    key = cast.key_of(asker, method, address, whose) if whose else ""
    if key is None:
        return ""
    program = Program(token=cast.tokens.get(asker, ""))
    path = address.split(" ")[0].replace("{id}", str(key))
    reasoned = method == "DELETE" and address.split("/")[0] in ("groups", "resources", "roles")
    query = {"justification": "A mistake."} if reasoned else {}
    if (method, address) == ("GET", "access/check"):
        query = {"principal": str(key), "role": str(cast.others["role"]), "scope": cast.root}
    sent = body(cast, asker, address, key) if method == "POST" else CHANGES.get(address) if method == "PATCH" else None
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
    rows = [row for (_method, address, _whose), row in table().items() if address not in OPEN]
    assert {row[asker] for row in rows for asker in ("anonymous", "disabled")} <= {"401", ""}
    more = [row for row in rows for scope in Scope.values if row[scope] == "done" != row["global_admin"]]
    assert more == []


def done(asker):
    """The operations that this one does, on their own objects or on others'."""
    success = {"GET": "200", "POST access/check": "200"}
    return {
        (method, address)
        for (method, address, _whose), row in table().items()
        if address not in OPEN and row[asker] == success.get(f"{method} {address}", success.get(method, "done"))
    }


def test_each_operation_is_done_by_somebody():
    by_somebody = set().union(*(done(asker) for asker in PEOPLE))

    assert {case[:2] for case in table() if case[1] not in OPEN} - by_somebody == set(NOBODY_DOES)


def scopes():
    """The scope that each operation asks for; empty where any will do."""
    for method, address, view in views():
        by_action = getattr(getattr(view, "cls", None), "scopes", {})
        yield (method, address), by_action.get(getattr(view, "actions", {}).get(method.lower()), Scope.READ)
    for action, kind in ASKED.items():
        yield from (
            (("POST", f"{address} {action}"), kind.scope_of_token) for address in ("requests", "requests/several")
        )


def test_each_scope_alone_is_enough_for_just_its_operations():
    """Of those that whose token it is does; all of them but the repair of an incident, which takes two scopes."""
    by_owner = done("global_admin") - {("POST", "incidents/{id}/repair")}
    needed = dict(scopes())
    expected = {scope: {case for case in by_owner if needed[case] in ("", scope)} for scope in Scope.values}

    assert {scope: done(scope) for scope in Scope.values} == expected
