"""The demo as one of its people asks it, and what others make ready there beforehand."""

import itertools
import json
import random
import time
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import pyotp
import requests

# Who makes what is asked about: one of people and places, another of who holds what, as nobody assigns to themselves.
KEEPER, ASSIGNER = "global_admin", "role_admin"
# Those who ask, prepare and are named: their accounts and tokens stay.
CAST = ("requester", "approver", "second_approver", "on_call", "helpdesk", KEEPER, ASSIGNER)
REASON = "Because it is asked for."
STEP_SECONDS = 30


class Refused(Exception):
    """What was to be made ready could not be: the question goes out as it was made up."""


def moment(**ahead):
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat()


class Stage:
    """What `persona` asks is prepared here; `choose` is the one source of chance, the same in each run."""

    def __init__(self, address, people, persona, receiver):
        self.given = [address, people, persona, receiver]
        self.receiver = receiver  # the address of a program that takes messages
        self.site, self.address, self.persona = address, f"{address}/api/v1/", persona
        self.people = json.loads(Path(people).read_text())
        self.session, self.choose = requests.Session(), random.Random(persona)
        self.session.headers["Connection"] = "close"  # one that is kept may end just when it is used again
        self.numbers = itertools.count(int(time.time() * 1000))
        self.used_step = 0

    def ask(self, who, method, path, body=None, **headers):
        """Ask by hand; the answer's body."""
        headers |= {"Authorization": f"Bearer {self.people[who]['token']}"}
        headers |= {"If-Match": "*"} if method == "PATCH" else {}
        answer = self.session.request(method, self.address + path, json=body, headers=headers, timeout=60)
        if not answer.ok:
            raise Refused(f"{method} {path} by {who}: {answer.status_code} {answer.text[:300]}")
        self.etag = answer.headers.get("ETag", "")
        return answer.json() if answer.content else None

    def status(self, path):
        headers = {"Authorization": f"Bearer {self.people[self.persona]['token']}"}
        return self.session.get(self.address + path, headers=headers, timeout=60).status_code

    def mine(self, path):
        return self.ask(self.persona, "GET", path)

    def rows(self, path, who=KEEPER):
        return self.ask(who, "GET", path)["results"]

    def make(self, path, who=KEEPER, **body):
        return self.ask(who, "POST", path, body)

    def name(self):
        return f"Fuzz {next(self.numbers)}"

    def one_of(self, rows):
        if not rows:
            raise Refused("nothing of the kind is there")
        return self.choose.choice(rows)

    def id_of(self, who):
        return self.ids[who]

    @cached_property
    def ids(self):
        return {who: self.ask(who, "GET", "access/mine")["principal"]["id"] for who in CAST}

    @property
    def me(self):
        return self.ids[self.persona]

    def code(self):
        """A code of the persona that was not used yet; none while all that would be accepted were."""
        totp = pyotp.parse_uri(self.people[self.persona]["otpauth"])
        now = int(time.time()) // STEP_SECONDS
        step = max(now - 1, self.used_step + 1)
        if step > now + 1:
            raise Refused("no code is left at the moment")
        self.used_step = step
        return totp.at(step * STEP_SECONDS)

    # --- places, roles, people ----------------------------------------------------------------------------------

    @cached_property
    def root(self):
        return self.rows("resources?kind=organisation")[0]["id"]

    def place(self):
        return self.make("resources", name=self.name(), parent=self.root, kind="application")["id"]

    def person(self, **facts):
        name = self.name().replace(" ", "-").lower()
        facts = {"username": name, "display_name": name, "email": f"{name}@example.org"} | facts
        return self.make("principals", **facts)["id"]

    def username_of(self, person):
        return self.ask(KEEPER, "GET", f"principals/{person}")["username"]

    def group(self):
        return self.make("groups", name=self.name())["id"]

    def role(self, **settings):
        role = self.make("roles", name=self.name(), resource=self.root)["id"]
        if settings:
            self.ask(KEEPER, "PATCH", f"role_settings/{self.settings_of(role)}", settings)
        return role

    def settings_of(self, role):
        return self.rows(f"role_settings?role={role}&in_use=true")[0]["id"]

    @cached_property
    def open_role(self):
        """A role that takes nothing but a reason."""
        return self.role(activation_authentication="none", permanent_active_allowed=True)

    @cached_property
    def coded_role(self):
        return self.role(activation_authentication="mfa")

    @cached_property
    def emergency_role(self):
        return self.role(activation_authentication="none", emergency_allowed=True)

    @cached_property
    def guarded_role(self):
        """A role for which the approver and the administrator decide, without a code."""
        stage = {"approvers": [self.id_of("approver"), self.id_of("global_admin")]}
        plain = {"activation_authentication": "none", "decision_mfa_required": False}
        return self.role(**plain, approval_required=True, stages=[stage])

    # --- who holds what -----------------------------------------------------------------------------------------

    def assigned(self, kind="eligible", who=None, role=None, **ahead):
        """The id of an assignment at a place of its own, until so far ahead."""
        terms = {"type": kind, "role": role or self.open_role, "scope": self.place()}
        holder = {"principal": self.id_of(who or self.persona)}
        end = moment(**(ahead or {"days": 90}))
        made = self.make(
            "requests", ASSIGNER, action="admin_assign", justification=REASON, ends_at=end, **terms, **holder
        )
        return made[f"{kind}_assignment"]

    def run_out(self, who=None):
        """The ids of assignments that ran out and of which nothing new was made."""
        rows = self.rows(f"eligible_assignments?principal={self.id_of(who or self.persona)}&page_size=200")
        going_on = {(row["role"], row["scope"]) for row in rows if row["ends_at"] is None or row["ends_at"] > moment()}
        return [row["id"] for row in rows if (row["role"], row["scope"]) not in going_on]

    def asked(self, who, action, **body):
        return self.make("requests", who, action=action, justification=REASON, **body)

    def activated(self, who=None, duration="PT2H"):
        """The id of an activation in force."""
        who = who or self.persona
        made = self.asked(who, "self_activate", eligible_assignment=self.assigned(who=who), duration=duration)
        return made["active_assignment"]

    def waiting(self, who="requester"):
        """The id of a request that waits for somebody's decision."""
        eligible = self.assigned(who=who, role=self.guarded_role)
        return self.asked(who, "self_activate", eligible_assignment=eligible, duration="PT2H")["id"]

    def extending(self, who="requester"):
        return self.asked(who, "self_extend", eligible_assignment=self.assigned(who=who, days=5))["id"]

    def role_set(self):
        """The id of a set of the persona's own."""
        body = {"name": self.name(), "eligible_assignments": [self.assigned()]}
        return self.ask(self.persona, "POST", "role_sets", body)["id"]

    def signed_in(self):
        """The id of a session of the persona; who is signed in nowhere signs in."""
        if not self.mine("sessions")["results"]:
            person, browser = self.people[self.persona], requests.Session()
            browser.headers["Connection"] = "close"
            typed = {"identifier": person["username"], "password": person["password"]}
            for path, data in (("/sign-in/", typed), ("/sign-in/code/", {"code": self.code()})):
                browser.get(self.site + path, timeout=60)
                token = {"csrfmiddlewaretoken": browser.cookies["pim-csrf"]}
                browser.post(self.site + path, data=data | token, timeout=60)
        return self.one_of(self.mine("sessions")["results"])["id"]

    # --- others ---------------------------------------------------------------------------------------------------

    def subscription(self):
        facts = {"name": self.name(), "url": self.receiver, "kinds": ["request.created"]}
        return self.make("webhook_subscriptions", **facts, owner=self.id_of(KEEPER))["id"]

    def hook(self):
        return self.make("hooks", name=self.name(), url=self.receiver)["id"]

    @cached_property
    def reviewed_role(self):
        """A role that two people may activate."""
        role = self.role(activation_authentication="none")
        for who in ("on_call", "second_approver"):
            self.assigned(who=who, role=role)
        return role

    def series(self, reviewer, **others):
        """The id of a series of reviews, which `reviewer` answers."""
        stage = {"days": 5, "reviewers": "named", "people": [self.id_of(reviewer)]}
        first_on = str((datetime.now(UTC) + timedelta(days=30)).date())
        terms = {
            "name": self.name(),
            "reason_required": False,
            "roles": [self.reviewed_role],
            "first_on": first_on,
            "stages": [stage],
        }
        return self.make("review_definitions", **terms | others)["id"]
