"""What fields can say that is meant: by their names, wherever they stand in a body."""

from datetime import UTC, datetime, timedelta

from tests.fuzz.stage import moment

ZONES = ("UTC", "Europe/Lisbon", "Asia/Kolkata", "America/St_Johns", "Pacific/Auckland")
RIGHTS = ("accounts.view_user", "roles.view_role", "assignments.view_activeassignment", "audit.view_event")
SCOPES = ("read", "activate", "approve", "assign", "configure", "review", "audit")
LENGTHS = ("PT30M", "PT1H", "PT2H")
# Both are asked for by one who proves a factor, and by chance only an error comes of it: see `scenes`.
UNPROVED = ("code", "app")


def kept_or(word):
    """What was made up, where it says anything."""
    return lambda value, stage: value if isinstance(value, str) and value.strip() else word


def one_of(values):
    return lambda value, stage: stage.choose.choice(values)


def ahead(least, most):
    return lambda value, stage: moment(days=stage.choose.randint(least, most), minutes=stage.choose.randint(0, 99))


def day_ahead(least, most):
    return lambda value, stage: str((datetime.now(UTC) + timedelta(days=stage.choose.randint(least, most))).date())


def address(value, stage):
    return f"{stage.name().replace(' ', '.').lower()}@example.org"


def shortened(value, stage):
    return value[:3] if isinstance(value, list) else value


VALUES = {
    "justification": kept_or("Because it is asked for."),
    "display_name": kept_or("Somebody"),
    "description": kept_or("What it is for."),
    "name": lambda value, stage: f"{stage.name()} {value[:40]}".replace("/", "").strip(),
    "username": lambda value, stage: stage.name().replace(" ", ".").lower(),
    "email": address,
    "time_zone": one_of(ZONES),
    "permissions": lambda value, stage: stage.choose.sample(RIGHTS, stage.choose.randint(0, 2)),
    "scopes": lambda value, stage: stage.choose.sample(SCOPES, stage.choose.randint(1, 3)),
    "networks": lambda value, stage: stage.choose.choice([[], ["192.0.2.0/24"], ["2001:db8::/32", "127.0.0.0/8"]]),
    "duration": one_of(LENGTHS),
    "emergency_duration": one_of(LENGTHS),
    "activation_max_duration": one_of(("PT30M", "PT4H", "P1D")),
    "lifetime": one_of(("PT5M", "P1D", "P90D", "P365D")),
    "overlap": one_of(("PT0S", "PT1H", "P7D")),
    "timeout": one_of(("PT1H", "P1D", "P3D")),
    "escalates_after": one_of((None, "PT30M", "PT45M")),
    "quorum": one_of((1,)),
    "ticket_pattern": one_of(("", "OPS-[0-9]+", "[A-Z]{2,5}-[0-9]{1,6}")),
    "ticket_link": one_of(("", "https://tickets.example.org/{ticket}")),
    "hook": one_of((None,)),
    "eligible_max_days": one_of((15, 30, 90, 180, 365)),
    "active_max_days": one_of((15, 30, 90, 180, 365)),
    "url": one_of(("https://tickets.example.org/pim", "https://hooks.example.org:8443/a?b=c")),
    "also": one_of(([], ["night.watch@example.org"])),
    "until": ahead(1, 300),
    "ends_at": ahead(30, 170),
    "starts_at": one_of((None,)),
    "first_on": day_ahead(1, 60),
    "ends_on": one_of((None,)),
    "count": one_of((None,)),
    "recurrence": one_of(("once", "monthly", "quarterly")),
    "days": lambda value, stage: stage.choose.randint(1, 20),
    "inactive_days": one_of((None, 30)),
    "look_back_days": one_of((14, 30, 90)),
    **dict.fromkeys(("owners", "members", "approvers", "approver_groups", "told", "people", "groups"), shortened),
}


def meant(value, stage, name=""):
    """The same, with what its fields can mean."""
    if name in VALUES:
        value = VALUES[name](value, stage)
    if isinstance(value, dict):
        return {each: meant(inner, stage, each) for each, inner in value.items() if each not in UNPROVED}
    return [meant(each, stage) for each in value] if isinstance(value, list) else value
