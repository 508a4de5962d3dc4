"""Every privileged operation: what it needs, what it leaves, and that nothing happens which cannot be recorded.

An operation that is added to the registry needs a scenario here: a complete set of arguments, and what makes the same
call one without the right.
"""

import inspect
import itertools
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.utils.timezone import now

import alerts.services  # noqa: F401
import approvals.services  # noqa: F401
import pim_site.ascode.services
import pim_site.imports.services
import pim_site.services  # noqa: F401
import webhooks.services  # noqa: F401 (with those beneath them, they fill the registry)
from accounts import factors
from accounts.services import issue_ticket, new_passkey_options, note_sign_in, token_facts
from alerts.models import Alert
from approvals.hooks import Reply
from approvals.models import HookCall, Request
from audit.merkle import Frontier
from audit.models import GRANTING, Entry, Event
from audit.sealing import seal
from audit.services import LONGEST_TEXT, OPERATIONS, record
from notifications.models import Message
from notifications.services import queue
from pim_site.ascode.reading import read
from pim_site.imports.rows import read as read_rows
from reviews import services as review_services
from roles.models import Delegation, Role, RoleSettings
from tests.environment import POSTGRES
from tests.factories import (
    PASSWORD,
    ActivationFactory,
    ActiveFactory,
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
    proof_for,
    root,
)
from tests.passkeys import SoftKey, passkey_of
from tests.refusals import REFUSALS, refused, snapshot, without_audit
from tests.reviews.making import begun, say, series, stage, terms

pytestmark = pytest.mark.django_db


@dataclass
class Scenario:
    """Arguments of a call that succeeds, and what differs for one that is refused, with which code."""

    arguments: dict[str, Any]
    differs: dict[str, Any] = field(default_factory=lambda: {"actor": UserFactory()})
    code: str = "not_allowed"


def administrator():
    return holder_of(Role.GLOBAL_ADMINISTRATOR)


def an_alert():
    return Alert.objects.get(key="unused_eligible")


def configure_alert():
    arguments = {"alert": an_alert(), "is_enabled": True, "thresholds": {"days": 60}, "justification": "As agreed."}
    return Scenario({"actor": administrator(), **arguments})


def scan_alert():
    return Scenario({"actor": administrator(), "alert": an_alert()})


def dismiss_incident():
    arguments = {"incident": IncidentFactory(), "until": now() + timedelta(days=9), "justification": "Known."}
    return Scenario({"actor": administrator(), **arguments})


def reopen_incident():
    dismissed = IncidentFactory(state="dismissed", dismissed_until=now() + timedelta(days=9))
    return Scenario({"actor": administrator(), "incident": dismissed, "justification": "Not known after all."})


def repair_incident():
    return Scenario({"actor": administrator(), "incident": IncidentFactory(), "justification": "Not needed."})


def create_person():
    return Scenario(
        {"actor": administrator(), "username": "new", "email": "new@example.org", "display_name": "New Person"}
    )


def update_person():
    return Scenario({"actor": administrator(), "user": UserFactory(), "display_name": "Another Name"})


def create_group():
    return Scenario({"actor": administrator(), "name": "New group", "members": [UserFactory()], "is_protected": True})


def update_group():
    return Scenario(
        {
            "actor": administrator(),
            "group": GroupFactory(members=[UserFactory()]),
            "name": "Another name",
            "description": "Why it is there.",
            "owners": [UserFactory()],
            "members": [UserFactory()],
            "is_protected": False,
        }
    )


def delete_group():
    group = GroupFactory(members=[UserFactory()])
    EligibleFactory(user=None, group=group)
    return Scenario({"actor": administrator(), "group": group, "justification": "Nobody is on call any more."})


def govern_group():
    return Scenario({"actor": administrator(), "group": GroupFactory()})


def activate_in_emergency():
    eligible = EligibleFactory(role=RoleFactory(settings__emergency_allowed=True))
    plain = EligibleFactory(user=eligible.user)
    arguments = {"actor": eligible.user, "eligible": eligible, "justification": "Payments are down."}
    return Scenario(arguments, {"eligible": plain}, "emergency_not_allowed")


def review_emergency():
    finding = {"finding": "justified", "justification": "Read the log."}
    return Scenario({"actor": administrator(), "use": EmergencyUseFactory()} | finding)


def remind_of_review():
    return Scenario({"actor": None, "use": EmergencyUseFactory(review_by=now())}, {"actor": administrator()})


def note_emergency_sign_in():
    administrator()
    browser = note_sign_in(user=UserFactory(is_emergency_access=True), session="a session", method="totp")
    browser.explain_by = browser.started_at
    browser.save()
    return Scenario({"actor": None, "browser": browser}, {"actor": administrator()})


def register_hook():
    return Scenario({"actor": administrator(), "name": "On-call plan", "url": "https://hooks.example.org/pim"})


def update_hook():
    return Scenario(
        {"actor": administrator(), "hook": HookFactory(), "name": "Other", "url": "https://hooks.example.org"}
    )


def renew_hook_secret():
    return Scenario({"actor": administrator(), "hook": HookFactory()})


def disable_hook():
    return Scenario({"actor": administrator(), "hook": HookFactory(), "justification": "It is moved."})


def enable_hook():
    return Scenario({"actor": administrator(), "hook": HookFactory(is_enabled=False), "justification": "It is back."})


def note_test():
    return Scenario({"actor": administrator(), "hook": HookFactory(), "outcome": "http_200"})


def reseal_hooks():
    HookFactory()
    return Scenario({"actor": None})


def hear():
    role = RoleFactory(settings__hook=HookFactory())
    request = RequestFactory(eligible_assignment=EligibleFactory(role=role), status="pending_hook", stage=None)
    HookCall.objects.create(request=request, next_attempt_at=now(), attempts=1)
    return Scenario({"actor": None, "request": request, "reply": Reply("denied", "Not on call."), "attempt": 1})


def enrol():
    app = TotpDeviceFactory.build()
    secret = issue_ticket(user=UserFactory(), actor=None)
    arguments = {"secret": secret, "password": PASSWORD, "encrypted_key": app.encrypted_key, "code": code_of(app)}
    return Scenario(arguments, {"secret": "another"}, "ticket_invalid")


def proved(action, actor, **facts):
    """Arguments of a change that needs a fresh proof, of which one of another session is none."""
    proof = proof_for(actor, action, **facts)
    return {"actor": actor, "proof": proof, "session": "this session"}, {"session": "another"}, "mfa_required"


def add_app():
    app = TotpDeviceFactory.build()
    arguments, *refused = proved("factor.added", UserFactory(), key=factors.digest(app.encrypted_key))
    return Scenario(arguments | {"name": "Tablet", "encrypted_key": app.encrypted_key, "code": code_of(app)}, *refused)


def add_passkey():
    user = UserFactory()
    arguments, *refused = proved("passkey.added", user, name="Laptop")
    options = new_passkey_options(user=user, session="this session", proof=arguments["proof"])
    return Scenario(arguments | {"name": "Laptop", "answer": SoftKey().make(options)}, *refused)


def rename_passkey():
    passkey = passkey_of(UserFactory())[0]
    arguments, *refused = proved("passkey.renamed", passkey.user, factor=passkey.persistent_id, name="Blue key")
    return Scenario(arguments | {"passkey": passkey, "name": "Blue key"}, *refused)


def remove_factor():
    app = TotpDeviceFactory(user=TotpDeviceFactory().user)
    arguments, *refused = proved("factor.removed", app.user, factor=app.persistent_id)
    return Scenario(arguments | {"factor": app}, *refused)


def renew_recovery_codes():
    return Scenario(*proved("recovery_codes.renewed", UserFactory()))


def change_password():
    arguments, *refused = proved("password.changed", UserFactory())
    return Scenario(arguments | {"password": "an even longer and fictional password"}, *refused)


def rotate_keys():
    TotpDeviceFactory()
    return Scenario({"actor": None})


def subscribe():
    arguments = {"name": "Tickets", "url": "https://hooks.example.org/pim", "kinds": ["request.created"]}
    return Scenario({"actor": administrator(), "owner": UserFactory()} | arguments)


def update_subscription():
    return Scenario(subscribe().arguments | {"subscription": SubscriptionFactory()})


def change_subscription():
    return Scenario({"actor": administrator(), "subscription": SubscriptionFactory()})


def enable_subscription():
    return Scenario({"actor": administrator(), "subscription": SubscriptionFactory(is_enabled=False)})


def reseal_subscriptions():
    return Scenario({"actor": None}, {"actor": SubscriptionFactory().owner})


def send_again():
    return Scenario({"actor": administrator(), "delivery": DeliveryFactory(state="given_up")})


def create_resource():
    return Scenario({"actor": administrator(), "parent": root(), "name": "Warehouse", "description": "Boxes."})


def update_resource():
    return Scenario(
        {
            "actor": administrator(),
            "resource": ResourceFactory(),
            "name": "Warehouse",
            "kind": "unit",
            "description": "Boxes.",
        }
    )


def move_resource():
    resource = ResourceFactory()
    ResourceFactory(parent=resource)
    facts = {"resource": resource, "parent": ResourceFactory(), "justification": "It changed hands."}
    return Scenario({"actor": administrator(), **facts})


def delete_resource():
    return Scenario({"actor": administrator(), "resource": ResourceFactory(), "justification": "A mistake."})


def delete_role():
    return Scenario({"actor": administrator(), "role": RoleFactory(), "justification": "A mistake."})


def create_role():
    return Scenario({"actor": administrator(), "resource": root(), "name": "Operator", "ticket_required": True})


def update_role():
    return Scenario(
        {
            "actor": administrator(),
            "role": RoleFactory(),
            "name": "Operator",
            "description": "Turns the wheels.",
            "is_privileged": True,
        }
    )


def save_settings():
    role = RoleFactory()
    return Scenario({"actor": administrator(), "role": role, "scope": role.resource, "approval_required": True})


def remove_settings():
    role, scope = RoleFactory(), ResourceFactory()
    RoleSettings.objects.create(role=role, scope=scope, created_at=now())
    return Scenario({"actor": administrator(), "role": role, "scope": scope})


def expire_active():
    administrator()
    return Scenario({"actor": None, "active": ActiveFactory(ends_at=now().replace(microsecond=0))})


def expire_eligible():
    administrator()
    return Scenario({"actor": None, "eligible": EligibleFactory(ends_at=now().replace(microsecond=0))})


def disable_person():
    user = ActivationFactory().user
    return Scenario({"actor": administrator(), "user": user, "justification": "Left the company."})


def enable_person():
    user = ActivationFactory(eligible_assignment__user__is_active=False).user
    return Scenario({"actor": administrator(), "user": user, "justification": "Came back."})


def issue_enrolment():
    user = UserFactory()
    issue_ticket(user=user, actor=None)
    facts = {"person": user.pk, "justification": "Lost the phone."}
    arguments, *refused = proved("enrolment.issued", administrator(), **facts)
    return Scenario(arguments | {"user": user, "justification": facts["justification"]}, *refused)


def activate():
    eligible = EligibleFactory(role=RoleFactory(settings__approval_required=True))
    administrator()
    arguments = {
        "eligible": eligible,
        "actor": eligible.user,
        "duration": timedelta(hours=1),
        "justification": "Stuck.",
    }
    return Scenario(arguments | {"ticket": "T-1", "ticket_system": "Desk"}, code="not_eligible")


def deactivate():
    active = ActivationFactory()
    return Scenario({"active": active, "actor": administrator(), "justification": "Done."})


def assign():
    role = RoleFactory()
    return Scenario(
        {
            "holder": UserFactory(),
            "role": role,
            "scope": role.resource,
            "actor": administrator(),
            "ends_at": now() + timedelta(days=30),
            "justification": "Takes over.",
        }
    )


def remove_eligible():
    eligible = ActivationFactory().eligible_assignment
    return Scenario({"eligible": eligible, "actor": administrator(), "justification": "Moved on."})


def remove_active():
    return Scenario({"active": ActiveFactory(), "actor": administrator(), "justification": "Moved on."})


def ending(factory=EligibleFactory, **differs):
    """Held for two months, ends in a week."""
    return factory(starts_at=now() - timedelta(days=60), ends_at=now() + timedelta(days=7), **differs)


def change(row):
    later = {"ends_at": now() + timedelta(days=30), "justification": "Still needed."}
    return Scenario({"assignment": row, "actor": administrator(), "session": "this session"} | later)


def update():
    return change(ending(ActiveFactory))


def extend():
    return change(ending())


def renew():
    row = EligibleFactory(starts_at=now() - timedelta(days=60), ends_at=now() - timedelta(days=2))
    return change(row)


def make_eligible():
    arguments = {"active": ActiveFactory(), "actor": administrator(), "justification": "Seldom needed."}
    return Scenario(arguments)


def self_extend():
    row = ending()
    administrator()
    return Scenario({"assignment": row, "actor": row.user, "justification": "Still on call."}, code="not_own")


def end_session():
    mine = note_sign_in(user=UserFactory(), session="mine", method="totp")
    return Scenario({"actor": mine.user, "browser": mine}, code="not_found")


def end_sessions():
    mine = note_sign_in(user=UserFactory(), session="mine", method="totp")
    return Scenario({"actor": mine.user}, code="not_found")


def release():
    looking = UserFactory()
    return Scenario(
        {"request": RequestFactory(claimed_by=looking, claimed_at=now()), "actor": looking}, code="not_claimed"
    )


def extend_activation():
    at = now().replace(microsecond=0)
    row = ActivationFactory(starts_at=at - timedelta(hours=1), ends_at=at + timedelta(minutes=10))
    arguments = {"active": row, "actor": row.user, "duration": timedelta(hours=1), "justification": "Still stuck."}
    return Scenario(arguments | {"ticket": "T-1", "ticket_system": "Desk"}, code="not_own")


def self_renew():
    row = EligibleFactory(starts_at=now() - timedelta(days=60), ends_at=now() - timedelta(days=2))
    return Scenario({"assignment": row, "actor": row.user, "justification": "Still on call."}, code="not_own")


def asked_extension(**differs):
    return ExtensionFactory(eligible_assignment=ending(), **differs)


def grant_extension():
    later = {"ends_at": now() + timedelta(days=30), "justification": "Right.", "session": "this session"}
    return Scenario({"request": asked_extension(), "actor": administrator()} | later)


def deny_extension():
    return Scenario({"request": asked_extension(), "actor": administrator(), "justification": "No more."})


def lapse():
    row = EligibleFactory(starts_at=now() - timedelta(days=90), ends_at=now() - timedelta(days=30))
    return Scenario({"request": ExtensionFactory(eligible_assignment=row), "actor": None})


def pending():
    approver = UserFactory()
    role = RoleFactory(settings__approval_required=True, settings__approvers=[approver])
    return RequestFactory(eligible_assignment=EligibleFactory(role=role)), approver


def decide():
    request, approver = pending()
    return Scenario({"request": request, "actor": approver, "justification": "Seen."}, code="not_an_approver")


def claim():
    request, approver = pending()
    return Scenario({"request": request, "actor": approver}, code="not_an_approver")


def waits(**times):
    request, _approver = pending()
    Request.objects.update(**times)
    return Scenario({"request": request, "actor": None})


def escalate():
    return waits(escalates_at=now())


def remind():
    return waits(remind_at=now())


def make_delegation():
    actor = UserFactory()
    end = now() + timedelta(days=7)
    arguments = {"actor": actor, "delegate": UserFactory(), "ends_at": end, "justification": "Away."}
    return Scenario(arguments, {"delegate": actor}, "delegate_invalid")


def end_delegation():
    delegation = Delegation.objects.create(
        delegator=UserFactory(),
        delegate=UserFactory(),
        starts_at=now(),
        ends_at=now() + timedelta(days=7),
        created_at=now(),
    )
    return Scenario({"actor": delegation.delegator, "delegation": delegation, "justification": "Back."})


def cancel():
    request, _approver = pending()
    return Scenario({"request": request, "actor": administrator(), "justification": "Not needed."})


def time_out():
    request, _approver = pending()
    Request.objects.update(requested_at=now() - timedelta(hours=25), expires_at=now() - timedelta(hours=1))
    return Scenario({"request": request, "actor": None})


def note_start():
    active = ActivationFactory()
    request = RequestFactory(
        eligible_assignment=active.eligible_assignment, active_assignment=active, status=Request.Status.SCHEDULED
    )
    return Scenario({"request": request, "actor": None})


def requeue_message():
    (message,) = queue("role_ended", to=[UserFactory()], context={})
    Message.objects.update(state=Message.State.FAILED, attempts=20)
    return Scenario({"message": message, "actor": administrator()})


def import_organisation():
    content = b"version: 1\nresources:\n  - path: /New\n"
    return Scenario({"actor": None, "document": read(content)}, {"actor": administrator()})


def import_rows():
    content = b"username,name,email\nada,Ada,ada@example.org\n"
    arguments = {"actor": administrator(), "document": read_rows("people", content), "justification": "Joined."}
    return Scenario(arguments, code="file_refused")


def create_token():
    user = UserFactory()
    asked = {"name": "Laptop", "scopes": ["read"], "lifetime": timedelta(days=7), "networks": ["192.0.2.0/24"]}
    arguments, *refused = proved("token.created", user, **token_facts(user=user, **asked))
    return Scenario(arguments | asked | {"user": user}, *refused)


def rotate_token():
    token, overlap = TokenFactory(), timedelta(hours=1)
    arguments, *refused = proved("token.rotated", token.user, token=token.pk, overlap=overlap)
    return Scenario(arguments | {"token": token, "overlap": overlap}, *refused)


def revoke_token():
    token = TokenFactory()
    return Scenario({"token": token, "actor": token.user})


def define_review():
    return Scenario({"actor": administrator(), "terms": terms(recurrence="monthly")})


def change_review():
    definition = series()
    asked = review_services.defining.terms_of(definition)
    return Scenario({"actor": administrator(), "definition": definition, "terms": replace(asked, name="Other")})


def hasten_review():
    definition = series(first_on=(now() + timedelta(days=5)).date())
    return Scenario({"actor": administrator(), "definition": definition, "justification": "Asked for by the auditors."})


def discontinue_review():
    return Scenario({"actor": administrator(), "definition": series(), "justification": "Replaced."})


def open_review(verdict=""):
    """A review about one access, and the arguments of who runs it; answered, where there is a verdict."""
    review = begun(series(stage(people=(reviewer := UserFactory(),)), roles=(EligibleFactory().role,)))
    if verdict:
        say(review, reviewer, verdict)
    return reviewer, {"actor": administrator(), "instance": review}


def stop_review():
    _reviewer, arguments = open_review()
    return Scenario(arguments | {"justification": "The wrong people."})


def clear_review():
    _reviewer, arguments = open_review("approved")
    return Scenario(arguments | {"justification": "Asked wrongly."})


def remind_reviewers():
    _reviewer, arguments = open_review()
    return Scenario(arguments)


def reassign_review():
    reviewer, arguments = open_review()
    return Scenario(arguments | {"reviewer": reviewer, "to": UserFactory(), "justification": "Away."})


def apply_review():
    _reviewer, arguments = open_review("denied")
    review = review_services.stop(instance=arguments["instance"], actor=None, justification="Done.")
    return Scenario(arguments | {"instance": review, "justification": "Looked at it."})


def answer_review():
    reviewer, arguments = open_review()
    items = [item.pk for item in arguments["instance"].items.all()]
    said = {"actor": reviewer, "items": items, "verdict": "denied", "justification": "Has left."}
    return Scenario(arguments | said, code="not_asked")


def retract_answer():
    reviewer, arguments = open_review("denied")
    items = [item.pk for item in arguments["instance"].items.all()]
    return Scenario(arguments | {"actor": reviewer, "items": items}, code="not_asked")


def archive():
    record("role.created", actor=None, target=None)
    seal()
    edge = Frontier.over([bytes(Entry.objects.get().leaf)])
    return Scenario(
        {"actor": None, "first": 1, "edge": edge, "path": Path("audit-1.jsonl"), "digest": "0" * 64}, code="forbidden"
    )


SCENARIOS = {
    "log.archived": archive,
    "review.defined": define_review,
    "review.changed": change_review,
    "review.hastened": hasten_review,
    "review.discontinued": discontinue_review,
    "review.stopped": stop_review,
    "review.cleared": clear_review,
    "review.reminded": remind_reviewers,
    "review.reassigned": reassign_review,
    "review_application.requested": apply_review,
    "review_item.answered": answer_review,
    "review_item.retracted": retract_answer,
    "person.created": create_person,
    "person.updated": update_person,
    "person.disabled": disable_person,
    "person.enabled": enable_person,
    "group.created": create_group,
    "group.updated": update_group,
    "group.deleted": delete_group,
    "group.governed": govern_group,
    "enrolment.issued": issue_enrolment,
    "enrolment.completed": enrol,
    "factor.added": add_app,
    "factor.removed": remove_factor,
    "recovery_codes.renewed": renew_recovery_codes,
    "passkey.added": add_passkey,
    "passkey.renamed": rename_passkey,
    "password.changed": change_password,
    "factor_keys.rotated": rotate_keys,
    "emergency.used": activate_in_emergency,
    "emergency.reminded": remind_of_review,
    "emergency.reviewed": review_emergency,
    "emergency_sign_in.noted": note_emergency_sign_in,
    "hook.registered": register_hook,
    "hook.updated": update_hook,
    "hook.disabled": disable_hook,
    "hook.enabled": enable_hook,
    "hook.tested": note_test,
    "hook_secret.renewed": renew_hook_secret,
    "hook_keys.rotated": reseal_hooks,
    "delivery.requeued": send_again,
    "subscription.created": subscribe,
    "subscription.updated": update_subscription,
    "subscription.disabled": change_subscription,
    "subscription.enabled": enable_subscription,
    "subscription_secret.renewed": change_subscription,
    "subscription_keys.rotated": reseal_subscriptions,
    "resource.created": create_resource,
    "resource.updated": update_resource,
    "resource.moved": move_resource,
    "resource.deleted": delete_resource,
    "role.created": create_role,
    "role.deleted": delete_role,
    "role.updated": update_role,
    "settings.changed": save_settings,
    "settings.removed": remove_settings,
    "eligible.assigned": assign,
    "eligible.removed": remove_eligible,
    "eligible.expired": expire_eligible,
    "active.assigned": assign,
    "activation.requested": activate,
    "assignment.started": note_start,
    "assignment.deactivated": deactivate,
    "assignment.removed": remove_active,
    "assignment.expired": expire_active,
    "request.approved": decide,
    "request.denied": decide,
    "request.checked": hear,
    "request.claimed": claim,
    "request.escalated": escalate,
    "request.reminded": remind,
    "delegation.created": make_delegation,
    "delegation.ended": end_delegation,
    "request.canceled": cancel,
    "request.timed_out": time_out,
    "assignment.updated": update,
    "assignment.extended": extend,
    "alert.configured": configure_alert,
    "alert.scanned": scan_alert,
    "alert.dismissed": dismiss_incident,
    "alert.reopened": reopen_incident,
    "alert.repaired": repair_incident,
    "assignment.renewed": renew,
    "assignment.converted": make_eligible,
    "activation_extension.requested": extend_activation,
    "session.revoked": end_session,
    "sessions.revoked": end_sessions,
    "request.released": release,
    "extension.requested": self_extend,
    "renewal.requested": self_renew,
    "extension.granted": grant_extension,
    "extension.denied": deny_extension,
    "extension.timed_out": lapse,
    "message.requeued": requeue_message,
    "organisation.imported": import_organisation,
    "rows.imported": import_rows,
    "token.created": create_token,
    "token.rotated": rotate_token,
    "token.revoked": revoke_token,
}
every_operation = pytest.mark.parametrize("action", SCENARIOS)


@pytest.fixture
def audit_fails():
    """Let the database itself refuse every new event from now on."""
    if POSTGRES:
        body = "BEGIN RAISE EXCEPTION 'the audit is full'; END"
        statements = [
            f"CREATE FUNCTION audit_is_full() RETURNS trigger LANGUAGE plpgsql AS $${body}$$",
            "CREATE TRIGGER audit_full BEFORE INSERT ON audit_event EXECUTE FUNCTION audit_is_full()",
        ]
    else:
        body = "BEGIN SELECT RAISE(ABORT, 'the audit is full'); END"
        statements = [f"CREATE TRIGGER audit_full BEFORE INSERT ON audit_event {body}"]

    def fail():
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    return fail


def test_every_operation_has_a_scenario():
    assert set(SCENARIOS) == set(OPERATIONS)


@every_operation
def test_operation_takes_keywords_only_and_an_actor(action):
    parameters = inspect.signature(OPERATIONS[action]).parameters
    kinds = {parameter.kind for parameter in parameters.values()}
    assert kinds <= {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD}
    assert "actor" in parameters


@every_operation
def test_operation_changes_something_and_records_it(action):
    arguments, before = SCENARIOS[action]().arguments, snapshot()

    OPERATIONS[action](**arguments)

    assert without_audit(snapshot()) != without_audit(before)
    events = list(Event.objects.all())
    assert {(event.outcome, event.code) for event in events} == {("success", "")}
    assert [event.action for event in events].count(action) == 1
    assert {event.action for event in events if "approvers" in (event.facts["after"] or {})} <= set(GRANTING)


@every_operation
def test_operation_that_cannot_be_recorded_changes_nothing(action, audit_fails):
    arguments, before = SCENARIOS[action]().arguments, snapshot()
    audit_fails()

    with pytest.raises(DatabaseError, match="the audit is full"):
        OPERATIONS[action](**arguments)

    assert snapshot() == before


@every_operation
def test_operation_without_the_right_leaves_one_refused_event(action):
    scenario = SCENARIOS[action]()
    arguments = scenario.arguments | scenario.differs

    with refused(scenario.code):
        OPERATIONS[action](**arguments)

    event = Event.objects.get(outcome=Event.Outcome.REFUSED)
    assert (event.action, event.actor_id) == (action, getattr(arguments.get("actor"), "pk", None))


# What a refusal cannot tell: a thing or a request that the operation would have made, and whom or what it is about
# where that is known only within. All else is the same for both.
DIFFERS = {
    "log.archived": "target",
    "review.defined": "target",
    "review_item.answered": "subject role scope target",
    "review_item.retracted": "subject role scope target",
    "person.created": "subject target",
    "group.created": "target",
    "group.governed": "scope",
    "enrolment.completed": "subject target",
    "factor_keys.rotated": "target",
    "emergency.used": "role target request",
    "emergency_sign_in.noted": "target",
    "hook.registered": "target",
    "hook_keys.rotated": "target",
    "subscription.created": "target",
    "subscription_keys.rotated": "target",
    "resource.created": "scope target",
    "role.created": "role target",
    "role.deleted": "scope",
    "settings.changed": "target",
    "settings.removed": "target",
    "eligible.assigned": "target request",
    "eligible.removed": "request",
    "active.assigned": "target request",
    "activation.requested": "request",
    "assignment.started": "target",
    "assignment.deactivated": "request",
    "assignment.removed": "request",
    "request.checked": "justification",
    "delegation.created": "subject target",
    "delegation.ended": "target",
    "assignment.updated": "request",
    "assignment.extended": "request",
    "assignment.renewed": "target request",
    "assignment.converted": "request",
    "activation_extension.requested": "request",
    "session.revoked": "subject target",
    "sessions.revoked": "subject target",
    "extension.requested": "target request",
    "renewal.requested": "target request",
    "organisation.imported": "target",
    "rows.imported": "target",
    "token.created": "target",
    "token.rotated": "target",
}


def told(event):
    facts = event.facts
    refers = {name: (facts[name] or {}).get("id") for name in ("subject", "role", "scope", "target", "request")}
    return refers | {name: facts[name] for name in ("ticket", "justification")} | {"actor": facts["actor"]["id"]}


@pytest.mark.once  # what is recorded is made before the database sees it
@every_operation
def test_refusal_tells_what_is_told_when_it_is_done(action):
    scenario = SCENARIOS[action]()
    arguments = scenario.arguments | scenario.differs
    with suppress(*REFUSALS):
        OPERATIONS[action](**arguments)
    OPERATIONS[action](**scenario.arguments)

    refusal, done = (told(Event.objects.get(outcome=outcome, action=action)) for outcome in ("refused", "success"))

    actors = [refusal.pop("actor"), done.pop("actor")]
    named = [asked.get("actor") for asked in (arguments, scenario.arguments)]
    assert actors == [str(actor.pk) if actor else "" for actor in named] or action == "enrolment.completed"
    assert {name for name in done if refusal[name] != done[name]} == set(DIFFERS.get(action, "").split())


@pytest.mark.once  # what was refused is rolled back before the event is written, as the test above sees on both
@every_operation
def test_operation_whose_refusal_cannot_be_recorded_changes_nothing(action, audit_fails):
    scenario = SCENARIOS[action]()
    arguments, before = scenario.arguments | scenario.differs, snapshot()
    audit_fails()

    with pytest.raises(DatabaseError, match="the audit is full"):
        OPERATIONS[action](**arguments)

    assert snapshot() == before


# A nul, half a surrogate pair, and a million characters.
NOT_KEPT = [("a\x00b", "text_invalid"), ("a\ud83d", "text_invalid"), ("a" * 1_000_000, "too_long_text")]


@pytest.mark.once  # before the database sees them
@every_operation
def test_operation_refuses_texts_that_cannot_be_kept(action):
    arguments = SCENARIOS[action]().arguments
    texts = [name for name, value in arguments.items() if isinstance(value, str)]

    for name, (text, code) in itertools.product(texts, NOT_KEPT):
        with refused(code):
            OPERATIONS[action](**arguments | {name: text})

    assert all(len(event.canonical) < LONGEST_TEXT + 2_000 for event in Event.objects.all())
