"""Changes to hooks. Their secrets are shown once, and stand in no event."""

import json
from typing import Any

from django.utils.timezone import now
from django.utils.translation import gettext as _

from accounts.authority import require
from accounts.endpoints import SECRETS
from accounts.models import User
from accounts.rules import check_seen
from audit.services import privileged, record
from notifications.outgoing import NoAnswer, check_url, post
from roles.hooks import Hook
from roles.rules import HookRefused

# A page waits for a test, so it is shorter than what the worker gives a question.
TEST_SECONDS = 5.0


@privileged("hook.registered", target=None)
def register_hook(*, name: str, url: str, actor: User | None) -> Hook:
    """Make a hook. It asks nothing before it has a secret.

    Raises:
        NotAllowed. AddressRefused: ``address_invalid``. ValidationError: the name is taken.
    """
    require(actor, "roles.add_hook")
    check_url(url)
    hook = Hook(name=name, url=url, created_at=now())
    hook.full_clean()
    hook.save(force_insert=True)
    record("hook.registered", actor=actor, target=hook, after=hook_facts(hook))
    return hook


@privileged("hook.updated", target="hook")
def update_hook(*, hook: Hook, name: str, url: str, actor: User | None, seen: str = "") -> Hook:
    """Give a hook another name or address.

    Args:
        seen: `accounts.rules.fingerprint` of the `hook_facts` that the actor saw; empty: whichever.

    Raises:
        As `register_hook`. ChangedMeanwhile.
    """
    hook = _locked(hook, actor)
    before = hook_facts(hook)
    check_seen(before, seen)
    check_url(url)
    hook.name, hook.url = name, url
    hook.full_clean()
    hook.save(update_fields=["name", "url"])
    record("hook.updated", actor=actor, target=hook, before=before, after=hook_facts(hook))
    return hook


def hook_facts(hook: Hook) -> dict[str, Any]:
    return {"name": hook.name, "url": hook.url}


@privileged("hook_secret.renewed", target="hook")
def renew_hook_secret(*, hook: Hook, actor: User | None) -> str:
    """Make a new secret and return it, this one time; the one before signs too for a day. Raises NotAllowed."""
    hook = _locked(hook, actor)
    secret = hook.renew_secret(now())
    hook.save(update_fields=SECRETS)
    record("hook_secret.renewed", actor=actor, target=hook)
    return secret


@privileged("hook.disabled", target="hook")
def disable_hook(*, hook: Hook, actor: User | None, justification: str = "") -> Hook:
    """Ask it no more: what names it goes on as if it did not answer. Raises NotAllowed."""
    hook = _locked(hook, actor)
    hook.is_enabled = False
    hook.save(update_fields=["is_enabled"])
    record("hook.disabled", actor=actor, target=hook, justification=justification)
    return hook


@privileged("hook.enabled", target="hook")
def enable_hook(*, hook: Hook, actor: User | None, justification: str = "") -> Hook:
    """Ask it again. Raises NotAllowed."""
    hook = _locked(hook, actor)
    hook.is_enabled = True
    hook.save(update_fields=["is_enabled"])
    record("hook.enabled", actor=actor, target=hook, justification=justification)
    return hook


def try_hook(*, hook: Hook, actor: User) -> str:
    """Send a signed test message and return what came of it: ``http_200``, or a code of `NoAnswer`.

    It waits, so it must not run in a transaction. Raises NotAllowed. HookRefused: ``hook_unusable``.
    """
    require(actor, "roles.change_hook")
    if not hook.is_usable:
        text = _("Nothing is sent: the hook is disabled, or has no secret yet.")
        raise HookRefused(text, code="hook_unusable")
    at = now()
    body = json.dumps({"type": "hook.test", "timestamp": at.isoformat(), "data": {}}).encode()
    try:
        answer = post(hook.url, body, hook.secrets(at), message_id=f"test_{hook.pk.hex}", at=at, seconds=TEST_SECONDS)
    except NoAnswer as failure:
        outcome = failure.code
    else:
        outcome = f"http_{answer.status}"
    return note_test(hook=hook, actor=actor, outcome=outcome)


@privileged("hook.tested", target="hook")
def note_test(*, hook: Hook, actor: User, outcome: str) -> str:
    """Keep what came of a test; return it. Raises NotAllowed."""
    hook = _locked(hook, actor)
    hook.tested_at, hook.test_outcome = now(), outcome
    hook.save(update_fields=["tested_at", "test_outcome"])
    record("hook.tested", actor=actor, target=hook, after={"outcome": outcome})
    return outcome


@privileged("hook_keys.rotated", target=None)
def reseal_hooks(*, actor: User | None) -> int:
    """Encrypt every secret with the newest of the configured keys; return how many hooks there were.

    Raises:
        NotAllowed: only the system may.
    """
    require(actor)
    hooks = list(Hook.objects.select_for_update())
    for hook in hooks:
        hook.reseal()
        hook.save(update_fields=SECRETS)
    record("hook_keys.rotated", actor=actor, target=None, after={"count": len(hooks)})
    return len(hooks)


def _locked(hook: Hook, actor: User | None) -> Hook:
    require(actor, "roles.change_hook")
    return Hook.objects.select_for_update().get(pk=hook.pk)
