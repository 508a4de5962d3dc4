"""What a kind finds, asked as a scan asks it."""

from django.utils.timezone import now

from alerts.models import Alert, Incident
from alerts.registry import KINDS
from alerts.services import repair, scan


def found(key, **limits):
    """Each finding's row, by its key; with other thresholds than the defaults, where they are given."""
    kind = KINDS[key]
    chosen = {each.name: each.default for each in kind.thresholds} | limits
    return {finding.key: finding.about for finding in kind.scan(now(), **chosen)}


def rows(key, **limits):
    return set(found(key, **limits).values())


def words(key, **limits):
    """What people read of each finding, after a real scan."""
    Alert.objects.filter(key=key).update(thresholds=limits)
    scan(alert=Alert.objects.get(key=key), actor=None)
    return [incident.words for incident in Incident.objects.filter(alert=key, state="active").order_by("key")]


def repaired(key, *, about, actor, **limits):
    """Have the incident about this row repaired; the incident, once a further scan has looked again."""
    words(key, **limits)
    incident = Incident.objects.get(alert=key, about_id=about.pk)
    repair(incident=incident, actor=actor, justification="Not needed any more.")
    words(key, **limits)
    incident.refresh_from_db()
    return incident
