"""Where a request comes from."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """The address that the outermost trusted proxy saw; of what stands left of it, the client may have written all."""
    address = request.META.get("REMOTE_ADDR", "")
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    if 0 < settings.TRUSTED_PROXIES <= len(forwarded):
        address = forwarded[-settings.TRUSTED_PROXIES].strip()
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return ""
