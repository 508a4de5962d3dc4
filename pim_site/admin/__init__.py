"""The pages of the console for what people manage. They stand above all floors, because each shows what several know
and changes it through the services of the highest one that has a say. Events and messages bring pages of their own."""

from . import (
    alerts,
    assignments,
    emergencies,
    events,
    groups,
    hooks,
    messages,
    people,
    requests,
    resources,
    reviews,
    roles,
    series,
    webhooks,
)

__all__ = [
    "alerts",
    "assignments",
    "emergencies",
    "events",
    "groups",
    "hooks",
    "messages",
    "people",
    "requests",
    "resources",
    "reviews",
    "roles",
    "series",
    "webhooks",
]
