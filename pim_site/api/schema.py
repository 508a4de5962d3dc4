"""The description of the API (OpenAPI 3.1): made from the views, with what all of them answer alike."""

from functools import cache
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer

from accounts.tokens import Scope

from .lists import EXPANDING, expandable

# Actions of a view that change something.
CHANGES = (
    "create",
    "partial_update",
    "destroy",
    "disable",
    "enable",
    "govern",
    "import_rows",
    "move",
    "renew_secret",
    "send_again",
)
_REASON = {"type": "string", "minLength": 1, "maxLength": 2000}
JUSTIFIED = [OpenApiParameter("justification", _REASON, required=True, description="Why: kept in the audit.")]
PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457. `code` is stable; `detail` is for people.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "instance": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {name: {"type": "string"} for name in ("field", "code", "detail")},
                "required": ["field", "code", "detail"],
            },
        },
    },
    "required": ["type", "title", "status", "detail", "code", "instance"],
}
ALWAYS = {"400": "Not of this form", "401": "Nobody known", "403": "Not allowed", "429": "Too often"}
WITH_OBJECT = {"404": "Nothing here, or nothing that you may see"}
WRITING = {
    "404": "Something that is named is not there, or not for you to see",
    "409": "Not as things are now",
    "411": "Without a Content-Length",
    "413": "Too large",
    "415": "Not JSON",
    "422": "Refused by a rule",
}
EDITING = {"412": "Changed meanwhile", "428": "If-Match is missing"}


class Operation(AutoSchema):
    """Says of each operation what it is for, what a token must be for, and how it can be refused."""

    def get_operation_id(self) -> str:
        name = f"{self.view.basename}_{self.view.action}"
        return name.replace("-", "_")

    def get_tags(self) -> list[str]:
        return [str(self.view.basename)]

    def get_description(self) -> str:
        text = super().get_description() or ""
        scope = getattr(self.view, "scopes", {}).get(self.view.action, Scope.READ)
        needed = _("Scope of a token: `%(scope)s`.") % {"scope": scope} if scope else ""
        return " ".join(filter(None, [text.strip(), needed]))

    def get_override_parameters(self) -> list[Any]:
        parameters = list(super().get_override_parameters())
        names = expandable(self.view.serializer_class)
        if self.view.action in EXPANDING and names:
            parameters.append(_expand(names))
        if self.method == "POST":
            parameters.append(IDEMPOTENCY)
        if self._edits():
            parameters.append(IF_MATCH)
        return parameters

    def _edits(self) -> bool:
        return self.view.action == "partial_update" or (self.view.basename, self.view.action) == (
            "role_settings",
            "destroy",
        )

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if operation is not None:
            problems = dict(ALWAYS)
            problems |= WITH_OBJECT if "{" in self.path else {}
            problems |= WRITING if self.method in ("POST", "PATCH", "DELETE") else {}
            problems |= EDITING if self._edits() else {}
            problems |= {"422": "A parameter without a value, or no cursor of ours"} if self.method == "GET" else {}
            if isinstance(self.get_request_serializer(), PolymorphicProxySerializer):
                operation["requestBody"]["required"] = True  # one of several, and each has fields that must be there
            operation["responses"]["414"] = {"description": "The address is too long"}
            for status, text in sorted(problems.items()):
                operation["responses"].setdefault(status, _problem(text))
        return operation


def _expand(names: list[str]) -> OpenApiParameter:
    schema = {"type": "array", "items": {"type": "string", "enum": names}, "minItems": 1}
    return OpenApiParameter(
        "expand", schema, style="form", explode=False, description="Related things that are answered whole."
    )


IDEMPOTENCY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    OpenApiParameter.HEADER,
    description="Sent again with the same body within a day, the same answer comes and nothing is done twice.",
)
IF_MATCH = OpenApiParameter(
    "If-Match",
    {"type": "string", "pattern": '^(\\*|"[!#-~]+")$'},
    OpenApiParameter.HEADER,
    required=True,
    description="The ETag of what you have seen, or `*` for whatever is there.",
)


def _problem(text: str) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": text, "content": content}


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registered by being made
    target_class = "pim_site.api.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "pim_…"}


def finished(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Add what is written by hand: the problem, the access check, and an example for each operation."""
    from .access_schema import PATHS, SCHEMAS
    from .examples import add_examples
    from .links import add_links

    result["components"]["schemas"] |= {"Problem": PROBLEM, **SCHEMAS}
    result["paths"] = dict(sorted((result["paths"] | PATHS).items()))
    for schema in result["components"]["schemas"].values():
        _close(schema)
    add_examples(result)
    add_links(result)
    return result


def _close(schema: dict[str, Any]) -> None:
    """Say of bodies what is true of them: nothing else is taken."""
    if schema.get("type") == "object" and "properties" in schema and "additionalProperties" not in schema:
        schema["additionalProperties"] = False


@cache
def document() -> dict[str, Any]:
    """Return the whole description, made once in each process."""
    from drf_spectacular.generators import SchemaGenerator

    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return made
