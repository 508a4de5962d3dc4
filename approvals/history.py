"""What happened to a person, in words and as a file."""

import csv
from collections.abc import Iterable, Iterator

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from audit.models import Event

# What each action of the audit is called. An action that is not here is shown by its code.
ACTIONS: dict[str, str | Promise] = {
    "activation_extension.requested": _("Longer activation asked for"),
    "activation.requested": _("Activation asked for"),
    "active.assigned": _("Active assignment made"),
    "assignment.activated": _("Role activated"),
    "assignment.canceled": _("Scheduled assignment canceled"),
    "assignment.converted": _("Made eligible instead of active"),
    "assignment.deactivated": _("Activation ended early"),
    "assignment.expired": _("Activation expired"),
    "assignment.extended": _("Assignment extended"),
    "assignment.removed": _("Active assignment removed"),
    "assignment.renewed": _("Assignment renewed"),
    "assignment.started": _("Scheduled activation started"),
    "assignment.updated": _("Assignment changed"),
    "delegation.ended": _("Delegation ended"),
    "delegation.created": _("Decisions delegated"),
    "delivery.requeued": _("Webhook message queued again"),
    "eligible.assigned": _("Eligible assignment made"),
    "eligible.expired": _("Eligible assignment expired"),
    "eligible.removed": _("Eligible assignment removed"),
    "emergency.reminded": _("Review of emergency access overdue"),
    "emergency.reviewed": _("Emergency access reviewed"),
    "emergency.used": _("Emergency access used"),
    "emergency_sign_in.noted": _("Emergency account signed in, nothing activated"),
    "enrolment.completed": _("Enrolment completed"),
    "enrolment.issued": _("Enrolment link issued"),
    "extension.denied": _("Extension or renewal denied"),
    "extension.granted": _("Extension or renewal granted"),
    "extension.requested": _("Extension asked for"),
    "extension.timed_out": _("Extension or renewal timed out"),
    "factor.added": _("Authenticator app added"),
    "factor.removed": _("Authenticator app or passkey removed"),
    "factor_keys.rotated": _("Factor keys rotated"),
    "group.created": _("Group made"),
    "group.deleted": _("Group deleted"),
    "group.governed": _("Membership of a group governed"),
    "group.updated": _("Group changed"),
    "hook.disabled": _("Hook disabled"),
    "hook.enabled": _("Hook enabled"),
    "hook.registered": _("Hook registered"),
    "hook.tested": _("Hook tested"),
    "hook.updated": _("Hook changed"),
    "hook_keys.rotated": _("Keys of hooks rotated"),
    "hook_secret.renewed": _("Secret of a hook renewed"),
    "mail_preference.changed": _("Mail preference changed"),
    "message.requeued": _("Mail queued again"),
    "organisation.imported": _("Organisation imported"),
    "passkey.added": _("Passkey added"),
    "passkey.renamed": _("Passkey renamed"),
    "password.changed": _("Password changed"),
    "person.created": _("Person added"),
    "person.disabled": _("Person disabled"),
    "person.enabled": _("Person enabled"),
    "person.updated": _("Person changed"),
    "recovery_codes.renewed": _("Recovery codes renewed"),
    "renewal.requested": _("Renewal asked for"),
    "request.approved": _("Request approved"),
    "request.checked": _("Hook asked"),
    "request.claimed": _("Request looked at"),
    "request.escalated": _("Others asked to decide"),
    "request.reminded": _("Approvers reminded"),
    "request.released": _("Request no longer looked at"),
    "request.canceled": _("Request canceled"),
    "request.denied": _("Request denied"),
    "request.failed": _("Request failed"),
    "request.timed_out": _("Request timed out"),
    "resource.created": _("Resource made"),
    "resource.deleted": _("Resource deleted"),
    "resource.moved": _("Resource moved"),
    "resource.updated": _("Resource changed"),
    "review.advanced": _("Access review in its next stage"),
    "review.applied": _("Access review applied"),
    "review.changed": _("Access reviews changed"),
    "review.cleared": _("Answers of an access review cleared"),
    "review.closed": _("Access review ended"),
    "review.defined": _("Access reviews defined"),
    "review.discontinued": _("Access reviews discontinued"),
    "review.prepared": _("Access review prepared"),
    "review.reassigned": _("Access review given to another reviewer"),
    "review.reminded": _("Reviewers reminded"),
    "review.skipped": _("Access review left out"),
    "review.started": _("Access review started"),
    "review.stopped": _("Access review stopped"),
    "review_application.requested": _("Results of an access review to be applied"),
    "review_item.answered": _("Access reviewed"),
    "review_item.applied": _("Result of an access review applied"),
    "review_item.retracted": _("Answer about access taken back"),
    "role.created": _("Role made"),
    "role.deleted": _("Role deleted"),
    "role.updated": _("Role changed"),
    "rows.imported": _("Rows imported"),
    "session.ended": _("Signed out"),
    "session.revoked": _("Signed out elsewhere"),
    "sessions.revoked": _("Signed out everywhere"),
    "session.started": _("Signed in"),
    "settings.changed": _("Role settings changed"),
    "settings.removed": _("Role settings of a scope removed"),
    "step_up.proved": _("Code or passkey used"),
    "subscription.created": _("Webhook subscription made"),
    "subscription.disabled": _("Webhook subscription disabled"),
    "subscription.enabled": _("Webhook subscription enabled"),
    "subscription.updated": _("Webhook subscription changed"),
    "subscription_keys.rotated": _("Keys of webhook subscriptions rotated"),
    "subscription_secret.renewed": _("Secret of a webhook subscription renewed"),
    "token.created": _("API token made"),
    "token.revoked": _("API token revoked"),
    "token.rotated": _("API token replaced"),
}

# Why something was refused. A cause that is not here is shown by its code.
CAUSES: dict[str, str | Promise] = {
    "already_claimed": _("looked at by another"),
    "already_delegated": _("delegated already"),
    "already_active": _("active already"),
    "already_assigned": _("assigned already"),
    "already_decided": _("decided already"),
    "already_ended": _("ended already"),
    "already_pending": _("asked for already"),
    "emergency_access": _("emergency-access account"),
    "already_reviewed": _("reviewed already"),
    "emergency_not_allowed": _("no emergency access"),
    "own_use": _("own use"),
    "own_access": _("own access"),
    "in_progress": _("review in progress"),
    "not_asked": _("not asked"),
    "not_completed": _("review still open"),
    "not_open": _("review not open"),
    "nothing_to_do": _("nothing to do"),
    "privileged_one_by_one": _("privileged access among several"),
    "cycle": _("beneath itself"),
    "delegate_invalid": _("colleague not possible"),
    "forbidden": _("not allowed"),
    "group_needed": _("group still approves"),
    "group_not_protected": _("group not protected"),
    "holder_disabled": _("account disabled"),
    "holder_invalid": _("holder not possible"),
    "hook_required": _("other system not asked"),
    "hook_unusable": _("hook not usable"),
    "in_use": _("still used"),
    "invalid_credentials": _("wrong password"),
    "is_activated": _("an activation"),
    "justification_required": _("no reason given"),
    "last_administrator": _("last administrator"),
    "mfa_invalid": _("wrong code"),
    "mfa_required": _("no code given"),
    "mfa_reused": _("code used before"),
    "no_passkey": _("no passkey there"),
    "not_claimed": _("not looked at"),
    "not_eligible": _("not eligible"),
    "not_own": _("not one's own"),
    "outside_window": _("outside the time for it"),
    "own_request": _("own request"),
    "passkey_copied": _("passkey perhaps copied"),
    "passkey_expired": _("passkey used too late"),
    "passkey_invalid": _("passkey not accepted"),
    "phishing_resistant_required": _("no passkey used"),
    "schedule_invalid": _("time not possible"),
    "scope_invalid": _("scope not possible"),
    "self_assignment": _("for oneself"),
    "throttled": _("too many attempts"),
    "ticket_invalid": _("ticket not valid"),
    "ticket_required": _("no ticket given"),
    "too_long": _("too long"),
    "too_short": _("too short"),
}

COLUMNS = ("at", "action", "outcome", "code", "actor", "subject", "role", "scope", "target", "ticket", "justification")
# What a spreadsheet would take for a formula (OWASP, CSV injection); some read the wide forms of the signs alike.
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")


class Line:
    """A file for `csv.writer` that hands each line back instead of keeping it."""

    def write(self, line: str) -> str:
        return line


def csv_lines(events: Iterable[Event]) -> Iterator[str]:
    """Yield the lines of a CSV file, a heading first; times in UTC, as they were recorded."""
    writer = csv.writer(Line())
    yield writer.writerow(COLUMNS)
    for event in events:
        yield writer.writerow([cell(event.facts[column]) for column in COLUMNS])


def cell(value: str | dict[str, str] | None) -> str:
    """Return what stands in a cell of a file: the name of a thing, and nothing that a spreadsheet would carry out."""
    text = value["label"] if isinstance(value, dict) else value or ""
    return f"'{text}" if text.startswith(_FORMULA) else text
