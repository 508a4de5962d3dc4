"""An example for each operation: made from what its fields say, so that none can be out of date."""

from typing import Any

METHODS = ("get", "post", "patch", "delete", "put")
MOMENT, SOME_ID = "2026-11-21T18:40:00Z", "6d1e0c5b-8f0a-4b0e-9d0b-5f9d2f3a7c11"
# What a field of this name says in an example.
VALUES: dict[str, Any] = {
    "justification": "Payroll run of November, OPS-511",
    "duration": "PT2H",
    "activation_max_duration": "PT8H",
    "timeout": "P1D",
    "lifetime": "P90D",
    "overlap": "P1D",
    "username": "mara.lindt",
    "display_name": "Mara Lindt",
    "email": "mara.lindt@example.org",
    "time_zone": "Europe/Berlin",
    "ticket": "OPS-511",
    "code": "123456",
    "name": "Ledger Database Operator",
    "url": "https://tickets.example.org/pim",
    "label": "/Finance/Ledger database",
    "reference": "R-6D1E0C5B",
    "networks": ["192.0.2.0/24"],
    "begins_at": "06:00:00",
    "until": "2027-01-31T00:00:00Z",
    "key": "mfrggzdfmztwq2lk",
}


def add_examples(document: dict[str, Any]) -> None:
    """Add an example to each body and answer that has none."""
    schemas = document["components"]["schemas"]
    for path in document["paths"].values():
        for method in METHODS:
            for content in _contents(path.get(method, {})):
                if "schema" in content:
                    content["example"] = example_of(content["schema"], schemas)


def _contents(operation: dict[str, Any]) -> list[dict[str, Any]]:
    answers = [answer for status, answer in operation.get("responses", {}).items() if status.startswith("2")]
    bodies = [operation["requestBody"]] if "requestBody" in operation else []
    return [content for part in (*bodies, *answers) for content in part.get("content", {}).values()]


def example_of(schema: dict[str, Any], schemas: dict[str, Any], name: str = "") -> Any:
    """Return a value that a schema allows."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rsplit("/", 1)[-1]], schemas, name)
    for several in ("oneOf", "anyOf", "allOf"):
        if several in schema:
            return example_of(schema[several][0], schemas, name)
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    kinds = schema.get("type", "object")
    return _of_kind(kinds if isinstance(kinds, str) else kinds[0], schema, schemas, name)


def _of_kind(kind: str, schema: dict[str, Any], schemas: dict[str, Any], name: str) -> Any:
    if kind == "object":
        fields = schema.get("properties", {})
        return {field: example_of(each, schemas, field) for field, each in fields.items()}
    if name in VALUES and isinstance(VALUES[name], list if kind == "array" else str):
        return VALUES[name]
    if kind == "array":
        return [example_of(schema.get("items", {}), schemas, name)]
    if kind in ("integer", "number"):
        return max(1, schema.get("minimum", 1))
    if kind == "boolean":
        return False
    return _text(schema)


def _text(schema: dict[str, Any]) -> str:
    by_format = {"uuid": SOME_ID, "date-time": MOMENT, "uri": "https://pim.example.org/api/v1/"}
    if schema.get("format") in by_format:
        return by_format[schema["format"]]
    return "PT1H" if "pattern" in schema else "text"
