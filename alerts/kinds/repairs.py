"""What several kinds can do about an assignment, and how they name it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from alerts.registry import Finding, Repair
from approvals import services
from assignments.models import ActiveAssignment, AnyAssignment, Assignment
from assignments.services import settings_for


def of_assignment(row: AnyAssignment, **facts: Any) -> Finding:
    """Return the finding about one assignment, which is `described`."""
    return Finding(str(row.pk), row, names(row) | facts)


def names(row: Assignment) -> dict[str, str]:
    return {"holder": str(row.holder), "role": str(row.role), "scope": str(row.scope)}


def _what_removing_does(row: AnyAssignment) -> Iterator[str]:
    if row.noun == "eligible":
        yield _("%(holder)s can no longer activate %(role)s at %(scope)s, and is told so by mail.") % names(row)
        yield _("What was activated from it ends at once.")
    else:
        yield _("%(holder)s loses %(role)s at %(scope)s at once, and is told so by mail.") % names(row)


def _remove(row: AnyAssignment, *, actor: User | None, justification: str) -> None:
    common: dict[str, Any] = {"actor": actor, "justification": justification}
    if isinstance(row, ActiveAssignment):
        services.remove_active(active=row, **common)
    else:
        services.remove_eligible(eligible=row, **common)


def _what_making_eligible_does(row: ActiveAssignment) -> Iterator[str]:
    settings, facts = settings_for(row.role, row.scope), names(row)
    if settings.permanent_eligible_allowed:
        yield _("%(holder)s becomes eligible for %(role)s at %(scope)s for good.") % facts
    else:
        text = _("%(holder)s becomes eligible for %(role)s at %(scope)s for %(days)s days, the longest allowed.")
        yield text % (facts | {"days": str(settings.eligible_max_days)})
    yield _("The active assignment ends at once: from then on the role must be activated to be used.")


def _make_eligible(row: ActiveAssignment, *, actor: User | None, justification: str) -> None:
    ends_at = _longest_eligible(row, now())
    services.make_eligible(active=row, ends_at=ends_at, actor=actor, justification=justification)


def _longest_eligible(row: ActiveAssignment, at: datetime) -> datetime | None:
    """Return the end of the longest eligibility that the settings allow from now on; None where it may be permanent."""
    settings = settings_for(row.role, row.scope)
    return None if settings.permanent_eligible_allowed else at + timedelta(days=settings.eligible_max_days)


def _is_no_service(row: Assignment) -> bool:
    """A service account is never eligible."""
    return row.user is None or row.user.is_person


def _what_ending_does(row: ActiveAssignment) -> Iterator[str]:
    yield _("%(holder)s loses %(role)s at %(scope)s at once, and is told so by mail.") % names(row)
    yield _("They can activate it again: their eligibility stays.")


def _end(row: ActiveAssignment, *, actor: User, justification: str) -> None:
    services.deactivate(active=row, actor=actor, justification=justification)


def _is_in_force(row: Assignment) -> bool:
    return row.state(now()) == "active"


REMOVE = Repair(gettext_lazy("Remove the assignment"), _what_removing_does, _remove)
MAKE_ELIGIBLE = Repair(
    gettext_lazy("Make eligible instead"), _what_making_eligible_does, _make_eligible, fits=_is_no_service
)
END = Repair(gettext_lazy("End the activation"), _what_ending_does, _end, fits=_is_in_force)
