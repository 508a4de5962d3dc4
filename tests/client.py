"""A test client whose person is signed in with both factors, without going through the sign-in pages."""

import logging
import secrets
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.template.backends.django import Template
from django.utils.timezone import now
from django_otp import DEVICE_ID_SESSION_KEY

from accounts.models import TotpDevice
from accounts.services import note_sign_in
from pim_site.sessions import SessionStore
from tests.factories import TotpDeviceFactory


def signed_in(client, user, *, device=None):
    """Sign `user` in on `client` as the sign-in pages would; the authenticator app that was used."""
    device = device or TotpDevice.objects.filter(user=user).order_by("pk").first() or TotpDeviceFactory(user=user)
    moment = int(now().timestamp())
    session = SessionStore()
    session[SESSION_KEY], session[HASH_SESSION_KEY] = str(user.pk), user.get_session_auth_hash()
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[DEVICE_ID_SESSION_KEY] = device.persistent_id
    session.update(
        {"signed_in_at": moment, "used_at": moment, "signed_in_with": "totp", "binding": secrets.token_urlsafe(16)}
    )
    session.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
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
