"""Where access stands that could be eligible instead: what administrators look at first."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from assignments.models import ActiveAssignment, people_reached
from roles.models import Role

_EMERGENCY = Q(user__is_emergency_access=True)
_SERVICE = Q(user__kind=User.Kind.SERVICE)
_GLOBAL = Q(role__built_in_key=Role.GLOBAL_ADMINISTRATOR)
_PEOPLE = ~_SERVICE & ~_EMERGENCY


@dataclass(frozen=True)
class Insight:
    """A part of what is assigned as active, and in force without anybody having activated it."""

    key: str
    title: Promise
    part: Q

    def of(self, rows: Any, at: datetime) -> Any:
        """Return those of `rows`, a queryset of active assignments, that belong to it at `at`."""
        return rows.in_force(at).assigned().filter(self.part)

    def count(self, at: datetime) -> int:
        """Count whom it reaches: holders, and the members of groups that hold."""
        reached = people_reached(self.of(ActiveAssignment.objects.all(), at), at)
        return reached.filter(is_emergency_access=self.key == EMERGENCY).count()


EMERGENCY = "emergency"
INSIGHTS = (
    Insight("global", _("Standing global administrators"), _GLOBAL & _PEOPLE),
    Insight("privileged", _("Other standing privileged access"), Q(role__is_privileged=True) & ~_GLOBAL & _PEOPLE),
    Insight("service", _("Service accounts with roles"), _SERVICE & ~_EMERGENCY),
    Insight(EMERGENCY, _("Emergency access, kept apart"), _EMERGENCY),
)
