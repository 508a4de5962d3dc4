"""Changes to people that depend on, or end, what they hold."""

from typing import Any

from django.utils.timezone import now
from django.utils.translation import gettext as _

from accounts import services as accounts
from accounts.authority import require
from accounts.models import StepUpProof, User
from accounts.rules import NotAllowed, says_nothing
from assignments.models import ActiveAssignment, EligibleAssignment, groups_of
from assignments.rules import AssignmentRefused, check_not_self
from audit.services import privileged, record
from roles.models import ApprovalStage, Delegation, Role

from .activation import administrators_kept, end, lock

# What somebody signs in with, and where the mail about what they hold goes.
IDENTITY = ("username", "email")


@privileged("person.created", target=None)
def create_person(*, actor: User | None, manager: User | None = None, **about: Any) -> User:
    """Make a person or a service account, who cannot sign in before an enrolment.

    Args:
        about: as for `accounts.services.add_person`.

    Raises:
        NotAllowed: the actor may not, or may not choose who approves for them.
        ValidationError: a field is wrong, or the name or address is taken.
    """
    require(actor, "accounts.add_user")
    if manager is not None:
        _check_manager_chosen(manager, actor)
    return accounts.add_person(actor=actor, manager=manager, **about)


@privileged("person.updated", target="user")
def update_person(*, user: User, actor: User | None, seen: str = "", **changes: Any) -> User:
    """Change the fields of a person named in `accounts.services.people.PERSON_FIELDS`.

    `seen` is the `rules.fingerprint` of the `person_facts` that the change was thought out for; empty: of whichever.
    Helpdesk staff cannot change under which name or address somebody with power is known.

    Raises:
        NotAllowed. ValidationError: a field is wrong, or the name or address is taken.
    """
    require(actor, "accounts.change_user")
    known = User.objects.get(pk=user.pk)  # a form has written what was typed into its row already
    manager = changes.get("manager", known.manager)
    if manager != known.manager:
        _check_manager_chosen(manager, actor)
    if any(changes.get(name, getattr(known, name)) != getattr(known, name) for name in IDENTITY):
        _check_power(
            user, actor, _("This person has privileged roles or approves requests: a Global Administrator must.")
        )
    return accounts.change_person(user=user, actor=actor, seen=seen, **changes)


def _check_manager_chosen(manager: User | None, actor: User | None) -> None:
    """Where a stage asks the manager, whoever chooses the manager chooses an approver, who comes to power by it."""
    if _managers_decide():
        require(actor, "accounts.enrol_privileged_user")
        accounts.withdraw_weak_tickets([manager] if manager else [])


def _managers_decide() -> bool:
    return ApprovalStage.objects.in_use().filter(asks_manager=True).exists()


@privileged("person.disabled", target="user")
def disable_person(*, user: User, actor: User | None, justification: str) -> User:
    """Disable a person: they cannot sign in, and what they had active, their sessions and API tokens end at once.

    So do enrolment links, those to them and those that they issued.

    Eligibilities stay for later.

    Raises:
        NotAllowed. AssignmentRefused: ``self_assignment``, ``last_administrator``, ``holder_disabled`` (already).
    """
    require(actor, "accounts.disable_user")
    check_not_self(user, actor)
    user = User.objects.select_for_update(of=("self",), no_key=True).get(pk=user.pk)
    if not user.is_active:
        raise AssignmentRefused(_("This account is disabled already."), code="holder_disabled")
    with administrators_kept():
        _end_all(user, actor=actor, justification=justification)
        accounts.end_sign_ins(user, actor=actor)
        user.is_active = False
        user.save(update_fields=["is_active"])
    record("person.disabled", actor=actor, target=user, subject=user, justification=justification)
    return user


def _end_all(user: User, *, actor: User | None, justification: str) -> None:
    held = ActiveAssignment.objects.lasting(now()).of(user).select_related("role")
    # A membership takes with it what was activated through its group, so it comes last.
    for active in sorted(held, key=lambda active: active.role.group_part == Role.GroupPart.MEMBER):
        reason = ActiveAssignment.EndReason.HOLDER_DISABLED
        end(active=active, actor=actor, reason=reason, justification=justification)


@privileged("person.enabled", target="user")
def enable_person(*, user: User, actor: User | None, justification: str) -> User:
    """Enable a person again: eligibilities that still run can be activated, nothing becomes active by itself.

    Raises:
        NotAllowed. AssignmentRefused: ``self_assignment``, ``already_enabled``.
    """
    require(actor, "accounts.disable_user")
    check_not_self(user, actor)
    user = User.objects.select_for_update(of=("self",), no_key=True).get(pk=user.pk)
    if user.is_active:
        raise AssignmentRefused(_("This account is enabled already."), code="already_enabled")
    # Of one who was disabled past this product, all that would come back in force.
    _end_all(user, actor=actor, justification=justification)
    accounts.end_sign_ins(user, actor=actor)
    user.is_active = True
    user.save(update_fields=["is_active"])
    record("person.enabled", actor=actor, target=user, subject=user, justification=justification)
    return user


@privileged("enrolment.issued", target="user")
def issue_enrolment(
    *,
    user: User,
    actor: User | None,
    justification: str = "",
    proof: StepUpProof | None = None,
    session: str = "",
    validate_only: bool = False,
) -> str:
    """Issue a one-time enrolment ticket; return its secret, to be shown once to the administrator who hands it over.

    Whoever redeems it becomes able to sign in as that person, so helpdesk staff cannot issue one for somebody who holds
    or can activate a privileged role, or who approves.

    Args:
        actor: None for the system, which needs neither reason nor proof.
        proof: of the administrator's second factor, made for "enrolment.issued" with this `person` and `justification`.
        validate_only: check all but the proof, and store nothing; the secret is empty.

    Raises:
        NotAllowed. AssignmentRefused: ``self_assignment``, ``holder_disabled``, ``holder_invalid``,
        ``justification_required``. StepUpRefused: ``mfa_required``.
    """
    require(actor, "accounts.enrol_user", "accounts.enrol_privileged_user")
    check_not_self(user, actor)
    lock(user)  # whoever comes to power meanwhile waits, and withdraws the link
    if not user.is_active:
        raise AssignmentRefused(_("Enable the account first."), code="holder_disabled")
    if not user.is_person:
        raise AssignmentRefused(_("A service account signs in by API token only."), code="holder_invalid")
    _check_power(
        user,
        actor,
        _("This person has privileged roles or approves requests: a role administrator must issue the link."),
    )
    if actor is not None and says_nothing(justification):
        raise AssignmentRefused(_("Say why this person needs a link."), code="justification_required")
    if validate_only:
        return ""
    if actor is not None:
        facts = {"person": user.pk, "justification": justification}
        accounts.consume(proof, user=actor, session=session, action="enrolment.issued", **facts)
    secret = accounts.issue_ticket(user=user, actor=actor)
    record("enrolment.issued", actor=actor, target=user, subject=user, justification=justification)
    return secret


def _check_power(user: User, actor: User | None, text: str) -> None:
    """Whoever becomes able to act as somebody with power, has it."""
    if actor is not None and not actor.has_perm("accounts.enrol_privileged_user") and _has_power(user):
        raise NotAllowed(text)


def _has_power(user: User) -> bool:
    at = now()
    held = [model.objects.lasting(at).reaching(user, at) for model in (EligibleAssignment, ActiveAssignment)]
    return (
        any(rows.filter(role__is_privileged=True).exists() for rows in held)
        or groups_of(user, at).filter(is_protected=True).exists()
        or user.owned_groups.filter(is_protected=True).exists()
        or ApprovalStage.objects.in_use().deciding(user).exists()
        or ApprovalStage.objects.in_use().escalating_to(user).exists()
        or Delegation.objects.lasting(at).filter(delegate=user).exists()
        or (_managers_decide() and user.reports.exists())
    )
