"""Hooks: their secrets, and a test of them."""

import json
from datetime import timedelta

import pytest
import time_machine
from cryptography.fernet import Fernet
from django.utils.timezone import now

from audit.models import Event
from roles import services as roles
from roles.models import Role
from tests.factories import HookFactory, holder_of
from tests.listener import listening

pytestmark = pytest.mark.django_db


def test_old_secret_of_a_hook_signs_for_a_day_more():
    hook = HookFactory(secret="")
    with time_machine.travel(now(), tick=False) as clock:
        first = roles.renew_hook_secret(hook=hook, actor=None)
        second = roles.renew_hook_secret(hook=hook, actor=None)
        hook.refresh_from_db()
        both = hook.secrets(now())
        clock.shift(timedelta(hours=24))
        assert (both, hook.secrets(now())) == ([second, first], [second])


def test_secrets_of_hooks_need_only_the_newest_key(settings):
    hook, newest = HookFactory(), Fernet.generate_key().decode()
    before = hook.secrets(now())
    settings.FACTOR_KEYS = [newest, *settings.FACTOR_KEYS]
    assert roles.reseal_hooks(actor=None) == 1
    settings.FACTOR_KEYS = [newest]
    hook.refresh_from_db()
    assert hook.secrets(now()) == before


def test_test_of_a_hook_says_what_came_of_it(settings):
    administrator = holder_of(Role.GLOBAL_ADMINISTRATOR)
    settings.OUTGOING_NETWORKS, settings.OUTGOING_HTTP = ["127.0.0.0/8"], True
    with listening() as listener:
        hook = HookFactory(url=listener.url())
        assert roles.try_hook(hook=hook, actor=administrator) == "http_200"
        settings.OUTGOING_NETWORKS = []
        assert roles.try_hook(hook=hook, actor=administrator) == "address_refused"
    assert json.loads(listener.asked[0][2])["type"] == "hook.test"
    told = Event.objects.filter(action="hook.tested").order_by("id")
    assert [event.facts["after"] for event in told] == [{"outcome": "http_200"}, {"outcome": "address_refused"}]
