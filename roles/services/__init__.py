"""Every change to resources, roles and their settings. Nothing else writes these tables."""

from .delegating import colleague, delegate_decisions, end_delegation
from .groups import follow_group, govern_group
from .hooks import (
    disable_hook,
    enable_hook,
    hook_facts,
    register_hook,
    renew_hook_secret,
    reseal_hooks,
    try_hook,
    update_hook,
)
from .mail import tell
from .resources import (
    change_parent,
    create_resource,
    drop_resource,
    hold_place,
    label_of,
    lock_branch,
    resource_facts,
    update_resource,
)
from .roles import create_role, drop_role, role_facts, update_role
from .settings import (
    PLAIN_FIELDS,
    SETTINGS_FIELDS,
    remove_settings,
    save_settings,
    settings_facts,
    stages_of,
    stated_facts,
    values_of,
    write_stages,
)

__all__ = [
    "PLAIN_FIELDS",
    "SETTINGS_FIELDS",
    "change_parent",
    "colleague",
    "create_resource",
    "create_role",
    "delegate_decisions",
    "disable_hook",
    "drop_resource",
    "drop_role",
    "enable_hook",
    "end_delegation",
    "follow_group",
    "govern_group",
    "hold_place",
    "hook_facts",
    "label_of",
    "lock_branch",
    "register_hook",
    "remove_settings",
    "renew_hook_secret",
    "reseal_hooks",
    "resource_facts",
    "role_facts",
    "save_settings",
    "settings_facts",
    "stages_of",
    "stated_facts",
    "tell",
    "try_hook",
    "update_hook",
    "update_resource",
    "update_role",
    "values_of",
    "write_stages",
]
