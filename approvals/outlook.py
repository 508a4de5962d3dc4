"""What an approver should know before the yes: how far the stages are, and what stands in the way of the role."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from assignments.models import ActiveAssignment
from assignments.rules import ActivationRefused, check_grant
from assignments.services import reaches
from roles.lengths import in_words
from roles.models import RoleSettings

from .approvers import Standing, stage_of, stages_in_use, standing
from .models import Request


@dataclass(frozen=True)
class Outlook:
    """How far each stage is, the number of the one where it stands, what to be warned of, and what they hold now."""

    stages: list[Standing]
    current: int
    warnings: list[str]
    holds: list[ActiveAssignment]


def outlook(request: Request, at: datetime) -> Outlook:
    """Return what is known about a request that waits. The number of queries depends on its stages alone."""
    stages = stages_in_use(request)
    current = stage_of(request, stages)
    held = ActiveAssignment.objects.held_by(request.person, at).described()
    return Outlook(
        stages=standing(request, stages, at),
        current=current.number if current else 0,
        warnings=list(_warnings(request, stages[0].settings, at)),
        holds=list(held.order_by("role__name")[:10]),
    )


def _warnings(request: Request, settings: RoleSettings, at: datetime) -> Iterator[str]:
    if cause := _obstacle(request, settings, at):
        yield _("If it were approved now, the role would not be granted: %(cause)s") % {"cause": cause}
    longest = settings.activation_max_duration
    if request.duration and request.duration > longest:
        text = _("This role is active for at most %(time)s now: it would end sooner than was asked.")
        yield text % {"time": in_words(longest.total_seconds())}
    if settings.pk != request.settings_id:
        yield _("The settings of the role have changed since it was asked for. Those in use now count.")


def _obstacle(request: Request, settings: RoleSettings, at: datetime) -> str:
    """Return why the role would not be granted, were everybody to approve."""
    eligible = request.eligible_assignment
    if eligible is None:
        return ""
    try:
        check_grant(
            eligible,
            settings,
            user=request.person,
            reaches=reaches(eligible, request.person, at=at),
            approvers=[],
            needed=0,
            justification=request.justification,
            ticket=request.ticket_text,
            proved_with=request.proved_with,
            at=at,
        )
    except ActivationRefused as refusal:
        return " ".join(refusal.messages)
    return ""
