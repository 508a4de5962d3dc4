"""What each command does; each returns what `--json` prints, the words for people, and the exit code."""

import sys
import time
from argparse import Namespace
from getpass import getpass
from typing import Any, NamedTuple

from . import credentials, finding
from .api import Api, Row
from .errors import NO_ANSWER, NO_TOKEN, NOT_HELD, REFUSED, WAITING, Failure

PENDING = ("pending_hook", "pending_approval", "pending_admin_decision")
EVERY = 2.0  # seconds between two looks at a request that waits


class Outcome(NamedTuple):
    data: Any
    text: str
    status: int = 0


def login(asked: Namespace) -> Outcome:
    url = credentials.checked_url(asked.url)
    if not (asked.token_stdin or sys.stdin.isatty()):
        raise Failure("There is no terminal to ask for the token at: pipe it in, with --token-stdin.", NO_TOKEN)
    token = sys.stdin.readline() if asked.token_stdin else getpass("Token (it is not shown): ")
    given = credentials.Credentials(url, credentials.checked_token(token.strip()))
    person = Api(given).get("access/mine")["principal"]
    if asked.dry_run:
        return Outcome(person, f"The token is good, of {person['display_name']}. Nothing was kept.")
    place = credentials.save(given)
    return Outcome(person, f"Signed in as {person['display_name']}. The token is in {place}.")


def show(asked: Namespace) -> Outcome:
    api = Api(credentials.load())
    access = api.get("access/mine")
    me, holds = access["principal"]["id"], access["holds"]
    eligible = list(finding.mine(api, "eligible_assignments", state="active"))
    own = {"principal": me, "expand": "role,scope"}
    waiting = [row for status in PENDING for row in api.rows("requests", status=status, **own)]
    lines = [f"active    {_named(row)}  until {row['until'] or 'further notice'}" for row in holds]
    lines += [f"waiting   {_named(row)}  {row['reference']}" for row in waiting]
    lines += [f"eligible  {_named(row)}  until {row['ends_at'] or 'further notice'}" for row in eligible]
    data = {"active": holds, "waiting": waiting, "eligible": eligible}
    return Outcome(data, "\n".join(lines) or "Nothing.")


def _named(row: Row) -> str:
    return f"{row['role']['name']}  {row['scope']['label']}"


def activate(asked: Namespace) -> Outcome:
    api = Api(credentials.load())
    rows = [finding.assignment(api, "eligible_assignments", name, asked.at) for name in asked.name]
    if len(rows) > 1:
        return _activate_several(api, rows, asked)
    body = {"action": "self_activate", "eligible_assignment": rows[0]["id"], "justification": asked.reason}
    return _ask(api, rows[0], body | _for_each(asked), asked, done="is active")


def extend(asked: Namespace) -> Outcome:
    api = Api(credentials.load())
    row = finding.assignment(api, "active_assignments", asked.name, asked.at, activated="true")
    body = {"action": "self_extend", "active_assignment": row["id"], "justification": asked.reason}
    return _ask(api, row, body | _for_each(asked), asked, done="goes on")


def emergency(asked: Namespace) -> Outcome:
    api = Api(credentials.load())
    row = finding.assignment(api, "eligible_assignments", asked.name, asked.at)
    body = {"eligible_assignment": row["id"], "justification": asked.reason, "drill": asked.drill}
    if asked.dry_run:
        use = api.post("emergency_uses", body | {"validate_only": True})
        return Outcome(use, f"{_named(row)} could be had for {use['duration']}. Nothing was done.")
    use = _with_code(api, "emergency_uses", body, asked)
    told = f"All administrators are told, and somebody else reviews it by {use['review_by']}."
    return Outcome(use, f"{_named(row)} is active for {use['duration']}. {told}")


def _for_each(asked: Namespace) -> Row:
    return {"duration": asked.duration, "ticket": asked.ticket, "ticket_system": asked.ticket_system}


def _ask(api: Api, row: Row, body: Row, asked: Namespace, *, done: str) -> Outcome:
    if asked.dry_run:
        request = api.post("requests", body | {"validate_only": True})
        return Outcome(request, f"{_named(row)}: it would be {request['status']}. Nothing was done.")
    request = _with_code(api, "requests", body, asked)
    return _of_request(_named(row), _waited_for(api, request, time.monotonic() + asked.wait), done=done)


def _activate_several(api: Api, rows: list[Row], asked: Namespace) -> Outcome:
    each = [{"eligible_assignment": row["id"], **_for_each(asked)} for row in rows]
    body = {"action": "self_activate", "justification": asked.reason, "requests": each}
    if asked.dry_run:
        answer = api.post("requests/several", body | {"validate_only": True})
    else:
        answer = _with_code(api, "requests/several", body, asked)
    until = time.monotonic() + asked.wait
    found = [_of_result(api, row, result, until) for row, result in zip(rows, answer["results"], strict=True)]
    text = "\n".join([each.text for each in found] + (["Nothing was done."] if asked.dry_run else []))
    status = min((each.status for each in found if each.status), default=0)  # refused comes before waiting
    return Outcome([each.data for each in found], text, status)


def _of_result(api: Api, row: Row, result: Row, until: float) -> Outcome:
    if result["code"]:
        return Outcome(result, f"{_named(row)} was refused: {result['detail']} [{result['code']}]", REFUSED)
    if result["request"] is None:
        return Outcome(result, f"{_named(row)}: it would be {result['state']}.")
    request = _waited_for(api, api.get(f"requests/{result['request']}"), until)
    return _of_request(_named(row), request, done="is active")


def _with_code(api: Api, path: str, body: Row, asked: Namespace) -> Row:
    """Send with the code, if there is one; ask a person for it where it is asked for."""
    body = body | ({"app": asked.app} if asked.app else {})
    try:
        return api.post(path, body | ({"code": asked.code} if asked.code else {}))
    except Failure as failure:
        if failure.code != "mfa_required" or asked.code:
            raise
        if not sys.stdin.isatty():
            raise Failure(f"{failure} Say it with --code.", failure.status, failure.code) from failure
    return api.post(path, body | {"code": getpass("One-time code: ")})


def _waited_for(api: Api, request: Row, until: float) -> Row:
    """Return it when it is decided, or at that moment of the monotonic clock."""
    if request["status"] in PENDING and time.monotonic() < until:
        print(f"{request['reference']} waits for a decision.", file=sys.stderr)
    while request["status"] in PENDING and time.monotonic() < until:
        time.sleep(EVERY)
        request = _seen_again(api, request)
    return request


def _seen_again(api: Api, request: Row) -> Row:
    """Return it as it is now; as it was, if the site cannot say at the moment: it waits all the same."""
    try:
        return api.get(f"requests/{request['id']}")
    except Failure as failure:
        if failure.status != NO_ANSWER and failure.code != "throttled":
            raise
    return request


def _of_request(name: str, request: Row, *, done: str) -> Outcome:
    status, reference = request["status"], request["reference"]
    if status in PENDING:
        return Outcome(request, f"{name} waits for a decision: {reference}", WAITING)
    if status == "scheduled":
        return Outcome(request, f"{name} will be active at its start: {reference}", WAITING)
    if status == "provisioned":
        return Outcome(request, f"{name} {done}: {reference}")
    reasons = [each["justification"] for each in request["decisions"]]
    return Outcome(request, "\n".join([f"{name} was not granted: {status} ({reference})", *reasons]), REFUSED)


def end(asked: Namespace) -> Outcome:
    api = Api(credentials.load())
    row = finding.assignment(api, "active_assignments", asked.name, asked.at, activated="true")
    body = {"action": "self_deactivate", "active_assignment": row["id"], "justification": asked.reason}
    request = api.post("requests", body | {"validate_only": asked.dry_run})
    said = "could be ended. Nothing was done." if asked.dry_run else "is ended."
    return Outcome(request, f"{_named(row)} {said}")


def approve(asked: Namespace) -> Outcome:
    api = Api(credentials.load())
    if not asked.request:
        rows = list(api.rows("approvals", expand="role,scope,principal,group"))
        return Outcome(rows, "\n".join(map(_asked_for, rows)) or "Nothing waits for you.")
    row = finding.waiting(api, asked.request)
    if not asked.reason:
        raise Failure("Say why: --reason", code="justification_required")
    path = f"requests/{row['id']}/{_verb(asked, row)}"
    given = {"duration": asked.duration, "ends_at": asked.until}
    body = {"justification": asked.reason, **{name: value for name, value in given.items() if value}}
    if asked.dry_run:
        request = api.post(path, body | {"validate_only": True})
        return Outcome(request, f"{_asked_for(row)}\nIt would be {request['status']}. Nothing was done.")
    request = _with_code(api, path, body, asked)
    return Outcome(request, f"{row['reference']}: {request['status']}")


def _verb(asked: Namespace, row: Row) -> str:
    if asked.deny:
        return "deny"
    if row["status"] != "pending_admin_decision":
        return "approve"
    if not asked.until:
        raise Failure("Say until when it is granted: --until 2027-01-31T18:00:00Z", code="end_required")
    return "grant"


def _asked_for(row: Row) -> str:
    who = row["principal"]["display_name"] if row["principal"] else row["group"]["name"]
    return f"{row['reference']}  {who}  {_named(row)}  {row['duration'] or ''}  {row['justification']}"


def check(asked: Namespace) -> Outcome:
    api = Api(credentials.load())
    place = finding.scope(api, asked.at) if asked.at else None
    role = finding.role(api, asked.name, place["label"] if place else "")
    where = (place or role["resource"])["id"]
    who = finding.principal(api, asked.principal)
    if asked.dry_run:
        return Outcome({"principal": who, "role": role["id"], "scope": where}, "This is what would be asked.")
    held = api.get("access/check", principal=who, role=role["id"], scope=where)
    if held["active"]:
        return Outcome(held, f"active until {held['until'] or 'further notice'} ({held['via']})")
    return Outcome(held, "not active", NOT_HELD)
