"""Addresses of our pages for mail, where there is no request to ask."""

from typing import Any

from django.conf import settings
from django.urls import reverse


def link(name: str, *args: Any) -> str:
    """Return the absolute address of the page called `name`. It is a pointer: opening it never decides anything."""
    return f"{settings.BASE_URL}{reverse(name, args=args)}"
