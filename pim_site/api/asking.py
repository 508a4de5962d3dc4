"""The nine actions of a request: what each asks for, and which service carries it out."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, NamedTuple

from django.utils.translation import gettext as _
from rest_framework import serializers

from accounts.rules import intent_digest
from accounts.tokens import Scope
from approvals import services
from approvals.models import Request
from approvals.rules import activation_facts, emergency_facts
from approvals.services.assigning import assign_facts
from approvals.services.changing import change_facts
from approvals.services.prolonging import prolong_facts
from assignments.models import ActiveAssignment, AnyAssignment
from assignments.rules import Terms
from roles.models import Role, RoleSettings

from . import sight
from .fields import Coded, Input, Length, Moment, Named, Text
from .problems import Refused

Door = Any  # the view: it knows who asks, in which session, and how a code is proved


class Ready(NamedTuple):
    """What can be asked for, as far as it was looked at.

    Attributes:
        ask: calls the service, with `proof` and `session` where a proof is asked.
        intent: what the proof is to be made for; empty where none is asked.
        phishing_resistant: only a passkey will do.
    """

    ask: Callable[..., Request]
    intent: str = ""
    phishing_resistant: bool = False


class Asked(Input):
    """What every request says."""

    action: Any
    justification = Text(required=False, allow_blank=True, default="")
    validate_only = serializers.BooleanField(default=False)

    scope_of_token: ClassVar[str] = Scope.ASSIGN

    @staticmethod
    def ready(door: Door, asked: dict[str, Any]) -> Ready:
        """Say how it is asked for. Where a code is asked, what is sure to be refused is refused here, to use up none.

        Args:
            asked: what was read, without the action and the code.

        Raises:
            Refused, and what the service does.
        """
        raise NotImplementedError


def carry_out(kind: type[Asked], door: Door, asked: dict[str, Any]) -> Request:
    """Ask for one change, with the code that came with it where one is needed."""
    code = asked.pop("code", "")
    ready = kind.ready(door, asked)
    if not ready.intent:
        return ready.ask()
    (proof,) = door.prove_each(code, [ready.intent], phishing_resistant=ready.phishing_resistant)
    return ready.ask(proof=proof, session=door.session)


def _own(ask: Callable[..., Request], action: str, facts: dict[str, Any], *, validate_only: bool) -> Ready:
    """What people ask for themselves; `ask` is the service with all but the proof."""
    checked = ask(validate_only=True)
    if validate_only or not checked.settings.mfa_required:
        return Ready((lambda: checked) if validate_only else ask)
    return Ready(ask, intent_digest(action, **facts), checked.settings.phishing_resistant_required)


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
    def ready(door: Door, asked: dict[str, Any]) -> Ready:
        eligible, validate_only = asked.pop("eligible_assignment"), asked.pop("validate_only")
        asked = {"eligible": eligible, "scope": eligible.scope, "starts_at": None, **asked}
        ask = partial(services.activate, actor=door.actor, **asked)
        return _own(ask, "activation.requested", activation_facts(**asked), validate_only=validate_only)


class SelfDeactivate(Asked):
    action = action_field(Request.Action.SELF_DEACTIVATE)
    active_assignment = Named(sight.active)

    scope_of_token = Scope.ACTIVATE

    @staticmethod
    def ready(door: Door, asked: dict[str, Any]) -> Ready:
        active = asked.pop("active_assignment")
        if active.user_id != door.actor.pk:
            text = _("This is not your own assignment. Ask for admin_remove to take it from somebody.")
            raise Refused(text, "not_own")
        return Ready(partial(services.deactivate, active=active, actor=door.actor, **asked))


class SelfExtend(Asked, OneAssignment, Coded):
    """More time. For one's running activation, at once or as its approvers say; else an administrator decides."""

    action = action_field(Request.Action.SELF_EXTEND)
    duration = Length(required=False, help_text="How much longer: of an activation, and only of one.")
    ticket = Text(max_length=100, required=False, allow_blank=True, help_text="Of an activation.")
    ticket_system = Text(max_length=100, required=False, allow_blank=True, help_text="Of an activation.")

    scope_of_token = Scope.ACTIVATE

    @staticmethod
    def ready(door: Door, asked: dict[str, Any]) -> Ready:
        row = the_assignment(asked)
        if isinstance(row, ActiveAssignment) and row.is_activated:
            return _longer(door, row, asked)
        if asked.keys() & {"duration", "ticket", "ticket_system"}:
            text = _("This was not activated: whoever grants the extension says until when.")
            raise Refused(text, "is_assigned")
        return Ready(partial(services.self_extend, assignment=row, actor=door.actor, **asked))


def _longer(door: Door, active: ActiveAssignment, asked: dict[str, Any]) -> Ready:
    if "duration" not in asked:
        raise Refused(_("Say how much longer you need it."), "duration_required", field="duration")
    validate_only = asked.pop("validate_only")
    asked = {"active": active, "ticket": "", "ticket_system": "", **asked}
    ask = partial(services.extend_activation, actor=door.actor, **asked)
    return _own(ask, "activation_extension.requested", prolong_facts(**asked), validate_only=validate_only)


class SelfRenew(Asked, OneAssignment):
    action = action_field(Request.Action.SELF_RENEW)

    scope_of_token = Scope.ACTIVATE

    @staticmethod
    def ready(door: Door, asked: dict[str, Any]) -> Ready:
        return Ready(partial(services.self_renew, assignment=the_assignment(asked), actor=door.actor, **asked))


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
    def ready(door: Door, asked: dict[str, Any]) -> Ready:
        kind, role = asked.pop("type"), asked["role"]
        holders = [asked.pop(name) for name in ("principal", "group") if name in asked]
        if len(holders) != 1:
            raise Refused(_("Name one holder: principal or group."), "holder_required")
        asked = {"holder": holders[0], "scope": role.resource, "starts_at": None, "ends_at": None, **asked}
        if kind == "eligible":
            return Ready(partial(services.assign_eligible, actor=door.actor, **asked))
        terms = Terms(**{name: value for name, value in asked.items() if name != "validate_only"})
        ask = partial(services.assign_active, actor=door.actor, **asked)
        return _assigning(ask, role, asked["scope"], assign_facts(terms))


def _assigning(ask: Any, role: Role, scope: Any, facts: dict[str, Any]) -> Ready:
    """What makes somebody hold a role: the settings may ask for a proof of the administrator."""
    settings = RoleSettings.objects.applying_to(role, scope).first()
    if ask.keywords["validate_only"] or settings is None or not settings.assign_active_mfa_required:
        return Ready(ask)
    ask(validate_only=True)
    return Ready(ask, intent_digest(ACTION_PROVED[ask.func], **facts))


ACTION_PROVED = {
    services.assign_active: "active.assigned",
    services.update: "assignment.updated",
    services.extend: "assignment.extended",
    services.renew: "assignment.renewed",
}


class _OtherDates(Asked, OneAssignment, Coded):
    ends_at = Moment(allow_null=True)


def _change(door: Door, service: Any, asked: dict[str, Any]) -> Ready:
    row = the_assignment(asked)
    ask = partial(service, assignment=row, actor=door.actor, **asked)
    if not isinstance(row, ActiveAssignment):
        return Ready(ask)
    dates = {"starts_at": asked.get("starts_at"), "ends_at": asked["ends_at"]}
    facts = change_facts(row, justification=asked["justification"], **dates)
    return _assigning(ask, row.role, row.scope, facts)


class AdminUpdate(_OtherDates):
    action = action_field(Request.Action.ADMIN_UPDATE)
    starts_at = Moment(required=False, allow_null=True)
    type = serializers.ChoiceField(
        [("eligible", "eligible")], required=False, help_text="Make an active assignment eligible instead."
    )
    emergency = serializers.BooleanField(required=False)

    @staticmethod
    def ready(door: Door, asked: dict[str, Any]) -> Ready:
        if asked.pop("type", "") == "eligible":
            row = the_assignment(asked)
            if not isinstance(row, ActiveAssignment):
                raise Refused(_("This is eligible already."), "already_assigned", status=409)
            return Ready(partial(services.make_eligible, active=row, actor=door.actor, **asked))
        asked.pop("emergency", None)
        return _change(door, services.update, asked)


class AdminExtend(_OtherDates):
    action = action_field(Request.Action.ADMIN_EXTEND)

    @staticmethod
    def ready(door: Door, asked: dict[str, Any]) -> Ready:
        return _change(door, services.extend, asked)


class AdminRenew(_OtherDates):
    action = action_field(Request.Action.ADMIN_RENEW)
    starts_at = Moment(required=False, allow_null=True)

    @staticmethod
    def ready(door: Door, asked: dict[str, Any]) -> Ready:
        return _change(door, services.renew, asked)


class AdminRemove(Asked, OneAssignment):
    action = action_field(Request.Action.ADMIN_REMOVE)
    emergency = serializers.BooleanField(required=False, help_text="Mean it even for an emergency-access account.")

    @staticmethod
    def ready(door: Door, asked: dict[str, Any]) -> Ready:
        row = the_assignment(asked)
        if isinstance(row, ActiveAssignment) and row.is_activated:
            asked.pop("emergency", None)
            return Ready(partial(services.deactivate, active=row, actor=door.actor, **asked))
        if isinstance(row, ActiveAssignment):
            return Ready(partial(services.remove_active, active=row, actor=door.actor, **asked))
        return Ready(partial(services.remove_eligible, eligible=row, actor=door.actor, **asked))


class InEmergency(Asked, Coded):
    """An activation past its approvers, which `EmergencyUses` takes: for a fixed time, and with a reason always."""

    eligible_assignment = Named(sight.eligible)
    scope = Named(sight.resources, required=False)
    drill = serializers.BooleanField(default=False, help_text="It is practised: told and reviewed alike.")

    @staticmethod
    def ready(door: Door, asked: dict[str, Any]) -> Ready:
        eligible, validate_only = asked.pop("eligible_assignment"), asked.pop("validate_only")
        asked = {"eligible": eligible, "scope": eligible.scope, **asked}
        ask = partial(services.activate_in_emergency, actor=door.actor, **asked)
        return _own(ask, "emergency.used", emergency_facts(**asked), validate_only=validate_only)


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
