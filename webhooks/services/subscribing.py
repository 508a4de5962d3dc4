"""Changes to subscriptions. Their secrets are shown once, and stand in no event."""

from collections.abc import Collection
from typing import Any

from django.utils.timezone import now

from accounts.authority import require
from accounts.endpoints import SECRETS
from accounts.models import User
from accounts.rules import check_seen
from audit.services import privileged, record
from notifications.outgoing import check_url
from webhooks.models import Subscription
from webhooks.rules import check_kinds, check_owner


@privileged("subscription.created", target=None)
def subscribe(*, name: str, url: str, kinds: Collection[str], owner: User, actor: User | None) -> Subscription:
    """Make a subscription to what happens from now on. It is sent nothing before it has a secret.

    Raises:
        NotAllowed. AddressRefused: ``address_invalid``. SubscriptionRefused: ``kind_unknown``, ``owner_disabled``.
        ValidationError: the name is taken.
    """
    require(actor, "webhooks.add_subscription")
    at = now()
    row = _filled(Subscription(created_at=at, since=at), name, url, kinds, owner)
    row.save(force_insert=True)
    record("subscription.created", actor=actor, target=row, after=subscription_facts(row))
    return row


@privileged("subscription.updated", target="subscription")
def update_subscription(
    *,
    subscription: Subscription,
    name: str,
    url: str,
    kinds: Collection[str],
    owner: User,
    actor: User | None,
    seen: str = "",
) -> Subscription:
    """Change a subscription. What waits is sent to the new address.

    Args:
        seen: `accounts.rules.fingerprint` of the `subscription_facts` that the actor saw; empty: whichever.

    Raises:
        As `subscribe`. ChangedMeanwhile.
    """
    row = _locked(subscription, actor)
    before = subscription_facts(row)
    check_seen(before, seen)
    _filled(row, name, url, kinds, owner).save(update_fields=["name", "url", "kinds", "owner"])
    record("subscription.updated", actor=actor, target=row, before=before, after=subscription_facts(row))
    return row


def _filled(row: Subscription, name: str, url: str, kinds: Collection[str], owner: User) -> Subscription:
    check_url(url)
    check_kinds(kinds)
    check_owner(owner)
    row.name, row.url, row.owner, row.kinds = name, url, owner, " ".join(sorted(set(kinds)))
    row.full_clean()
    return row


def subscription_facts(row: Subscription) -> dict[str, Any]:
    return {"name": row.name, "url": row.url, "kinds": row.kinds.split(), "owner": str(row.owner)}


@privileged("subscription_secret.renewed", target="subscription")
def renew_subscription_secret(*, subscription: Subscription, actor: User | None) -> str:
    """Make a new secret and return it, this one time; the one before signs too for a day. Raises NotAllowed."""
    row = _locked(subscription, actor)
    secret = row.renew_secret(now())
    row.save(update_fields=SECRETS)
    record("subscription_secret.renewed", actor=actor, target=row)
    return secret


@privileged("subscription.disabled", target="subscription")
def disable_subscription(*, subscription: Subscription, actor: User | None, justification: str = "") -> Subscription:
    """Send it nothing more. What waits goes on when it is enabled again. Raises NotAllowed."""
    row = _locked(subscription, actor)
    row.is_enabled = False
    row.save(update_fields=["is_enabled"])
    record("subscription.disabled", actor=actor, target=row, justification=justification)
    return row


@privileged("subscription.enabled", target="subscription")
def enable_subscription(*, subscription: Subscription, actor: User | None, justification: str = "") -> Subscription:
    """Send it what waits, and what happens from now on. Raises NotAllowed."""
    row = _locked(subscription, actor)
    if not row.is_enabled:
        row.since = now()
    row.is_enabled = True
    row.save(update_fields=["is_enabled", "since"])
    record("subscription.enabled", actor=actor, target=row, justification=justification)
    return row


@privileged("subscription_keys.rotated", target=None)
def reseal_subscriptions(*, actor: User | None) -> int:
    """Encrypt every secret with the newest of the configured keys; return how many subscriptions there were.

    Raises:
        NotAllowed: only the system may.
    """
    require(actor)
    rows = list(Subscription.objects.select_for_update())
    for row in rows:
        row.reseal()
        row.save(update_fields=SECRETS)
    record("subscription_keys.rotated", actor=actor, target=None, after={"count": len(rows)})
    return len(rows)


def _locked(subscription: Subscription, actor: User | None) -> Subscription:
    require(actor, "webhooks.change_subscription")
    rows = Subscription.objects.select_for_update(of=("self",)).select_related("owner")
    return rows.get(pk=subscription.pk)
