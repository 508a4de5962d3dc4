"""What schemathesis (tests/fuzz.py) makes up would name nobody and nothing: three of four ids become known ones.

``PIM_FUZZ_KNOWN`` names a file of JSON: {collection of the API: [id]}.
"""

import json
import os
import re
from pathlib import Path

import schemathesis

COLLECTIONS = {
    "groups": {"group", "groups", "fallback_groups", "approver_groups", "escalation_groups"},
    "roles": {"role", "roles"},
    "resources": {"scope", "parent", "resource"},
    "requests": {"request", "requests"},
    "hooks": {"hook"},
    "webhook_subscriptions": {"subscription"},
    "review_definitions": {"definition"},
    "reviews": {"review"},
    "review_items": {"item", "items"},
    "active_assignments": {"active_assignment"},
    "eligible_assignments": {"eligible_assignment"},
    "principals": {
        *("principal", "person", "member", "members", "owner", "owners", "manager", "requester", "actor", "subject"),
        *("approvers", "escalation_approvers", "reviewer", "people", "fallback", "told"),
    },
}
COLLECTION_OF = {name: collection for collection, names in COLLECTIONS.items() for name in names}
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
KNOWN = json.loads(Path(os.environ["PIM_FUZZ_KNOWN"]).read_text())


def known(value, collection):
    """The same id for the same value, so that a case can be repeated; what is no id stays as it is."""
    if isinstance(value, dict):
        return {name: known(each, COLLECTION_OF.get(name, "")) for name, each in value.items()}
    if isinstance(value, list):
        return [known(each, collection) for each in value]
    ids = KNOWN.get(collection)
    if not ids or not isinstance(value, str) or not UUID.fullmatch(value):
        return value
    number = int(value.replace("-", ""), 16)
    return value if number % 4 == 0 else ids[number // 4 % len(ids)]


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    collection = context.operation.path.removeprefix("/api/v1/").partition("/")[0]
    collection = "principals" if collection == "access" else collection
    return {name: known(value, collection) for name, value in (path_parameters or {}).items()}


@schemathesis.hook
def map_query(context, query):
    """Without a cursor: nobody guesses one, and then nothing else of the question would be looked at."""
    return known({name: value for name, value in query.items() if name != "cursor"}, "") if query else query


@schemathesis.hook
def map_headers(context, headers):
    """Of the two forms of If-Match the one that is right without knowing the thing."""
    return headers | {"If-Match": "*"} if headers and headers.get("If-Match", "").startswith('"') else headers


@schemathesis.hook
def map_body(context, body):
    return known(body, "")
