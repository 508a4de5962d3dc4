"""`pim delegate`: who decides in one's place, and in whose place one decides oneself."""

from argparse import Namespace
from collections.abc import Iterator

from . import credentials
from .acts import Outcome
from .api import Api, Row
from .errors import Failure

LASTING = ("active", "scheduled")


def delegate(asked: Namespace) -> Outcome:
    api = Api(credentials.load())
    if asked.end:
        return _end(api, asked)
    if not asked.colleague:
        me = api.get("access/mine")["principal"]["id"]
        rows = list(_concerning(api, me))
        lines = "\n".join(_told(row, me) for row in rows)
        return Outcome(rows, lines or "Nobody decides for you, and you for nobody.")
    return _make(api, asked)


def _concerning(api: Api, me: str) -> Iterator[Row]:
    """Yield those of oneself that are not over; to some the API shows those of others too."""
    for mine in ("delegator", "delegate"):
        for state in LASTING:
            yield from api.rows("delegations", **{mine: me}, state=state, expand="delegator,delegate")


def _told(row: Row, me: str) -> str:
    delegator, delegate = row["delegator"], row["delegate"]
    for_me = delegator["id"] == me
    who = f"{delegate['display_name']} decides for you" if for_me else f"you decide for {delegator['display_name']}"
    return f"{row['id']}  {who}  {row['starts_at']} - {row['ends_at']}  {row['state']}"


def _make(api: Api, asked: Namespace) -> Outcome:
    if not asked.until:
        raise Failure("Say until when: --until 2027-01-31T18:00:00Z", code="end_required")
    body = {"delegate": asked.colleague, "ends_at": asked.until, "justification": asked.reason}
    body |= {"starts_at": asked.start} if asked.start else {}
    if asked.dry_run:
        row = api.post("delegations", body | {"validate_only": True})
        return Outcome(row, f"{asked.colleague} could decide for you until {row['ends_at']}. Nothing was done.")
    row = api.post("delegations", body)
    return Outcome(row, f"{asked.colleague} decides for you until {row['ends_at']} (number {row['id']}).")


def _end(api: Api, asked: Namespace) -> Outcome:
    path = f"delegations/{asked.end}"
    if asked.dry_run:
        row = api.get(path)
        return Outcome(row, f"Number {asked.end} is {row['state']}. Nothing was done.")
    return Outcome(api.post(f"{path}/end", {"justification": asked.reason}), f"Number {asked.end} has ended.")
