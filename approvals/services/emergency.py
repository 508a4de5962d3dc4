"""Emergency access: a role at once, without approval, in the sight of everybody, and reviewed afterwards."""

from datetime import datetime
from typing import Any

from django.utils.timezone import now
from django.utils.translation import gettext as _

from accounts.authority import require
from accounts.links import link
from accounts.models import BrowserSession, StepUpProof, User
from accounts.services import look_at_sign_in
from approvals.emergencies import REVIEW_WITHIN, EmergencyUse
from approvals.models import Request
from approvals.rules import ReviewRefused, check_text, emergency_facts
from assignments import services as assignments
from assignments.models import ActiveAssignment, EligibleAssignment, administrators
from assignments.rules import Waiver, check_ask, check_eligible, check_reach, in_emergency
from audit.services import privileged, record
from notifications.calendar import event
from notifications.services import queue
from roles import services as roles
from roles.models import Resource, RoleSettings

from .activating import grant, prove_asker, request_mail_facts
from .recording import record_about


@privileged("emergency.used", target="eligible")
def activate_in_emergency(
    *,
    eligible: EligibleAssignment,
    actor: User,
    justification: str,
    scope: Resource | None = None,
    drill: bool = False,
    proof: StepUpProof | None = None,
    session: str = "",
    validate_only: bool = False,
) -> Request:
    """Activate a role at once, for the fixed time that its settings say, without approval, hook or ticket.

    All administrators are told, whatever the settings say of mail, and a review of the use (`.emergency`) is due.

    Args:
        drill: it is practised; told and reviewed alike, and marked so.
        proof: of a second factor as for any activation, made for `rules.emergency_facts` of these arguments.
        validate_only: check all but the proof, and store nothing.

    Raises:
        ActivationRefused: ``emergency_not_allowed``, ``already_active`` … RequestRefused: ``justification_required``.
        StepUpRefused.
    """
    scope = scope or eligible.scope
    user = User.objects.select_for_update(no_key=True).get(pk=actor.pk)
    at = now()
    check_eligible(eligible, user=user, reaches=assignments.reaches(eligible, user, at=at), at=at)
    eligible = EligibleAssignment.objects.select_for_update(of=("self",), no_key=True).described().get(pk=eligible.pk)
    roles.hold_place(scope, eligible.scope)
    check_reach(eligible, scope)  # elsewhere the role has no settings
    settings = RoleSettings.objects.applying_to(eligible.role, scope)[0]
    terms = _check(eligible, settings, user, scope, justification, at=at)
    request = Request(
        action=Request.Action.SELF_ACTIVATE,
        status=Request.Status.PROVISIONED,
        requester=user,
        user=user,
        role=eligible.role,
        scope=scope,
        settings=settings,
        eligible_assignment=eligible,
        duration=terms.activation_max_duration,
        justification=justification.strip(),
        requested_at=at,
        settled_at=at,
    )
    review_by = at + REVIEW_WITHIN
    use = EmergencyUse(request=request, user=user, is_drill=drill, used_at=at, review_by=review_by)
    if validate_only:
        return request
    facts = emergency_facts(eligible=eligible, scope=scope, justification=justification, drill=drill)
    request.proved_with = prove_asker(user, terms, proof, session=session, action="emergency.used", facts=facts)
    grant(request, actor=user, approvers=[], duration=terms.activation_max_duration, waiver=Waiver.EMERGENCY)
    use.save(force_insert=True)
    _tell_everybody(use, settings, at=at)
    after = {"drill": drill, "duration": request.duration, "review_by": review_by}
    record_about("emergency.used", request, actor=user, target=use, justification=request.justification, after=after)
    return request


def _check(
    eligible: EligibleAssignment,
    settings: RoleSettings,
    user: User,
    scope: Resource,
    justification: str,
    *,
    at: datetime,
) -> RoleSettings:
    """Check what is asked; return what the settings ask for in an emergency. A request that waits is not in the way."""
    terms = in_emergency(settings, user)
    check_text(justification, required=True)
    duration = terms.activation_max_duration
    asked: dict[str, Any] = {"starts_at": at, "duration": duration, "justification": justification, "ticket": ""}
    check_ask(eligible, terms, user=user, reaches=True, scope=scope, at=at, **asked)
    assignments.check_free(eligible, user, scope, at=at)
    return terms


def _tell_everybody(use: EmergencyUse, settings: RoleSettings, *, at: datetime) -> None:
    """Tell all administrators and the further addresses; no setting switches this off."""
    request, active = use.request, use.request.active_assignment
    facts = request_mail_facts(request)
    name = _("Review of emergency use: %(role)s, %(user)s") % {"role": request.role, "user": use.user}
    due = event(uid=use.pk, made_at=use.used_at, starts_at=use.review_by, name=name, url=facts["url"])
    context = facts | {
        "drill": use.is_drill,
        "reason": request.justification,
        "ends_at": active.ends_at if active else None,
        "review_by_at": use.review_by,
        "calendar": due,
    }
    people = administrators(at).exclude(pk=use.user_id)
    queue("emergency_used", to=[*people, *settings.cell("activated", "admin").also], about=request, context=context)


@privileged("emergency.reviewed", target="use")
def review_emergency(*, use: EmergencyUse, actor: User, finding: str, justification: str) -> EmergencyUse:
    """Say what a use was, once, by somebody else than who used it.

    Args:
        finding: one of `EmergencyUse.Finding`.
        justification: what was looked at, and what comes of it.

    Raises:
        NotAllowed. ReviewRefused: ``own_use``, ``already_reviewed``. RequestRefused: ``justification_required``.
    """
    require(actor, "approvals.review_emergency")
    use = EmergencyUse.objects.select_for_update(of=("self",)).select_related("request__role", "user").get(pk=use.pk)
    at = now()
    if use.user_id == actor.pk:
        raise ReviewRefused(_("Nobody reviews their own use. Another administrator must."), code="own_use")
    if use.reviewed_at is not None:
        raise ReviewRefused(_("This use has been reviewed already."), code="already_reviewed")
    check_text(justification, required=True)
    use.reviewed_by, use.reviewed_at, use.comment = actor, at, justification.strip()
    use.finding = EmergencyUse.Finding(finding)
    use.save(update_fields=["reviewed_by", "reviewed_at", "comment", "finding"])
    request = Request.objects.described().get(pk=use.request_id)
    after = {"finding": use.finding}
    record_about("emergency.reviewed", request, actor=actor, target=use, justification=use.comment, after=after)
    return use


@privileged("emergency.reminded", target="use")
def remind_of_review(*, use: EmergencyUse, actor: User | None) -> bool:
    """Remind those who owe a review that it is overdue. Return False if that was done already.

    Raises:
        NotAllowed: only the system may.
    """
    require(actor)
    at = now()
    if not EmergencyUse.objects.to_remind(at).filter(pk=use.pk).update(reminded_at=at):
        return False
    request = Request.objects.described().get(pk=use.request_id)
    context = {
        "user": str(request.person),
        "role": str(request.role),
        "scope": str(request.scope),
        "drill": use.is_drill,
        "reason": request.justification,
        "changed_at": use.used_at,
        "review_by_at": use.review_by,
        "url": link("admin:approvals_emergencyuse_change", use.pk),
    }
    queue("emergency_unreviewed", to=administrators(at).exclude(pk=use.user_id), about=request, context=context)
    record_about("emergency.reminded", request, actor=actor, target=use)
    return True


@privileged("emergency_sign_in.noted", target="browser")
def note_emergency_sign_in(*, browser: BrowserSession, actor: User | None) -> bool:
    """Tell administrators of a sign-in with an emergency account after which nothing was activated.

    Return False where something was, which everybody was told of, or if this was done already.

    Raises:
        NotAllowed: only the system may.
    """
    require(actor)
    at, until = now(), browser.explain_by
    if not look_at_sign_in(browser=browser, at=at):
        return False
    user = browser.user
    activated = ActiveAssignment.objects.activated().filter(user=user)
    if activated.filter(created_at__gte=browser.started_at, created_at__lte=until).exists():
        return False
    facts = {"browser": str(browser), "address": browser.address}
    context = {"user": str(user), "changed_at": browser.started_at, "address": browser.address}
    url = link("admin:accounts_user_change", user.pk)
    queue("emergency_sign_in", to=administrators(at).exclude(pk=user.pk), about=user.pk, context=context | {"url": url})
    record("emergency_sign_in.noted", actor=actor, target=user, subject=user, after=facts)
    return True
