"""Where access stands that could be eligible instead: what administrators look at first."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.db.models import Q
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.models import Group, User
from accounts.prepared import Prepared
from roles.models import Role

from .models import ActiveAssignment, people_reached

_GLOBAL = Q(role__built_in_key=Role.GLOBAL_ADMINISTRATOR)
_EMERGENCY = Q(is_emergency_access=True)
_PEOPLE = Q(kind=User.Kind.PERSON) & ~_EMERGENCY
_SERVICE = Q(kind=User.Kind.SERVICE) & ~_EMERGENCY


@dataclass(frozen=True)
class Insight:
    """A part of what is assigned as active, and in force without anybody having activated it.

    Attributes:
        gives: which assignments, by their role.
        whom: which principals it is about, whether they hold it themselves or through a group.
    """

    key: str
    title: Promise
    gives: Q
    whom: Q

    def of(self, rows: Any, at: datetime) -> Any:
        """Return those of `rows`, a queryset of active assignments, that belong to it at `at`."""
        people = User.objects.enabled().filter(self.whom)
        standing = Group.members.through.objects.filter(user__in=people).values("group")
        carried = ActiveAssignment.objects.memberships(at).filter(user__in=people).values("role__resource__group")
        reaching = Q(user__in=people) | Q(group__in=standing) | Q(group__in=carried)
        return rows.in_force(at).assigned().filter(self.gives).filter(reaching)

    def count(self, at: datetime) -> int:
        """Count whom it reaches: holders, and the members of groups that hold."""
        return self._reached.count(at)

    @cached_property
    def _reached(self) -> Prepared:
        """The keys of those whom it reaches."""
        everything = ActiveAssignment.objects.all()
        return Prepared(
            lambda at: people_reached(self.of(everything, at), at).filter(self.whom).order_by().values_list("pk")
        )


INSIGHTS = (
    Insight("global", _("Standing global administrators"), _GLOBAL, _PEOPLE),
    Insight("privileged", _("Other standing privileged access"), Q(role__is_privileged=True) & ~_GLOBAL, _PEOPLE),
    Insight("service", _("Service accounts with roles"), Q(), _SERVICE),
    Insight("emergency", _("Emergency access, kept apart"), Q(), _EMERGENCY),
)
