"""The door: every change to who may hold what, or holds what, comes in here as a request.

Pages, API, console, commands and worker call these functions and nothing beneath them.
"""

from .activating import activate, deactivate
from .assigning import assign_active, assign_eligible, remove_active, remove_eligible
from .deciding import approve, cancel, deny, note_start, time_out

__all__ = [
    "activate",
    "approve",
    "assign_active",
    "assign_eligible",
    "cancel",
    "deactivate",
    "deny",
    "note_start",
    "remove_active",
    "remove_eligible",
    "time_out",
]
