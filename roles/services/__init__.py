"""Every change to resources, roles and their settings. Nothing else writes these tables."""

from .delegating import delegate_decisions, end_delegation
from .groups import follow_group, govern_group
from .mail import tell
from .resources import create_resource, label_of, update_resource
from .roles import create_role, update_role
from .settings import (
    PLAIN_FIELDS,
    SETTINGS_FIELDS,
    remove_settings,
    save_settings,
    settings_facts,
    stages_of,
    values_of,
    write_stages,
)

__all__ = [
    "PLAIN_FIELDS",
    "SETTINGS_FIELDS",
    "create_resource",
    "create_role",
    "delegate_decisions",
    "end_delegation",
    "follow_group",
    "govern_group",
    "label_of",
    "remove_settings",
    "save_settings",
    "settings_facts",
    "stages_of",
    "tell",
    "update_resource",
    "update_role",
    "values_of",
    "write_stages",
]
