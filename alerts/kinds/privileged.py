"""Roles with which somebody could harm the organisation: who holds them, and how."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from django.db.models import Q
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from alerts.models import MOST
from alerts.registry import Finding, Repair, Severity, Threshold, alert
from assignments.insights import INSIGHTS
from assignments.models import ActiveAssignment, AssignmentQuerySet, EligibleAssignment, people_reached
from roles import services as roles
from roles.models import Role, RoleSettings

from .repairs import MAKE_ELIGIBLE, REMOVE, of_assignment

ORDINARY = Q(user=None) | Q(user__is_emergency_access=False)
STANDING = [insight for insight in INSIGHTS if insight.key in ("global", "privileged")]


def _given(at: datetime) -> list[AssignmentQuerySet]:
    """Return both kinds of assignments in force, without what was activated from an eligibility."""
    return [EligibleAssignment.objects.in_force(at), ActiveAssignment.objects.in_force(at).assigned()]


def _listed(rows: Iterable[AssignmentQuerySet]) -> list[Any]:
    """Return what both hold, in the order of its keys, no more of each than is needed to see that there is more."""
    return sorted(chain(*(each.described().order_by("pk")[: MOST + 1] for each in rows)), key=lambda row: str(row.pk))


@alert(
    "too_many_global_administrators",
    severity=Severity.LOW,
    title=gettext_lazy("Too many global administrators"),
    why=gettext_lazy(
        "A Global Administrator may do everything. Each further one is one more account whose theft is the theft of "
        "the organisation."
    ),
    advice=gettext_lazy(
        "Give those who need less a role that gives less, and remove this one. Accounts for emergencies do not count."
    ),
    sentence=gettext_lazy("%(holder)s is one of %(count)s global administrators (%(share)s %% of all assignments)."),
    thresholds=(
        Threshold("count", gettext_lazy("From so many people on"), default=5, low=2, high=100),
        Threshold(
            "share", gettext_lazy("and from this share of all assignments on, in percent"), default=0, low=0, high=100
        ),
    ),
    repair=REMOVE,
)
def too_many_global_administrators(at: datetime, *, count: int, share: int) -> Iterator[Finding]:
    """Both thresholds must be reached, as in Entra PIM."""
    given = _given(at)
    held = [rows.filter(ORDINARY, role__built_in_key=Role.GLOBAL_ADMINISTRATOR) for rows in given]
    keys = [people_reached(rows, at).people().filter(is_emergency_access=False).values("pk") for rows in held]
    people = User.objects.filter(Q(pk__in=keys[0]) | Q(pk__in=keys[1])).count()
    if people < count:
        return
    part = sum(rows.count() for rows in held) * 100 // max(1, sum(rows.count() for rows in given))
    if part >= share:
        yield from (of_assignment(row, count=people, share=part) for row in _listed(held))


@alert(
    "stale_people",
    severity=Severity.MEDIUM,
    title=gettext_lazy("Stale people in privileged roles"),
    why=gettext_lazy("Nobody misses what an account that its person does not use is used for by somebody else."),
    advice=gettext_lazy("Ask whether the person is still there. Remove the assignment, or disable the account."),
    sentence=gettext_lazy("%(holder)s has not signed in since %(since_at)s, and has %(role)s at %(scope)s."),
    thresholds=(Threshold("days", gettext_lazy("Days without a sign-in"), default=30, low=1, high=365),),
    repair=REMOVE,
)
def stale_people(at: datetime, *, days: int) -> Iterator[Finding]:
    """Service accounts never sign in, and accounts for emergencies hardly ever do: neither counts.

    What a group holds is no assignment of the person: reviews of groups are there for that.
    """
    stale = {"user__kind": User.Kind.PERSON, "user__is_active": True, "since__lt": at - timedelta(days=days)}
    since = Coalesce("user__last_sign_in_at", "user__created_at")
    held = [
        rows.filter(role__is_privileged=True, user__is_emergency_access=False).annotate(since=since).filter(**stale)
        for rows in _given(at)
    ]
    for row in _listed(held):
        yield of_assignment(row, since_at=row.since)


@alert(
    "permanent_active",
    severity=Severity.MEDIUM,
    title=gettext_lazy("Permanently active in privileged roles"),
    why=gettext_lazy(
        "Whoever holds a privileged role all the time can be robbed of it all the time, and nobody sees when "
        "it is used."
    ),
    advice=gettext_lazy(
        "Make the holder eligible instead. Accounts for emergencies are meant to be so and do not count."
    ),
    sentence=gettext_lazy("%(holder)s holds %(role)s at %(scope)s for good, without activating it."),
    repair=MAKE_ELIGIBLE,
)
def permanent_active(at: datetime) -> Iterator[Finding]:
    rows = ActiveAssignment.objects.filter(ORDINARY, ends_at=None)
    yield from map(of_assignment, _listed([insight.of(rows, at) for insight in STANDING]))


def _what_asking_for_mfa_does(settings: RoleSettings) -> Iterator[str]:
    facts = {"role": settings.role, "scope": settings.scope}
    yield _("Activating %(role)s at %(scope)s asks for a fresh one-time code or passkey from now on.") % facts
    yield _("What is activated at present goes on. All else in the settings stays as it is.")


def _ask_for_mfa(settings: RoleSettings, *, actor: User | None, justification: str) -> None:
    about: dict[str, Any] = {"role": settings.role, "scope": settings.scope, "seen": settings.pk}
    roles.save_settings(actor=actor, activation_authentication=RoleSettings.Authentication.MFA, **about)


@alert(
    "no_mfa",
    severity=Severity.LOW,
    title=gettext_lazy("No proof on activation"),
    why=gettext_lazy("Whoever has stolen a session can activate the role: nothing asks who sits there."),
    advice=gettext_lazy("Ask for a fresh one-time code or passkey in the settings of the role."),
    sentence=gettext_lazy("%(role)s at %(scope)s can be activated without a fresh code or passkey."),
    repair=Repair(
        gettext_lazy("Ask for a code or passkey"),
        _what_asking_for_mfa_does,
        _ask_for_mfa,
        fits=lambda settings: settings.superseded_at is None,
    ),
)
def no_mfa(at: datetime) -> Iterator[Finding]:
    """The membership of a group that leads to a privileged role is such a role itself."""
    rows = RoleSettings.objects.current().filter(role__is_privileged=True)
    rows = rows.filter(activation_authentication=RoleSettings.Authentication.NONE)
    for row in rows.select_related("role", "scope").order_by("role_id", "scope_id")[: MOST + 1]:
        yield Finding(f"{row.role_id}:{row.scope_id}", row, {"role": str(row.role), "scope": str(row.scope)})
