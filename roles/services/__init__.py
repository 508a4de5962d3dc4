"""Every change to resources, roles and their settings. Nothing else writes these tables."""

from .mail import tell
from .resources import create_resource, label_of, update_resource
from .roles import create_role, update_role
from .settings import SETTINGS_FIELDS, save_settings, settings_facts

__all__ = [
    "SETTINGS_FIELDS",
    "create_resource",
    "create_role",
    "label_of",
    "save_settings",
    "settings_facts",
    "tell",
    "update_resource",
    "update_role",
]
