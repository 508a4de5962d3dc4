from .delivering import collect, deliver, forget, send_again
from .subscribing import (
    disable_subscription,
    enable_subscription,
    renew_subscription_secret,
    reseal_subscriptions,
    subscribe,
    subscription_facts,
    update_subscription,
)

__all__ = [
    "collect",
    "deliver",
    "disable_subscription",
    "enable_subscription",
    "forget",
    "renew_subscription_secret",
    "reseal_subscriptions",
    "send_again",
    "subscribe",
    "subscription_facts",
    "update_subscription",
]
