"""A test client whose person is signed in with both factors, without going through the sign-in pages."""

import logging
import secrets
from contextlib import contextmanager

import pytest
from django.template.backends.django import Template
from django.utils.timezone import now
from django_otp import DEVICE_ID_SESSION_KEY

from accounts.models import TotpDevice
from accounts.services import note_sign_in
from tests.factories import TotpDeviceFactory


def signed_in(client, user, *, device=None):
    """Sign `user` in on `client` as the sign-in pages would; the authenticator app that was used."""
    device = device or TotpDevice.objects.filter(user=user).order_by("pk").first() or TotpDeviceFactory(user=user)
    client.force_login(user)
    session = client.session
    session[DEVICE_ID_SESSION_KEY] = device.persistent_id
    session["signed_in_at"] = session["used_at"] = int(now().timestamp())
    session["signed_in_with"] = "totp"
    session["binding"] = secrets.token_urlsafe(16)
    session.save()
    note_sign_in(user=user, session=session["binding"], method="totp", device=device.persistent_id)
    return device


@contextmanager
def unrendered():
    """Where only the status counts, no page is laid out: that takes most of the time. All before it is done."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Template, "render", lambda template, context=None, request=None: "")
        yield


@contextmanager
def refusing_silently():
    """Where thousands are refused, as they should be, no line tells of each: that took a tenth of the time."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("django.request", "django.security.csrf"):
            patch.setattr(logging.getLogger(name), "isEnabledFor", lambda level: level >= logging.ERROR)
        yield
