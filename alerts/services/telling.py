"""Mail about what is new: one for all that was found since the last."""

from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.timezone import now

from accounts.links import link
from alerts.models import Incident
from assignments.models import administrators
from notifications.services import queue

SHOWN = 20


@transaction.atomic
def tell() -> int:
    """Tell the administrators in force, and the addresses of the site, of incidents that nobody was told of.

    Return how many those were.
    """
    at = now()
    rows = Incident.objects.untold(at).order_by("-alert__severity", "alert", "raised_at")
    new = list(rows.select_for_update(of=("self",), skip_locked=True).select_related("alert"))
    if not new:
        return 0
    Incident.objects.filter(pk__in=[row.pk for row in new]).update(told_at=at)
    context = {"items": [_line(row) for row in new[:SHOWN]], "count": len(new), "more": len(new[SHOWN:])}
    context |= {"url": link("admin:alerts_incident_changelist") + "?state__exact=active"}
    queue("alerts_raised", to=[*administrators(at), *settings.ALERT_MAIL], context=context)
    return len(new)


def _line(incident: Incident) -> dict[str, Any]:
    facts = {"alert": str(incident.alert), "severity": incident.alert.get_severity_display()}
    return facts | {"words": incident.words, "url": link("admin:alerts_incident_change", incident.pk)}
