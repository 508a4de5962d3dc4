import uuid
from typing import Any

from django.core.management.base import BaseCommand

from accounts.services import rotate_keys
from audit.context import bind
from roles.services import reseal_hooks
from webhooks.services import reseal_subscriptions


class Command(BaseCommand):
    help = "Encrypts every stored secret with the first of PIM_FACTOR_KEYS; the others may then go."

    def handle(self, *args: Any, **options: Any) -> None:
        with bind(correlation_id=uuid.uuid4().hex, via="command"):
            count = rotate_keys(actor=None) + reseal_hooks(actor=None) + reseal_subscriptions(actor=None)
        self.stdout.write(f"Encrypted anew: {count}")
