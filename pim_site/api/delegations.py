"""Delegations: who decides in whose place, and until when."""

from typing import Any

import django_filters
from django.db.models import QuerySet
from django.utils.timezone import now
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from accounts.tokens import Scope
from roles import services
from roles.models import Delegation

from . import sight
from .assignments import STATES
from .base import Rows
from .fields import Input, Moment, Reference, Text
from .lists import RowFilter
from .principals import Summary


class DelegationOut(serializers.ModelSerializer[Delegation]):
    id = serializers.IntegerField(
        read_only=True, allow_null=True, help_text="Null of one that was only looked at (`validate_only`)."
    )
    delegator = Reference(Summary)
    delegate = Reference(Summary)
    starts_at = Moment()
    ends_at = Moment()
    created_at = Moment()
    ended_at = Moment(allow_null=True, help_text="When somebody ended it before its time.")
    state = serializers.SerializerMethodField()

    class Meta:
        model = Delegation
        fields = [
            *("id", "delegator", "delegate", "starts_at", "ends_at", "justification", "created_at", "ended_at"),
            "state",
        ]
        read_only_fields = fields

    @extend_schema_field(serializers.ChoiceField(STATES))
    def get_state(self, row: Delegation) -> str:
        return row.state(self.context["at"])


class DelegationIn(Input):
    delegate = Text(max_length=254, help_text="The colleague: their username or e-mail address.")
    starts_at = Moment(required=False, allow_null=True, help_text="Now if not said.")
    ends_at = Moment()
    justification = Text(required=False, allow_blank=True, default="")
    validate_only = serializers.BooleanField(default=False)


class EndIn(Input):
    justification = Text(required=False, allow_blank=True, default="", help_text="Needed for one of others.")


class DelegationFilter(RowFilter):
    delegator = django_filters.UUIDFilter()
    delegate = django_filters.UUIDFilter()
    state = django_filters.ChoiceFilter(choices=[(state, state) for state in STATES], method="in_state")

    class Meta:
        model = Delegation
        fields = ["delegator", "delegate", "state"]

    def in_state(self, rows: Any, name: str, state: str) -> Any:
        return rows.in_state(state, now())


class Delegations(Rows):
    """Decisions that are delegated: by oneself and to oneself, and all of them with the right to see requests."""

    serializer_class = DelegationOut
    filterset_class = DelegationFilter
    ordering_fields = ["starts_at", "ends_at"]
    ordering = ["-starts_at", "pk"]
    scopes = dict.fromkeys(("create", "end"), Scope.APPROVE)

    def rows(self, user: User) -> QuerySet[Delegation]:
        return sight.delegations(user)

    @extend_schema(request=DelegationIn, responses={201: DelegationOut, 200: DelegationOut})
    def create(self, request: Request) -> Response:
        """Let a colleague decide in one's place. With `validate_only` all is checked, and nothing is stored."""
        said = self.read(DelegationIn)
        said["delegate"] = services.colleague(said["delegate"])
        made = services.delegate_decisions(actor=self.actor, **said)
        return self.answer(made, 200 if said["validate_only"] else 201)

    @extend_schema(request=EndIn, responses=DelegationOut)
    def end(self, request: Request, pk: int) -> Response:
        """End it before its time: one's own, one given to oneself, or another's with the right to, and a reason."""
        facts = self.read(EndIn)
        return self.answer(services.end_delegation(delegation=self.found(pk), actor=self.actor, **facts))
