"""What every door of the API does alike: who asks, for what, how often; and the answer to a key given again."""

import hashlib
import re
from collections.abc import Sequence
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.forms import apps_of
from accounts.models import StepUpProof, TotpDevice, User
from accounts.rules import intent_digest
from accounts.services import prove_each
from accounts.tokens import Scope
from pim_site.answers import Answer, begin, forget, keep
from pim_site.models import KeptAnswer

from .authentication import session_of
from .lists import EXPANDING, Ordering, check_parameters, expanded
from .parsing import check_length
from .problems import Refused
from .throttling import PerMinute

KEY_HEADER, KEY_PATTERN = "Idempotency-Key", "[!-~]+"
LONGEST_KEY = 255
_TAG = re.compile(r'\*|"[!#-~]+"')
BESIDE_FILTERS = {"cursor", "page_size", "ordering"}


class Door(GenericViewSet[Any]):
    """A view of the API.

    Attributes:
        scopes: what a token must be for, by action; `read` where nothing is said, nothing where it is empty.
        parameters: what its address takes, by action, besides what a list does.
    """

    http_method_names = ["get", "head", "post", "patch", "delete"]  # what OPTIONS would say, the description does
    scopes: ClassVar[dict[str, str]] = {}
    parameters: ClassVar[dict[str, set[str]]] = {}
    serializer_class: type[serializers.BaseSerializer[Any]]
    kept: KeptAnswer | None = None
    app = ""  # the authenticator app that the body names
    replayed: Answer | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        throttle = PerMinute()
        if not throttle.allow_request(request):  # first: also who is refused afterwards has asked
            self.throttled(request, throttle.wait())
        super().initial(request, *args, **kwargs)
        check_length(request._request)
        len(request._request.body)  # read by Django, which refuses what is too large
        check_parameters(request, self.offered_parameters())
        if request.method == "POST":
            self._begin(request)

    def scope_needed(self) -> str:
        return self.scopes.get(self.action or "", Scope.READ)

    def offered_parameters(self) -> set[str]:
        own = self.parameters.get(self.action or "", set())
        return own | ({"expand"} if self.action in EXPANDING else set())

    # --- a key given again ----------------------------------------------------------------------------------

    def _begin(self, request: Request) -> None:
        key = request.headers.get(KEY_HEADER)
        if key is None:
            return
        if not re.fullmatch(KEY_PATTERN, key) or len(key) > LONGEST_KEY:
            text = _("An Idempotency-Key has up to %(limit)d printable ASCII characters, and no spaces.") % {
                "limit": LONGEST_KEY
            }
            raise Refused(text, "key_invalid", status=400)
        begun = begin(user=request.user, key=key, fingerprint=_fingerprint(request))
        if isinstance(begun, Answer):
            self.replayed = begun
            raise Refused("", "replayed")
        self.kept = begun

    def handle_exception(self, exc: Exception) -> Response:
        try:
            answer = super().handle_exception(exc)
        except Exception:
            self._give_key_back()
            raise
        if answer.data["code"] == "scope_missing":  # the key is the person's, whose other token may be for it
            self._give_key_back()
        return answer

    def _give_key_back(self) -> None:
        if self.kept is not None:
            forget(self.kept)
            self.kept = None

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if self.replayed is not None:
            return self.replayed.again(self.headers)
        final: Any = super().finalize_response(request, response, *args, **kwargs)
        if self.kept is not None:
            final.render()
            keep(self.kept, Answer.of(final))
        return final  # type: ignore[no-any-return]

    # --- reading and answering ------------------------------------------------------------------------------

    @property
    def actor(self) -> User:
        user: User = self.request.user
        return user

    def get_serializer_context(self) -> dict[str, Any]:
        return {"request": self.request, "at": now()}

    def read(self, serializer: type[serializers.Serializer[Any]], *, some: bool = False) -> dict[str, Any]:
        """Return what the body says; with `some` of its fields, those that it has.

        Raises:
            ValidationError: it does not have the form of `serializer`. Refused: it names what is not there.
        """
        form = serializer(data=self.request.data, context=self.get_serializer_context())
        for field in form.fields.values() if some else ():  # not those within: `partial` would reach them too
            field.required, field.default = False, serializers.empty
        form.is_valid(raise_exception=True)
        said = dict(form.validated_data)
        self.app = said.pop("app", "")
        return said

    def answer(self, row: Any, status: int = 200) -> Response:
        """Answer one row, with what its address asked to have beside it."""
        context = self.get_serializer_context() | {"expand": expanded(self.request, self.serializer_class)}
        headers = {"ETag": f'"{tag}"'} if (tag := self.tag(row)) else None
        return Response(self.serializer_class(row, context=context).data, status=status, headers=headers)

    def tag(self, row: Any) -> str:
        """Return what a change of the row names as seen; nothing where rows are not changed here."""
        return ""

    def seen(self) -> str:
        """Return what the asker saw, as the header If-Match says: empty for "*".

        Raises:
            Refused: ``precondition_required``: nothing was said; ``invalid``.
        """
        header = self.request.headers.get("If-Match", "").strip()
        if not header:
            text = _("Say what you have seen: If-Match with the ETag of the last answer, or * for whatever is there.")
            raise Refused(text, "precondition_required", status=428)
        if not _TAG.fullmatch(header):
            raise Refused(_("If-Match takes one ETag in quotes, or *."), "invalid", status=400)
        return "" if header == "*" else header.strip('"')

    def prove(self, code: str, action: str, *, phishing_resistant: bool = False, **facts: Any) -> StepUpProof:
        """Prove the second factor of whoever asks, by the code in the body: a token itself proves nothing.

        Raises:
            StepUpRefused. Refused: ``app_unknown``.
        """
        intent = intent_digest(action, **facts)
        return self.prove_each(code, [intent], phishing_resistant=phishing_resistant)[0]

    def prove_each(self, code: str, intents: Sequence[str], *, phishing_resistant: bool = False) -> list[StepUpProof]:
        """Prove it once for several things that are asked in one act; return a proof for each.

        Raises:
            As `prove`.
        """
        return prove_each(
            user=self.actor,
            session=self.session,
            intents=intents,
            code=code,
            app=self._app(),
            phishing_resistant=phishing_resistant,
        )

    def _app(self) -> TotpDevice | None:
        """Return the app that the body names. As on the pages, only the one that is named is tried."""
        app = apps_of(self.actor).filter(name=self.app).first() if self.app else None
        if self.app and app is None:
            raise Refused(_("You have no authenticator app of this name."), "app_unknown", field="app")
        return app

    @property
    def session(self) -> str:
        return session_of(self.request)


class Rows(Door):
    """A door to rows: a list of those that the asker may see, and each of them."""

    filter_backends = [DjangoFilterBackend, Ordering]
    filterset_class: Any = None
    ordering_fields: ClassVar[list[str]] = []
    ordering: ClassVar[list[str]] = []

    def rows(self, user: User) -> QuerySet[Any]:
        """Return the rows that `user` may see."""
        raise NotImplementedError

    def get_queryset(self) -> QuerySet[Any]:
        if getattr(self, "swagger_fake_view", False):  # the description is made for nobody
            return self.serializer_class.Meta.model._default_manager.none()  # type: ignore[no-any-return]
        return self.rows(self.actor)

    def offered_parameters(self) -> set[str]:
        offered = super().offered_parameters()
        if self.action != "list":
            return offered
        names = set(self.filterset_class.base_filters) if self.filterset_class else set()
        return offered | names | BESIDE_FILTERS

    def list(self, request: Request) -> Response:
        rows = self.filter_queryset(self.get_queryset())
        context = self.get_serializer_context() | {"expand": expanded(request, self.serializer_class)}
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(self.serializer_class(page, many=True, context=context).data)

    def retrieve(self, request: Request, pk: Any) -> Response:
        return self.answer(self.found(pk))

    def found(self, pk: Any, among: QuerySet[Any] | None = None) -> Any:
        """Return the row of this id; of all that the asker may see, or of `among`.

        Raises:
            Refused: ``not_found``, or the asker may not see it.
        """
        rows = self.get_queryset() if among is None else among
        row = rows.filter(pk=pk).first()
        if row is None:
            text = _("There is nothing here, or nothing that you may see.")
            raise Refused(text, "not_found", status=404)
        return row


def _fingerprint(request: Request) -> str:
    body: bytes = request._request.body
    said = f"{request.method} {request.get_full_path()}\n".encode()
    return hashlib.sha256(said + body).hexdigest()
