"""The description of the access check, which is a plain view."""

from typing import Any

from .access import MOST_QUESTIONS, NAMES

_UUID = {"type": "string", "format": "uuid"}
SCHEMAS: dict[str, Any] = {
    "Question": {"type": "object", "properties": dict.fromkeys(NAMES, _UUID), "required": list(NAMES)},
    "Questions": {
        "type": "object",
        "properties": {
            "questions": {
                "type": "array",
                "items": {"$ref": "#/components/schemas/Question"},
                "minItems": 1,
                "maxItems": MOST_QUESTIONS,
            }
        },
        "required": ["questions"],
    },
    "Answer": {
        "type": "object",
        "properties": {
            "active": {"type": "boolean"},
            "until": {
                "type": ["string", "null"],
                "format": "date-time",
                "description": "When it ends as things are; null: when somebody ends it.",
            },
            "via": {"enum": ["direct", "activation", "group", "group_activation", None]},
            "assignment": {"type": ["string", "null"], "format": "uuid"},
        },
        "required": ["active", "until", "via", "assignment"],
    },
    "Answers": {
        "type": "object",
        "properties": {"answers": {"type": "array", "items": {"$ref": "#/components/schemas/Answer"}}},
        "required": ["answers"],
    },
}


def _json(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def _problems(**others: str) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    texts = {"400": "Not of this form", "401": "Nobody known", "403": "The token lacks `read`"}
    texts |= {"404": "About somebody whom you may not see"} | others
    return {status: {"description": text, "content": content} for status, text in texts.items()}


LARGE = {"411": "Without a Content-Length", "413": "Too large", "415": "Not JSON"}
_COMMON: dict[str, Any] = {"tags": ["access"], "security": [{"token": []}]}
PATHS: dict[str, Any] = {
    "/api/v1/access/check": {
        "get": _COMMON
        | {
            "operationId": "access_check",
            "description": "Does this principal hold this role at this scope, now? Scope of a token: `read`. About "
            "others than oneself it takes the right to see active assignments.",
            "parameters": [{"name": name, "in": "query", "required": True, "schema": _UUID} for name in NAMES],
            "responses": {"200": {"description": "", "content": _json("Answer")}, **_problems()},
        },
        "post": _COMMON
        | {
            "operationId": "access_check_many",
            "description": f"Up to {MOST_QUESTIONS} questions at once; the answers in their order. Changes nothing.",
            "requestBody": {"required": True, "content": _json("Questions")},
            "responses": {"200": {"description": "", "content": _json("Answers")}, **_problems(**LARGE)},
        },
    }
}
