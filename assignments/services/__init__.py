"""Every change to an assignment. Nothing else writes these tables.

These functions know nothing of requests, but refuse by themselves what a role's settings forbid. Doors do not call
those that give or take a role: they call `approvals.services`, which keeps the request.
"""

from .activation import activate, check_free, end, end_adrift, expire_active, lock, reaches
from .assigning import (
    assign_active,
    assign_eligible,
    expire_eligible,
    lock_holders,
    remind,
    remove_eligible,
    settings_for,
)
from .changing import change, locked, replace_kind
from .groups import delete_group, update_group
from .people import create_person, disable_person, enable_person, issue_enrolment, update_person
from .prolonging import prolong, remind_of_end
from .stating import dates_of, recorded

__all__ = [
    "activate",
    "assign_active",
    "assign_eligible",
    "change",
    "check_free",
    "create_person",
    "dates_of",
    "delete_group",
    "disable_person",
    "enable_person",
    "end",
    "end_adrift",
    "expire_active",
    "expire_eligible",
    "issue_enrolment",
    "lock",
    "lock_holders",
    "locked",
    "prolong",
    "reaches",
    "recorded",
    "remind",
    "remind_of_end",
    "remove_eligible",
    "replace_kind",
    "settings_for",
    "update_group",
    "update_person",
]
