"""From what people call things to what the API calls them."""

from collections.abc import Iterable, Iterator
from uuid import UUID

from .api import Api, Row
from .errors import Failure


def is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


# What is said where there is none.
NONE = {
    "eligible_assignments": "You can activate nothing called “{}” now. What you can: pim list",
    "active_assignments": "You have activated nothing called “{}”. What is active: pim list",
}


def one(rows: Iterable[Row], name: str, none: str) -> Row:
    """Return the only one of `rows`. Raises Failure: there is none, or more than one."""
    found = list(rows)
    if len(found) == 1:
        return found[0]
    if not found:
        raise Failure(none, code="not_found")
    ids = "\n".join(f"  {row['id']}  {_place(row)}" for row in found)
    raise Failure(f"“{name}” could be several; say --at, or the id of one of them:\n{ids}", code="ambiguous")


def _place(row: Row) -> str:
    place = row.get("scope") or row.get("resource")
    return str(place["label"]) if isinstance(place, dict) else ""


def mine(api: Api, kind: str, **query: str) -> Iterator[Row]:
    """Yield the assignments of oneself and of one's groups; to some the API shows those of others too."""
    me = api.get("access/mine")["principal"]["id"]
    groups = {row["id"] for row in api.rows("groups", member=me)}
    for row in api.rows(kind, expand="role,scope", **query):
        if row["principal"] == me or row["group"] in groups:
            yield row


def assignment(api: Api, kind: str, name: str, at: str, **query: str) -> Row:
    """Return the eligible or active assignment of oneself that is called so.

    Args:
        kind: ``eligible_assignments`` or ``active_assignments``.
        name: of the role, or the id of the assignment.
        at: label or id of the scope, where the role alone would be several.
    """
    held = mine(api, kind, state="active", **query)
    called = (row for row in held if name in (row["id"], row["role"]["name"]))
    there = (row for row in called if not at or at in (row["scope"]["label"], row["scope"]["id"]))
    return one(there, name, NONE[kind].format(f"{name}” at “{at}" if at else name))


def waiting(api: Api, name: str) -> Row:
    """Return the request that waits for one's decision and has this id, this reference, or this role."""
    rows = api.rows("approvals", expand="role,scope,principal,group")
    called = (row for row in rows if name in (row["id"], row["reference"], row["role"]["name"]))
    return one(called, name, f"No request “{name}” waits for you. What does: pim approve")


def role(api: Api, name: str, at: str) -> Row:
    if is_id(name):
        return api.get(f"roles/{name}", expand="resource")
    rows = list(api.rows("roles", name=name, expand="resource"))
    above = [row for row in rows if not at or f"{at}/".startswith(row["resource"]["label"].rstrip("/") + "/")]
    there = f" at “{at}”" if at else ""
    return one(above, name, f"There is no role “{name}”{there}, or none that you may see.")


def scope(api: Api, label: str) -> Row:
    """Return the resource with this label, such as /Finance/Payroll, or this id."""
    if is_id(label):
        return api.get(f"resources/{label}")
    query = {"name": label.rpartition("/")[2]} if label != "/" else {"ordering": "label"}
    row = next((row for row in api.rows("resources", **query) if row["label"] == label), None)
    if row is None:
        raise Failure(f"There is no resource “{label}”, or none that you may see.", code="not_found")
    return row


def principal(api: Api, username: str) -> str:
    """Return the id of a principal; of oneself if none is named."""
    if not username:
        return str(api.get("access/mine")["principal"]["id"])
    if is_id(username):
        return username
    none = f"There is nobody with the username “{username}”, or nobody that you may see."
    return str(one(api.rows("principals", username=username), username, none)["id"])
