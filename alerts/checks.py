"""Refuses to start with a module of alerts that cannot be loaded: what it would look for, nobody would hear of."""

from typing import Any

from django.core.checks import CheckMessage, Error, register

from .registry import BROKEN


@register("pim")
def modules(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    hint = "Correct it, or take it out of PIM_ALERT_MODULES; docs/alerts.md shows how one is written."
    return [
        Error(f"The module of alerts {name} cannot be loaded: {cause}", hint=hint, id="pim.E050")
        for name, cause in BROKEN.items()
    ]
