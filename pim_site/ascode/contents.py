"""What the file has: its sections, in the order in which they are put in force, and the keys of each."""

from collections.abc import Mapping
from typing import Any

from django.db import models

from accounts.models import default_zone
from roles.mails import ALL, AUDIENCES, EVENTS
from roles.models import ApprovalStage, RoleSettings
from roles.services import SETTINGS_FIELDS
from roles.stages import GROUPS, PEOPLE, PLAIN

from .shapes import LENGTH, LENGTH_OR_NONE, MOMENT, NAMES, NUMBER, TEXT, TRUTH, Key, Many, Shape

VERSION = 1

PERSON = Shape(
    {
        "username": Key(TEXT),
        "name": Key(TEXT),
        "email": Key(TEXT),
        "kind": Key(TEXT, "person"),
        "manager": Key(TEXT, ""),
        "time_zone": Key(TEXT, default_zone(), always=True),
        "emergency_access": Key(TRUTH, False),
        "enabled": Key(TRUTH, True),
    }
)
GROUP = Shape(
    {
        "name": Key(TEXT),
        "description": Key(TEXT, ""),
        "protected": Key(TRUTH, False),
        "owners": Key(NAMES, []),
        "members": Key(NAMES, []),
    }
)
RESOURCE = Shape(
    {
        "path": Key(TEXT),
        "name": Key(TEXT, ""),
        "kind": Key(TEXT, "other", always=True),
        "group": Key(TEXT, ""),
        "description": Key(TEXT, ""),
    }
)
# Without its secret.
HOOK = Shape({"name": Key(TEXT), "url": Key(TEXT), "enabled": Key(TRUTH, True)})
CELL = Shape({"default": Key(TRUTH, True), "also": Key(Many(TEXT, ordered=True), []), "level": Key(TEXT, ALL)})
ROW = Shape({audience: Key(CELL, CELL.defaults) for audience in AUDIENCES})
CELLS = Shape({event: Key(ROW, ROW.defaults) for event in EVENTS})


def _key_of(model: type[models.Model], name: str) -> Key:
    """Return how a column of role settings or of their stages stands in the file."""
    field: Any = model._meta.get_field(name)
    if field.many_to_many:
        return Key(NAMES, [])
    if isinstance(field, models.JSONField):
        return Key(CELLS, CELLS.defaults)
    kinds = {models.DurationField: LENGTH, models.BooleanField: TRUTH, models.PositiveSmallIntegerField: NUMBER}
    kinds |= {models.DurationField: LENGTH_OR_NONE} if field.null else {}
    default = "" if isinstance(field, models.ForeignKey) else field.get_default()
    return Key(kinds.get(type(field), TEXT), str(default) if isinstance(default, str) else default)


STAGE = Shape({name: _key_of(ApprovalStage, name) for name in (*PEOPLE, *GROUPS, *PLAIN)})
SETTINGS = Shape(
    {name: _key_of(RoleSettings, name) for name in SETTINGS_FIELDS if name != "stages"}
    | {"stages": Key(Many(STAGE, ordered=True), [])}
)
OVERRIDE = Shape({"scope": Key(TEXT), **SETTINGS.keys})
ROLE = Shape(
    {
        "resource": Key(TEXT),
        "name": Key(TEXT),
        "description": Key(TEXT, ""),
        "privileged": Key(TRUTH, False),
        "owns_resource": Key(TRUTH, False),
        "permissions": Key(NAMES, []),
        "settings": Key(SETTINGS, SETTINGS.defaults),
        "overrides": Key(Many(OVERRIDE, ordered=True), []),
    }
)
ASSIGNMENT = Shape(
    {
        "role": Key(TEXT),
        "resource": Key(TEXT),
        "scope": Key(TEXT, ""),
        "user": Key(TEXT, ""),
        "group": Key(TEXT, ""),
        "starts_at": Key(MOMENT, None),
        "ends_at": Key(MOMENT, None),
    }
)

SECTIONS = {
    "people": PERSON,
    "groups": GROUP,
    "resources": RESOURCE,
    "hooks": HOOK,
    "roles": ROLE,
    "eligible": ASSIGNMENT,
    "active": ASSIGNMENT,
}
# What two entries of a section cannot share.
IDENTITY = {
    "people": ("username",),
    "groups": ("name",),
    "resources": ("path",),
    "hooks": ("name",),
    "roles": ("resource", "name"),
    "eligible": ("role", "resource", "scope", "user", "group"),
    "active": ("role", "resource", "scope", "user", "group"),
}
ORGANISATION = Shape(
    {
        "version": Key(NUMBER),
        **{name: Key(Many(shape, ordered=True), None) for name, shape in SECTIONS.items()},
    }
)


def written(section: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the file says of an entry: all that does not go without saying."""
    entry = SECTIONS[section].write(values)
    if "overrides" in entry:
        entry["overrides"] = [OVERRIDE.write(each, values["settings"]) for each in values["overrides"]]
    return entry


def completed(section: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return all values of an entry of the file: what it leaves out has its default."""
    values = SECTIONS[section].complete(entry)
    if section == "roles":
        overrides = entry.get("overrides", [])
        values["overrides"] = [OVERRIDE.complete(each, values["settings"]) for each in overrides]
        for settings in (values["settings"], *values["overrides"]):
            settings["stages"] = without_saying(settings["stages"])
    return values


def without_saying(stages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return no stages for the one that there is where nothing is said of stages."""
    return [] if stages == [STAGE.defaults] else stages
