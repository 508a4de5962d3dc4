"""The door: every change to who may hold what, or holds what, comes in here as a request.

Pages, API, console, commands and worker call these functions and nothing beneath them.
"""

from .activating import activate, deactivate
from .assigning import assign_active, assign_eligible
from .changing import extend, make_eligible, remove_active, remove_eligible, renew, update
from .checking import ask_hook, hear
from .deciding import approve, claim, deny, release
from .emergency import activate_in_emergency, note_emergency_sign_in, remind_of_review, review_emergency
from .extending import deny_extension, grant_extension, lapse, self_extend, self_renew
from .keeping import pin, remove_set, rename_set, save_set, unpin
from .placing import Use, delete_resource, delete_role, in_words, move_resource, uses_of_resource, uses_of_role
from .prolonging import extend_activation
from .waiting import cancel, escalate, note_start, remind, time_out

__all__ = [
    "Use",
    "activate",
    "activate_in_emergency",
    "approve",
    "ask_hook",
    "assign_active",
    "assign_eligible",
    "cancel",
    "claim",
    "deactivate",
    "delete_resource",
    "delete_role",
    "deny",
    "deny_extension",
    "escalate",
    "extend",
    "extend_activation",
    "grant_extension",
    "hear",
    "in_words",
    "lapse",
    "make_eligible",
    "move_resource",
    "note_emergency_sign_in",
    "note_start",
    "pin",
    "release",
    "remind",
    "remind_of_review",
    "remove_active",
    "remove_eligible",
    "remove_set",
    "rename_set",
    "renew",
    "review_emergency",
    "save_set",
    "self_extend",
    "self_renew",
    "time_out",
    "unpin",
    "update",
    "uses_of_resource",
    "uses_of_role",
]
