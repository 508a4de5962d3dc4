"""What the services about one request share: the locks before it, and the event after it."""

from typing import Any

from django.db.models import Model

from accounts.models import User
from approvals.models import Request
from assignments import services as assignments
from assignments.models import EligibleAssignment
from audit.services import record


def locked(request: Request) -> Request:
    """Lock in the documented order: holder, eligibility, request."""
    assignments.lock(request.holder)
    if request.eligible_assignment_id:
        EligibleAssignment.objects.select_for_update(no_key=True).get(pk=request.eligible_assignment_id)
    return Request.objects.select_for_update(of=("self",)).described().get(pk=request.pk)


def record_about(
    action: str,
    request: Request,
    *,
    actor: User | None,
    target: Model | None = None,
    justification: str = "",
    **facts: Any,
) -> None:
    """Record an event of a request, done to the request itself or to `target`."""
    record(
        action,
        actor=actor,
        target=target or request,
        subject=request.holder,
        role=request.role,
        scope=request.scope,
        request=request,
        ticket=request.ticket_text,
        justification=justification,
        **facts,
    )
