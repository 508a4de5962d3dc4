"""Which rows of the long lists somebody wants to see."""

from datetime import timedelta
from functools import partial
from operator import itemgetter
from typing import Any

import django_filters
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from audit.models import Event
from roles.models import Role

from .history import SUBJECTS, called
from .models import Request

PERIODS = [("1", _("Last 24 hours")), ("7", _("Last 7 days")), ("30", _("Last 30 days")), ("90", _("Last 90 days"))]


def _own_roles(request: HttpRequest) -> QuerySet[Role]:
    return Role.objects.filter(requests__user=request.user.pk).distinct()


class RequestFilter(django_filters.FilterSet):
    status = django_filters.ChoiceFilter(
        label=_("State"),
        choices=[(value, capfirst(words)) for value, words in Request.Status.choices],
        empty_label=_("Every state"),
    )
    role = django_filters.ModelChoiceFilter(label=_("Role"), queryset=_own_roles, empty_label=_("Every role"))

    class Meta:
        model = Request
        fields = ["status", "role"]


def _actions_of(events: QuerySet[Event]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the actions among the events in words, by what they are about; one statement."""
    codes = events.order_by().values_list("action", flat=True).distinct()
    words = sorted(((code, called(code)) for code in codes), key=itemgetter(1))
    found = [
        (title, [each for each in words if each[0].partition(".")[0] in nouns]) for title, nouns in SUBJECTS.items()
    ]
    return [(str(title), actions) for title, actions in found if actions]


class EventFilter(django_filters.FilterSet):
    period = django_filters.ChoiceFilter(label=_("Period"), choices=PERIODS, empty_label=_("All time"), method="within")
    action = django_filters.ChoiceFilter(
        label=_("What"),
        empty_label=_("Everything"),
    )
    outcome = django_filters.ChoiceFilter(
        label=_("Outcome"), choices=Event.Outcome.choices, empty_label=_("Every outcome")
    )

    class Meta:
        model = Event
        fields = ["period", "action", "outcome"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.filters["action"].extra["choices"] = partial(_actions_of, self.queryset)

    def within(self, events: QuerySet[Event], name: str, days: str) -> Any:
        return events.filter(at__gte=now() - timedelta(days=int(days)))
