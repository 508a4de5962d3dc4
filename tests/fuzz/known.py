"""What schemathesis calls: three of four ids that it makes up become known ones, four of five questions are staged.

``PIM_FUZZ`` is JSON: what a `Stage` is made of, whether to use it, and what is known: {collection of the API: [id]}.
"""

import json
import os
import re
from contextlib import suppress

import schemathesis

from tests.fuzz.scenes import SCENES, turn_the_page
from tests.fuzz.stage import Refused, Stage
from tests.fuzz.values import meant

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
    "eligible_assignments": {"eligible_assignment", "eligible_assignments"},
    "principals": {
        *("principal", "person", "member", "members", "owner", "owners", "manager", "requester", "actor", "subject"),
        *("approvers", "escalation_approvers", "reviewer", "people", "fallback", "told"),
    },
}
COLLECTION_OF = {name: collection for collection, names in COLLECTIONS.items() for name in names}
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
GIVEN = json.loads(os.environ["PIM_FUZZ"])
KNOWN, STAGED, STAGE = GIVEN["known"], GIVEN["staged"], Stage(*GIVEN["stage"])
AS_MADE_UP = 0.2
NEEDED = {row["id"] for row in STAGE.mine("tokens")["results"] if row["is_this"]} | set(STAGE.ids.values())


def known(value, collection, *, always=False):
    """The same id for the same value, so that a case can be repeated; what is no id stays as it is."""
    if isinstance(value, dict):
        return {name: known(each, COLLECTION_OF.get(name, ""), always=always) for name, each in value.items()}
    if isinstance(value, list):
        return [known(each, collection, always=always) for each in value]
    ids = KNOWN.get(collection)
    if not ids or not isinstance(value, str) or not UUID.fullmatch(value) or value in ids:
        return value
    number = int(value.replace("-", ""), 16)
    return value if number % 4 == 0 and not always else ids[number // 4 % len(ids)]


def collection_of(operation):
    collection = operation.path.removeprefix("/api/v1/").partition("/")[0]
    return "principals" if collection == "access" else collection


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    collection = collection_of(context.operation)
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


@schemathesis.hook
def before_call(context, case, kwargs):
    """Make of a question that is of the right form, and does not follow from another one, what could be answered."""
    without_code(case)
    make_sense(context, case)
    keep_needed(case)


def make_sense(context, case):
    meta = case.meta
    if not STAGED or meta is None or meta.generation.mode.is_negative or STAGE.choose.random() < AS_MADE_UP:
        return
    if isinstance(case.body, dict):
        case.body = meant(known(case.body, "", always=True), STAGE)
    case.query = known({name: value for name, value in (case.query or {}).items() if value != ""}, "", always=True)
    if "justification" in case.query:
        case.query = meant(case.query, STAGE)
    if "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = STAGE.name().replace(" ", "-")
    if meta.phase.name.value != "stateful":
        ids = KNOWN.get(collection_of(context.operation))
        if ids and case.path_parameters and case.path_parameters.get("id") not in ids:
            case.path_parameters = {"id": STAGE.choose.choice(ids)}
        with suppress(Refused):
            staged(case, context.operation)


def staged(case, operation):
    name = operation.definition.raw["operationId"]
    if name in SCENES:
        SCENES[name](case, STAGE)
    elif name.endswith("_list") and STAGE.choose.random() < 0.3:
        turn_the_page(case, STAGE)


def without_code(case):
    """A wrong code makes the next right one wait; where one is needed, the scene knows it."""
    if isinstance(case.body, dict) and isinstance(case.body.get("code"), str):
        case.body = {name: value for name, value in case.body.items() if name != "code"}


def keep_needed(case):
    """Those who ask and prepare keep their tokens and accounts, whatever the question came to be."""
    if case.method != "GET" and case.path_parameters.get("id") in NEEDED:
        case.path_parameters = {"id": "6d1e0c5b-8f0a-4b0e-9d0b-5f9d2f3a7c11"}
