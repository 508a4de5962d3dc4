"""An event as the Elastic Common Schema has it (ECS 8.11), and as a line of syslog (RFC 5424)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address
from typing import Any

from audit.keys import origin

ECS = "8.11.0"
# Facility 13, log audit; informational, and warning for what was refused (RFC 5424, section 6.2.1).
DONE, REFUSED = 13 * 8 + 6, 13 * 8 + 4
ACTIVE, ELIGIBLE = "assignments.activeassignment", "assignments.eligibleassignment"
ASSIGNED = {"active.assigned", "eligible.assigned"}
CHANGED = {f"assignment.{done}" for done in ("started", "renewed", "updated", "extended")}
GRANTS = {"assignment.activated"} | ASSIGNED | CHANGED


@dataclass(frozen=True)
class Record:
    """Event number `n` with its text and its hash."""

    n: int
    leaf: bytes
    canonical: str

    @cached_property
    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads(self.canonical)
        return facts

    @cached_property
    def json(self) -> str:
        """One line of ASCII, so that no receiver has to guess how it is written."""
        return json.dumps(ecs(self), separators=(",", ":"))

    @property
    def syslog(self) -> bytes:
        """The message with the count of its octets before it (RFC 6587, section 3.4.1)."""
        level = REFUSED if self.facts["outcome"] == "refused" else DONE
        head = f"<{level}>1 {self.facts['at']} {origin()[:255] or '-'} pim - {self.facts['action'][:32]} -"
        message = f"{head} {self.json}".encode()
        return b"%d %s" % (len(message), message)


def ecs(record: Record) -> dict[str, Any]:
    facts, access = record.facts, access_of(record.facts)
    refused = facts["outcome"] == "refused"
    event = {
        "id": f"{origin()}/{record.n}",
        "sequence": record.n,
        "kind": "event",
        "category": ["iam"],
        # A grant that ends by itself is told apart already here: rules on standing grants ask for "change".
        "type": ["user", "info" if access and access["temporary"] else "change"],
        "action": facts["action"],
        "outcome": "failure" if refused else "success",
        "reason": facts["justification"],
        "code": facts["code"],
        "provider": "pim",
        "dataset": "pim.audit",
        "hash": record.leaf.hex(),
        "original": record.canonical,
    }
    found = {
        "@timestamp": facts["at"],
        "ecs": {"version": ECS},
        "message": " · ".join(filter(None, (facts["action"], *map(_label, (facts["actor"], facts["subject"]))))),
        "event": event,
        "service": {"name": origin(), "type": "pim"},
        "user": _named(facts["actor"]) | {"target": _named(facts["subject"])},
        "source": {"ip": _address(facts["address"])},
        "trace": {"id": facts["correlation_id"]},
        "tags": [access["kind"]] if access else [],
        "pim": {
            **{name: _named(facts[name]) for name in ("role", "scope", "request")},
            "target": _named(facts["target"]) | {"type": (facts["target"] or {}).get("type")},
            "ticket": facts["ticket"],
            "via": facts["via"],
            "approvers": (facts["after"] or {}).get("approvers"),
            "access": access,
        },
    }
    filled: dict[str, Any] = _filled(found)
    return filled


def access_of(facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """What kind of access there is after an event, None where it gives none; only `standing_access` stays for good.

    An event that says nothing of an end, as some of older versions, tells of neither.
    """
    after, target = facts["after"] or {}, (facts["target"] or {}).get("type")
    if facts["action"] not in GRANTS or facts["outcome"] != "success" or "ends_at" not in after:
        return None
    ends_at = after["ends_at"]
    if facts["action"] == "assignment.activated" or after.get("kind") == "activated":
        kind = "activation"
    elif target == ELIGIBLE:
        kind = "eligibility"
    else:
        kind = "time_bound_access" if ends_at else "standing_access"
    times = {"starts_at": after.get("starts_at"), "ends_at": ends_at}
    return {"kind": kind, "temporary": kind != "standing_access", **times}


def _named(reference: Mapping[str, str] | None) -> dict[str, Any]:
    return {"id": reference["id"], "name": reference["label"]} if reference else {}


def _label(reference: Mapping[str, str] | None) -> str:
    return reference["label"] if reference else ""


def _address(text: str) -> str:
    """An address as it is, and nothing where it is none: receivers refuse the whole record for it."""
    try:
        return str(ip_address(text))
    except ValueError:
        return ""


def _filled(value: Any) -> Any:
    """Without what is empty: a field that is there says something."""
    if not isinstance(value, dict):
        return value
    filled = {name: _filled(each) for name, each in value.items()}
    return {name: each for name, each in filled.items() if each not in (None, "", [], {})}
