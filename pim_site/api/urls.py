"""Every address of the API, version 1."""

from typing import Any

from django.urls import path, re_path

from . import pages
from .access import Access, access_check
from .alerts import Alerts, Incidents
from .assignments import ActiveAssignments, EligibleAssignments
from .delegations import Delegations
from .emergencies import EmergencyUses
from .hooks import Hooks
from .keeping import Favourites, RoleSets
from .oneself import MailPreferences, Sessions
from .outbox import Outbox
from .principals import Groups, Principals
from .records import AuditEvents, Notifications
from .requests import Approvals, Requests
from .review_series import Definitions
from .reviews import Decisions, Items, Reviews
from .roles import Resources, Roles, Settings
from .tokens import Tokens
from .webhooks import Deliveries, Subscriptions

app_name = "api"
LIST, ONE = {"get": "list"}, {"get": "retrieve"}
MINE: dict[str, Any] = {
    "actions": {"get": "show", "patch": "partial_update"},
    "basename": "mail_preferences",
    "detail": False,
}
MAKE, EDIT, DELETE = {"post": "create"}, {"patch": "partial_update"}, {"delete": "destroy"}


def rows(name: str, view: Any, many: dict[str, str], one: dict[str, str], *acts: str, key: str = "uuid") -> list[Any]:
    """Return the addresses of one kind of rows: all of them, each, and what can be done to one by POST."""
    common = {"basename": name}
    found = [path(f"{name}", view.as_view(many, **common, detail=False), name=f"{name}-list")]
    if one:
        found.append(path(f"{name}/<{key}:pk>", view.as_view(one, **common, detail=True), name=f"{name}-detail"))
    for act in acts:
        route = f"{name}/<{key}:pk>/{act}"
        found.append(path(route, view.as_view({"post": act}, **common, detail=True), name=f"{name}-{act}"))
    return found


def look(name: str, view: Any, what: str) -> Any:
    """Return the address of something that one of the rows has besides."""
    there = view.as_view({"get": what}, basename=name, detail=True)
    return path(f"{name}/<uuid:pk>/{what}", there, name=f"{name}-{what}")


def whole(name: str, view: Any, act: str, at: str = "") -> Any:
    """Return the address of something that is done to all of the rows, or adds to them."""
    there = view.as_view({"post": act}, basename=name, detail=False)
    return path(f"{name}/{at or act}", there, name=f"{name}-{at or act}")


urlpatterns = [
    path("access/check", access_check, name="access-check"),
    path("access/mine", Access.as_view({"get": "mine"}, basename="access", detail=False), name="access-mine"),
    path("access/of/<uuid:pk>", Access.as_view({"get": "of"}, basename="access", detail=True), name="access-of"),
    *rows("principals", Principals, LIST | MAKE, ONE | EDIT, "disable", "enable"),
    whole("principals", Principals, "import_rows", at="import"),
    *rows("groups", Groups, LIST | MAKE, ONE | EDIT | DELETE, "govern"),
    whole("groups", Groups, "import_rows", at="import"),
    *rows("resources", Resources, LIST | MAKE, ONE | EDIT | DELETE, "move"),
    *rows("roles", Roles, LIST | MAKE, ONE | EDIT | DELETE),
    *rows("role_settings", Settings, LIST | MAKE, ONE | EDIT | DELETE),
    *rows("hooks", Hooks, LIST | MAKE, ONE | EDIT, "disable", "enable", "renew_secret", "test"),
    *rows("eligible_assignments", EligibleAssignments, LIST, ONE),
    whole("eligible_assignments", EligibleAssignments, "import_rows", at="import"),
    *rows("active_assignments", ActiveAssignments, LIST, ONE),
    whole("active_assignments", ActiveAssignments, "import_rows", at="import"),
    *rows("requests", Requests, LIST | MAKE, ONE, "cancel", "claim", "release", "approve", "deny", "grant"),
    whole("requests", Requests, "several"),
    *rows("approvals", Approvals, LIST | MAKE, {}),
    *rows("emergency_uses", EmergencyUses, LIST | MAKE, ONE, "review"),
    *rows("delegations", Delegations, LIST | MAKE, ONE, "end", key="int"),
    *rows("favourites", Favourites, LIST | MAKE, ONE | DELETE, key="int"),
    *rows("role_sets", RoleSets, LIST | MAKE, ONE | EDIT | DELETE),
    *rows("audit_events", AuditEvents, LIST, ONE, key="int"),
    *rows("notifications", Notifications, LIST, ONE),
    *rows("outbox", Outbox, LIST, ONE, "send_again"),
    *rows("webhook_subscriptions", Subscriptions, LIST | MAKE, ONE | EDIT, "disable", "enable", "renew_secret"),
    *rows("webhook_deliveries", Deliveries, LIST, ONE, "send_again"),
    *rows("review_definitions", Definitions, LIST | MAKE, ONE | EDIT, "start", "discontinue"),
    whole("review_definitions", Definitions, "apart"),
    *rows("reviews", Reviews, LIST, ONE, "stop", "clear", "remind", "reassign", "apply"),
    *(look("reviews", Reviews, what) for what in ("progress", "results", "evidence")),
    *rows("review_items", Items, LIST, ONE, "decide", "undo"),
    *rows("review_decisions", Decisions, LIST | MAKE, ONE, key="int"),
    *rows("alerts", Alerts, LIST, ONE | EDIT, "scan", key="slug"),
    *rows("incidents", Incidents, LIST, ONE, "dismiss", "reopen", "repair"),
    path("mail_preferences", MailPreferences.as_view(**MINE), name="mail_preferences"),
    *rows("sessions", Sessions, LIST, ONE | DELETE),
    whole("sessions", Sessions, "end"),
    *rows("tokens", Tokens, LIST | MAKE, ONE | DELETE, "rotate"),
    path("schema", pages.schema, name="schema"),
    path("reference", pages.reference, name="reference"),
    re_path(r"", pages.nothing, name="nothing"),
]
