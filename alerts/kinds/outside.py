"""Access that was given past this site: by SQL, a script, a restored table."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from alerts.models import MOST
from alerts.registry import Finding, Severity, alert
from approvals.models import Request
from assignments.models import ActiveAssignment, EligibleAssignment
from audit.models import Event

from .repairs import REMOVE, of_assignment


@alert(
    "assigned_outside",
    severity=Severity.HIGH,
    title=_("Assigned outside PIM"),
    why=_(
        "This access stands in the database, but no request and no event of the audit tell of it. Somebody gave it "
        "past the rules: without an approval, a reason or anybody having been told."
    ),
    advice=_(
        "Find out who wrote it: who may connect to the database, which script ran at the time when it was made? Remove "
        "it, and assign it anew from here if it is needed."
    ),
    sentence=_("%(holder)s holds %(role)s at %(scope)s since %(made_at)s, and nobody here gave it."),
    repair=REMOVE,
)
def assigned_outside(at: datetime) -> Iterator[Finding]:
    rows = [row for model in (ActiveAssignment, EligibleAssignment) for row in _unaccounted(model, at)[: MOST + 1]]
    for row in sorted(rows, key=lambda row: str(row.pk)):
        yield of_assignment(row, made_at=row.created_at)


def _unaccounted(model: Any, at: datetime) -> QuerySet[Any]:
    """Return what no request made; of the time that the audit still tells of, also what no event tells of.

    They are joined by the id of the request, which is a number to both databases.
    """
    first = Event.objects.order_by("at").values_list("at", flat=True).first() or at
    told = Event.objects.filter(request_id=OuterRef("pk"), outcome=Event.Outcome.SUCCESS)
    asked = Request.objects.filter(
        Q(requested_at__lt=first) | Exists(told), **{f"{model.noun}_assignment": OuterRef("pk")}
    )
    rows: QuerySet[Any] = model.objects.lasting(at).exclude(Exists(asked)).described()
    return rows.order_by("pk")
