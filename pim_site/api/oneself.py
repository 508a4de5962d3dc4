"""What people look after for themselves: when their mail comes, and where they are signed in."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services
from accounts.browsers import BrowserSession
from accounts.factors import digest
from accounts.models import User
from accounts.rules import fingerprint
from accounts.tokens import Scope

from .authentication import session_of
from .base import Door, Rows
from .fields import Input, Moment
from .requests import Nothing

DAILY = "Mail that may wait comes once a day, all in one, at seven in the morning of one's time zone."
WEEKLY = "A mail on Mondays sums up the week, as long as one may read the audit."


class MailPreferencesOut(serializers.ModelSerializer[User]):
    daily_digest = serializers.BooleanField(help_text=DAILY)
    weekly_digest = serializers.BooleanField(help_text=WEEKLY)

    class Meta:
        model = User
        fields = ["daily_digest", "weekly_digest"]
        read_only_fields = fields


class MailPreferencesIn(Input):
    daily_digest = serializers.BooleanField(help_text=DAILY)
    weekly_digest = serializers.BooleanField(help_text=WEEKLY)


class MailPreferences(Door):
    """When one's mail comes."""

    serializer_class = MailPreferencesOut
    scopes = {"partial_update": Scope.CONFIGURE}

    def tag(self, row: User) -> str:
        return fingerprint(services.digest_facts(row))

    @extend_schema(responses=MailPreferencesOut)
    def show(self, request: Request) -> Response:
        return self.answer(self.actor)

    @extend_schema(request=MailPreferencesIn, responses=MailPreferencesOut)
    def partial_update(self, request: Request) -> Response:
        """Choose which mail comes at once. What one must act on does, whatever is chosen."""
        wanted = self.read(MailPreferencesIn, some=True)
        return self.answer(services.choose_digests(actor=self.actor, seen=self.seen(), **wanted))


class SessionOut(serializers.ModelSerializer[BrowserSession]):
    browser = serializers.CharField(source="__str__", help_text="As far as it tells: Firefox on Linux.")
    method = serializers.CharField(help_text="What confirmed the sign-in: totp, passkey or recovery.")
    started_at = Moment()
    used_at = Moment()
    is_this = serializers.SerializerMethodField(help_text="Is it the session that asks?")

    class Meta:
        model = BrowserSession
        fields = ["id", "browser", "address", "method", "started_at", "used_at", "is_this"]
        read_only_fields = fields

    def get_is_this(self, row: BrowserSession) -> bool:
        return row.digest == digest(session_of(self.context["request"]))


class EndedOut(serializers.Serializer[Any]):
    ended = serializers.IntegerField(help_text="In so many browsers.")


class Sessions(Rows):
    """The browsers in which one is signed in. Where somebody sits is read with the scope that reads the audit."""

    serializer_class = SessionOut
    ordering_fields = ["started_at", "used_at"]
    ordering = ["-used_at", "pk"]
    scopes = {"list": Scope.AUDIT, "retrieve": Scope.AUDIT, "destroy": Scope.CONFIGURE, "end": Scope.CONFIGURE}

    def rows(self, user: User) -> QuerySet[BrowserSession]:
        return BrowserSession.objects.open(now()).of(user)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: UUID) -> Response:
        """Sign oneself out in one of them."""
        services.end_session(actor=self.actor, browser=self.found(pk))
        return Response(status=204)

    @extend_schema(request=Nothing, responses=EndedOut)
    def end(self, request: Request) -> Response:
        """Sign oneself out in all of them. Tokens go on."""
        self.read(Nothing)
        return Response({"ended": services.end_sessions(actor=self.actor)})
