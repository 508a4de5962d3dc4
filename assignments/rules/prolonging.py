"""More time for an activation that runs."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from accounts.models import User
from roles.lengths import in_words
from roles.models import RoleSettings

from .activating import check_said
from .terms import PROLONG_WINDOW, SHORTEST, ActivationRefused

if TYPE_CHECKING:
    from assignments.models import ActiveAssignment, EligibleAssignment


def can_prolong(active: "ActiveAssignment | EligibleAssignment", *, at: datetime) -> bool:
    """Is it an activation that runs, and so near its end that more time can be asked for?"""
    if not active.is_activated or active.is_emergency or active.ends_at is None:
        return False
    return active.state(at) == "active" and active.ends_at - at <= PROLONG_WINDOW


def latest_end(active: "ActiveAssignment", settings: RoleSettings, *, at: datetime) -> datetime:
    """Return until when an activation can be extended: its longest duration counts from its first start.

    Where the settings let it go on past that, each extension may last as long from now as an activation may.
    """
    since = at if settings.extends_past_longest else active.starts_at
    return since.astimezone(UTC) + settings.activation_max_duration


def check_prolong_ask(
    active: "ActiveAssignment",
    settings: RoleSettings,
    *,
    user: User,
    duration: timedelta,
    justification: str,
    ticket: str,
    at: datetime,
) -> None:
    """What a person must bring to keep a role active for longer. The proof is consumed apart.

    Args:
        duration: how much longer, counted from the end that it has.

    Raises:
        ActivationRefused: with what to do in its text.
    """
    if active.user_id != user.pk:
        raise ActivationRefused(_("This is somebody else's activation."), code="not_own")
    check_runs(active, at=at)
    check_time_open(active)
    if not can_prolong(active, at=at):
        text = _("An activation can be extended in its last %(minutes)d minutes.")
        raise ActivationRefused(text % {"minutes": PROLONG_WINDOW // timedelta(minutes=1)}, code="outside_window")
    if duration < SHORTEST:
        raise ActivationRefused(_("An extension lasts at least 5 minutes."), code="too_short")
    check_longer_than_now(active, latest_end(active, settings, at=at), wanted=duration)
    check_said(settings, justification, ticket)


def check_runs(active: "ActiveAssignment", *, at: datetime) -> None:
    """Refuse to extend what is over, or no activation.

    Raises:
        ActivationRefused: ``already_ended``.
    """
    # What the worker has closed is over, also while this clock is a moment behind its own.
    if not active.is_activated or active.ended_at is not None or active.state(at) != "active":
        text = _("This activation has ended already. Activate the role anew.")
        raise ActivationRefused(text, code="already_ended")


def check_time_open(active: "ActiveAssignment") -> None:
    """Refuse more time for emergency access: it is short and fixed, whatever the settings give to others.

    Raises:
        ActivationRefused: ``emergency_time_fixed``.
    """
    if active.is_emergency:
        text = _("Emergency access is not extended: its time is fixed. Ask for the role in the usual way.")
        raise ActivationRefused(text, code="emergency_time_fixed")


def check_longer_than_now(
    active: "ActiveAssignment", latest: datetime, *, wanted: timedelta = timedelta(seconds=1)
) -> None:
    """Refuse an extension for which there is no room before `latest`.

    Raises:
        ActivationRefused: ``too_long``.
    """
    room = latest - active.ends_at if active.ends_at else timedelta(0)
    if room <= timedelta(0):
        text = _("This activation cannot last any longer. Activate the role anew when it has ended.")
        raise ActivationRefused(text, code="too_long")
    if wanted > room:
        text = _("This activation can be extended by at most %(time)s. Ask for less.")
        raise ActivationRefused(text % {"time": in_words(room.total_seconds())}, code="too_long")
