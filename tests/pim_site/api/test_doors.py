"""What the pages do, the API does: each service that a page calls has a door here, or a reason why it has none.

`DOORS` and `WITHOUT` are tables that people review. A service that a page calls for the first time, or a new operation,
is in neither and fails the tests, and so does a door that is not there any more.
"""

import ast
import inspect
import sys
from pathlib import Path

import alerts.services  # noqa: F401
import pim_site.ascode.services
import pim_site.urls  # noqa: F401 (with what it imports, every page; the others fill the registry)
from audit.services import OPERATIONS
from tests.test_api_matrix import operations

ROOT = Path(__file__).parents[3]
APPS = ("accounts", "roles", "assignments", "approvals", "reviews", "alerts", "notifications", "audit", "webhooks")
PAGES = ("views.py", "*_views.py", "views/*.py", "several.py", "admin.py")

# What a page calls, by the room of the service: the operation of the API that calls the same.
DOORS = {
    "accounts.choose_digests": "PATCH mail_preferences",
    "accounts.create_group": "POST groups",
    "accounts.create_token": "POST tokens",
    "accounts.end_session": "DELETE sessions/{id}",
    "accounts.end_sessions": "POST sessions/end",
    "accounts.revoke_token": "DELETE tokens/{id}",
    "accounts.rotate_token": "POST tokens/{id}/rotate",
    "alerts.configure": "PATCH alerts/{id}",
    "alerts.dismiss": "POST incidents/{id}/dismiss",
    "alerts.reopen": "POST incidents/{id}/reopen",
    "alerts.repair": "POST incidents/{id}/repair",
    "alerts.scan": "POST alerts/{id}/scan",
    "approvals.activate": "POST requests self_activate",
    "approvals.activate_in_emergency": "POST emergency_uses",
    "approvals.approve": "POST requests/{id}/approve",
    "approvals.assign_active": "POST requests admin_assign",
    "approvals.assign_eligible": "POST requests admin_assign",
    "approvals.cancel": "POST requests/{id}/cancel",
    "approvals.claim": "POST requests/{id}/claim",
    "approvals.deactivate": "POST requests self_deactivate",
    "approvals.delete_resource": "DELETE resources/{id}",
    "approvals.delete_role": "DELETE roles/{id}",
    "approvals.deny": "POST requests/{id}/deny",
    "approvals.deny_extension": "POST requests/{id}/deny",
    "approvals.extend": "POST requests admin_extend",
    "approvals.extend_activation": "POST requests self_extend",
    "approvals.grant_extension": "POST requests/{id}/grant",
    "approvals.make_eligible": "POST requests admin_update",
    "approvals.move_resource": "POST resources/{id}/move",
    "approvals.pin": "POST favourites",
    "approvals.release": "POST requests/{id}/release",
    "approvals.remove_active": "POST requests admin_remove",
    "approvals.remove_eligible": "POST requests admin_remove",
    "approvals.remove_set": "DELETE role_sets/{id}",
    "approvals.rename_set": "PATCH role_sets/{id}",
    "approvals.renew": "POST requests admin_renew",
    "approvals.review_emergency": "POST emergency_uses/{id}/review",
    "approvals.save_set": "POST role_sets",
    "approvals.self_extend": "POST requests self_extend",
    "approvals.self_renew": "POST requests self_renew",
    "approvals.unpin": "DELETE favourites/{id}",
    "approvals.update": "POST requests admin_update",
    "assignments.create_person": "POST principals",
    "assignments.delete_group": "DELETE groups/{id}",
    "assignments.disable_person": "POST principals/{id}/disable",
    "assignments.enable_person": "POST principals/{id}/enable",
    "assignments.update_group": "PATCH groups/{id}",
    "assignments.update_person": "PATCH principals/{id}",
    "pim_site.imports.import_rows": "POST eligible_assignments/import",
    "pim_site.imports.plan_rows": "POST eligible_assignments/import",
    "pim_site.requeue_message": "POST outbox/{id}/send_again",
    "reviews.answer": "POST review_items/{id}/decide",
    "reviews.change": "PATCH review_definitions/{id}",
    "reviews.clear": "POST reviews/{id}/clear",
    "reviews.define": "POST review_definitions",
    "reviews.define_each": "POST review_definitions/apart",
    "reviews.discontinue": "POST review_definitions/{id}/discontinue",
    "reviews.hasten": "POST review_definitions/{id}/start",
    "reviews.reassign": "POST reviews/{id}/reassign",
    "reviews.remind": "POST reviews/{id}/remind",
    "reviews.request_application": "POST reviews/{id}/apply",
    "reviews.retract": "POST review_items/{id}/undo",
    "reviews.stop": "POST reviews/{id}/stop",
    "roles.create_resource": "POST resources",
    "roles.create_role": "POST roles",
    "roles.delegate_decisions": "POST delegations",
    "roles.disable_hook": "POST hooks/{id}/disable",
    "roles.enable_hook": "POST hooks/{id}/enable",
    "roles.end_delegation": "POST delegations/{id}/end",
    "roles.govern_group": "POST groups/{id}/govern",
    "roles.register_hook": "POST hooks",
    "roles.remove_settings": "DELETE role_settings/{id}",
    "roles.renew_hook_secret": "POST hooks/{id}/renew_secret",
    "roles.save_settings": "PATCH role_settings/{id}",
    "roles.try_hook": "POST hooks/{id}/test",
    "roles.update_hook": "PATCH hooks/{id}",
    "roles.update_resource": "PATCH resources/{id}",
    "roles.update_role": "PATCH roles/{id}",
    "webhooks.disable_subscription": "POST webhook_subscriptions/{id}/disable",
    "webhooks.enable_subscription": "POST webhook_subscriptions/{id}/enable",
    "webhooks.renew_subscription_secret": "POST webhook_subscriptions/{id}/renew_secret",
    "webhooks.send_again": "POST webhook_deliveries/{id}/send_again",
    "webhooks.subscribe": "POST webhook_subscriptions",
    "webhooks.update_subscription": "PATCH webhook_subscriptions/{id}",
}

FACTORS = (
    "a token proves nothing, and whoever holds it is believed: if it could add, remove or renew what does prove, "
    "one that leaked would bring its own second factor to every role that asks for one"
)
TICKET = (
    "the link lets whoever reads it choose a person's password and first factor: answered to a token, it would make "
    "each person whom the token's owner may enrol into somebody whom its thief can be"
)
WORKER = "the worker does it by itself when its time has come: nobody asks for it on a page either"
OPERATOR = "a command of whoever runs the server, with keys or files of that machine: no page has it either"
WITHOUT = {
    "accounts.add_app": FACTORS,
    "accounts.add_passkey": FACTORS,
    "accounts.change_password": FACTORS,
    "accounts.enrol": FACTORS,
    "accounts.remove_factor": FACTORS,
    "accounts.rename_passkey": FACTORS,
    "accounts.renew_recovery_codes": FACTORS,
    "assignments.issue_enrolment": TICKET,
    "approvals.escalate": WORKER,
    "approvals.hear": WORKER,
    "approvals.lapse": WORKER,
    "approvals.note_emergency_sign_in": WORKER,
    "approvals.note_start": WORKER,
    "approvals.remind": WORKER,
    "approvals.remind_of_review": WORKER,
    "approvals.time_out": WORKER,
    "assignments.expire_active": WORKER,
    "assignments.expire_eligible": WORKER,
    "roles.note_test": "a part of roles.try_hook",
    "approvals.require_assigner": "changes nothing: a page asks it before it offers a form, and each service itself",
    "accounts.rotate_keys": OPERATOR,
    "audit.archiving.note_archive": OPERATOR,
    "pim_site.ascode.apply": OPERATOR,
    "roles.reseal_hooks": OPERATOR,
    "webhooks.reseal_subscriptions": OPERATOR,
}


def name_of(service):
    return f"{service.__module__.split('.services')[0]}.{service.__name__}"


def services_in(module):
    """The services that a module names, with what names them: those that take an actor."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found = getattr(getattr(module, node.value.id, None), node.attr, None)
        else:
            found = getattr(module, node.id, None) if isinstance(node, ast.Name) else None
        service = inspect.unwrap(found) if inspect.isfunction(found) else None
        if service and ".services" in service.__module__ and "actor" in inspect.signature(service).parameters:
            yield name_of(service)


def modules_in(paths):
    names = (".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths)
    return [sys.modules[name] for name in (each.removesuffix(".__init__") for each in names) if name in sys.modules]


def of_pages():
    paths = [path for app in APPS for pattern in PAGES for path in (ROOT / app).glob(pattern)]
    paths += [*(ROOT / "pim_site" / "admin").glob("*.py"), *(ROOT / "pim_site").glob("*views.py")]
    return {service for module in modules_in(paths) for service in services_in(module)}


def of_the_api():
    modules = modules_in((ROOT / "pim_site" / "api").glob("*.py"))
    return {service for module in modules for service in services_in(module)}


def test_what_a_page_calls_and_each_operation_has_a_door_of_the_api_or_a_reason():
    named = of_pages() | of_the_api() | {name_of(inspect.unwrap(each)) for each in OPERATIONS.values()}

    assert named == DOORS.keys() | WITHOUT.keys()


def test_what_has_a_door_is_called_by_the_api_and_nothing_else_is():
    assert of_the_api() == DOORS.keys()


def test_every_door_is_an_operation_of_the_api():
    assert set(DOORS.values()) <= {f"{method} {address}" for method, address in operations()}
