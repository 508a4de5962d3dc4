"""The nine actions of a request: what each asks for, and which service carries it out."""

from typing import Any, ClassVar

from django.utils.translation import gettext as _
from rest_framework import serializers

from accounts.tokens import Scope
from approvals import services
from approvals.models import Request
from approvals.rules import activation_facts
from approvals.services.assigning import assign_facts
from approvals.services.changing import change_facts
from assignments.models import ActiveAssignment, AnyAssignment
from assignments.rules import Terms
from roles.models import Role, RoleSettings

from . import sight
from .fields import Coded, Input, Length, Moment, Named, Text
from .problems import Refused

Door = Any  # the view: it knows who asks, in which session, and how a code is proved


class Asked(Input):
    """What all actions take. `carry_out` gets what was read, without these two and the action."""

    action: Any
    justification = Text(required=False, allow_blank=True, default="")
    validate_only = serializers.BooleanField(default=False)

    scope_of_token: ClassVar[str] = Scope.ASSIGN

    @staticmethod
    def carry_out(door: Door, asked: dict[str, Any]) -> Request:
        raise NotImplementedError


def action_field(action: str) -> serializers.ChoiceField:
    return serializers.ChoiceField([(action, action)])


class OneAssignment(Input):
    """Which assignment it is about: eligible or active, one of the two."""

    eligible_assignment = Named(sight.eligible, required=False)
    active_assignment = Named(sight.active, required=False)


def the_assignment(asked: dict[str, Any]) -> AnyAssignment:
    """Return the assignment that is named, and take it out of what was asked.

    Raises:
        Refused: ``assignment_required``.
    """
    named: list[AnyAssignment] = [
        asked.pop(name) for name in ("eligible_assignment", "active_assignment") if name in asked
    ]
    if len(named) != 1:
        text = _("Name one assignment: eligible_assignment or active_assignment.")
        raise Refused(text, "assignment_required")
    return named[0]


class SelfActivate(Asked, Coded):
    action = action_field(Request.Action.SELF_ACTIVATE)
    eligible_assignment = Named(sight.eligible)
    scope = Named(sight.resources, required=False)
    starts_at = Moment(required=False, allow_null=True)
    duration = Length()
    ticket = Text(max_length=100, required=False, allow_blank=True, default="")
    ticket_system = Text(max_length=100, required=False, allow_blank=True, default="")

    scope_of_token = Scope.ACTIVATE

    @staticmethod
    def carry_out(door: Door, asked: dict[str, Any]) -> Request:
        code, validate_only = asked.pop("code", ""), asked.pop("validate_only")
        eligible = asked.pop("eligible_assignment")
        asked = {"eligible": eligible, "scope": eligible.scope, "starts_at": None, **asked}
        checked = services.activate(actor=door.actor, validate_only=True, **asked)
        if validate_only or not checked.settings.mfa_required:
            return checked if validate_only else services.activate(actor=door.actor, **asked)
        strict = checked.settings.phishing_resistant_required
        proof = door.prove(code, "activation.requested", phishing_resistant=strict, **activation_facts(**asked))
        return services.activate(actor=door.actor, proof=proof, session=door.session, **asked)


class SelfDeactivate(Asked):
    action = action_field(Request.Action.SELF_DEACTIVATE)
    active_assignment = Named(sight.active)

    scope_of_token = Scope.ACTIVATE

    @staticmethod
    def carry_out(door: Door, asked: dict[str, Any]) -> Request:
        active = asked.pop("active_assignment")
        if active.user_id != door.actor.pk:
            text = _("This is not your own assignment. Ask for admin_remove to take it from somebody.")
            raise Refused(text, "not_own")
        return services.deactivate(active=active, actor=door.actor, **asked)


class SelfExtend(Asked, OneAssignment):
    action = action_field(Request.Action.SELF_EXTEND)

    scope_of_token = Scope.ACTIVATE

    @staticmethod
    def carry_out(door: Door, asked: dict[str, Any]) -> Request:
        return services.self_extend(assignment=the_assignment(asked), actor=door.actor, **asked)


class SelfRenew(Asked, OneAssignment):
    action = action_field(Request.Action.SELF_RENEW)

    scope_of_token = Scope.ACTIVATE

    @staticmethod
    def carry_out(door: Door, asked: dict[str, Any]) -> Request:
        return services.self_renew(assignment=the_assignment(asked), actor=door.actor, **asked)


class AdminAssign(Asked, Coded):
    action = action_field(Request.Action.ADMIN_ASSIGN)
    type = serializers.ChoiceField([("eligible", "eligible"), ("active", "active")])
    principal = Named(sight.principals_to_name, required=False)
    group = Named(sight.groups_to_name, required=False)
    role = Named(sight.roles)
    scope = Named(sight.resources, required=False)
    starts_at = Moment(required=False, allow_null=True)
    ends_at = Moment(required=False, allow_null=True)

    @staticmethod
    def carry_out(door: Door, asked: dict[str, Any]) -> Request:
        code, kind, role = asked.pop("code", ""), asked.pop("type"), asked["role"]
        holders = [asked.pop(name) for name in ("principal", "group") if name in asked]
        if len(holders) != 1:
            raise Refused(_("Name one holder: principal or group."), "holder_required")
        asked = {"holder": holders[0], "scope": role.resource, "starts_at": None, "ends_at": None, **asked}
        if kind == "eligible":
            return services.assign_eligible(actor=door.actor, **asked)
        if asked["validate_only"]:
            return services.assign_active(actor=door.actor, **asked)
        asked |= {"validate_only": False}
        terms = Terms(**{name: value for name, value in asked.items() if name != "validate_only"})
        proof = _assigner_proof(door, code, role, asked["scope"], services.assign_active, asked, assign_facts(terms))
        return services.assign_active(actor=door.actor, **asked, **proof)


def _assigner_proof(
    door: Door, code: str, role: Role, scope: Any, service: Any, asked: dict[str, Any], facts: dict[str, Any]
) -> dict[str, Any]:
    """Return the proof that the settings ask of an administrator, if any; made only for what can be done."""
    settings = RoleSettings.objects.applying_to(role, scope).first()
    if settings is None or not settings.assign_active_mfa_required:
        return {}
    service(actor=door.actor, **asked | {"validate_only": True})
    action = ACTION_PROVED[service]
    return {"proof": door.prove(code, action, **facts), "session": door.session}


ACTION_PROVED = {
    services.assign_active: "active.assigned",
    services.update: "assignment.updated",
    services.extend: "assignment.extended",
    services.renew: "assignment.renewed",
}


class _OtherDates(Asked, OneAssignment, Coded):
    ends_at = Moment(allow_null=True)


def _change(door: Door, service: Any, asked: dict[str, Any]) -> Request:
    code, row = asked.pop("code", ""), the_assignment(asked)
    asked = {"assignment": row, **asked}
    proof: dict[str, Any] = {}
    if isinstance(row, ActiveAssignment) and not asked["validate_only"]:
        dates = {"starts_at": asked.get("starts_at"), "ends_at": asked["ends_at"]}
        facts = change_facts(row, justification=asked["justification"], **dates)
        proof = _assigner_proof(door, code, row.role, row.scope, service, asked, facts)
    made: Request = service(actor=door.actor, **asked, **proof)
    return made


class AdminUpdate(_OtherDates):
    action = action_field(Request.Action.ADMIN_UPDATE)
    starts_at = Moment(required=False, allow_null=True)
    type = serializers.ChoiceField(
        [("eligible", "eligible")], required=False, help_text="Make an active assignment eligible instead."
    )
    emergency = serializers.BooleanField(required=False)

    @staticmethod
    def carry_out(door: Door, asked: dict[str, Any]) -> Request:
        if asked.pop("type", "") == "eligible":
            asked.pop("code", "")
            row = the_assignment(asked)
            if not isinstance(row, ActiveAssignment):
                raise Refused(_("This is eligible already."), "already_assigned", status=409)
            return services.make_eligible(active=row, actor=door.actor, **asked)
        asked.pop("emergency", None)
        return _change(door, services.update, asked)


class AdminExtend(_OtherDates):
    action = action_field(Request.Action.ADMIN_EXTEND)

    @staticmethod
    def carry_out(door: Door, asked: dict[str, Any]) -> Request:
        return _change(door, services.extend, asked)


class AdminRenew(_OtherDates):
    action = action_field(Request.Action.ADMIN_RENEW)
    starts_at = Moment(required=False, allow_null=True)

    @staticmethod
    def carry_out(door: Door, asked: dict[str, Any]) -> Request:
        return _change(door, services.renew, asked)


class AdminRemove(Asked, OneAssignment):
    action = action_field(Request.Action.ADMIN_REMOVE)
    emergency = serializers.BooleanField(required=False, help_text="Mean it even for an emergency-access account.")

    @staticmethod
    def carry_out(door: Door, asked: dict[str, Any]) -> Request:
        row = the_assignment(asked)
        if isinstance(row, ActiveAssignment) and row.is_activated:
            asked.pop("emergency", None)
            return services.deactivate(active=row, actor=door.actor, **asked)
        if isinstance(row, ActiveAssignment):
            return services.remove_active(active=row, actor=door.actor, **asked)
        return services.remove_eligible(eligible=row, actor=door.actor, **asked)


ASKED: dict[str, type[Asked]] = {
    Request.Action.SELF_ACTIVATE.value: SelfActivate,
    Request.Action.SELF_DEACTIVATE.value: SelfDeactivate,
    Request.Action.SELF_EXTEND.value: SelfExtend,
    Request.Action.SELF_RENEW.value: SelfRenew,
    Request.Action.ADMIN_ASSIGN.value: AdminAssign,
    Request.Action.ADMIN_UPDATE.value: AdminUpdate,
    Request.Action.ADMIN_EXTEND.value: AdminExtend,
    Request.Action.ADMIN_RENEW.value: AdminRenew,
    Request.Action.ADMIN_REMOVE.value: AdminRemove,
}
