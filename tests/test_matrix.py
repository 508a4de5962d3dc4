"""Every address of the site, by every method, for everybody: who gets in, and who changes something.

`matrix.csv` is the table that people review. An address that is not in it fails the tests, and so does a cell that the
site answers otherwise. What a cell says:

    in    sent to the sign-in page            200, 302, 403, 404, 405   answered so, and nothing was changed
    done  something was changed               (empty)                   there is no such object, or nobody asked
"""

import csv
import re
import uuid
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.core import mail
from django.db import connection, transaction
from django.test import Client, override_settings
from django.urls import get_resolver
from django.utils.timezone import now

from accounts import factors
from accounts.models import TotpDevice, User
from accounts.services import issue_ticket, note_sign_in
from approvals.models import RoleSet
from audit.services import record
from notifications.models import Message
from pim_site.demo.mail import FileBackend, mailbox
from pim_site.imports.packing import packed
from pim_site.middleware import DirectMiddleware
from reviews.models import Item
from roles.models import Delegation, Role, RoleSettings
from tests.client import refusing_silently, signed_in, unrendered
from tests.factories import (
    PASSWORD,
    ActivationFactory,
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
    TotpDeviceFactory,
    UserFactory,
    code_of,
    holder_of,
    root,
)
from tests.passkeys import passkey_of
from tests.refusals import AUDIT, snapshot
from tests.reviews.making import begun, say, series, stage

pytestmark = [pytest.mark.django_db, pytest.mark.once, pytest.mark.xdist_group("matrix")]

TABLE = Path(__file__).with_name("matrix.csv")
# Those whose session counts for nothing: all three of them hold Global Administrator, as far as it is theirs to use.
OUTSIDE = ("anonymous", "disabled", "without_factor")
BUILT_IN = {
    "helpdesk": Role.HELPDESK_ADMINISTRATOR,
    "role_admin": Role.PRIVILEGED_ROLE_ADMINISTRATOR,
    "global_admin": Role.GLOBAL_ADMINISTRATOR,
    "reader": Role.SECURITY_READER,
    "disabled": Role.GLOBAL_ADMINISTRATOR,
    "without_factor": Role.GLOBAL_ADMINISTRATOR,
}
INSIDE = ("plain", "requester", "approver", "eligible_admin", "helpdesk", "role_admin", "global_admin", "reader")
PERSONAS = OUTSIDE + INSIDE
OBJECTS = ("own", "other", "none")
# For what is not there, these are enough: one who may see nothing of others, and one who may see all.
ASKED_FOR_NOTHING = ("anonymous", "plain", "global_admin")
# A refused change leaves a mark of that and counts as a failure. What is only looked at leaves nothing.
MARKS = {*AUDIT, "accounts_signincounter"}


# --- addresses ------------------------------------------------------------------------------------------------


def routes(resolver=None, prefix=""):
    """Every address that the site knows, as it is written in the table."""
    for entry in (resolver or get_resolver()).url_patterns:
        address = prefix + spelled(str(entry.pattern))
        if address == "api/v1/":  # has a table of its own
            continue
        if hasattr(entry, "url_patterns"):
            yield from routes(entry, address)
        else:
            yield f"/{address}"


def spelled(pattern):
    """A pattern as an address: the regular expressions of the stock console have names in them."""
    return re.sub(r"\^?\(\?P<(\w+)>[^)]*\)(/?)\$", r"<\1>\2", pattern)


def kind_of(route):
    """What the object in an address is; empty where there is none."""
    if "<" not in route or route in ("/console/<url>", "/console/<app_label>/"):
        return ""
    for start, kind in KINDS.items():
        if route.startswith(start):
            return kind
    return route.split("/")[3]


KINDS = {
    "/activate/": "eligibleassignment",
    "/favourites/": "eligibleassignment",
    "/sets/": "roleset",
    "/active/": "activeassignment",
    "/extend/eligible/": "ending",
    "/extend/active/": "activeassignment",
    "/requests/<uuid:pk>/extend/": "extension",
    "/requests/<uuid:pk>/not-extend/": "extension",
    "/requests/": "request",
    "/delegation/": "delegation",
    "/security/apps/": "app",
    "/security/sessions/<uuid:pk>/": "browser",
    "/security/passkeys/": "passkey",
    "/security/tokens/": "token",
    "/enrol/": "ticket",
    "/demo/mail/": "letter",
    "/reviews/": "review",
    "/console/r/": "user",
}


def address(route, key):
    """The address of `route` with everything filled in; `key` is that of the object."""
    fixed = {"version": 1, "url": "nowhere/", "app_label": "accounts", "content_type_id": content_type(User)}
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(fixed.get(found[1], key)), route)


def content_type(model):
    return ContentType.objects.get_for_model(model).pk


# --- people and objects ---------------------------------------------------------------------------------------


class Cast:
    """The personas, each with things of their own, somebody else's things, and a signed-in session for each."""

    def __init__(self):
        self.people = {persona: self.person(persona) for persona in PERSONAS if persona != "anonymous"}
        self.approver = self.people["approver"]
        self.reviewed = EligibleFactory()
        EligibleFactory(role=self.reviewed.role)
        self.somebody = UserFactory(username="somebody")
        self.owned = {name: self.things_of(person) for name, person in self.people.items() if name != "plain"}
        self.owned["plain"] = {"user": self.people["plain"].pk}
        self.others = self.things_of(self.somebody) | self.things()
        self.sessions = {name: self.session_of(person) for name, person in self.people.items()}
        User.objects.filter(username="disabled").update(is_active=False)
        TotpDevice.objects.filter(user=self.people["without_factor"]).delete()
        self.before = snapshot()

    def person(self, persona):
        if persona in BUILT_IN:
            return holder_of(BUILT_IN[persona], username=persona)
        person = UserFactory(username=persona)
        if persona == "eligible_admin":
            EligibleFactory(user=person, role=Role.objects.built_in(Role.GLOBAL_ADMINISTRATOR))
        return person

    def things_of(self, person):
        guarded = RoleFactory(settings__approval_required=True, settings__approvers=[self.approver])
        return {
            "user": person.pk,
            "app": TotpDeviceFactory(user=person).pk,
            "passkey": passkey_of(person)[0].pk,
            "eligibleassignment": EligibleFactory(user=person, role=RoleFactory(settings__emergency_allowed=True)).pk,
            "ending": ending(person).pk,
            "extension": ExtensionFactory(eligible_assignment=ending(person)).pk,
            "activeassignment": ActivationFactory(eligible_assignment=EligibleFactory(user=person)).pk,
            "request": RequestFactory(eligible_assignment=EligibleFactory(user=person, role=guarded)).pk,
            "delegation": self.delegation_of(person),
            "token": TokenFactory(user=person).pk,
            "browser": note_sign_in(user=person, session=person.username, method="totp").pk,
            "roleset": RoleSet.objects.create(user=person, name="Incident").pk,
            "review": self.review_of(person).pk,
        }

    def review_of(self, reviewer):
        """An open review in which this person has answered one of two questions."""
        review = begun(series(stage(people=(reviewer,)), roles=(self.reviewed.role,)))
        say(review, reviewer, "approved", review.items.first())
        return review

    def delegation_of(self, person):
        times = {"starts_at": now(), "created_at": now(), "ends_at": now() + timedelta(days=1)}
        return Delegation.objects.create(delegator=person, delegate=UserFactory(), **times).pk

    def things(self):
        failed = {"kind": "role_ended", "context": "{}", "state": "failed", "time_zone": "UTC", "language": "en"}
        return {
            "group": GroupFactory(is_protected=False).pk,
            "resource": ResourceFactory().pk,
            "place": ResourceFactory().pk,
            "role": RoleFactory().pk,
            "hook": HookFactory().pk,
            "subscription": SubscriptionFactory().pk,
            "delivery": DeliveryFactory(state="given_up").pk,
            "definition": series(first_on=now().date() + timedelta(days=9)).pk,
            "instance": self.review_of(UserFactory(username="reviewer")).pk,
            "item": Item.objects.first().pk,
            "emergencyuse": EmergencyUseFactory().pk,
            "event": record("session.ended", actor=self.somebody, target=self.somebody).pk,
            "message": Message.objects.create(to_address="a@example.org", **failed).pk,
            "alert": "unused_eligible",
            "incident": IncidentFactory().pk,
            "ticket": issue_ticket(user=self.somebody, actor=None),
            "letter": a_letter(),
        }

    def session_of(self, person):
        client = Client()
        signed_in(client, person)
        session = client.session
        session["used_at"] += 3600  # that it is in use was noted a moment ago, however long all of this takes
        session.save()
        return client.cookies[settings.SESSION_COOKIE_NAME].value

    def key(self, persona, kind, whose):
        """The key of an object; None where this persona has none such."""
        if whose == "own":
            return self.owned.get(persona, {}).get(kind)
        if whose == "other":
            return self.others[kind]
        if persona not in ASKED_FOR_NOTHING:
            return None
        return {
            "app": 10**9,
            "delegation": 10**9,
            "passkey": 10**9,
            "event": 10**9,
            "ticket": "no-such",
            "letter": "no-such",
        }.get(kind, uuid.UUID(int=7))


def ending(person):
    return EligibleFactory(user=person, starts_at=now() - timedelta(days=60), ends_at=now() + timedelta(days=7))


def a_letter():
    FileBackend().send_messages([mail.EmailMessage("Subject", "Text", to=["a@example.org"])])
    return next(mailbox().glob("*.eml")).stem


@contextmanager
def undone():
    """Takes back what happens in the block. The services take it for the end of the world, as in Django's TestCase."""
    block = transaction.atomic()
    block._from_testcase = True
    with block:
        yield
        transaction.set_rollback(True)


@pytest.fixture(scope="module")
def cast(django_db_setup, django_db_blocker, tmp_path_factory):
    directory = override_settings(DEMO_DIR=tmp_path_factory.mktemp("demo"))
    with django_db_blocker.unblock(), directory, refusing_silently(), undone():
        yield Cast()


# --- what is sent ---------------------------------------------------------------------------------------------

REASON = {"justification": "Because the matrix asks."}
SETTINGS = {
    "activation_max_duration": "3600",
    "activation_authentication": "mfa",
    "hook_unanswered": "deny",
    "emergency_duration": "3600",
    **{f"stage{number}_quorum": "1" for number in (1, 2, 3)},
    **{f"stage{number}_timeout": "86400" for number in (1, 2, 3)},
    "eligible_max_days": "365",
    "active_max_days": "180",
}
PERSON = {"display_name": "New", "email": "new@example.org", "kind": "person", "time_zone": "UTC"}


def valid(route, cast, key):
    """Data with which a POST to this address does what the page is for, where one may."""
    return {**REASON, **SENT.get(route, lambda cast, key: {})(cast, key)}


def enrolment(cast, key):
    new = factors.new_key()
    code = code_of(TotpDevice(encrypted_key=new))
    return {"password": PASSWORD, "password_again": PASSWORD, "key": new, "new_code": code}


def bulk(slug, kind):
    return lambda cast, key: {"action": slug, "_selected_action": str(cast.others[kind]), "confirmed": "1"}


def in_use(role):
    return RoleSettings.objects.current().filter(role=role).values_list("pk", flat=True).first() or ""


def delegation_by(person):
    return Delegation.objects.filter(delegator=person).values_list("pk", flat=True).first() or ""


def file(text):
    """A file that was looked at, on its way back."""
    return {"packed": packed(text.encode())}


def assignment(cast):
    role = Role.objects.get(pk=cast.others["role"])
    return f"role,resource,user\n{role.name},/,somebody\n"


def subscription(name, cast):
    facts = {"name": name, "url": "https://hooks.example.org", "kinds": ["request.created"]}
    return facts | {"owner": cast.somebody.pk}


def answer(key):
    return {"items": [str(item.pk) for item in Item.objects.filter(instance=key)]}


def review_series(cast):
    what = {"name": "Quarter", "covers": "roles", "roles": cast.others["role"], "principals": "person", "kinds": "both"}
    who = {"stage1_reviewers": "named", "stage1_people": cast.somebody.pk, "stage1_days": "5"}
    when = {"first_on": f"{now():%Y-%m-%d}", "begins_at": "23:59", "time_zone": "UTC", "recurrence": "monthly"}
    return what | who | when | {"no_answer": "no_change", "look_back_days": "30"}


def reassignment(cast):
    return {"reviewer": User.objects.get(username="reviewer").pk, "to": cast.somebody.pk}


SENT = {
    "/mail/": lambda cast, key: {"rhythm": "daily"},
    "/sign-in/": lambda cast, key: {"identifier": "somebody", "password": PASSWORD},
    "/enrol/<str:ticket>/": enrolment,
    "/reviews/<uuid:pk>/answer/": lambda cast, key: answer(key) | {"verdict": "denied"},
    "/reviews/<uuid:pk>/retract/": lambda cast, key: answer(key),
    "/console/reviews/definition/add/": lambda cast, key: review_series(cast),
    "/console/reviews/definition/<path:object_id>/change/": lambda cast, key: review_series(cast),
    "/console/reviews/instance/<path:object_id>/reassign/": lambda cast, key: reassignment(cast),
    "/requests/<uuid:pk>/extend/": lambda cast, key: {"kind": "eligible", "lasting": "permanent"},
    "/favourites/<uuid:pk>/": lambda cast, key: {"pinned": "yes"},
    "/sets/<uuid:pk>/": lambda cast, key: {"name": "Night shift"},
    "/activate/<uuid:pk>/": lambda cast, key: {"duration": "60", "when": "now"},
    "/console/accounts/user/add/": lambda cast, key: PERSON | {"username": "new"},
    "/console/accounts/user/<path:object_id>/change/": lambda cast, key: PERSON | {"username": "renamed"},
    "/console/accounts/user/<path:object_id>/end-delegation/": lambda cast, key: {"delegation": delegation_by(key)},
    "/console/accounts/group/add/": lambda cast, key: {"name": "New"},
    "/console/accounts/group/<path:object_id>/change/": lambda cast, key: {"name": "Renamed"},
    "/console/approvals/emergencyuse/<path:object_id>/review/": lambda cast, key: {"finding": "justified"},
    "/console/roles/hook/add/": lambda cast, key: {"name": "New", "url": "https://hooks.example.org"},
    "/console/roles/hook/<path:object_id>/change/": lambda cast, key: {
        "name": "Renamed",
        "url": "https://hooks.example.org",
    },
    "/console/alerts/alert/": bulk("scan", "alert"),
    "/console/alerts/alert/<path:object_id>/configure/": lambda cast, key: {"is_enabled": "on", "days": "60"},
    "/console/alerts/incident/": bulk("repair", "incident"),
    "/console/alerts/incident/<path:object_id>/dismiss/": lambda cast, key: {
        "until": f"{now() + timedelta(days=9):%F}"
    },
    "/console/webhooks/subscription/add/": lambda cast, key: subscription("New", cast),
    "/console/webhooks/subscription/<path:object_id>/change/": lambda cast, key: subscription("Renamed", cast),
    "/console/webhooks/delivery/": bulk("send-again", "delivery"),
    "/console/roles/resource/add/": lambda cast, key: {"name": "New", "parent": root().pk, "kind": "other"},
    "/console/roles/resource/<path:object_id>/change/": lambda cast, key: {"name": "Renamed", "kind": "other"},
    "/console/roles/resource/<path:object_id>/move/": lambda cast, key: {"parent": cast.others["place"]},
    "/console/roles/role/add/": lambda cast, key: SETTINGS | {"name": "New", "resource": root().pk},
    "/console/roles/role/<path:object_id>/change/": lambda cast, key: {"name": "Renamed"},
    "/console/roles/role/<uuid:pk>/settings/": lambda cast, key: SETTINGS | {"step": "save", "seen": in_use(key)},
    "/console/roles/role/<uuid:pk>/settings/copy/": lambda cast, key: {"roles": [cast.others["role"]], "step": "save"},
    "/console/assignments/eligibleassignment/": bulk("remove", "eligibleassignment"),
    "/console/assignments/activeassignment/": bulk("remove", "activeassignment"),
    "/console/accounts/user/import/": lambda cast, key: file("username,name,email\nada,Ada,ada@example.org\n"),
    "/console/accounts/group/import/": lambda cast, key: file("name\nKeepers\n"),
    "/console/assignments/eligibleassignment/import/": lambda cast, key: file(assignment(cast)),
    "/console/assignments/activeassignment/import/": lambda cast, key: file(assignment(cast)),
    "/console/assignments/eligibleassignment/<path:object_id>/update/": lambda cast, key: {"lasting": "permanent"},
    "/console/notifications/message/": bulk("send-again", "message"),
    "/console/assignments/eligibleassignment/assign/": lambda cast, key: {"lasting": "permanent"},
    "/console/assignments/activeassignment/assign/": lambda cast, key: {"lasting": "permanent"},
}


class Caller:
    """One persona at the door: sends a request, tells the outcome, and leaves everything as it was."""

    def __init__(self, cast, persona, **client):
        self.cast, self.persona, self.session = cast, persona, cast.sessions.get(persona)
        self.client = Client(raise_request_exception=False, **client)

    def send(self, method, route, key):
        self.client.cookies.clear()
        if self.session:
            self.client.cookies[settings.SESSION_COOKIE_NAME] = self.session
        query = f"?user={self.cast.somebody.pk}&role={self.cast.others['role']}" if route.endswith("/assign/") else ""
        data = valid(route, self.cast, key) | self.proof(route) if method == "post" else {}
        marks, writes = MARKS if method == "post" else set(), Writes()
        # Each page is laid out for each of those who may look at it; what a form answers is told by its status.
        laid_out = nullcontext() if method == "get" else unrendered()
        with undone(), connection.execute_wrapper(writes), laid_out:
            answer = getattr(self.client, method)(address(route, key) + query, data)
            changed = writes.changed(self.cast.before, marks)
        return answer, changed

    def proof(self, route):
        """A code of this persona, where the console asks for one."""
        if not route.endswith("/enrol/"):
            return {}
        app = TotpDevice.objects.filter(user=self.cast.people.get(self.persona)).first()
        return {"code": code_of(app)} if app else {}

    def outcome(self, method, route, key):
        answer, changed = self.send(method, route, key)
        if changed:
            return "done"
        to_sign_in = answer.status_code == 302 and answer.url.startswith("/sign-in/") and "/code/" not in answer.url
        return "in" if to_sign_in else str(answer.status_code)


class Writes:
    """Notes which tables are written to, but for sessions: only their rows are worth the time to compare."""

    def __init__(self):
        self.tables = set()

    def __call__(self, execute, sql, *rest):
        if found := re.match(r'(?:INSERT INTO|INSERT OR IGNORE INTO|UPDATE|DELETE FROM) "(\w+)"', sql):
            self.tables |= {found[1]} - {"django_session"}
        return execute(sql, *rest)

    def changed(self, before, marks):
        """Do the rows differ from those `before`, in other tables than `marks`?"""
        rows = snapshot(self.tables - marks)
        return rows != {table: before[table] for table in rows}


# --- the table ------------------------------------------------------------------------------------------------


def table():
    with TABLE.open(newline="") as file:
        return {(row["address"], row["object"], row["method"]): row for row in csv.DictReader(file)}


def cases():
    """Address and whose object, for all addresses; one where there is no object or nobody's."""
    for route in sorted(routes()):
        kind = kind_of(route)
        owners = OBJECTS if kind in OWNED else OBJECTS[1:] if kind else ("",)
        yield from ((route, whose) for whose in owners)


OWNED = (
    *("user", "app", "passkey", "eligibleassignment", "activeassignment", "request", "delegation"),
    *("ending", "extension", "token", "roleset", "browser", "review"),
)


def outcomes(cast, persona, method):
    caller = Caller(cast, persona)
    for route, whose in cases():
        key = cast.key(persona, kind_of(route), whose) if whose else ""
        yield (route, whose, method), "" if key is None else caller.outcome(method, route, key)


def expected(persona, method):
    return {case: row[persona] for case, row in table().items() if case[2] == method}


def test_every_address_is_in_the_table():
    assert {(route, whose) for route, whose in cases()} == {case[:2] for case in table()}


@pytest.mark.parametrize("persona", PERSONAS)
def test_get_by_persona(cast, persona):
    assert dict(outcomes(cast, persona, "get")) == expected(persona, "get")


@pytest.mark.parametrize("persona", PERSONAS)
def test_post_by_persona(cast, persona):
    assert dict(outcomes(cast, persona, "post")) == expected(persona, "post")


def test_nobody_changes_anything_by_looking():
    assert not [case for case, row in table().items() if case[2] == "get" and "done" in row.values()]


def at_each_address(cast, persona, method, **client):
    """The outcome at every address, on somebody else's object where there is one."""
    caller = Caller(cast, persona, **client)
    for route, whose in cases():
        if whose in ("", "other"):
            key = cast.key(persona, kind_of(route), whose) if whose else ""
            yield route, caller.outcome(method, route, key)


@pytest.mark.parametrize("persona", ["anonymous", "plain"])
def test_head_answers_as_get(cast, persona):
    answers = {case[0]: row[persona] for case, row in table().items() if case[1] in ("", "other") and case[2] == "get"}

    assert dict(at_each_address(cast, persona, "head")) == answers


@pytest.mark.parametrize("persona", ["anonymous", "global_admin"])
@pytest.mark.parametrize("method", ["put", "delete", "options"])
def test_other_methods_do_nothing(cast, persona, method):
    outcomes = dict(at_each_address(cast, persona, method))

    assert not {route: outcome for route, outcome in outcomes.items() if outcome in ("200", "done")}


@pytest.mark.parametrize("persona", ["anonymous", "global_admin"])
def test_post_without_csrf_token_refused(cast, persona):
    outcomes = dict(at_each_address(cast, persona, "post", enforce_csrf_checks=True))

    direct = {outcomes.pop(route) for route in DirectMiddleware.PATHS & outcomes.keys()}

    assert direct == {"405"}  # to these no form is ever sent
    assert set(outcomes.values()) == {"403"}
